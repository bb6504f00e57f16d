"""What an array or a computation would take of the memory, counted from shapes alone, before anything is allocated."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aejax.errors import UserError

if TYPE_CHECKING:  # files are read without JAX
    from jax.extend.core import Jaxpr
    from jaxtyping import PyTree

_LIMIT_OF_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def memory_at_hand() -> int:
    """Returns bytes: an accelerator's memory where JAX has one, else that of the machine or of its container."""
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics and jax.default_backend() != "cpu":
        return int(statistics["bytes_limit"])
    return host_memory()


def host_memory() -> int:
    """Returns the bytes of this machine's memory, or fewer where its container has fewer."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _LIMIT_OF_CONTAINER.read_text(encoding="utf-8").strip()
    except OSError:  # no container, or of another system
        return size
    return min(size, int(limit)) if limit.isdigit() else size


def check_fits(size: int, what: str, *, advice: str, host: bool = False) -> None:
    """Raise UserError where something would take more memory than there is.

    Args:
      size: bytes of it, at least.
      what: it, in words, in the plural.
      advice: what makes it smaller.
      host: whether it lies in the host's memory in any case.

    >>> check_fits(10**20, "the parameters", advice="take a smaller --hidden")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    aejax.errors.UserError: the parameters take at least 100,000,000,000.0 GB, and ... GB of memory are at hand; ...
    """
    limit = host_memory() if host else memory_at_hand()
    if size > limit:
        got, has = (f"{bytes_ / 1e9:,.1f} GB" for bytes_ in (size, limit))
        raise UserError(f"{what} take at least {got}, and {has} of memory are at hand; {advice}")


def bytes_of(tree: "PyTree") -> int:
    """Returns the bytes of all arrays of a tree, or of what `jax.eval_shape` has returned in their place.

    >>> import jax
    >>> bytes_of({"a": jax.ShapeDtypeStruct((10**9, 10**9), "float32")})
    4000000000000000000
    """
    import jax

    return sum(math.prod(leaf.shape) * _bytes_of_number(leaf.dtype) for leaf in jax.tree.leaves(tree))


def largest_array(function: Callable[..., Any], *arguments: "PyTree", axis: str | None = None) -> int:
    """Returns the bytes of the largest array that a function computes on the way; nothing is computed.

    Args:
      function: of arrays.
      arguments: arrays, or `jax.ShapeDtypeStruct`s in their place.
      axis: the name of an axis that the function averages over.

    >>> import jax
    >>> largest_array(lambda x: jax.numpy.outer(x, x).sum(), jax.ShapeDtypeStruct((10**6,), "float32"))
    4000000000000
    """
    import jax

    environment = None if axis is None else [(axis, 1)]
    return _largest(jax.make_jaxpr(function, axis_env=environment)(*arguments).jaxpr)


def _largest(jaxpr: "Jaxpr") -> int:
    from jax.extend.core import jaxprs_in_params

    largest = 0
    for equation in jaxpr.eqns:
        arrays: list[Any] = [out.aval for out in equation.outvars if hasattr(out.aval, "shape")]
        sizes = [math.prod(array.shape) * _bytes_of_number(array.dtype) for array in arrays]
        largest = max(largest, *sizes, 0, *map(_largest, jaxprs_in_params(equation.params)), 0)
    return largest


def _bytes_of_number(dtype: Any) -> int:
    return getattr(dtype, "itemsize", 4)  # keys have none
