"""Measures of one trained autoencoder of a study, with tied weights and a single sigmoid layer."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, as_batch
from aejax.corruption import gaussian_noise
from aejax.datasets.dataset import Splits
from aejax.evaluation.probe import error_percent, fit_probe
from aejax.jacobian import contraction_curve, effective_rank, frobenius_norm_squared, saturation, singular_values
from aejax.keys import named_key
from aejax.losses import squared_error

RADII = tuple(
    float(radius) for radius in np.geomspace(0.1, 100.0, 31)
)  # of the spheres of a contraction curve, in the unit of the data
DIRECTIONS = 32  # per example
_SEED = 0  # of noise and directions, which are the same for all members


class Measurement(NamedTuple):
    """Measures of one member: means over the test examples, unless stated otherwise."""

    reconstruction: float  # cross-entropy, nats, summed over features
    squared_error: float  # summed over features
    reconstruction_under_noise: float  # cross-entropy of the clean example, reconstructed from a noisy one
    jacobian_norm: float  # ‖J‖_F of the encoder, not squared
    saturated_percent: float  # of units within 0.05 of 0 or 1
    effective_rank: float  # of J, over the first examples
    probe_error_percent: float  # error rate of a linear classifier of codes
    probe_error_under_noise_percent: float  # the same classifier on codes of noisy examples
    validation_probe_error_percent: float  # the same classifier on the validation examples
    validation_reconstruction: float  # `reconstruction` on the validation examples


class Curves(NamedTuple):
    """Curves of one member for figures: means over the first test examples."""

    singular_values: np.ndarray  # of J, in descending order
    contraction: np.ndarray  # ‖f(x + r u) - f(x)‖ / r for every radius r in RADII


Measure = Callable[[PyTree], tuple[Measurement, Curves]]


def make_measure(autoencoder: Autoencoder, splits: Splits, *, input_noise: float, spectrum_examples: int) -> Measure:
    """Returns a compiled function that maps parameters to a measurement and curves.

    The linear classifier is logistic regression with an L2 penalty on standardized codes of the training examples
    (`aejax.evaluation.probe.fit_probe`); the encoder is not changed.

    Args:
      autoencoder: `tied` with one sigmoid layer and binary cross-entropy.
      splits: examples with labels.
      input_noise: standard deviation of the Gaussian noise on test examples.
      spectrum_examples: the number of test examples for the curves and the effective rank.
    """
    test = jnp.asarray(splits.test.x)
    keys = jax.random.split(named_key(jax.random.key(_SEED), "input noise"), len(test))
    noisy = jax.vmap(partial(gaussian_noise, standard_deviation=input_noise))(keys, test)

    @jax.jit
    def codes_of(params: PyTree, x: Array) -> Array:
        return jax.vmap(partial(autoencoder.encode, params))(x)

    @jax.jit
    def statistics(params: PyTree, x: Array, inputs: Array) -> dict[str, Array]:
        codes = codes_of(params, inputs)
        decoded = jax.vmap(partial(autoencoder.decode, params))(codes)
        cross_entropy, _ = autoencoder.loss(params, jax.random.key(0), as_batch(x)._replace(input=inputs))
        encode = partial(autoencoder.encode, params)
        norms = jnp.sqrt(jax.vmap(partial(frobenius_norm_squared, encode, method="auto"))(inputs))
        return {
            "codes": codes,
            "cross_entropy": cross_entropy,
            "squared_error": jnp.mean(jax.vmap(squared_error)(x, decoded)),
            "jacobian_norm": jnp.mean(norms),
            "saturated": saturation(codes),
        }

    @jax.jit
    def spectra(params: PyTree, x: Array) -> Array:
        return jax.lax.map(partial(singular_values, partial(autoencoder.encode, params), method="auto"), x)

    @jax.jit
    def contraction(params: PyTree, x: Array) -> Array:
        radii = jnp.array(RADII, x.dtype)
        keys = jax.random.split(named_key(jax.random.key(_SEED), "directions"), len(x))

        def curve(key: Array, x: Array) -> Array:
            return contraction_curve(key, partial(autoencoder.encode, params), x, radii, directions=DIRECTIONS)

        return jnp.mean(jax.vmap(curve)(keys, x), axis=0)

    def measure(params: PyTree) -> tuple[Measurement, Curves]:
        validation, clean = (jax.device_get(statistics(params, split.x, split.x)) for split in splits[1:])
        corrupted = jax.device_get(statistics(params, test, noisy))
        train_codes = np.asarray(codes_of(params, splits.train.x))
        values = spectra(params, test[:spectrum_examples])
        validation_codes = splits.validation._replace(x=validation["codes"])
        probe = fit_probe(splits.train._replace(x=train_codes), validation_codes)
        measurement = Measurement(
            reconstruction=float(clean["cross_entropy"]),
            squared_error=float(clean["squared_error"]),
            reconstruction_under_noise=float(corrupted["cross_entropy"]),
            jacobian_norm=float(clean["jacobian_norm"]),
            saturated_percent=100.0 * float(clean["saturated"]),
            effective_rank=float(jnp.mean(effective_rank(values))),
            probe_error_percent=error_percent(probe, splits.test._replace(x=clean["codes"])),
            probe_error_under_noise_percent=error_percent(probe, splits.test._replace(x=corrupted["codes"])),
            validation_probe_error_percent=error_percent(probe, validation_codes),
            validation_reconstruction=float(validation["cross_entropy"]),
        )
        curves = Curves(np.asarray(values).mean(axis=0), np.asarray(contraction(params, test[:spectrum_examples])))
        return measurement, curves

    return measure


def distance_to_nearest(x: np.ndarray, others: np.ndarray) -> float:
    """Returns the median distance of examples x (N, ...) from the nearest of others (M, ...)."""
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=1).fit(others.reshape(len(others), -1))
    return float(np.median(neighbors.kneighbors(x.reshape(len(x), -1))[0]))
