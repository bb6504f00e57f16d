"""Whether a function has kinks, which its second derivatives do not see; told from its trace."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, jaxprs_in_params
from jaxtyping import Array, Float

_KINKED = {"relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_silu", "selu"}  # of jax.nn
_WITHOUT_JUMP = {"elu", "celu", "soft_sign", "sparse_plus"}  # of the derivative, for all that they select
_SELECTIONS = {
    **dict.fromkeys(("max", "reduce_max", "reduce_window_max"), "max"),
    **dict.fromkeys(("min", "reduce_min", "reduce_window_min"), "min"),
    **dict.fromkeys(("abs", "sign", "clamp", "top_k", "sort")),
}
_COMPARISONS = {"lt", "le", "gt", "ge"}  # not eq and ne, which guard single points
_BY_COMPARISON = {"select_n": "where", "cond": "cond", "convert_element_type": "comparison"}


def kinks(f: Callable[[Array], Array], x: Float[Array, "..."]) -> list[str]:
    """What in a function of ONE example has a derivative that jumps, by name.

    Found are the activations of `jax.nn`, maxima and minima, as in pooling, absolute values and signs, sorting and the
    largest k, and whatever is chosen by comparing values that depend on the example, as by `jnp.where(x > 0, x, 0)`.
    What is chosen so may yet be smooth: it is named all the same, but for the smooth activations of `jax.nn`, which are
    known by their names. A function with a derivative of its own counts as smooth, as softplus does, unless it is one
    of these; what no derivative passes through, as the maximum in softmax, does not count.

    >>> kinks(lambda x: jax.nn.relu(jnp.tanh(x)), jnp.ones(3)), kinks(jax.nn.softplus, jnp.ones(3))
    (['relu'], [])
    """
    jaxpr = jax.make_jaxpr(f)(x).jaxpr
    return sorted(set(_kinks(jaxpr, set(jaxpr.invars), set())))


def _kinks(jaxpr: Jaxpr, of_x: set[Any], compared: set[Any]) -> Iterator[str]:
    """Of a function some of whose arguments depend on x, and some on what a comparison of such values said."""
    positive: set[Any] = set()
    for equation in jaxpr.eqns:
        inputs = _variables(equation)
        if inputs & of_x:
            of_x.update(equation.outvars)
            if inputs & compared or _compares(equation):
                compared.update(variable for variable in equation.outvars if not _is_floating(variable))
            if equation.primitive.name == "exp" or (equation.primitive.name == "reduce_sum" and inputs <= positive):
                positive.update(equation.outvars)  # logsumexp takes the absolute value of these
    differentiated = {variable for variable in jaxpr.outvars if not isinstance(variable, Literal)}
    for equation in reversed(jaxpr.eqns):
        primitive, name, inputs = equation.primitive.name, _name(equation), _variables(equation)
        if primitive == "stop_gradient" or not differentiated.intersection(equation.outvars):
            continue
        differentiated.update(inputs)
        inner = list(jaxprs_in_params(equation.params))
        if not inputs & of_x or (primitive == "abs" and inputs <= positive):
            continue
        if primitive in _SELECTIONS:
            yield _SELECTIONS[primitive] or primitive
        elif primitive in _BY_COMPARISON and _is_chosen(equation, compared):
            yield _BY_COMPARISON[primitive]
        elif primitive == "custom_jvp_call":
            yield from (name for jaxpr in inner for name in map(_name, jaxpr.eqns) if name in _KINKED)
        elif name in _KINKED or (name == "elu" and not all(_is_one(alpha) for alpha in equation.invars[1:])):
            yield name
        elif name not in _WITHOUT_JUMP or any(_name(one) == name for jaxpr in inner for one in jaxpr.eqns):
            for jaxpr in inner:
                # what a loop carries comes to depend on x
                carried = filter(_is_floating, jaxpr.invars) if primitive in ("scan", "while") else ()
                yield from _kinks(
                    jaxpr, _given(jaxpr, equation, of_x).union(carried), _given(jaxpr, equation, compared)
                )


def _given(jaxpr: Jaxpr, equation: JaxprEqn, known: set[Any]) -> set[Any]:
    """The arguments of a called function that are among these; branches and bodies are given the last ones."""
    pairs = zip(reversed(jaxpr.invars), reversed(equation.invars), strict=False)
    return {own for own, outer in pairs if not isinstance(outer, Literal) and outer in known}


def _is_chosen(equation: JaxprEqn, compared: set[Any]) -> bool:
    which, out = equation.invars[0], equation.outvars[0]
    return not isinstance(which, Literal) and which in compared and _is_floating(out)


def _compares(equation: JaxprEqn) -> bool:
    inner = (one for jaxpr in jaxprs_in_params(equation.params) for one in jaxpr.eqns)
    return equation.primitive.name in _COMPARISONS or any(map(_compares, inner))


def _variables(equation: JaxprEqn) -> set[Any]:
    return {variable for variable in equation.invars if not isinstance(variable, Literal)}


def _is_floating(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.floating))


def _is_one(alpha: Any) -> bool:
    return isinstance(alpha, Literal) and bool(alpha.val == 1)


def _name(equation: JaxprEqn) -> str:
    """Of the function that is called, if one is."""
    return str(equation.params.get("name", ""))
