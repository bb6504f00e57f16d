"""What constructors say of themselves: every term has a title and a unit, every name that is excluded exists."""

import typing
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from aejax import autoencoders
from aejax.autoencoders import (
    Autoencoder,
    Examples,
    Part,
    Term,
    as_batch,
    batch_top_k,
    combination_importance_weighted,
    conditional,
    contractive,
    contractive_by_projections,
    denoising,
    gated,
    hierarchical,
    importance_weighted,
    jump_relu,
    k_sparse,
    l1_dictionary,
    l2_regularized,
    loss_terms,
    matryoshka,
    mmd_regularized,
    multiply_importance_weighted,
    part_names,
    partially_importance_weighted,
    penalized,
    resampled,
    sparse,
    sparse_kl,
    standardized,
    tabular,
    tied,
    top_k,
    total_correlation_penalized,
    undercomplete,
    variational,
)
from aejax.autoencoders.learned_state import split_statistics
from aejax.corruption import masking
from aejax.errors import IncompatibleError
from aejax.likelihoods.columns import Continuous
from aejax.likelihoods.tables import TableLoss
from aejax.losses import binary_cross_entropy
from aejax.networks import MLP
from aejax.schedules import linear_warm_up

KEY = jax.random.key(0)
PLAIN = undercomplete(MLP((3,), output_activation=jax.nn.sigmoid), MLP((6,)))
VAE = variational(MLP((6,)), MLP((6,)))


def squared_code(params, batch):
    return {"squared_code": jnp.mean(jnp.square(jax.vmap(partial(PLAIN.encode, params))(batch.input)))}


TABLE = TableLoss(tuple(Continuous(name) for name in "abcdef"))
SQUARED = Part("ridge", terms=(Term("squared_code", "mean square of the code", "no unit"),))
CONSTRUCTED = {
    "batch_top_k": batch_top_k(6, 8, k=2),
    "combination_importance_weighted": combination_importance_weighted(VAE, samples=2, elbo_weight=0.5),
    "conditional": conditional(PLAIN, classes=3),
    "contractive": contractive(PLAIN, weight=0.1, higher_order_weight=0.1),
    "contractive_by_projections": contractive_by_projections(PLAIN, weight=0.1),
    "denoising": denoising(PLAIN, corrupt=partial(masking, amount=0.5)),
    "gated": gated(6, 8, weight=0.1),
    "hierarchical": hierarchical((MLP((6,)), MLP((4,))), (MLP((6,)), MLP((6,))), code_sizes=(3, 2)),
    "importance_weighted": importance_weighted(VAE, samples=2),
    "jump_relu": jump_relu(6, 8, weight=0.1, penalty="tanh"),
    "k_sparse": k_sparse(MLP((8,)), MLP((6,)), k=2),
    "l1_dictionary": l1_dictionary(6, 8, weight=0.1),
    "matryoshka": matryoshka(6, 8, k=2, prefixes=(4,)),
    "l2_regularized": l2_regularized(PLAIN, weight=0.1),
    "mmd_regularized": mmd_regularized(PLAIN, weight=0.1),
    "multiply_importance_weighted": multiply_importance_weighted(VAE, groups=2, samples=2),
    "partially_importance_weighted": partially_importance_weighted(VAE, groups=2, samples=2),
    "penalized": penalized(PLAIN, SQUARED, squared_code, weight=0.1),
    "resampled": resampled(l1_dictionary(6, 8, weight=0.1), every=10),
    "sparse": sparse(PLAIN, weight=0.1),
    "sparse_kl": sparse_kl(PLAIN, weight=0.1, rho=0.1),
    "standardized": standardized(PLAIN, mean=0.0, standard_deviation=2.0),
    "tabular": tabular(undercomplete(MLP((3,)), MLP((6,)), loss=TABLE, link=TABLE.link), TABLE.columns),
    "tied": tied((6,), (3,)),
    "top_k": top_k(6, 8, k=2),
    "total_correlation_penalized": total_correlation_penalized(VAE, weight=0.1, examples=100),
    "undercomplete": PLAIN,
    "variational": variational(MLP((6,)), MLP((6,)), beta=linear_warm_up(10), free_bits=0.1),
}


def test_every_constructor_is_here():
    returned = {name: typing.get_type_hints(getattr(autoencoders, name)).get("return") for name in autoencoders.__all__}
    assert {name for name, kind in returned.items() if kind is Autoencoder} == set(CONSTRUCTED)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_every_term_of_the_loss_has_a_title_and_a_unit(name):
    autoencoder = CONSTRUCTED[name]
    condition = jnp.array([0, 1]) if "conditional" in part_names(autoencoder.parts) else None
    conditions = () if condition is None else (condition[0],)
    params = jax.eval_shape(autoencoder.init, KEY, jnp.ones(6), *conditions)
    batch = as_batch(Examples(jnp.ones((2, 6)), condition=condition))
    metrics, _ = split_statistics(jax.eval_shape(autoencoder.loss, params, KEY, batch)[1])
    terms = loss_terms(autoencoder.parts)
    assert set(terms) == set(metrics)
    assert all(term.title and term.unit for term in terms.values())
    assert len({term.title for term in terms.values()}) == len(terms)


def test_loss_and_reconstruction_have_the_unit_of_what_is_minimized():
    plain = undercomplete(MLP((3,)), MLP((6,)), loss=partial(binary_cross_entropy))
    squared, nats = "(unit of data)² per example", "nats per example"
    for autoencoder, unit in ((PLAIN, squared), (plain, nats), (VAE, nats)):
        terms = loss_terms(autoencoder.parts)
        assert (terms["loss"].unit, terms["reconstruction"].unit) == (unit, unit)


@pytest.mark.slow
def test_the_weighted_terms_sum_to_the_loss():
    autoencoder = sparse(contractive(VAE, weight=0.5, higher_order_weight=0.25), weight=0.125)
    params = autoencoder.init(KEY, jnp.ones(6))
    loss, metrics = autoencoder.loss(params, KEY, jax.random.uniform(KEY, (4, 6)))
    summands = [term.weight * metrics[name] for name, term in loss_terms(autoencoder.parts).items() if term.weight]
    assert len(summands) == 5
    assert sum(summands) == pytest.approx(float(loss), rel=1e-6)
    assert loss == metrics["loss"]


def test_a_part_that_excludes_another_is_refused_in_either_order():
    shy = SQUARED._replace(excludes=(("sparse", "they are shy"),))
    for wrap in (
        lambda: penalized(sparse(PLAIN, weight=0.1), shy, squared_code, weight=0.1),
        lambda: sparse(penalized(PLAIN, shy, squared_code, weight=0.1), weight=0.1),
    ):
        with pytest.raises(IncompatibleError, match="they are shy") as error:
            wrap()
        assert set(error.value.names) == {"ridge", "sparse"}


def test_a_weight_below_0_is_refused():
    with pytest.raises(ValueError, match="weight"):
        penalized(PLAIN, SQUARED, squared_code, weight=-0.1)


@pytest.mark.slow
def test_the_noise_of_what_is_penalized_stays_where_the_penalty_draws_nothing():
    noisy = denoising(PLAIN, corrupt=partial(masking, amount=0.5))
    params, x = PLAIN.init(KEY, jnp.ones(6)), jax.random.uniform(KEY, (4, 6))
    with_penalty = penalized(noisy, SQUARED, squared_code, weight=0.1).loss(params, KEY, x)[1]
    assert with_penalty["reconstruction"] == noisy.loss(params, KEY, x)[1]["reconstruction"]
