"""What a study measures of one trained autoencoder: a tied one with a single sigmoid layer."""

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

RADII = tuple(float(radius) for radius in np.geomspace(0.1, 100.0, 31))  # of the spheres of a contraction curve
DIRECTIONS = 32  # from every example
_KEY = 0  # of noise and directions, which are the same for all members


class Measurement(NamedTuple):
    """Of one member; means over the test examples, unless it says otherwise."""

    reconstruction: float  # cross-entropy, nats per example
    squared_error: float  # per example, summed over features
    reconstruction_under_noise: float  # cross-entropy of the clean example, from the noisy one
    jacobian_norm: float  # ‖J‖_F of the encoder, not squared
    saturated_percent: float  # of units, nearer than 0.05 to 0 or to 1
    effective_rank: float  # of J
    probe_error_percent: float  # of a linear classifier of codes
    probe_error_under_noise_percent: float  # of that classifier, on codes of noisy examples
    validation_probe_error_percent: float  # of that classifier, on the validation examples
    validation_reconstruction: float  # as reconstruction, on the validation examples


class Curves(NamedTuple):
    """Of one member, for figures; means over the first test examples."""

    singular_values: np.ndarray  # of J, in descending order
    contraction: np.ndarray  # ‖f(x + r u) - f(x)‖ / r, for every radius r


Measure = Callable[[PyTree], tuple[Measurement, Curves]]


def make_measure(autoencoder: Autoencoder, splits: Splits, *, input_noise: float, spectrum_examples: int) -> Measure:
    """Compile `params -> (measurement, curves)`.

    The linear classifier is multinomial logistic regression with an L2 penalty, on the codes of the training examples,
    standardized unit by unit; the encoder stays as it is.

    Args:
      autoencoder: `tied` with one sigmoid layer and binary cross-entropy.
      splits: with labels; the classifier learns from the training examples.
      input_noise: standard deviation of the noise on test examples.
      spectrum_examples: how many test examples the curves and the effective rank are taken from.
    """
    test = jnp.asarray(splits.test.x)
    keys = jax.random.split(named_key(jax.random.key(_KEY), "input noise"), len(test))
    noisy = jax.vmap(partial(gaussian_noise, standard_deviation=input_noise))(keys, test)

    @jax.jit
    def codes_of(params: PyTree, x: Array) -> Array:
        return jax.vmap(partial(autoencoder.encode, params))(x)

    @jax.jit
    def statistics(params: PyTree, x: Array, observed: Array) -> dict[str, Array]:
        codes = codes_of(params, observed)
        decoded = jax.vmap(partial(autoencoder.decode, params))(codes)
        cross_entropy, _ = autoencoder.loss(params, jax.random.key(0), as_batch(x)._replace(input=observed))
        encode = partial(autoencoder.encode, params)
        norms = jnp.sqrt(jax.vmap(partial(frobenius_norm_squared, encode, method="auto"))(observed))
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
        keys = jax.random.split(named_key(jax.random.key(_KEY), "directions"), len(x))

        def curve(key: Array, x: Array) -> Array:
            return contraction_curve(key, partial(autoencoder.encode, params), x, radii, directions=DIRECTIONS)

        return jnp.mean(jax.vmap(curve)(keys, x), axis=0)

    def measure(params: PyTree) -> tuple[Measurement, Curves]:
        validation, clean = (jax.device_get(statistics(params, part.x, part.x)) for part in splits[1:])
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
    """The median distance from examples x to the nearest among others."""
    from sklearn.neighbors import NearestNeighbors

    neighbors = NearestNeighbors(n_neighbors=1).fit(others.reshape(len(others), -1))
    return float(np.median(neighbors.kneighbors(x.reshape(len(x), -1))[0]))
