"""Standardization inside the autoencoder: its networks work on z = (x - m)/s, its functions on x."""

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from aejax import likelihoods
from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.entrance import as_inputs
from aejax.autoencoders.part import Part, part_names
from aejax.autoencoders.record import Autoencoder, BatchLike, CodeDistribution, Metrics, masked_batch, mean_over_batch
from aejax.standardization import standardization

STANDARDIZED = Part("standardized", once=False)


def standardized(autoencoder: Autoencoder, *, mean: ArrayLike, standard_deviation: ArrayLike) -> Autoencoder:
    """Encodes (x - m)/s and decodes to m + s ĝ(h): the networks work on data of mean 0 and standard deviation 1.

    Training gives the same parameters as training on data standardized beforehand. The losses of a variational
    autoencoder are those of densities in the units of x, -log p(x) = -log p_z((x - m)/s) + Σᵢ log sᵢ; every other loss,
    and the terms of wrappers inside, are those of the standardized example. A likelihood's own knobs, such as a fixed
    variance, are in standardized units, and so are the pseudo-inputs in the parameters (the pseudo-inputs passed to
    `vamp_prior` are in units of x).

    Args:
      autoencoder: any autoencoder; a variational one must have a likelihood of all real numbers.
      mean: m, the mean of the training examples, one number for all features or an array of the shape of one example.
      standard_deviation: s >= 0, the standard deviation of the training examples, one number or an array of the shape
        of one example; 0, the value of a constant feature, is replaced by 1.

    Returns:
      The autoencoder of x, with the same names of metrics. Wrappers outside it work on x: corruption is in the units of
      x in `denoising(standardized(...))`, the Jacobian in `contractive(standardized(...))` is with respect to x.

    Raises:
      TypeError: `autoencoder` is not an `Autoencoder`, or the statistics are not real numbers.
      ValueError: the statistics are not finite, standard_deviation is negative, or the likelihood is one of counts,
        bits or bounded values; raised by the functions, the statistics do not have the shape of an example.

    Source: Y. LeCun et al. (1998), Efficient BackProp, section 4.3; the density by change of variables.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> plain = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> autoencoder = standardized(plain, mean=2000.0, standard_deviation=5.0)
    >>> params = autoencoder.init(jax.random.key(0), jnp.full(5, 2000.0))
    >>> autoencoder.decode(params, autoencoder.encode(params, jnp.full(5, 2000.0))).tolist()
    [2000.0, 2000.0, 2000.0, 2000.0, 2000.0]
    """
    check_composition(autoencoder, STANDARDIZED)
    scaling = standardization(mean=mean, standard_deviation=standard_deviation)
    distributions = autoencoder.variational

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        example, condition = as_inputs("example", example, *condition)
        params = autoencoder.init(key, scaling.forward(example), *condition)
        if "vamp_prior" not in part_names(autoencoder.parts):
            return params
        pseudo_inputs = jax.vmap(scaling.forward)(params["prior"]["pseudo_inputs"])
        return params | {"prior": {"pseudo_inputs": pseudo_inputs}}

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        x, condition = as_inputs("x", x, *condition)
        return autoencoder.encode(params, scaling.forward(x), *condition)

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        return scaling.backward(autoencoder.decode(params, code, *condition))

    def posterior(params: PyTree, x: Array, *condition: Array) -> tuple[Array, Array]:
        assert distributions is not None
        x, condition = as_inputs("x", x, *condition)
        return distributions.posterior(params, scaling.forward(x), *condition)

    def joint_posterior(params: PyTree, x: Array, *condition: Array) -> CodeDistribution:
        assert distributions is not None
        assert distributions.joint_posterior is not None
        x, condition = as_inputs("x", x, *condition)
        return distributions.joint_posterior(params, scaling.forward(x), *condition)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        x, inputs = (jax.vmap(scaling.forward)(array) for array in (batch.x, batch.input))
        total, metrics = autoencoder.loss(params, key, batch._replace(x=x, input=inputs))
        if distributions is None:
            return total, metrics
        log_scale: Array | float = scaling.log_determinant(batch.x.shape[1:])
        if distributions.likelihood.support.missing:
            log_scale = mean_over_batch(jax.vmap(scaling.log_determinant_of)(batch.x), batch)
        signs = {"loss": 1, "reconstruction": 1, "elbo": -1}  # of the terms that contain a density of x
        metrics = {name: value + signs[name] * log_scale if name in signs else value for name, value in metrics.items()}
        return metrics["loss"], metrics

    outer = None
    if distributions is not None:
        likelihood = likelihoods.standardized(
            distributions.likelihood, mean=mean, standard_deviation=standard_deviation
        )
        outer = distributions._replace(
            posterior=posterior,
            likelihood=likelihood,
            joint_posterior=None if distributions.joint_posterior is None else joint_posterior,
        )
    return autoencoder._replace(
        init=init,
        encode=encode,
        decode=decode,
        loss=loss,
        variational=outer,
        parts=(*autoencoder.parts, STANDARDIZED),
    )
