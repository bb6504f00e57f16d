"""Variational autoencoders with several stochastic layers: x -> h₁ -> h₂ -> ..., and back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax.autoencoders.bits import bits_of, bits_terms
from aejax.autoencoders.entrance import as_inputs, check_example, check_no_batch_of_one, output_shape, part_of
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import (
    Autoencoder,
    BatchLike,
    CodeDistribution,
    Metrics,
    Variational,
    encoder_inputs,
    example_keys,
    masked_batch,
    mean_over_batch,
    weighted,
)
from aejax.autoencoders.variational import BETA, VARIATIONAL
from aejax.checks import check_in_range, check_sizes
from aejax.likelihoods import Likelihood, bernoulli, constrain
from aejax.likelihoods.bounded import bounded_log
from aejax.networks.entrance import apply_to_one
from aejax.networks.network import SupportsInitApply, check_network, initialize
from aejax.priors import Prior
from aejax.sampling import gaussian_log_prob, reparameterize
from aejax.schedules import Schedule

HIERARCHICAL = Part(
    "hierarchical",
    terms=VARIATIONAL.terms,
    excludes=(("total_correlation_penalized", "the layers of its code have no joint posterior in closed form"),),
)


class _Layers(NamedTuple):
    """The layers h₁, ..., h_L of a code, which is their concatenation, and the Gaussians that connect them."""

    encoders: tuple[SupportsInitApply, ...]
    decoders: tuple[SupportsInitApply, ...]
    sizes: tuple[int, ...]

    def split(self, code: Array) -> list[Array]:
        """Returns h₁, ..., h_L."""
        if code.shape != (sum(self.sizes),):
            raise ValueError(f"code must be ONE code of shape {(sum(self.sizes),)}, got {code.shape}")
        ends = [sum(self.sizes[:layer]) for layer in range(1, len(self.sizes))]
        return jnp.split(code, ends)

    def upwards(self, params: PyTree, layer: int, below: Array, *condition: Array) -> tuple[Array, Array]:
        """Returns mean and log-variance of q(h | below) of a layer, from 0."""
        return self._moments(self.encoders[layer], params, "encoder", layer, self.sizes[layer], below, *condition)

    def downwards(self, params: PyTree, layer: int, above: Array) -> tuple[Array, Array]:
        """Returns mean and log-variance of p(h | above) of a layer, from 0, that is not the highest one."""
        return self._moments(self.decoders[layer + 1], params, "decoder", layer + 1, self.sizes[layer], above)

    def _moments(
        self, network: SupportsInitApply, params: PyTree, role: Any, layer: int, size: int, *inputs: Array
    ) -> tuple[Array, Array]:
        entry = part_of(part_of(params, role), _name(layer))
        output = apply_to_one(network, entry, *inputs, role=role, name="code" if layer else "x")
        if output.shape != (2 * size,):
            raise ValueError(
                f"{role} {layer + 1} must return a mean and a log-variance of {size} units, shape {(2 * size,)}, got "
                f"{output.shape}"
            )
        mean, log_variance = jnp.split(output, 2)
        return mean, bounded_log(log_variance)


def hierarchical(
    encoders: Sequence[SupportsInitApply],
    decoders: Sequence[SupportsInitApply],
    *,
    code_sizes: Sequence[int],
    beta: ArrayLike | Schedule = 1.0,
    likelihood: Likelihood | None = None,
) -> Autoencoder:
    """Minimizes E[-log p(x | h₁)] + β E log q(h₁, ..., h_L | x)/p(h₁, ..., h_L), with one sample of the code.

        q(h₁, ..., h_L | x) = q(h₁ | x) q(h₂ | h₁) ... q(h_L | h_L₋₁)
        p(h₁, ..., h_L) = p(h₁ | h₂) ... p(h_L₋₁ | h_L) N(h_L; 0, I)

    All conditional distributions are diagonal Gaussians. The code is the concatenation of h₁, ..., h_L: `encode`
    returns the means, each layer given the mean of the one below, and `decode` depends on h₁ only. Samples of the prior
    are drawn from the highest layer down. `importance_weighted` uses the exact weights p(x, h₁, ..., h_L)/q(h₁, ...,
    h_L | x), and `variational.posterior` has the moments of each layer given the mean of the one below.

    Args:
      encoders: L networks; the first maps one example to mean and log-variance of h₁, (2K₁,), and the others h_l to
        those of h_l₊₁. A condition goes to the first one.
      decoders: L networks; the first maps h₁ to the parameters of the likelihood, and the others h_l₊₁ to mean and
        log-variance of h_l, (2K_l,). A condition goes to the first one.
      code_sizes: K₁, ..., K_L, the numbers of units of the layers.
      beta: β >= 0, or a schedule of it; with 1 the loss is the negative evidence lower bound.
      likelihood: p(x | h₁); Bernoulli by default.

    Returns:
      A variational autoencoder with the metrics of `variational`; `kl` is estimated from the sampled code.

    Raises:
      ValueError: beta is negative, there are no layers, or the numbers of encoders, decoders and code_sizes differ;
        raised by the functions, a network's output does not have the size of its layer.
      TypeError: an encoder or decoder is not a network, or likelihood is of another type.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, section 5, with two
    stochastic layers of 100 and 50 units.

    >>> from aejax.networks import MLP
    >>> encoders = MLP(output_shape=(2 * 3,)), MLP(output_shape=(2 * 2,))
    >>> decoders = MLP(output_shape=(5,)), MLP(output_shape=(2 * 3,))
    >>> autoencoder = hierarchical(encoders, decoders, code_sizes=(3, 2))
    >>> params = jax.jit(autoencoder.init)(jax.random.key(0), jnp.ones(5))
    >>> autoencoder.encode(params, jnp.ones(5)).shape
    (5,)
    >>> codes = autoencoder.variational.prior(params).sample(jax.random.key(1), (8, 5))
    >>> jax.vmap(lambda code: autoencoder.decode(params, code))(codes).shape
    (8, 5)
    """
    sizes = check_sizes("code_sizes", code_sizes, at_least=1)
    encoders, decoders = tuple(encoders), tuple(decoders)
    if not len(encoders) == len(decoders) == len(sizes):
        raise ValueError(
            "there must be one encoder, one decoder and one code size for each layer, got "
            f"{len(encoders)} encoders, {len(decoders)} decoders and {len(sizes)} code sizes"
        )
    for layer, pair in enumerate(zip(encoders, decoders, strict=True)):
        for network, role in zip(pair, ("encoders", "decoders"), strict=True):
            check_network(network, f"{role}[{layer}]", "hierarchical")
    if not callable(beta):
        check_in_range("beta", beta, 0.0)
    likelihood = bernoulli() if likelihood is None else likelihood
    if not isinstance(likelihood, Likelihood):
        raise TypeError(f"likelihood must be a Likelihood, such as bernoulli(), got {likelihood!r}")
    layers = _Layers(encoders, decoders, sizes)
    last = len(sizes) - 1

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        keys = jax.random.split(key, (2, len(sizes)))
        example, condition = as_inputs("example", example, *condition)
        params: dict[str, dict[str, PyTree]] = {"encoder": {}, "decoder": {}}
        below, conditions = example, condition
        for layer, size in enumerate(sizes):
            params["encoder"][_name(layer)] = initialize(encoders[layer], keys[0, layer], below, *conditions)
            below = layers.upwards(params, layer, below, *conditions)[0]
            assert below.shape == (size,)  # ensured by upwards
            params["decoder"][_name(layer)] = initialize(decoders[layer], keys[1, layer], below, *conditions)
            conditions = ()
        code = jnp.zeros(sum(sizes), below.dtype)
        check_example(example, lambda: output_shape(reconstruct, params, code, *condition))
        for layer in range(last):
            layers.downwards(params, layer, jnp.zeros(sizes[layer + 1], below.dtype))  # checks the size of its output
        return params

    def posterior(params: PyTree, x: Array, *condition: Array) -> tuple[Array, Array]:
        x, condition = as_inputs("x", x, *condition)
        moments = [layers.upwards(params, 0, x, *condition)]
        for layer in range(1, len(sizes)):
            moments.append(layers.upwards(params, layer, moments[-1][0]))
        mean, log_variance = (jnp.concatenate(each) for each in zip(*moments, strict=True))
        check_no_batch_of_one("x", x, lambda: output_shape(reconstruct, params, mean, *condition))
        return mean, log_variance

    def joint_posterior(params: PyTree, x: Array, *condition: Array) -> CodeDistribution:
        x, condition = as_inputs("x", x, *condition)
        first = layers.upwards(params, 0, x, *condition)

        def sample(key: Array) -> Array:
            keys = jax.random.split(key, len(sizes))
            drawn = [reparameterize(keys[0], *first)]
            for layer in range(1, len(sizes)):
                drawn.append(reparameterize(keys[layer], *layers.upwards(params, layer, drawn[-1])))
            return jnp.concatenate(drawn)

        def log_prob(code: Array) -> Array:
            each = layers.split(code)
            log_density = gaussian_log_prob(each[0], *first)
            for layer in range(1, len(sizes)):
                log_density += gaussian_log_prob(each[layer], *layers.upwards(params, layer, each[layer - 1]))
            return log_density

        return CodeDistribution(sample, log_prob)

    def prior(params: PyTree) -> Prior:
        def sample_one(key: Array) -> Array:
            keys = jax.random.split(key, len(sizes))
            drawn = [jax.random.normal(keys[last], (sizes[last],))]
            for layer in reversed(range(last)):
                drawn.insert(0, reparameterize(keys[layer], *layers.downwards(params, layer, drawn[0])))
            return jnp.concatenate(drawn)

        def sample(key: Array, shape: tuple[int, ...]) -> Array:
            if tuple(shape[-1:]) != (sum(sizes),):
                raise ValueError(f"codes must have shape {('...', sum(sizes))}, got {tuple(shape)}")
            draw = sample_one
            for _ in shape[:-1]:
                draw = jax.vmap(draw)
            return draw(key if len(shape) == 1 else jax.random.split(key, tuple(shape[:-1])))

        def log_prob(code: Array) -> Array:
            each = layers.split(code)
            log_density = gaussian_log_prob(each[last], jnp.zeros_like(each[last]), jnp.zeros_like(each[last]))
            for layer in range(last):
                log_density += gaussian_log_prob(each[layer], *layers.downwards(params, layer, each[layer + 1]))
            return log_density

        return Prior(sample, log_prob, kl=None)

    def decode_parameters(params: PyTree, code: Array, *condition: Array) -> Array:
        code, condition = as_inputs("code", code, *condition)
        network = part_of(part_of(params, "decoder"), _name(0))
        output = apply_to_one(decoders[0], network, layers.split(code)[0], *condition, role="decoder", name="code")
        return constrain(likelihood, output)

    def reconstruct(params: PyTree, code: Array, *condition: Array) -> Array:
        return likelihood.mean(decode_parameters(params, code, *condition))

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        return posterior(params, x, *condition)[0]

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)

        def terms(key: Array, x: Array, *inputs: Array) -> tuple[Array, Array]:
            q = joint_posterior(params, *inputs)
            code = q.sample(key)
            reconstruction = -likelihood.log_prob(x, decode_parameters(params, code, *inputs[1:]))
            return reconstruction, q.log_prob(code) - prior(params).log_prob(code)

        per_example = jax.vmap(terms)(example_keys(key, batch), batch.x, *encoder_inputs(batch))
        reconstruction, kl = mean_over_batch(per_example, batch)
        total = reconstruction + weighted(beta(batch.step) if callable(beta) else beta, kl)
        elbo = -(reconstruction + kl)
        metrics = {"loss": total, "reconstruction": reconstruction, "kl": kl, "elbo": elbo}
        return total, metrics | bits_of(elbo, batch.x.shape[1:], likelihood)

    terms = (term._replace(weight=beta) if term.name == "kl" else term for term in HIERARCHICAL.terms)
    parts: tuple[Part, ...] = (
        HIERARCHICAL._replace(terms=(*terms, *bits_terms(likelihood)), accepts_missing=likelihood.support.missing),
    )
    parts += (BETA,) if callable(beta) or isinstance(beta, jax.core.Tracer) or beta != 1 else ()
    distributions = Variational(posterior, prior, likelihood, decode_parameters, joint_posterior)
    return Autoencoder(init, encode, reconstruct, loss, variational=distributions, parts=parts)


def _name(layer: int) -> str:
    """Returns the name of a layer's network among the parameters."""
    return f"layer_{layer + 1}"
