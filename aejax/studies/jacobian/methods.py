"""Methods that a study compares: each regularizes a plain autoencoder with a strength, which JAX may trace."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, Batch, contractive, contractive_by_projections, denoising
from aejax.autoencoders.record import Metrics
from aejax.corruption import gaussian_noise, masking
from aejax.studies.jacobian.settings import MethodName


class Method(NamedTuple):
    """A method to regularize the plain autoencoder, with the strength as its only setting."""

    title: str  # in tables and figures
    symbol: str  # of the strength
    build: Callable[[Autoencoder, Array], Autoencoder]  # (plain autoencoder, strength) -> autoencoder


def _plain(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    del strength
    return autoencoder


def _weight_decay(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    """Adds λ Σ W² to the loss, as the paper does; decoupled weight decay would differ."""

    def loss(params: PyTree, key: Array, batch: Batch | Array) -> tuple[Array, Metrics]:
        total, metrics = autoencoder.loss(params, key, batch)
        squares = sum((jnp.sum(jnp.square(weights)) for weights in params["weights"]), start=jnp.zeros(()))
        total = total + strength * squares
        return total, {**metrics, "loss": total, "squared_weights": squares}

    return autoencoder._replace(loss=loss)


def _gaussian(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    return denoising(autoencoder, corrupt=partial(gaussian_noise, standard_deviation=strength))


def _masking(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    return denoising(autoencoder, corrupt=partial(masking, amount=strength))


def _contractive(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    return contractive(autoencoder, weight=strength, method="auto")


def _estimator(autoencoder: Autoencoder, strength: Array) -> Autoencoder:
    return contractive_by_projections(autoencoder, weight=strength)


METHODS: dict[MethodName, Method] = {
    "ae": Method("AE", "", _plain),
    "weight-decay": Method("AE + weight decay", "λ", _weight_decay),
    "dae-gaussian": Method("DAE, Gaussian", "σ", _gaussian),
    "dae-masking": Method("DAE, masking", "ν", _masking),
    "cae": Method("CAE", "λ", _contractive),
    "cae-estimator": Method("CAE, estimated", "λ", _estimator),
}
