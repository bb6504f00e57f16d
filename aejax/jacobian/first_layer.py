"""Splits a function whose first layer is linear, f(x) = above(W x), into W and `above`, by its trace."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, DebugInfo, DropVar, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun, jaxprs_in_params
from jaxtyping import Array, Float

from aejax.jacobian.products import rows_times_matrix

_RESHAPES = {"reshape", "squeeze", "expand_dims", "copy", "convert_element_type"}  # they keep the order of the features
_CALLS = {"jit": "jaxpr", "remat2": "jaxpr", "closed_call": "call_jaxpr"}  # calls without a custom derivative
_ELEMENTWISE = {
    *("abs", "add", "clamp", "cos", "div", "erf", "exp", "exp2", "expm1", "integer_pow", "is_finite", "log", "log1p"),
    *("logistic", "max", "min", "mul", "neg", "pow", "rsqrt", "select_n", "sign", "sin", "sqrt", "square"),
    *("stop_gradient", "sub", "tan", "tanh", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not"),
    *("custom_jvp_call", "jit"),
}


class NoLinearFirstLayerError(ValueError):
    """The function is not of the form above(W x); the message says why."""


class SplitFunction(NamedTuple):
    """A function f(x) = above(u) with u = W x at each position, W independent of x; a vector x has one position."""

    kernel: Float[Array, "units features"]  # W
    linear: Float[Array, "positions units"]  # u at x
    above: Callable[[Float[Array, "positions units"]], Array]
    elementwise: bool  # whether entry i of the code depends on entry i of u alone
    products: int  # number of multiplications in the matrix products and convolutions of `above`


def split_first_layer(f: Callable[[Array], Array], x: Float[Array, "..."]) -> SplitFunction:
    """Splits f above its first layer, which must be a matrix product with x, such as `flax.linen.Dense`.

    Args:
      f: a function from ONE example to its code.
      x: one example. f may reshape or cast it before the product. If the product is over the last of several axes, as
        in a dense layer applied to each step of a sequence, the other axes are its positions.

    Returns:
      The split function. Under the caller's vmap over examples, W has a batch axis only if it has one in f.

    Raises:
      NoLinearFirstLayerError: the first operation on x is not a matrix product, x is used more than once, W depends on
        x, or W has no rows.
    """
    closed = jax.make_jaxpr(f)(x)
    while True:
        jaxpr, constants = closed.jaxpr, closed.consts
        below, above, independent = _follow(jaxpr)
        if below[-1].primitive.name not in _CALLS:
            break
        closed = jax.make_jaxpr(_inline(jaxpr, constants, below[-1]))(x)
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    _evaluate(independent, values)
    *reshapes, product = below
    own = {jaxpr.invars[0]: x}
    _evaluate(reshapes, own)
    (source,) = [number for number, variable in enumerate(product.invars) if variable in own]
    (contracting, batching) = product.params["dimension_numbers"]
    if any(batching) or not contracting[0]:
        raise NoLinearFirstLayerError("its first matrix product is batched, or does not sum over an axis of x")
    other = product.invars[1 - source]
    kernel = other.val if isinstance(other, Literal) else values[other]
    kernel = jnp.moveaxis(kernel, contracting[1 - source], range(-len(contracting[source]), 0))
    kernel_shape = kernel.shape[: kernel.ndim - len(contracting[source])]
    units = math.prod(kernel_shape)
    if units == 0:
        raise NoLinearFirstLayerError("its first layer has no units")
    (u_variable,) = product.outvars
    u_shape = _shape(u_variable)
    positions = math.prod(u_shape) // units

    def to_rows(u: Array) -> Array:
        return u.reshape(positions, units) if source == 0 else u.reshape(units, positions).T

    def from_rows(rows: Array) -> Array:
        return (rows if source == 0 else rows.T).reshape(u_shape)

    def rest(rows: Array) -> Array:
        inner = values | {u_variable: from_rows(rows)}
        for equation in above:
            if _is_activation(equation):
                inner[equation.outvars[0]] = _activation(equation)(inner[equation.invars[0]])
            elif _is_rows_times_matrix(equation):
                left, right = (_read(inner, variable) for variable in equation.invars)
                inner[equation.outvars[0]] = rows_times_matrix(left, right)
            else:
                _evaluate([equation], inner)
        return _read(inner, jaxpr.outvars[0])

    _evaluate([product], below_u := values | own)
    return SplitFunction(
        kernel=kernel.reshape(units, -1),
        linear=to_rows(below_u[u_variable]),
        above=rest,
        elementwise=source == 0 and all(_is_elementwise(equation) for equation in above),
        products=sum(map(_products, above)),
    )


def _follow(jaxpr: Jaxpr) -> tuple[list[JaxprEqn], list[JaxprEqn], list[JaxprEqn]]:
    """Returns the equations from x to its first product or call, those above it, and those independent of x."""
    (x,), dependent, independent = jaxpr.invars, [], []
    of_x = {x}
    for equation in _live(jaxpr):
        if of_x.intersection(_variables(equation)):
            dependent.append(equation)
            of_x.update(equation.outvars)
        else:
            independent.append(equation)
    current, below = x, []
    while True:
        users = [equation for equation in dependent if any(variable is current for variable in equation.invars)]
        uses = sum(variable is current for equation in users for variable in equation.invars)
        if uses != 1 or any(variable is current for variable in jaxpr.outvars):
            raise NoLinearFirstLayerError(f"it uses x {uses} times")
        (user,) = users
        below.append(user)
        name = user.primitive.name
        if name == "dot_general" or name in _CALLS:
            above = [equation for equation in dependent if all(equation is not lower for lower in below)]
            return below, above, independent
        if name not in _RESHAPES or not _is_floating(user.outvars[0]):
            raise NoLinearFirstLayerError(f"its first operation on x is {name}")
        (current,) = user.outvars


def _live(jaxpr: Jaxpr) -> list[JaxprEqn]:
    """Returns the equations that the result depends on."""
    needed = {variable for variable in jaxpr.outvars if not isinstance(variable, Literal)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(equation.outvars):
            kept.append(equation)
            needed.update(_variables(equation))
    return kept[::-1]


def _is_activation(equation: JaxprEqn) -> bool:
    """Returns whether an equation is an elementwise function of one array, such as tanh or relu."""
    types = {jnp.dtype(variable.aval.dtype) for variable in (*_variables(equation), *equation.outvars)}
    shapes = {_shape(variable) for variable in (*_variables(equation), *equation.outvars)}
    alone = len(equation.invars) == len(_variables(equation)) == len(types) == len(shapes) == 1
    return alone and _is_elementwise(equation) and jnp.issubdtype(types.pop(), jnp.floating)


def _is_rows_times_matrix(equation: JaxprEqn) -> bool:
    """Returns whether an equation is x @ W at default precision, as in a dense layer."""
    if equation.primitive.name != "dot_general":
        return False
    rows, matrix, out = (cast(Any, variable.aval) for variable in (*equation.invars, *equation.outvars))
    (contracting, batching), precision = equation.params["dimension_numbers"], equation.params["precision"]
    plain = contracting == ((rows.ndim - 1,), (0,)) and matrix.ndim == 2 and not any(batching) and precision is None
    return plain and rows.dtype == matrix.dtype == out.dtype


def _activation(equation: JaxprEqn) -> Callable[[Array], Array]:
    """Returns an activation that multiplies tangents and cotangents by its derivative, once.

    JAX's rule for tanh multiplies each of them twice and stores the intermediate product for the gradient.
    """

    def evaluate(u: Array) -> Array:
        values = {equation.invars[0]: u}
        _evaluate([equation], values)
        result: Array = values[equation.outvars[0]]
        return result

    activation = jax.custom_jvp(evaluate)

    @activation.defjvp
    def _jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        (u,), (tangent,) = primals, tangents
        out, derivative = jax.jvp(evaluate, (u,), (jnp.ones_like(u),))
        return out, derivative * tangent

    return activation


def _is_floating(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.floating))


def _shape(variable: Any) -> tuple[int, ...]:
    return cast(tuple[int, ...], variable.aval.shape)


def _variables(equation: JaxprEqn) -> list[Any]:
    return [variable for variable in equation.invars if not isinstance(variable, Literal)]


def _is_elementwise(equation: JaxprEqn) -> bool:
    if len(equation.outvars) != 1:
        return False
    shape, name = _shape(equation.outvars[0]), equation.primitive.name
    if name in _RESHAPES:
        return name != "reshape" or equation.params["dimensions"] is None  # else the axes are permuted first
    # a scalar that depends on x would reach every element
    same = all(_shape(one) == shape or (isinstance(one, Literal) and not _shape(one)) for one in equation.invars)
    inner = (one for jaxpr in jaxprs_in_params(equation.params) for one in jaxpr.eqns)
    return name in _ELEMENTWISE and same and all(map(_is_elementwise, inner))


def _products(equation: JaxprEqn) -> int:
    """Returns the number of multiplications in an equation's matrix products and convolutions; the rest is cheap."""
    name, size = equation.primitive.name, sum(math.prod(_shape(out)) for out in equation.outvars)
    if name == "dot_general":
        (contracting, _), _ = equation.params["dimension_numbers"]
        return size * math.prod(_shape(equation.invars[0])[axis] for axis in contracting)
    if name == "conv_general_dilated":
        kernel_shape, numbers = _shape(equation.invars[1]), equation.params["dimension_numbers"]
        return size * math.prod(kernel_shape) // kernel_shape[numbers.rhs_spec[0]]
    inner = sum(_products(one) for jaxpr in jaxprs_in_params(equation.params) for one in jaxpr.eqns)
    return inner * equation.params.get("length", 1) if name == "scan" else inner


