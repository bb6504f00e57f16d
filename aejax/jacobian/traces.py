"""Facts about each value in the trace of a function: whether it depends on x, jumps with x, or can be negative."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxprs_in_params

GUARD = 1e-3  # the maximum of a nonnegative number and a bound of at most this is a guard against 0, not a kink
_COMPARISONS = {"lt", "le", "gt", "ge"}
_STEPS = {"floor", "ceil", "round", "sign", "argmax", "argmin"}
_SQUARES = {"square", "abs", "exp", "exp2", "logistic", "cosh", "sqrt", "erfc"}
_KEEP_SIGN = {  # nonnegative if all inputs are
    *("add", "mul", "div", "min", "pow", "integer_pow", "log1p", "expm1", "tanh", "sinh", "rsqrt", "cbrt"),
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "cumsum", "cummax", "cummin", "cumprod", "sort"),
    *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "convert_element_type", "copy", "slice"),
    *("concatenate", "stop_gradient", "rev", "pad", "reduce_precision", "dot_general", "psum", "select_n", "pvary"),
    *("reduce_window_sum", "reduce_window_max", "reduce_window_min", "gather", "dynamic_slice"),
}
_SAME_NUMBERS = {"broadcast_in_dim", "reshape", "squeeze", "expand_dims", "convert_element_type", "copy", "pvary"}


class Fact(NamedTuple):
    """What is known about one value."""

    of_x: bool = False  # whether it depends on x
    jumps: bool = False  # whether it is a piecewise constant function of x, such as a comparison or rounding
    nonnegative: bool = False
    value: float | None = None  # the number itself, if it is a known scalar


UNKNOWN = Fact(of_x=True)


class Trace:
    """The facts about every value in a jaxpr, derived from the facts about its arguments."""

    def __init__(self, jaxpr: Jaxpr, arguments: Sequence[Fact], constants: Sequence[Any] = ()) -> None:
        self.jaxpr = jaxpr
        self.facts = dict(zip(jaxpr.invars, arguments, strict=True))
        self.facts |= {variable: _of_constant(one) for variable, one in zip(jaxpr.constvars, constants, strict=False)}
        self.made: dict[Any, JaxprEqn] = {}
        for equation in jaxpr.eqns:
            self.made.update(dict.fromkeys(equation.outvars, equation))
            self.facts.update(zip(equation.outvars, self._results(equation), strict=True))

    def fact(self, variable: Any) -> Fact:
        return _of_constant(variable.val) if isinstance(variable, Literal) else self.facts.get(variable, Fact())

    def inputs(self, equation: JaxprEqn) -> list[Fact]:
        return [self.fact(variable) for variable in equation.invars]

    def results(self) -> list[Fact]:
        return [self.fact(variable) for variable in self.jaxpr.outvars]

    def calls(self, equation: JaxprEqn) -> list["Trace"]:
        """Returns the traces of an equation's bodies and branches, with the facts about their arguments."""
        name, inputs, params = equation.primitive.name, self.inputs(equation), equation.params
        if name == "scan":
            return [_loop(params["jaxpr"], inputs, *_numbers_of_scan(params))]
        if name == "while":
            of_condition, of_body = params["cond_nconsts"], params["body_nconsts"]
            start = inputs[of_condition + of_body :]
            body = _loop(
                params["body_jaxpr"], inputs[of_condition : of_condition + of_body] + start, of_body, len(start)
            )
            carried = list(map(body.facts.__getitem__, body.jaxpr.invars[of_body:]))
            return [body, _of_closed(params["cond_jaxpr"], [*inputs[:of_condition], *carried])]
        if name == "custom_linear_solve":  # its derivative uses the product only, not the solver
            product = params["jaxprs"].matvec
            known = inputs[: params["const_lengths"].matvec]
            return [_of_closed(product, [*known, *[UNKNOWN] * (len(_open(product).invars) - len(known))])]
        bodies = [*jaxprs_in_params(params)]
        arguments = inputs[1:] if name == "cond" else inputs
        fits = all(len(body.invars) == len(arguments) for body in bodies) and name not in _REDUCTIONS
        return [Trace(body, arguments if fits else [UNKNOWN] * len(body.invars)) for body in bodies]

    def is_guarded(self, equation: JaxprEqn) -> bool:
        """Returns whether one of two inputs is nonnegative, and the other a bound from 0 to `GUARD`."""
        first, second = equation.invars
        return any(
            self._is_nonnegative(number) and (bound := self.fact(other).value) is not None and 0 <= bound <= GUARD
            for number, other in ((first, second), (second, first))
        )

    def is_square(self, variable: Any) -> bool:
        """Returns whether a variable is the elementwise square of an array (not a sum of squares)."""
        equation = self._maker(variable)
        if equation is None:
            return False
        name = equation.primitive.name
        if name in _SAME_NUMBERS and shape_of(equation.invars[0]) == shape_of(variable):
            return self.is_square(equation.invars[0])
        twice = name == "mul" and equation.invars[0] is equation.invars[1]
        return name == "square" or twice or (name == "integer_pow" and equation.params["y"] == 2)

    def _maker(self, variable: Any) -> JaxprEqn | None:
        """Returns the equation that computes a variable; None for a literal or an argument."""
        return None if isinstance(variable, Literal) else self.made.get(variable)

    def _is_nonnegative(self, variable: Any) -> bool:
        return self.fact(variable).nonnegative or self._is_variance(self._same(variable))

    def _results(self, equation: JaxprEqn) -> list[Fact]:
        name, inputs = equation.primitive.name, self.inputs(equation)
        of_x = any(one.of_x for one in inputs)
        called = [] if name in _REDUCTIONS or name == "custom_linear_solve" else self.calls(equation)
        if name in ("scan", "while"):
            return self._of_loop(equation, called)
        if called and all(len(body.jaxpr.outvars) == len(equation.outvars) for body in called):
            chosen = name == "cond" and inputs[0].jumps
            branches = zip(*(body.results() for body in called), strict=True)
            return [
                Fact(
                    of_x=chosen or any(one.of_x for one in results),
                    jumps=any(one.jumps for one in results) or (chosen and not is_floating(out)),
                    nonnegative=all(one.nonnegative for one in results),
                )
                for out, results in zip(equation.outvars, branches, strict=True)
            ]
        value = inputs[0].value if name in _SAME_NUMBERS else None
        nonnegative = self._is_never_negative(equation, inputs)
        return [Fact(of_x, of_x and self._jumps(equation, out), nonnegative, value) for out in equation.outvars]

    def _of_loop(self, equation: JaxprEqn, called: list["Trace"]) -> list[Fact]:
        """Returns the facts about a loop's carried and stacked values; a `while` may stop depending on x."""
        params, (body, *condition) = equation.params, called
        constants, number = (params["body_nconsts"], None) if condition else _numbers_of_scan(params)
        carried = [body.fact(variable) for variable in body.jaxpr.invars[constants:]]
        if not condition:
            return [*carried[:number], *body.results()[number:]]
        chosen = condition[0].results()[0].jumps
        return [
            one._replace(of_x=one.of_x or chosen, jumps=one.jumps or (chosen and not is_floating(out)))
            for one, out in zip(carried, equation.outvars, strict=True)
        ]

    def _jumps(self, equation: JaxprEqn, out: Any) -> bool:
        name, inputs = equation.primitive.name, self.inputs(equation)
        of_x = [(variable, one) for variable, one in zip(equation.invars, inputs, strict=True) if one.of_x]
        if name in _STEPS or all(one.jumps for _, one in of_x):
            return True
        if is_floating(out) or name == "is_finite":
            return False
        if name in ("eq", "ne"):  # compared with a constant, they single out one point only
            return len(of_x) == 2 and of_x[0][0] is not of_x[1][0]
        if name in _COMPARISONS:
            return not self.is_guarded(equation)
        return any(one.jumps or is_floating(variable) for variable, one in of_x)

    def _is_never_negative(self, equation: JaxprEqn, inputs: list[Fact]) -> bool:
        name = equation.primitive.name
        if name in _SQUARES or (name == "integer_pow" and equation.params["y"] % 2 == 0):
            return True
        if name in ("mul", "dot_general") and equation.invars[0] is equation.invars[1]:
            (out,) = equation.outvars
            return name == "mul" or shape_of(out) == ()
        if name == "max":
            return any(one.nonnegative for one in inputs)
        if name == "sub":
            return self._is_variance(equation.outvars[0])
        if name in ("select_n", "gather", "dynamic_slice"):
            inputs = inputs[1:] if name == "select_n" else inputs[:1]
        return name in _KEEP_SIGN and all(one.nonnegative for one in inputs)

    def _is_variance(self, variable: Any) -> bool:
        """Returns whether a variable is E y² - (E y)² for some y."""
        difference = self._maker(variable)
        if difference is None or difference.primitive.name != "sub":
            return False
        of_squares, of_mean = (self._same(one) for one in difference.invars)
        if not self.is_square(of_mean):
            return False
        squares, values = self._summed(of_squares), self._summed(self._same(self.made[of_mean].invars[0]))
        if squares is None or values is None or not self.is_square(squares[0]):
            return False
        return self._same(self.made[squares[0]].invars[0]) is values[0] and squares[1:] == values[1:]

    def _summed(self, variable: Any) -> tuple[Any, ...] | None:
        """Returns what a mean is computed from, its axes, and its divisor; None for anything but a mean."""
        division = self._maker(variable)
        if division is None or division.primitive.name not in ("div", "mul"):
            return None
        total = self._maker(self._same(division.invars[0]))
        if total is None or total.primitive.name != "reduce_sum":
            return None
        return self._same(total.invars[0]), total.params["axes"], self.fact(division.invars[1]).value

    def _same(self, variable: Any) -> Any:
        """Returns the variable of which this one is a copy, in another shape or type."""
        while (equation := self._maker(variable)) is not None:
            if equation.primitive.name not in _SAME_NUMBERS:
                break
            variable = equation.invars[0]
        return variable


