"""Writes a function as a program for a browser: its JAX equations and constants, evaluated by explorer/program.js."""

import base64
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.extend.core as jex
import numpy as np

from aejax.errors import UserError

_CALLS = {  # primitives that call another list of equations, and the parameter that holds it
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
_MAX_FOLDED_GROWTH = 10_000  # values that a broadcast of a constant may have and still be stored


def _integers(values: Sequence[Any]) -> list[int]:
    return [int(value) for value in values]


def _convolution(params: dict[str, Any]) -> dict[str, Any]:
    if params["batch_group_count"] != 1:
        raise _UnknownError("conv_general_dilated with batch groups")
    numbers = params["dimension_numbers"]
    return {
        "strides": _integers(params["window_strides"]),
        "padding": [_integers(pair) for pair in params["padding"]],
        "lhsDilation": _integers(params["lhs_dilation"]),
        "rhsDilation": _integers(params["rhs_dilation"]),
        "specs": [_integers(spec) for spec in (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)],
        "groups": params["feature_group_count"],
    }


def _gather(params: dict[str, Any]) -> dict[str, Any]:
    numbers = params["dimension_numbers"]
    fill = params["fill_value"]
    return {
        "windowAxes": _integers(numbers.offset_dims),
        "collapsed": _integers(numbers.collapsed_slice_dims),
        "map": _integers(numbers.start_index_map),
        "operandBatch": _integers(numbers.operand_batching_dims),
        "indicesBatch": _integers(numbers.start_indices_batching_dims),
        "sizes": _integers(params["slice_sizes"]),
        "clip": params["mode"] == jax.lax.GatherScatterMode.CLIP,
        "fill": 0 if fill is None else fill,
    }


def _scatter(params: dict[str, Any]) -> dict[str, Any]:
    numbers = params["dimension_numbers"]
    return {
        "windowAxes": _integers(numbers.update_window_dims),
        "collapsed": _integers(numbers.inserted_window_dims),
        "map": _integers(numbers.scatter_dims_to_operand_dims),
        "operandBatch": _integers(numbers.operand_batching_dims),
        "indicesBatch": _integers(numbers.scatter_indices_batching_dims),
        "clip": params["mode"] == jax.lax.GatherScatterMode.CLIP,
    }


def _dot(params: dict[str, Any]) -> dict[str, Any]:
    contract, batch = params["dimension_numbers"]
    return {"contract": [_integers(axes) for axes in contract], "batch": [_integers(axes) for axes in batch]}


def _nothing(params: dict[str, Any]) -> dict[str, Any]:
    return {}


def _axes(params: dict[str, Any]) -> dict[str, Any]:
    return {"axes": _integers(params["axes"])}


def _axis(params: dict[str, Any]) -> dict[str, Any]:
    return {"axis": int(params["axis"])}


_ELEMENTWISE = (
    *("abs", "add", "add_any", "and", "atan2", "cbrt", "ceil", "clamp", "convert_element_type"),
    *("copy", "copy_p", "cos", "div", "eq", "erf", "erfc", "exp", "exp2"),
    *("expand_dims", "expm1", "floor", "ge", "gt", "is_finite", "le", "log", "log1p"),
    *("logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "one_minus_square", "or"),
    *("pow", "reduce_precision", "rem", "reshape", "rsqrt", "select_n", "sign", "sin"),
    *("sqrt", "square", "squeeze", "stop_gradient", "sub", "tan", "tanh", "xor"),
)
_REDUCTIONS = ("reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod", "reduce_sum")
# what program.js evaluates: the primitive, and its parameters as JSON
PRIMITIVES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **dict.fromkeys(_ELEMENTWISE, _nothing),
    **dict.fromkeys(_REDUCTIONS, _axes),
    "argmax": _axes,
    "broadcast_in_dim": lambda params: {"axes": _integers(params["broadcast_dimensions"])},
    "concatenate": lambda params: {"axis": int(params["dimension"])},
    "conv_general_dilated": _convolution,
    "cumsum": lambda params: {"axis": int(params["axis"]), "reverse": bool(params["reverse"])},
    "dot_general": _dot,
    "gather": _gather,
    "integer_pow": lambda params: {"y": int(params["y"])},
    "pad": lambda params: {"config": [_integers(each) for each in params["padding_config"]]},
    "rev": lambda params: {"axes": _integers(params["dimensions"])},
    "round": lambda params: {"isEven": params["rounding_method"] == jax.lax.RoundingMethod.TO_NEAREST_EVEN},
    "scatter": _scatter,
    "scatter-add": _scatter,
    "slice": lambda params: {
        "starts": _integers(params["start_indices"]),
        "steps": _integers(params["strides"] or [1] * len(params["start_indices"])),
    },
    "split": _axis,
    "stack": _axis,
    "top_k": lambda params: {"k": int(params["k"]), "axis": int(params["axis"])},
    "transpose": lambda params: {"permutation": _integers(params["permutation"])},
    "unstack": _axis,
}


class _UnknownError(Exception):
    """A primitive that a browser does not evaluate."""


class Constants:
    """The arrays that several programs share; equal ones are stored once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._places: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def add(self, array: np.ndarray) -> int:
        """Returns the place of an array among the constants."""
        array = _as_stored(array)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._places:
            self._places[key] = len(self.rows)
            self.rows.append(as_constant(array))
        return self._places[key]


def as_constant(array: np.ndarray) -> dict[str, Any]:
    """Returns an array as JSON: its dtype, its shape, and its values in base64, or one value if all are equal.

    >>> as_constant(np.zeros((2, 3), np.float32))
    {'dtype': 'float32', 'shape': [2, 3], 'fill': 0.0}
    >>> as_constant(np.array([1, 2], np.int32))["data"]
    'AQAAAAIAAAA='
    """
    described = {"dtype": array.dtype.name, "shape": list(array.shape)}
    if array.size and np.isfinite(array.flat[0]) and np.all(array == array.flat[0]):
        return {**described, "fill": array.flat[0].item()}
    little = array.astype(array.dtype.newbyteorder("<"))
    return {**described, "data": base64.b64encode(little.tobytes()).decode()}


def _as_stored(array: np.ndarray) -> np.ndarray:
    """Returns the array in a dtype of the page: booleans, bytes, int32 or float32."""
    if array.dtype in (np.bool_, np.uint8):
        return array
    return array.astype(np.int32 if array.dtype.kind in "iu" else np.float32)


class _Value(NamedTuple):
    """A value that is computed in the browser, by its place in the program."""

    place: int


def as_program(function: Callable[..., Any], examples: Sequence[Any], constants: Constants, *, name: str) -> dict:
    """Returns the program of a function: what can be computed without its inputs is computed here.

    Args:
      function: from arrays to one array or a tuple of arrays.
      examples: arrays of the shape and dtype of its arguments.
      constants: where the arrays that the program uses are added.
      name: what the error message calls the function.

    Returns:
      The program as JSON. values: a dtype and a shape and, of a constant, its place among `constants`; inputs and
      outputs: places among the values; equations: the primitive, the places of its operands and results, parameters.

    Raises:
      UserError: the function computes with an operation that the page does not know.

    >>> program = as_program(lambda x: 2 * x + 1, [np.ones(3, np.float32)], Constants(), name="line")
    >>> [primitive for primitive, *_ in program["equations"]], program["inputs"], len(program["outputs"])
    (['mul', 'add'], [0], 1)
    """
    closed = jax.make_jaxpr(function)(*examples)
    values: list[tuple[str, tuple[int, ...], np.ndarray | None]] = []  # dtype, shape, and the array of a constant
    equations: list[list[Any]] = []
    places: dict[int, int] = {}

    def new(dtype: Any, shape: tuple[int, ...], array: np.ndarray | None = None) -> _Value:
        values.append(("float32" if dtype == jax.numpy.bfloat16 else np.dtype(dtype).name, shape, array))
        return _Value(len(values) - 1)

    def place_of(operand: Any) -> int:
        if isinstance(operand, _Value):
            return operand.place
        if id(operand) not in places:
            array = _as_stored(np.asarray(operand))
            kept.append(operand)  # so that its id is not used again
            places[id(operand)] = new(array.dtype, array.shape, array).place
        return places[id(operand)]

    kept: list[Any] = []

    def walk(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
        known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *operands], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, jex.Literal) else known[atom]

        for equation in jaxpr.eqns:
            primitive, inputs = equation.primitive.name, [read(atom) for atom in equation.invars]
            if primitive in _CALLS:
                inner = equation.params[_CALLS[primitive]]
                results = walk(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs)
            elif primitive == "optimization_barrier":
                results = inputs
            elif _can_fold(equation, inputs):
                made = equation.primitive.bind(*inputs, **equation.params)
                results = list(made) if equation.primitive.multiple_results else [made]
            else:
                if primitive not in PRIMITIVES:
                    raise _UnknownError(primitive)
                outputs = [new(out.aval.dtype, out.aval.shape) for out in equation.outvars]
                params = PRIMITIVES[primitive](equation.params)
                equations.append([primitive, [place_of(each) for each in inputs], [o.place for o in outputs], params])
                results = cast(list[Any], outputs)
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    operands = [new(atom.aval.dtype, atom.aval.shape) for atom in closed.jaxpr.invars]
    try:
        results = walk(closed.jaxpr, closed.consts, operands)
    except _UnknownError as unknown:
        raise UserError(f"{name} computes with {unknown}, which a page cannot compute") from unknown
    outputs = [place_of(result) for result in results]
    inputs = [operand.place for operand in operands]
    equations = _used(equations, outputs)
    used = sorted({*inputs, *outputs, *(place for each in equations for place in (*each[1], *each[2]))})
    rank = {place: number for number, place in enumerate(used)}
    rows = [values[place] for place in used]
    return {
        "values": [[dtype, [*shape], *([] if a is None else [constants.add(a)])] for dtype, shape, a in rows],
        "inputs": [rank[place] for place in inputs],
        "outputs": [rank[place] for place in outputs],
        "equations": [[name, [rank[i] for i in ins], [rank[o] for o in outs], p] for name, ins, outs, p in equations],
    }


def _can_fold(equation: Any, inputs: Sequence[Any]) -> bool:
    """Returns whether an equation can be computed here, and its result is not much larger than its operands."""
    if any(isinstance(each, _Value) for each in inputs):
        return False
    if equation.primitive.name != "broadcast_in_dim" or np.size(inputs[0]) == 1:
        return True
    return equation.outvars[0].aval.size <= max(np.size(inputs[0]), _MAX_FOLDED_GROWTH)


def _used(equations: list[list[Any]], outputs: Sequence[int]) -> list[list[Any]]:
    """Returns the equations that the outputs depend on, in order."""
    needed, used = set(outputs), []
    for equation in reversed(equations):
        if needed.intersection(equation[2]):
            needed.update(equation[1])
            used.append(equation)
    return used[::-1]