def _read(values: dict[Any, Any], variable: Any) -> Any:
    return variable.val if isinstance(variable, Literal) else values[variable]


def _evaluate(equations: Sequence[JaxprEqn], values: dict[Any, Any]) -> None:
    """Evaluates equations on `values`, a dictionary from variables to arrays, and adds their results to it."""
    # ordered dictionaries instead of sets, so that all processes compile the same program
    made = dict.fromkeys(variable for equation in equations for variable in equation.outvars)
    read = dict.fromkeys(variable for equation in equations for variable in _variables(equation))
    inputs = [variable for variable in read if variable not in made]
    outputs = [variable for variable in made if not isinstance(variable, DropVar)]
    names = DebugInfo("jacobian", "split_first_layer", ("",) * len(inputs), ("",) * len(outputs))
    jaxpr = Jaxpr((), inputs, outputs, list(equations), debug_info=names)
    results = jaxpr_as_fun(ClosedJaxpr(jaxpr, ()))(*(values[variable] for variable in inputs))
    values.update(zip(outputs, results, strict=True))


def _inline(jaxpr: Jaxpr, constants: Sequence[Any], call: JaxprEqn) -> Callable[[Array], Array]:
    """Returns the same function with a call replaced by its body."""
    (number,) = [number for number, equation in enumerate(jaxpr.eqns) if equation is call]

    def function(x: Array) -> Array:
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, x], strict=True))
        _evaluate(jaxpr.eqns[:number], values)
        body = call.params[_CALLS[call.primitive.name]]
        body = body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())
        results = jaxpr_as_fun(body)(*(_read(values, variable) for variable in call.invars))
        values.update(zip(call.outvars, results, strict=True))
        _evaluate(jaxpr.eqns[number + 1 :], values)
        return _read(values, jaxpr.outvars[0])

    return function
