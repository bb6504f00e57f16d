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
    """J(x) = ∂f/∂x, exactly.

    Args:
      f: from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, of D numbers; f(x) is of K.
      method: `jacfwd` pushes a tangent forward for each feature, `jacrev` pulls a cotangent back for each dimension
        of the code; `auto` takes the one with fewer of them. `structured`, which saves the Jacobian of the first
        layer in a norm, has nothing to save here: it is `jacrev`, for functions that it applies to.
      chunk_size: how many of them at a time, each lot recomputed for the gradient: memory beside J itself grows with
        it, not with D or K. None takes all at once.

    Returns:
      (*code_shape, *x.shape).

    Raises:
      ValueError: an unknown method, a chunk size below 1, or `structured` where the first layer is not linear.
      TypeError: x or f(x) is not one array of a floating type.

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
    """‖J(x)‖_F² = Σₖᵢ (∂fₖ/∂xᵢ)², exactly.

    Of an encoder or a posterior's mean, f is `partial(autoencoder.encode, params)` and x an example; of a decoder,
    `partial(autoencoder.decode, params)` and x a code; of the score that a denoising autoencoder r has learned,
    `lambda x: (r(x) - x) / σ²`.

    `structured` is for functions whose first layer is linear, f(x) = above(W x), as an MLP's. With M the Jacobian of
    `above` and H the rows of W, ‖J‖_F² = ‖M W‖_F² = Σ M ∘ (M G), where G = W Wᵀ is the same for all examples of the
    caller's vmap, and computed once for all: nothing of size K x D is formed. Where H >= D, M W is the smaller product.
    Where `above` is elementwise, M is diagonal, and this is the closed form Σₕ Mₕ² ‖Wₕ‖² of one layer, whatever its
    activation. With G the absolute error is about ε ‖M‖_F² ‖G‖, ε that of the dtype, and the number never negative:
    where ‖M W‖_F² is as small beside ‖M‖_F² ‖G‖, rows of W nearly dependent, take `jacrev`.

    `auto` counts the multiplications for one example, G not among them, with A those of `above` for one tangent or
    cotangent, and takes the first of the cheapest:

        structured  K (A + H min(H, D)), or none where `above` is elementwise
        jacfwd      D A, the first layer's own tangents being the same for all examples
        jacrev      K (A + H D)

    and where the first layer is not linear, jacrev if K < D, else jacfwd.

    Args:
      f: from ONE example to its code (or from one code to its example), arrays of any shape.
      x: one example, of D numbers; f(x) is of K.
      method: `jacfwd`, `jacrev`, `structured` or `auto`: the same number.
      chunk_size: how many tangents (jacfwd) or cotangents at a time, each lot recomputed for the gradient: memory
        grows with it, not with D or K. None takes all at once.

    Returns:
      The sum over all pairs, in float32 at least.

    Raises:
      ValueError: an unknown method, a chunk size below 1, or `structured` where the first layer is not linear.
      TypeError: x or f(x) is not one array of a floating type.

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
    ways = [lambda: structured(split), by_columns]
    return first_that_works([*(ways if _saves(split, x.size, code.size) else ways[::-1]), by_rows])


def jacobian_matrix(
    f: Callable[[Array], Array], x: Float[Array, "..."], *, method: str, chunk_size: int | None = None
) -> Float[Array, "K D"]:
    """J(x) with each shape flattened, in float32 at least: linear algebra knows no half precision."""
    whole = jacobian(f, x, method=method, chunk_size=chunk_size)
    of_code = whole.ndim - jnp.ndim(x)
    matrix = whole.reshape(math.prod(whole.shape[:of_code]), math.prod(whole.shape[of_code:]))
    return matrix.astype(at_least_single(matrix.dtype))


def first_that_works(attempts: Sequence[Callable[[], Array]]) -> Array:
    """The result of the first of these that JAX can differentiate; if it can none, the first one's error.

    Only a trace tells: `lax.while_loop` has no reverse mode, `jax.custom_vjp` no forward mode.
    """
    errors = []
    for attempt in attempts:
        try:
            return attempt()
        except (TypeError, ValueError, NotImplementedError) as error:
            errors.append(error)
    raise errors[0]


def check_function(f: Callable[[Array], Array], x: Array) -> tuple[Array, jax.ShapeDtypeStruct]:
    """X as an array of JAX, and the shape and type of f(x); TypeError unless both are one array of a floating type.

    On several devices x is cast to differ between them wherever f(x) does, as where only f's parameters differ: else
    a gradient by x would be summed over them.
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
        reason = f"structured needs a function that begins with a matrix product of x, but {error}"
        raise ValueError(f"{reason}; take jacfwd, jacrev or auto") from error


def _saves(split: SplitFunction, size: int, code_size: int) -> bool:
    """Whether `structured` multiplies no more than `jacfwd` does."""
    positions, (units, features) = split.linear.shape[0], split.kernel.shape
    reverse = code_size * (split.products + positions * units * min(units, features))
    return split.elementwise or reverse <= size * split.products


def _structured(split: SplitFunction, code_size: int, chunk_size: int | None) -> Array:
    kernel, dtype = split.kernel, at_least_single(split.kernel.dtype)
    units, features = kernel.shape
    if split.elementwise:
        slope = jax.jvp(split.above, (split.linear,), (jnp.ones_like(split.linear),))[1]
        squares = jnp.sum(jnp.square(kernel.astype(dtype)), axis=1)
        return jnp.sum(jnp.square(slope.astype(dtype).reshape(-1, units)) * squares[None])
    rows = _rows(split.above, split.linear)
    gram = gram_matrix(kernel.astype(dtype)) if units < features else None

    def term(indices: Array) -> Array:
        m = rows(indices).reshape(-1, units)
        if gram is None:
            return _sum_of_squares(m @ kernel)
        return gram_norm_squared(m.astype(dtype), gram)

    total = sum_over_chunks(term, code_size, chunk_size)
    # where the terms cancel, rounding may leave the sum a little below 0; its derivative remains that of the sum
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
