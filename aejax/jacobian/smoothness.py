"""Detects kinks of a function, which its second derivatives ignore, from its trace."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, DebugInfo, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun, jaxprs_in_params
from jaxtyping import Array, Float

from aejax.jacobian.traces import Fact, Trace, is_floating, trace_of

_KINKED = {"relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_silu", "selu"}  # of jax.nn
# continuously differentiable, although they use `where`
_WITHOUT_JUMP = {"elu", "celu", "sinc", "soft_sign", "sparse_plus"}
_CONTINUOUS = {  # continuous functions with kinks
    **dict.fromkeys(("max", "reduce_max", "reduce_window_max", "cummax", "pmax", "select_and_gather_add"), "max"),
    **dict.fromkeys(("min", "reduce_min", "reduce_window_min", "cummin", "pmin"), "min"),
    **dict.fromkeys(("select_and_scatter_add",), "max"),
    **{name: name for name in ("abs", "clamp", "top_k", "approx_top_k", "sort")},
}
_STEPS = {name: name for name in ("sign", "floor", "ceil", "round", "rem", "nextafter")}
_CHOICES = {"select_n": "where", "cond": "cond"}
_BY_INDEX = {"gather", "dynamic_slice", "dynamic_update_slice", "scatter", "scatter-add", "scatter-mul"}


def kinks(f: Callable[[Array], Array], x: Float[Array, "..."]) -> list[str]:
    """Returns the names of the operations in a function of ONE example whose derivative is discontinuous.

    It detects the activations of `jax.nn` with kinks; maxima and minima, such as in pooling; absolute values and signs;
    rounding and remainders; sorting, top-k and medians; and every choice that depends on a comparison of values that
    depend on the example: `jnp.where(x > 0, x, 0)`, an index such as `argmax`, or the number of iterations of a loop.
    Such a choice is reported even where it is smooth, except for smooth functions of JAX such as `jax.nn.elu`, which
    are recognized by name. For a function with a custom derivative, that derivative is searched for discontinuities.

    Operations that no derivative passes through, such as the maximum in softmax, are not reported. Neither are those
    that keep a nonnegative number away from 0 in a normalization: `jnp.maximum(norm, 1e-6)`,
    `jnp.maximum(0, E x² - (E x)²)`, or a square root where its argument is positive.

    Args:
      f: a function from ONE example to its code, arrays of any shape.
      x: one example, of which only shape and dtype matter.

    Returns:
      The names in alphabetical order; an empty list for a smooth function.

    >>> kinks(lambda x: jax.nn.relu(jnp.tanh(x)), jnp.ones(3)), kinks(jax.nn.softplus, jnp.ones(3))
    (['relu'], [])
    """
    return sorted(set(_kinks(trace_of(jax.make_jaxpr(f)(x), [Fact(of_x=True)]))))


def _kinks(trace: Trace, *, of_derivative: bool = False) -> Iterator[str]:
    """Yields the names of a trace's kinks; if the traced function is itself a derivative, only of its jumps."""
    differentiated = {variable for variable in trace.jaxpr.outvars if not isinstance(variable, Literal)}
    for equation in reversed(trace.jaxpr.eqns):
        passes = any(out in differentiated and is_floating(out) for out in equation.outvars)
        if equation.primitive.name == "stop_gradient" or not passes:
            continue
        differentiated.update(variable for variable in equation.invars if not isinstance(variable, Literal))
        inputs = trace.inputs(equation)
        if any(one.of_x for one in inputs):
            yield from _kinks_of_equation(trace, equation, inputs, of_derivative=of_derivative)


def _kinks_of_equation(trace: Trace, equation: JaxprEqn, inputs: list[Fact], *, of_derivative: bool) -> Iterator[str]:
    primitive, name = equation.primitive.name, str(equation.params.get("name", ""))
    if primitive in _CONTINUOUS:
        if not of_derivative and not _is_smooth(trace, equation, inputs):
            yield _CONTINUOUS[primitive]
    elif primitive in _STEPS:
        if not (primitive == "sign" and inputs[0].nonnegative):
            yield _STEPS[primitive]
    elif primitive in ("sqrt", "pow"):
        root = primitive == "sqrt" or inputs[1].value == 0.5
        if root and not of_derivative and trace.is_square(equation.invars[0]):
            yield "abs"
    elif primitive == "convert_element_type":
        if inputs[0].jumps and not is_floating(equation.invars[0]):
            yield "comparison" if _type(equation.invars[0]).dtype == bool else "rounding"
    elif primitive in _BY_INDEX:
        if any(one.jumps and not is_floating(index) for one, index in zip(inputs, equation.invars, strict=True)):
            yield "index"
    elif primitive in _CHOICES and inputs[0].jumps:
        yield _CHOICES[primitive]
    elif primitive in ("custom_jvp_call", "custom_vjp_call") and not of_derivative:
        named = _KINKED.intersection(_names(equation))
        yield from named or _kinks(_derivative(equation, inputs), of_derivative=True)
    elif name in _KINKED or (name == "elu" and not all(one.value == 1 for one in inputs[1:])):
        yield from () if of_derivative else (name,)
    elif name not in _WITHOUT_JUMP or name in _names(equation):
        bodies = trace.calls(equation)
        if primitive == "while" and bodies.pop().results()[0].jumps:
            yield "while"
        for body in bodies:
            yield from _kinks(body, of_derivative=of_derivative)


def _is_smooth(trace: Trace, equation: JaxprEqn, inputs: list[Fact]) -> bool:
    """Returns whether a maximum is a guard against 0, or an absolute value has a nonnegative argument."""
    name = equation.primitive.name
    return (name == "max" and trace.is_guarded(equation)) or (name == "abs" and inputs[0].nonnegative)


def _names(equation: JaxprEqn) -> set[str]:
    """Returns the names of the functions that an equation's function calls."""
    return {str(one.params.get("name", "")) for jaxpr in jaxprs_in_params(equation.params) for one in jaxpr.eqns}


def _derivative(equation: JaxprEqn, inputs: list[Fact]) -> Trace:
    """Returns the trace of a function's custom derivative, in the direction of ones in all floating-point arguments."""
    variables = [variable for variable in equation.invars if not isinstance(variable, Literal)]
    names = DebugInfo("jacobian", "smoothness", ("",) * len(variables), ("",) * len(equation.outvars))
    call = jaxpr_as_fun(ClosedJaxpr(Jaxpr((), variables, equation.outvars, [equation], debug_info=names), ()))
    floating = [is_floating(variable) for variable in variables]

    def derivative(*values: Array) -> list[Array]:
        def of_floating(*floats: Array) -> list[Array]:
            remaining = iter(floats)
            results: list[Any] = call(
                *(next(remaining) if is_float else value for is_float, value in zip(floating, values, strict=True))
            )
            return [result for result, out in zip(results, equation.outvars, strict=True) if is_floating(out)]

        arguments = [value for is_float, value in zip(floating, values, strict=True) if is_float]
        if equation.primitive.name == "custom_vjp_call":
            results, pull = jax.vjp(of_floating, *arguments)
            return list(pull([jnp.ones_like(result) for result in results]))
        return list(jax.jvp(of_floating, arguments, [jnp.ones_like(one) for one in arguments])[1])

    known = [one for one, variable in zip(inputs, equation.invars, strict=True) if not isinstance(variable, Literal)]
    return trace_of(jax.make_jaxpr(derivative)(*map(_type, variables)), known)


def _type(variable: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(variable.aval.shape, variable.aval.dtype)
