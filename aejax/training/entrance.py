"""Checks of the examples and settings of training, made before anything is compiled."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from aejax.autoencoders import Autoencoder, Examples, as_batch
from aejax.checks import as_array, check_count, check_integers_fit
from aejax.datasets.stored import StoredArray
from aejax.errors import UserError
from aejax.training.devices import AXIS


def as_examples(x: Any, name: str = "x") -> Examples:
    """Returns `Examples` of arrays or files; lists, data frames and tensors are converted to arrays.

    Args:
      x: (N, ...), alone or in `Examples`.
      name: the name of the examples in messages.

    Raises:
      TypeError: the examples do not hold numbers.
      ValueError: x is one number, or the numbers of targets, inputs and conditions differ.

    >>> as_examples([[1.0, 2.0], [3.0, 4.0]]).x.shape
    (2, 2)
    """
    examples = x if isinstance(x, Examples) else Examples(x)
    fields: dict[str, Any] = {}
    for field, value in examples._asdict().items():
        is_array = not isinstance(value, StoredArray) and (value is not None or field == "x")
        fields[field] = as_array(_name_of(name, field), value) if is_array else value
    shapes = {
        field: np.shape(value) if not isinstance(value, StoredArray) else value.shape
        for field, value in fields.items()
        if value is not None
    }
    for field, shape in shapes.items():
        if not shape:
            raise ValueError(f"{_name_of(name, field)} must be examples (N, ...), got one number")
        check_integers_fit(**{_name_of(name, field): fields[field]})
        if shape[0] != shapes["x"][0]:
            raise ValueError(f"{_name_of(name, field)} must hold {shapes['x'][0]} examples, as x does, got {shape[0]}")
    return Examples(**fields)


def check_validation(autoencoder: Autoencoder, params: PyTree, training: Examples, validation: Examples) -> None:
    """Raise ValueError if the autoencoder cannot process the validation examples, before an epoch is trained.

    The loss is traced only if their shape or dtype differs from the training examples', as with images and crops.
    """
    if _layout(training) == _layout(validation):
        return

    def loss(params: PyTree, key: Array, examples: Examples) -> PyTree:
        return autoencoder.loss(params, key, as_batch(examples))

    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, 1, *leaf.shape[1:]), leaf.dtype), validation)
    try:
        jax.eval_shape(jax.vmap(loss, in_axes=(None, None, 0), axis_name=AXIS), params, jax.random.key(0), one)
    except (TypeError, ValueError) as error:
        raise ValueError(f"validation_x differs from train_x: {error}") from error


def _layout(examples: Examples) -> dict[str, Any]:
    return {name: None if leaf is None else (leaf.shape[1:], leaf.dtype) for name, leaf in examples._asdict().items()}


def accepts_missing(autoencoder: Autoencoder) -> bool:
    """Returns whether NaN in an example is a missing value for an autoencoder, as for that of a table."""
    return any(part.accepts_missing for part in autoencoder.parts)


def check_finite(examples: Examples, name: str, *, missing: bool = False) -> None:
    """Raise UserError if examples hold NaN, infinity, or values beyond the range of their dtype in JAX.

    Examples in a file are skipped: they are checked when they are read.

    Args:
      examples: the examples.
      name: what the message calls them.
      missing: whether NaN is a missing value, and allowed.

    >>> check_finite(Examples(np.array([[1.0], [np.nan]])), "the training examples")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: the training examples: 1 of 2 hold NaN, infinity or values beyond float32, the first is ...
    """
    for field, array in examples._asdict().items():
        if array is None or isinstance(array, StoredArray) or not jnp.issubdtype(array.dtype, jnp.floating):
            continue
        dtype = jax.dtypes.canonicalize_dtype(array.dtype)
        limit = float(jnp.finfo(dtype).max)
        low, high = (np.fmin.reduce, np.fmax.reduce) if missing else (np.min, np.max)  # the former two ignore NaN
        if array.size and not (-limit <= float(low(array, axis=None)) and float(high(array, axis=None)) <= limit):
            rows = np.asarray(array).reshape(len(array), -1).astype(np.float64)
            is_valid = (np.abs(rows) <= limit) | (np.isnan(rows) if missing else False)
            invalid = np.flatnonzero(~is_valid.all(axis=1))
            if not len(invalid):  # every value is missing
                continue
            suffix = "" if field == "x" else f", {field}"
            raise UserError(
                f"{name}{suffix}: {len(invalid)} of {len(array)} hold NaN, infinity or values beyond {dtype}, the "
                f"first is number {invalid[0]}, counted from 0; remove them, or replace the values"
            )


def check_conditions(autoencoder: Autoencoder, params: PyTree, examples: Examples) -> None:
    """Raise ValueError for a class that the autoencoder does not know, since compiled functions cannot check it.

    The encoder is traced with the smallest and the largest class of the examples.
    """
    condition = examples.condition
    if condition is None or not jnp.issubdtype(condition.dtype, jnp.integer) or condition.ndim != 1:
        return
    inputs = examples.x if examples.input is None else examples.input
    one = jax.ShapeDtypeStruct(inputs.shape[1:], inputs.dtype)
    for label in (np.min(condition), np.max(condition)):
        jax.eval_shape(lambda params, x, label=label: autoencoder.encode(params, x, label), params, one)


def check_autoencoder(autoencoder: object) -> None:
    """Raise TypeError unless the argument is an `Autoencoder`."""
    if not isinstance(autoencoder, Autoencoder):
        raise TypeError(
            f"autoencoder must be an Autoencoder, such as undercomplete(encoder, decoder), got {autoencoder!r}"
        )


def check_optimizer(optimizer: object) -> None:
    """Raise TypeError unless the argument is an Optax gradient transformation."""
    if not isinstance(optimizer, optax.GradientTransformation | optax.GradientTransformationExtraArgs):
        raise TypeError(f"optimizer must be an Optax optimizer, such as optax.adam(1e-3), got {optimizer!r}")


def check_devices(devices: Sequence[jax.Device] | None) -> None:
    """Raise unless devices is None or a sequence of devices (else TypeError) that is not empty (else ValueError)."""
    if devices is None:
        return
    if not isinstance(devices, Sequence) or not all(isinstance(device, jax.Device) for device in devices):
        raise TypeError(f"devices must be a sequence of devices, such as jax.devices()[:1], got {devices!r}")
    if not devices:
        raise ValueError("devices must hold at least one device, got none")


def check_counts(**counts: int | None) -> None:
    """Raise unless every argument, passed by its name, is None, or an integer that is at least 1."""
    for name, count in counts.items():
        if count is not None:
            check_count(name, count)


def _name_of(name: str, field: str) -> str:
    return name if field == "x" else f"{field} of {name}"
