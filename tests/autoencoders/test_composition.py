"""Every constructor around every other: they compose and lose no term, or say why they do not."""

import pickle
from functools import cache, partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import (
    Examples,
    as_batch,
    conditional,
    contractive,
    denoising,
    importance_weighted,
    k_sparse,
    l2_regularized,
    loss_terms,
    mmd_regularized,
    part_names,
    sparse,
    sparse_kl,
    tied,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.corruption import masking
from aejax.errors import IncompatibleError
from aejax.networks import MLP
from aejax.priors import mixture_prior, vamp_prior
from aejax.schedules import linear_warm_up

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 6)), jnp.float32)
CONDITION = jnp.array([0, 2, 1, 0])


def vae(**knobs):
    return variational(MLP((2 * 3,), (5,)), MLP((6,), (5,)), **knobs)


BASES = {
    "undercomplete": undercomplete(MLP((3,), (5,), output_activation=jax.nn.sigmoid), MLP((6,), (5,))),
    "k_sparse": k_sparse(MLP((8,)), MLP((6,)), k=2),
    "tied": tied((6,), (3,)),
    "variational": vae(),
    "variational with beta": vae(beta=4.0),
    "variational with warm-up": vae(beta=linear_warm_up(10)),
    "variational with free bits": vae(free_bits=0.1),
    "variational with mixture prior": vae(prior=mixture_prior(3)),
    "variational with VampPrior": vae(prior=vamp_prior(X)),
}
WRAPPERS = {
    "conditional": partial(conditional, classes=3),
    "contractive": partial(contractive, weight=0.1),
    "denoising": partial(denoising, corrupt=partial(masking, amount=0.5)),
    "importance_weighted": partial(importance_weighted, samples=3),
    "l2_regularized": partial(l2_regularized, weight=0.1),
    "mmd_regularized": partial(mmd_regularized, weight=0.1),
    "sparse": partial(sparse, weight=0.1),
    "sparse_kl": partial(sparse_kl, weight=0.1, rho=0.1),
    "total_correlation_penalized": partial(total_correlation_penalized, weight=0.1, examples=100),
}
TERMS = {
    "conditional": set(),
    "contractive": {"contractive_penalty"},
    "denoising": set(),
    "importance_weighted": {"elbo"},
    "l2_regularized": {"squared_weights"},
    "mmd_regularized": {"mmd"},
    "sparse": {"l1_penalty", "active_fraction"},
    "sparse_kl": {"sparsity_kl", "mean_activation"},
    "total_correlation_penalized": {"total_correlation"},
}
IS_VARIATIONAL = [name for name in BASES if name.startswith("variational")]
NO_POSTERIOR, TARGET = "expects an autoencoder with a posterior", "a target activation expects codes in"
REFUSED_BASES = {
    **{("importance_weighted", base): NO_POSTERIOR for base in ("undercomplete", "k_sparse", "tied")},
    **{("total_correlation_penalized", base): NO_POSTERIOR for base in ("undercomplete", "k_sparse", "tied")},
    **{("sparse_kl", base): TARGET for base in IS_VARIATIONAL},
    ("conditional", "tied"): "tied layers have no input for a condition",
    ("conditional", "variational with VampPrior"): "pseudo-inputs have no condition",
    ("sparse", "k_sparse"): "how many entries of a code are active",
    ("sparse_kl", "k_sparse"): "how many entries of a code are active",
    ("mmd_regularized", "k_sparse"): "cannot follow the prior",
    ("importance_weighted", "variational with beta"): "beta must be 1",
    ("importance_weighted", "variational with warm-up"): "beta must be 1",
    ("importance_weighted", "variational with free bits"): "free_bits must be 0",
}
ALREADY = "can be applied only once"
LOST = ("contractive", "denoising", "l2_regularized", "mmd_regularized", "sparse", "total_correlation_penalized")
REFUSED_PAIRS = {  # outer, inner
    **{(name, name): ALREADY for name in WRAPPERS if name != "denoising"},
    **{("importance_weighted", inner): f"{inner}\\(importance_weighted" for inner in LOST},
    ("mmd_regularized", "sparse_kl"): "cannot follow a normal prior",
    ("sparse_kl", "mmd_regularized"): "cannot follow a normal prior",
}


def terms_of(autoencoder):
    """The names of the terms of the loss, its gradient traced too."""
    condition = (CONDITION[0],) if "conditional" in part_names(autoencoder.parts) else ()
    params = jax.eval_shape(autoencoder.init, KEY, X[0], *condition)
    batch = as_batch(Examples(X, condition=CONDITION if condition else None))
    gradient, metrics = jax.eval_shape(jax.grad(autoencoder.loss, has_aux=True), params, KEY, batch)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert all(term.shape == () and term.dtype == jnp.float32 for term in metrics.values())
    assert set(loss_terms(autoencoder.parts)) == set(metrics)  # so each has a title and a unit
    hash(autoencoder)  # compiled steps are kept by it
    return set(metrics)


@cache
def terms_of_base(name):
    return terms_of(BASES[name])


@pytest.mark.parametrize(("wrapper", "base"), list(product(WRAPPERS, BASES)))
def test_every_wrapper_around_every_base(wrapper, base):
    if reason := REFUSED_BASES.get((wrapper, base)):
        with pytest.raises((TypeError, ValueError), match=reason):
            WRAPPERS[wrapper](BASES[base])
        return
    autoencoder = WRAPPERS[wrapper](BASES[base])
    expected = {"loss"} | TERMS[wrapper]
    if wrapper != "importance_weighted":
        expected |= terms_of_base(base)
    assert terms_of(autoencoder) == expected
    assert part_names(autoencoder.parts) == (*part_names(BASES[base].parts), wrapper)


@pytest.mark.parametrize(("outer", "inner"), list(product(WRAPPERS, WRAPPERS)))
def test_every_wrapper_around_every_other(outer, inner):
    base = "undercomplete" if "sparse_kl" in (outer, inner) else "variational"
    if (inner, base) in REFUSED_BASES or (outer, base) in REFUSED_BASES:
        return  # a pair that shares no base; each has been refused above
    wrapped = WRAPPERS[inner](BASES[base])
    if reason := REFUSED_PAIRS.get((outer, inner)):
        with pytest.raises(ValueError, match=reason):
            WRAPPERS[outer](wrapped)
        return
    autoencoder = WRAPPERS[outer](wrapped)
    base_terms = {"loss", "elbo"} if "importance_weighted" in (outer, inner) else terms_of_base(base)
    assert terms_of(autoencoder) == base_terms | TERMS[inner] | TERMS[outer]


def test_what_is_refused_further_in_is_refused_too():
    inner = denoising(
        contractive(k_sparse(MLP((8,)), MLP((6,)), k=2), weight=0.1), corrupt=partial(masking, amount=0.5)
    )
    with pytest.raises(IncompatibleError, match="sparse and k_sparse cannot be combined") as caught:
        sparse(inner, weight=0.1)
    assert caught.value.names == ("sparse", "k_sparse")
    assert "how many entries" in caught.value.reason
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
