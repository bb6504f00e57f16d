"""Reconstructions put back into the network that the activations are from: the loss they recover."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from aejax.autoencoders import Autoencoder
from aejax.datasets.arrays import read_entries
from aejax.errors import UserError
from aejax.evaluation import decode_all, encode_all
from aejax.evaluation.dictionaries import loss_recovered
from aejax.host.python_file import run_python_file

FUNCTION = "next_token_losses"
_AT_ONCE = 8  # contexts that pass through the rest of the network together

Losses = Callable[[Float[np.ndarray, "C T D"], Int[np.ndarray, "C"]], Array]


class RestOfNetwork(NamedTuple):
    """Contexts, the rest of the network behind their activations, and its losses without a dictionary."""

    activations: Float[np.ndarray, "C T D"]
    is_replaced: Bool[np.ndarray, "C T"]
    losses: Losses
    clean: float  # mean loss of the next token, in nats, with the activations as they are
    zero: float  # with zeros where reconstructions are put
    mean: float  # with the mean of the activations that are replaced


class Recovered(NamedTuple):
    """The network's mean loss with reconstructions, in nats, and the fraction of the ablations' damage undone."""

    loss: float
    over_zero: float
    over_mean: float


def open_network(file: Path, contexts: Path, *, skip_positions: int, max_norm: float | None) -> RestOfNetwork:
    """Returns the rest of a network, from the user's Python file, with its losses on contexts.

    Args:
      file: a Python file, which runs with all rights of this process. It defines
        `next_token_losses(activations, number)`: activations (C, T, D) of the contexts with these numbers (C,) in the
        file of contexts -> losses in nats, an array of any shape.
      contexts: .npy or .npz file of activations (contexts, positions, features).
      skip_positions: first positions, whose activations are never replaced.
      max_norm: activations with a larger norm are never replaced; None replaces them.

    Raises:
      UserError: the file defines no such function, or the contexts have another number of axes or NaN.
      Exception: any exception that the file raises.
    """
    losses = getattr(run_python_file(file), FUNCTION, None)
    if not callable(losses):
        raise UserError(f"{file}: expected a function {FUNCTION}(activations, number), but it defines none")
    activations = np.asarray(read_entries(contexts)["x"], np.float32)
    if activations.ndim != 3 or not activations.size:
        raise UserError(f"{contexts}: expected activations (contexts, positions, features), got {activations.shape}")
    norms = np.linalg.norm(activations.astype(np.float64), axis=2)
    if not np.isfinite(norms).all():
        raise UserError(f"{contexts}: context {np.argwhere(~np.isfinite(norms))[0][0]} holds NaN or infinity")
    is_replaced = norms <= (np.inf if max_norm is None else max_norm)
    is_replaced[:, :skip_positions] = False
    if not is_replaced.any():
        raise UserError(f"{contexts}: no activation is replaced: change skip_positions or max_norm")
    network = RestOfNetwork(activations, is_replaced, losses, np.nan, np.nan, np.nan)
    average = activations[is_replaced].mean(axis=0, dtype=np.float64).astype(np.float32)
    return network._replace(
        clean=mean_loss(network, activations),
        zero=mean_loss(network, np.where(is_replaced[..., None], 0, activations)),
        mean=mean_loss(network, np.where(is_replaced[..., None], average, activations)),
    )


def mean_loss(network: RestOfNetwork, activations: Float[np.ndarray, "C T D"]) -> float:
    """Returns the mean loss of the network with other activations of its contexts, in nats.

    Raises:
      UserError: the user's function returns NaN or infinity, or no number.
    """
    numbers = np.arange(len(activations))
    blocks = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
    parts = [np.ravel(np.asarray(network.losses(activations[block], block), np.float64)) for block in blocks]
    losses = np.concatenate(parts)
    if not losses.size or not np.isfinite(losses).all():
        raise UserError(f"{FUNCTION} returned {'no loss' if not losses.size else 'a loss that is NaN or infinite'}")
    return float(losses.mean())


def recover(network: RestOfNetwork, autoencoder: Autoencoder, params: PyTree) -> Recovered:
    """Returns the loss of the network with a dictionary's reconstructions in place of its activations.

    Args:
      network: from `open_network`.
      autoencoder: a dictionary of vectors (D,).
      params: its parameters.

    Raises:
      UserError: see `mean_loss`.
    """
    rows = network.activations[network.is_replaced]
    spliced = network.activations.copy()
    spliced[network.is_replaced] = jax.device_get(
        decode_all(autoencoder, params, encode_all(autoencoder, params, rows))
    )
    loss = mean_loss(network, spliced)
    over = [loss_recovered(loss, clean=network.clean, ablated=ablated) for ablated in (network.zero, network.mean)]
    return Recovered(loss, *over)
