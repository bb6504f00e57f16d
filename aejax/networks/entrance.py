"""The entrance of a network: whether its parameters fit the ONE example or code that it is given."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
from flax.errors import FlaxError
from jaxtyping import Array, PyTree

from aejax.networks.network import SupportsInitApply

_REFUSALS = (FlaxError, TypeError, ValueError, IndexError, ArithmeticError)  # of what does not fit
Shape = tuple[int, ...]


def apply_to_one(network: SupportsInitApply, params: PyTree, *inputs: Array, role: str, name: str) -> Array:
    """What a network makes of ONE input, and of its condition where there is one.

    Nothing is checked where its parameters fit: only where `apply` has raised is the reason looked for, by the shapes
    that `init` gives for this input.

    Args:
      network: a pair of init and apply, of Flax or any other.
      params: its parameters.
      *inputs: an example or a code, and the condition.
      role: what messages call the network.
      name: what messages call the input.

    Raises:
      ValueError: parameters that were initialized for an input of another shape, or whatever Flax finds wrong; other
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
    except _REFUSALS as error:
        reason = _mismatch(network, params, [jax.ShapeDtypeStruct(i.shape, i.dtype) for i in inputs], name)
        if reason is None and isinstance(error, TypeError | ValueError):
            raise
        first_line = str(error).partition(" (https")[0]
        raise ValueError(
            f"the {role} {reason or f'failed for {name} of shape {inputs[0].shape}: {first_line}'}"
        ) from error


def _mismatch(network: SupportsInitApply, params: PyTree, given: list[jax.ShapeDtypeStruct], name: str) -> str | None:
    """What does not fit; None where parameters initialized for this input are of the shapes of these."""
    got, has = given[0].shape, _shapes(params)
    try:
        needs = _shapes(jax.eval_shape(network.init, jax.random.key(0), *given))
    except _REFUSALS:  # not even new parameters fit such an input
        needs = {}
    wrong = next((path for path, shape in needs.items() if has.get(path) != shape), "")
    if needs and not wrong:
        return None
    candidates = [*_other_shapes(got), *_other_lengths(got, has.get(wrong, ()), needs.get(wrong, ()))]
    for shape, advice in candidates:
        if _fits(network, params, [jax.ShapeDtypeStruct(shape, given[0].dtype), *given[1:]]):
            return f"expects ONE {name} of shape {shape}, got shape {got}{advice}"
    if not wrong:
        return None
    shapes = " and ".join(str(part.shape) for part in given)
    stored = f"is {has[wrong]}" if wrong in has else "is missing"
    return (
        f"does not fit {name} of shape {shapes}: of its parameters {wrong} {stored}, and {needs[wrong]} is expected "
        f"for such an input; it takes ONE {name} of the shape that it was initialized with"
    )


def _other_shapes(got: Shape) -> Iterator[tuple[Shape, str]]:
    """Shapes that may have been meant, and what to do about it."""
    channels_last = "channels come last, numpy.moveaxis(x, -3, -1)"
    if got:
        yield got[1:], ": map over a batch, jax.vmap(function, in_axes=(None, 0))"
    if len(got) == 3:
        yield (*got[1:], got[0]), f": {channels_last}"
    if len(got) == 4:
        yield (*got[2:], got[1]), f": {channels_last}, and a batch is mapped over by jax.vmap"
    if got and got[-1] == 4:
        yield (*got[:-1], 3), ": leave out the alpha channel, x[..., :3]"
    if got and got[-1] in (3, 4):
        yield (*got[:-1], 1), ": convert color to gray"
    if got and got[-1] == 1:
        yield (*got[:-1], 3), ": repeat gray for every color, numpy.repeat(x, 3, axis=-1)"


def _other_lengths(got: Shape, has: Shape, needs: Shape) -> Iterator[tuple[Shape, str]]:
    """Of a vector, the length by which the array of parameters that does not fit differs from what it would be."""
    if len(got) == 1 and len(has) == len(needs):
        for one, other in zip(has, needs, strict=True):
            if one != other and got[0] + one - other > 0:
                yield (got[0] + one - other,), ""


def _fits(network: SupportsInitApply, params: PyTree, given: list[jax.ShapeDtypeStruct]) -> bool:
    try:
        jax.eval_shape(network.apply, params, *given)
    except _REFUSALS:
        return False
    return True


def _shapes(params: PyTree) -> dict[str, Shape]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): jnp.shape(leaf) for path, leaf in leaves}
