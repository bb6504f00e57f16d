"""Exact Jacobians of functions of one example, and their squared Frobenius norm."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.checks import check_floating
from aejax.jacobian.chunks import basis, check_chunk_size, stack_chunks, sum_over_chunks
from aejax.jacobian.first_layer import NoLinearFirstLayerError, SplitFunction, split_first_layer
from aejax.jacobian.gram import gram_matrix, gram_norm_squared
from aejax.jacobian.placement import varying_as
from aejax.precision import at_least_single

METHODS = ("jacfwd", "jacrev", "structured", "auto")


def jacobian(
    f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd", chunk_size: int | None = None
) -> Float[Array, "..."]:
    """Returns the exact Jacobian J(x) = ∂f/∂x.

    Args:
      f: a function from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, with D features; f(x) has K dimensions.
      method: `jacfwd` pushes one tangent per feature forward, `jacrev` pulls one cotangent per dimension of the code
        back, and `auto` uses the one with fewer vectors. `structured`, which avoids the first layer's Jacobian in
        `frobenius_norm_squared`, saves nothing here: it equals `jacrev`, for functions whose first layer is linear.
      chunk_size: the number of tangents or cotangents computed at a time; each chunk is recomputed in the backward
        pass, so that memory in addition to J grows with chunk_size, not with D or K. None computes all at once.

    Returns:
      J, of shape (*f(x).shape, *x.shape).

    Raises:
      ValueError: method is unknown, chunk_size is below 1, or method is `structured` and the first layer is not linear.
      TypeError: x or f(x) is not one array of a floating type, or chunk_size is not an integer.

    >>> jacobian(lambda x: x[0] * x, jnp.array([2.0, 3.0]))
    Array([[4., 0.],
           [3., 2.]], dtype=float32)
    """
    x, code = _check(f, x, method, chunk_size)
    if method == "structured":
        _split(f, x)

    def by_columns() -> Array:
        columns = stack_chunks(_columns(f, x), x.size, chunk_size)
        return jnp.moveaxis(columns, 0, -1).reshape(*code.shape, *x.shape)

    def by_rows() -> Array:
        return stack_chunks(_rows(f, x), code.size, chunk_size).reshape(*code.shape, *x.shape)

    if method == "auto":
        return first_that_works([by_columns, by_rows] if x.size <= code.size else [by_rows, by_columns])
    return by_columns() if method == "jacfwd" else by_rows()


def frobenius_norm_squared(
    f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str = "jacfwd", chunk_size: int | None = None
) -> Float[Array, ""]:
    """Returns the exact squared Frobenius norm ‖J(x)‖_F² = Σₖᵢ (∂fₖ/∂xᵢ)².

    For an encoder or a posterior's mean, f is `partial(autoencoder.encode, params)` and x an example; for a decoder,
    `partial(autoencoder.decode, params)` and x a code; for the score that a denoising autoencoder r has learned,
    `lambda x: (r(x) - x) / σ²`.

    `structured` requires a function whose first layer is linear, f(x) = above(W x), such as an MLP. With M the Jacobian
    of `above` and W of H rows, ‖J‖_F² = ‖M W‖_F² = Σ M ∘ (M G), where G = W Wᵀ does not depend on the example and is
    computed once for all examples of the caller's vmap; no array of size K x D is formed. If H >= D, M W is computed
    instead, as the smaller product. If `above` is elementwise, M is diagonal, and the norm is Σₕ Mₕ² ‖Wₕ‖², the closed
    form of one layer, for any activation. With G the absolute error is about ε ‖M‖_F² ‖G‖, ε the dtype's rounding unit,
    and the result is never negative. Use `jacrev` if ‖M W‖_F² may be that small because rows of W are nearly dependent.

    `auto` counts the multiplications for one example, without G, where A is their number in `above` for one tangent or
    cotangent, and uses the first method with the lowest count:

        structured  K (A + H min(H, D)), or 0 if `above` is elementwise
        jacfwd      D A, as the first layer's tangents are the same for all examples
        jacrev      K (A + H D)

    If the first layer is not linear, it uses jacrev if K < D, else jacfwd.

    Args:
      f: a function from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, with D features; f(x) has K dimensions.
      method: `jacfwd`, `jacrev`, `structured` or `auto`; all compute the same number.
      chunk_size: the number of tangents (jacfwd) or cotangents computed at a time; each chunk is recomputed in the
        backward pass, so that memory grows with chunk_size, not with D or K. None computes all at once.

    Returns:
      The sum over all pairs of code dimension and feature, in at least float32.

    Raises:
      ValueError: method is unknown, chunk_size is below 1, or method is `structured` and the first layer is not linear.
      TypeError: x or f(x) is not one array of a floating type, or chunk_size is not an integer.

    >>> kernel = jnp.array([[3.0, 0.0], [0.0, 4.0]])
    >>> frobenius_norm_squared(lambda x: kernel @ x, jnp.ones(2), method="auto").item()
    25.0
    """
    x, code = _check(f, x, method, chunk_size)

    def by_columns() -> Array:
        return sum_over_chunks(lambda indices: _sum_of_squares(_columns(f, x)(indices)), x.size, chunk_size)

    def by_rows() -> Array:
        return sum_over_chunks(lambda indices: _sum_of_squares(_rows(f, x)(indices)), code.size, chunk_size)

    def structured(split: SplitFunction) -> Array:
        return _structured(split, code.size, chunk_size)

    if method == "structured":
        return structured(_split(f, x))
    if method != "auto":
        return by_columns() if method == "jacfwd" else by_rows()
    try:
        split = split_first_layer(f, x)
    except NoLinearFirstLayerError:
        return first_that_works([by_rows, by_columns] if code.size < x.size else [by_columns, by_rows])
    methods = [lambda: structured(split), by_columns]
    return first_that_works([*(methods if _saves(split, x.size, code.size) else methods[::-1]), by_rows])


def jacobian_matrix(
    f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str, chunk_size: int | None = None
) -> Float[Array, "K D"]:
    """Returns J(x) with both shapes flattened, in at least float32: JAX's linear algebra has no half precision."""
    array = jacobian(f, x, method=method, chunk_size=chunk_size)
    code_axes = array.ndim - jnp.ndim(x)
    matrix = array.reshape(math.prod(array.shape[:code_axes]), math.prod(array.shape[code_axes:]))
    return matrix.astype(at_least_single(matrix.dtype))


