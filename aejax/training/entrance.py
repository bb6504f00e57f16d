"""The entrance of training: examples and settings, checked before anything is compiled."""

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
    """Examples of arrays or files, whatever they were given as: lists, data frames and tensors are read.

    Args:
      x: (N, ...), alone or in `Examples`.
      name: what messages call them.

    Raises:
      TypeError: what holds no numbers.
      ValueError: no example, or parts of another length.

    >>> as_examples([[1.0, 2.0], [3.0, 4.0]]).x.shape
    (2, 2)
    """
    given = x if isinstance(x, Examples) else Examples(x)
    parts: dict[str, Any] = {}
    for part, value in given._asdict().items():
        is_there = value is not None or part == "x"
        known = value if isinstance(value, StoredArray) or not is_there else as_array(_name_of(name, part), value)
        parts[part] = known
    shapes = {
        part: np.shape(value) if not isinstance(value, StoredArray) else value.shape
        for part, value in parts.items()
        if value is not None
    }
    for part, shape in shapes.items():
        if not shape:
            raise ValueError(f"{_name_of(name, part)} must be examples (N, ...), got one number")
        check_integers_fit(**{_name_of(name, part): parts[part]})
        if shape[0] != shapes["x"][0]:
            raise ValueError(f"{_name_of(name, part)} must be of {shapes['x'][0]} examples, as x is, got {shape[0]}")
    return Examples(**parts)


def check_validation(autoencoder: Autoencoder, params: PyTree, training: Examples, validation: Examples) -> None:
    """Raise ValueError where validation examples do not fit the autoencoder, before an epoch is spent.

    The loss is traced where they are of another shape than the training examples, as whole images beside crops are.
    """
    if _layout(training) == _layout(validation):
        return

    def loss(params: PyTree, key: Array, examples: Examples) -> PyTree:
        return autoencoder.loss(params, key, as_batch(examples))

    one = jax.tree.map(lambda part: jax.ShapeDtypeStruct((1, 1, *part.shape[1:]), part.dtype), validation)
    try:
        jax.eval_shape(jax.vmap(loss, in_axes=(None, None, 0), axis_name=AXIS), params, jax.random.key(0), one)
    except (TypeError, ValueError) as error:
        raise ValueError(f"validation_x, unlike train_x: {error}") from error


def _layout(examples: Examples) -> dict[str, Any]:
    return {name: None if part is None else (part.shape[1:], part.dtype) for name, part in examples._asdict().items()}


def check_finite(examples: Examples, name: str) -> None:
    """Raise UserError where examples hold NaN, infinity, or what single precision cannot hold.

    Those in a file are looked at when they are read.

    >>> check_finite(Examples(np.array([[1.0], [np.nan]])), "the training examples")
    Traceback (most recent call last):
    ...
    aejax.errors.UserError: the training examples: 1 of 2 hold NaN, infinity or values beyond float32, the first is ...
    """
    for part, array in examples._asdict().items():
        if array is None or isinstance(array, StoredArray) or not jnp.issubdtype(array.dtype, jnp.floating):
            continue
        dtype = jax.dtypes.canonicalize_dtype(array.dtype)
        limit = float(jnp.finfo(dtype).max)
        if array.size and not (-limit <= float(array.min()) and float(array.max()) <= limit):  # NaN is neither
            rows = np.asarray(array).reshape(len(array), -1).astype(np.float64)
            broken = np.flatnonzero(~(np.abs(rows) <= limit).all(axis=1))
            of = {"input": ", input", "condition": ", condition"}.get(part, "")
            raise UserError(
                f"{name}{of}: {len(broken)} of {len(array)} hold NaN, infinity or values beyond {dtype}, the first is "
                f"number {broken[0]}, counted from 0; leave them out, or put numbers in their place"
            )


def check_conditions(autoencoder: Autoencoder, params: PyTree, examples: Examples) -> None:
    """Raise ValueError for a class that the autoencoder does not know: compiled functions cannot.

    Its encoder is traced with the least and the greatest class of the examples.
    """
    condition = examples.condition
    if condition is None or not jnp.issubdtype(condition.dtype, jnp.integer) or condition.ndim != 1:
        return
    observed = examples.x if examples.input is None else examples.input
    one = jax.ShapeDtypeStruct(observed.shape[1:], observed.dtype)
    for label in (np.min(condition), np.max(condition)):
        jax.eval_shape(lambda params, x, label=label: autoencoder.encode(params, x, label), params, one)


def check_autoencoder(autoencoder: object) -> None:
    """Raise TypeError for what is no autoencoder."""
    if not isinstance(autoencoder, Autoencoder):
        raise TypeError(f"autoencoder must be one, such as undercomplete(encoder, decoder), got {autoencoder!r}")


def check_optimizer(optimizer: object) -> None:
    """Raise TypeError for what is no Optax gradient transformation."""
    if not isinstance(optimizer, optax.GradientTransformation | optax.GradientTransformationExtraArgs):
        raise TypeError(f"optimizer must be one of Optax, such as optax.adam(1e-3), got {optimizer!r}")


def check_devices(devices: Sequence[jax.Device] | None) -> None:
    """Raise TypeError for what is no sequence of devices, ValueError for none; None passes."""
    if devices is None:
        return
    if not isinstance(devices, Sequence) or not all(isinstance(device, jax.Device) for device in devices):
        raise TypeError(f"devices must be a sequence of devices, such as jax.devices()[:1], got {devices!r}")
    if not devices:
        raise ValueError("devices must be at least one, got none")


def check_counts(**counts: int | None) -> None:
    """Raise unless every number, by its name, is an integer of at least 1; None passes."""
    for name, count in counts.items():
        if count is not None:
            check_count(name, count)


def _name_of(name: str, part: str) -> str:
    return name if part == "x" else f"{part} of {name}"
