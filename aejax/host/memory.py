"""Memory that arrays and computations need, computed from shapes before anything is allocated."""

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


def available_memory() -> int:
    """Returns the bytes of the accelerator's memory if JAX uses one, otherwise of the host's (`host_memory`)."""
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics and jax.default_backend() != "cpu":
        return int(statistics["bytes_limit"])
    return host_memory()


def host_memory() -> int:
    """Returns the bytes of this machine's memory, or its container's limit if that is lower."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _LIMIT_OF_CONTAINER.read_text(encoding="utf-8").strip()
    except OSError:  # not in a container, or not on Linux
        return size
    return min(size, int(limit)) if limit.isdigit() else size


def check_fits(size: int, what: str, *, advice: str, host: bool = False) -> None:
    """Raises UserError if something needs more memory than is available.

    Args:
      size: a lower bound of what it needs, in bytes.
      what: a plural noun for it, which begins the message.
      advice: how to make it smaller, which ends the message.
      host: whether it is in the host's memory even if JAX uses an accelerator.

    >>> check_fits(10**20, "the parameters", advice="use a smaller --hidden")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    aejax.errors.UserError: the parameters need at least 100,000,000,000.0 GB, but only ... of memory are available; ...
    """
    limit = host_memory() if host else available_memory()
    if size > limit:
        got, has = (f"{bytes_ / 1e9:,.1f} GB" for bytes_ in (size, limit))
        raise UserError(f"{what} need at least {got}, but only {has} of memory are available; {advice}")


def bytes_of(tree: "PyTree") -> int:
    """Returns the total bytes of a tree's arrays, which may be `jax.ShapeDtypeStruct`s.

    >>> import jax
    >>> bytes_of({"a": jax.ShapeDtypeStruct((10**9, 10**9), "float32")})
    4000000000000000000
    """
    import jax

    return sum(math.prod(leaf.shape) * _bytes_of_number(leaf.dtype) for leaf in jax.tree.leaves(tree))


def largest_array(function: Callable[..., Any], *arguments: "PyTree", axis: str | None = None) -> int:
    """Returns the bytes of the largest intermediate or final array of a function, by tracing it.

    Args:
      function: a function of arrays that JAX can trace.
      arguments: its arguments: arrays, or `jax.ShapeDtypeStruct`s in their place.
      axis: the name of a mapped axis that the function averages over, of length 1 here; None if there is none.

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
    return getattr(dtype, "itemsize", 4)  # key types have no item size
