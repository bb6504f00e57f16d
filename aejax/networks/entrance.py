"""Error messages for networks whose parameters do not match the shape of their input."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax.errors import FlaxError
from jaxtyping import Array, PyTree

from aejax.networks.network import SupportsInitApply

_SHAPE_ERRORS = (FlaxError, TypeError, ValueError, IndexError, ArithmeticError)  # raised for inputs of a wrong shape
Shape = tuple[int, ...]


def apply_to_one(network: SupportsInitApply, params: PyTree, *inputs: Array, role: str, name: str) -> Array:
    """Returns the output of a network for ONE input and, if there is one, its condition.

    If `apply` raises an error, the shapes of the parameters are compared with those that `init` returns for this input,
    and the error is replaced by one that says which shape is expected. Without an error nothing is checked.

    Args:
      network: a pair of init and apply, of Flax or any other library.
      params: its parameters.
      *inputs: an example or a code, and the condition if there is one.
      role: the name of the network in messages.
      name: the name of the input in messages.

    Raises:
      ValueError: the parameters were initialized for an input of another shape, or Flax has raised an error; other
        errors are those of `apply`.

    >>> from aejax.networks import MLP
    >>> encoder = MLP(output_shape=(2,))
    >>> params = encoder.init(jax.random.key(0), jnp.ones(5))
    >>> apply_to_one(encoder, params, jnp.ones((8, 5)), role="encoder", name="x")
    Traceback (most recent call last):
    ...
    ValueError: the encoder expects ONE x of shape (5,), got shape (8, 5): map over a batch, jax.vmap(...)
    """
    try:
        return network.apply(params, *inputs)
    except _SHAPE_ERRORS as error:
        reason = _mismatch(network, params, [jax.ShapeDtypeStruct(i.shape, i.dtype) for i in inputs], name)
        if reason is None and isinstance(error, TypeError | ValueError):
            raise
        first_line = str(error).partition(" (https")[0]
        raise ValueError(
            f"the {role} {reason or f'failed for {name} of shape {inputs[0].shape}: {first_line}'}"
        ) from error


def _mismatch(network: SupportsInitApply, params: PyTree, inputs: list[jax.ShapeDtypeStruct], name: str) -> str | None:
    """Returns what does not match; None if parameters initialized for these inputs would have the same shapes."""
    got, has = inputs[0].shape, _shapes(params)
    try:
        needs = _shapes(jax.eval_shape(network.init, jax.random.key(0), *inputs))
    except _SHAPE_ERRORS:  # the network cannot even be initialized with such an input
        needs = {}
    wrong = next((path for path, shape in needs.items() if has.get(path) != shape), "")
    if needs and not wrong:
        return None
    candidates = [*_other_shapes(got), *_other_lengths(got, has.get(wrong, ()), needs.get(wrong, ()))]
    for shape, advice in candidates:
        if _accepts(network, params, [jax.ShapeDtypeStruct(shape, inputs[0].dtype), *inputs[1:]]):
            return f"expects ONE {name} of shape {shape}, got shape {got}{advice}"
    if not wrong:
        return None
    shapes = " and ".join(str(each.shape) for each in inputs)
    stored = f"has shape {has[wrong]}" if wrong in has else "is missing"
    return (
        f"cannot process {name} of shape {shapes}: its parameter {wrong} {stored}, but for this input it should have "
        f"shape {needs[wrong]}; pass ONE {name} of the shape that the network was initialized with"
    )


def _other_shapes(got: Shape) -> Iterator[tuple[Shape, str]]:
    """Yields shapes that the network may expect instead, each with advice on how to convert the input."""
    channels_last = "channels come last, numpy.moveaxis(x, -3, -1)"
    if got:
        yield got[1:], ": map over a batch, jax.vmap(function, in_axes=(None, 0))"
    if len(got) == 3:
        yield (*got[1:], got[0]), f": {channels_last}"
    if len(got) == 4:
        yield (*got[2:], got[1]), f": {channels_last}, and map over a batch with jax.vmap"
    if got and got[-1] == 4:
        yield (*got[:-1], 3), ": remove the alpha channel, x[..., :3]"
    if got and got[-1] in (3, 4):
        yield (*got[:-1], 1), ": convert color to gray"
    if got and got[-1] == 1:
        yield (*got[:-1], 3), ": repeat gray for every color, numpy.repeat(x, 3, axis=-1)"


def _other_lengths(got: Shape, has: Shape, needs: Shape) -> Iterator[tuple[Shape, str]]:
    """Yields the lengths of a vector for which the parameter of the wrong shape would have the right one."""
    if len(got) == 1 and len(has) == len(needs):
        for one, other in zip(has, needs, strict=True):
            if one != other and got[0] + one - other > 0:
                yield (got[0] + one - other,), ""


def _accepts(network: SupportsInitApply, params: PyTree, inputs: list[jax.ShapeDtypeStruct]) -> bool:
    try:
        jax.eval_shape(network.apply, params, *inputs)
    except _SHAPE_ERRORS:
        return False
    return True


def _shapes(params: PyTree) -> dict[str, Shape]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): jnp.shape(leaf) for path, leaf in leaves}