def first_that_works(attempts: Sequence[Callable[[], Array]]) -> Array:
    """Returns the result of the first attempt that JAX can differentiate; raises the first error if all attempts fail.

    Whether JAX can is known only from tracing: `lax.while_loop` has no reverse mode, `jax.custom_vjp` no forward mode.
    """
    errors = []
    for attempt in attempts:
        try:
            return attempt()
        except (TypeError, ValueError, NotImplementedError) as error:
            errors.append(error)
    raise errors[0]


def check_function(f: Callable[[Array], Array], x: Array) -> tuple[Array, jax.ShapeDtypeStruct]:
    """Returns x as a JAX array, and the shape and dtype of f(x).

    Under `jax.shard_map`, x is cast to vary over every axis of the mesh over which f(x) varies, for instance because
    only f's parameters do: otherwise the gradient with respect to x would be summed over the devices.

    Raises:
      TypeError: f is not callable, or x or f(x) is not one array of a floating type.
    """
    if not callable(f):
        raise TypeError(f"f must be a function of one example, got {type(f).__name__}")
    if not isinstance(x, jax.Array | np.ndarray | np.generic):
        raise TypeError(f"x must be one floating-point array, one example of JAX or NumPy, got {type(x).__name__}")
    check_floating(x=x)
    x = jnp.asarray(x)
    code: Any = jax.eval_shape(f, x)
    if not isinstance(code, jax.ShapeDtypeStruct):
        raise TypeError(f"f must return one array, the code of one example, got {type(code).__name__}")
    if not jnp.issubdtype(code.dtype, jnp.floating):
        raise TypeError(f"f must return a floating-point array, got dtype {code.dtype}")
    return varying_as(x, code), code


def _check(
    f: Callable[[Array], Array], x: Array, method: str, chunk_size: int | None
) -> tuple[Array, jax.ShapeDtypeStruct]:
    check_chunk_size(chunk_size)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return check_function(f, x)


def _split(f: Callable[[Array], Array], x: Array) -> SplitFunction:
    try:
        return split_first_layer(f, x)
    except NoLinearFirstLayerError as error:
        reason = f"structured expects a function that begins with a matrix product of x, but {error}"
        raise ValueError(f"{reason}; use jacfwd, jacrev or auto") from error


def _saves(split: SplitFunction, size: int, code_size: int) -> bool:
    """Returns whether `structured` needs at most as many multiplications as `jacfwd`."""
    positions, (units, features) = split.linear.shape[0], split.kernel.shape
    reverse = code_size * (split.products + positions * units * min(units, features))
    return split.elementwise or reverse <= size * split.products


def _structured(split: SplitFunction, code_size: int, chunk_size: int | None) -> Array:
    kernel, dtype = split.kernel, at_least_single(split.kernel.dtype)
    units, features = kernel.shape
    if split.elementwise:
        derivative = jax.jvp(split.above, (split.linear,), (jnp.ones_like(split.linear),))[1]
        squares = jnp.sum(jnp.square(kernel.astype(dtype)), axis=1)
        return jnp.sum(jnp.square(derivative.astype(dtype).reshape(-1, units)) * squares[None])
    rows = _rows(split.above, split.linear)
    gram = gram_matrix(kernel.astype(dtype)) if units < features else None

    def term(indices: Array) -> Array:
        m = rows(indices).reshape(-1, units)
        if gram is None:
            return _sum_of_squares(m @ kernel)
        return gram_norm_squared(m.astype(dtype), gram)

    total = sum_over_chunks(term, code_size, chunk_size)
    # where the terms cancel, rounding may leave the sum slightly below 0; the derivative stays that of the sum
    return total if gram is None else jnp.where(total < 0, total - jax.lax.stop_gradient(total), total)


def _columns(f: Callable[[Array], Array], x: Array) -> Callable[[Array], Array]:
    def columns(indices: Array) -> Array:
        push = jax.linearize(f, x)[1]
        return cast(Array, jax.vmap(push)(basis(indices, x)))

    return columns


def _rows(f: Callable[[Array], Array], x: Array) -> Callable[[Array], Array]:
    def rows(indices: Array) -> Array:
        code, pull = jax.vjp(f, x)
        return cast(Array, jax.vmap(pull)(basis(indices, code))[0])

    return rows


def _sum_of_squares(jacobian: Array) -> Array:
    return jnp.sum(jnp.square(jacobian.astype(at_least_single(jacobian.dtype))))