def _numbers_of_scan(params: dict[str, Any]) -> tuple[int, int]:
    """Returns how many constants and how many carried values a scan has."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    constants, carried, _ = params["ft_in"].unpack()  # since JAX 0.11
    return len(constants), len(carried)


_REDUCTIONS = {"reduce", "reduce_window", "reduce_and", "reduce_or"}


def shape_of(variable: Any) -> tuple[int, ...]:
    return tuple(variable.aval.shape)


def is_floating(variable: Any) -> bool:
    return bool(jnp.issubdtype(variable.aval.dtype, jnp.floating))


def trace_of(closed: ClosedJaxpr, arguments: Iterable[Fact]) -> Trace:
    """Returns the trace of a function, from its closed jaxpr and the facts about its arguments."""
    return Trace(closed.jaxpr, list(arguments), closed.consts)


def _open(body: Any) -> Jaxpr:
    return body.jaxpr if isinstance(body, ClosedJaxpr) else body


def _of_closed(body: Any, arguments: Sequence[Fact]) -> Trace:
    return Trace(_open(body), arguments, body.consts if isinstance(body, ClosedJaxpr) else ())


def _loop(body: Any, inputs: list[Fact], constants: int, carried: int) -> Trace:
    """Returns the trace of a loop's body; the facts about carried values hold in every iteration."""
    while True:
        trace = _of_closed(body, inputs)
        carry = [
            Fact(a.of_x or b.of_x, a.jumps or b.jumps, a.nonnegative and b.nonnegative)
            for a, b in zip(inputs[constants : constants + carried], trace.results()[:carried], strict=True)
        ]
        after = [*inputs[:constants], *carry, *inputs[constants + carried :]]
        if after == inputs:
            return trace
        inputs = after


def _of_constant(value: Any) -> Fact:
    """Returns the facts about a constant; nothing is known about a traced one."""
    if (
        isinstance(value, jax.core.Tracer)
        or np.size(value) != 1
        or not jnp.issubdtype(jnp.result_type(value), jnp.number)
    ):
        return Fact()
    number = float(np.asarray(value).reshape(()))
    return Fact(nonnegative=number >= 0, value=number)
