"""Whether a function has kinks, which its second derivatives do not see; told from its trace."""

from collections.abc import Callable, Iterator

import jax
from jax.extend.core import Jaxpr, JaxprEqn, Literal, jaxprs_in_params
from jaxtyping import Array, Float

_KINKED = {"relu", "relu6", "leaky_relu", "hard_tanh", "hard_sigmoid", "hard_silu", "selu"}  # of jax.nn
_WITHOUT_JUMP = {"elu", "celu"}  # of the derivative, for all that they select
_SELECTIONS = {
    **dict.fromkeys(("max", "reduce_max", "reduce_window_max"), "max"),
    **dict.fromkeys(("min", "reduce_min", "reduce_window_min"), "min"),
    **dict.fromkeys(("clamp", "top_k", "sort")),
}


def kinks(f: Callable[[Array], Array], x: Float[Array, "..."]) -> list[str]:
    """What in a function of ONE example has a derivative that jumps, by name.

    Found are the activations of `jax.nn`, maxima and minima, as in pooling, sorting and the largest k. A function with
    a derivative of its own counts as smooth, as softplus does, unless it is one of these; what no derivative passes
    through, as the maximum in softmax, does not count.

    >>> import jax.numpy as jnp
    >>> kinks(lambda x: jax.nn.relu(jnp.tanh(x)), jnp.ones(3)), kinks(jax.nn.softplus, jnp.ones(3))
    (['relu'], [])
    """
    return sorted(set(_kinks(jax.make_jaxpr(f)(x).jaxpr)))


def _kinks(jaxpr: Jaxpr) -> Iterator[str]:
    differentiated = {variable for variable in jaxpr.outvars if not isinstance(variable, Literal)}
    for equation in reversed(jaxpr.eqns):
        primitive = equation.primitive.name
        if primitive == "stop_gradient" or not differentiated.intersection(equation.outvars):
            continue
        differentiated.update(variable for variable in equation.invars if not isinstance(variable, Literal))
        inner = list(jaxprs_in_params(equation.params))
        if primitive in _SELECTIONS:
            yield _SELECTIONS[primitive] or primitive
        elif primitive == "custom_jvp_call":
            yield from (name for jaxpr in inner for name in map(_name, jaxpr.eqns) if name in _KINKED)
        elif _name(equation) in _KINKED:
            yield _name(equation)
        elif _name(equation) not in _WITHOUT_JUMP:
            for jaxpr in inner:
                yield from _kinks(jaxpr)


def _name(equation: JaxprEqn) -> str:
    """Of the function that is called, if one is."""
    return str(equation.params.get("name", ""))
