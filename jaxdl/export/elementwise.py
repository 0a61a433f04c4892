"""Elementwise primitives of JAX as nodes of ONNX; one short function for each that needs several.

A rule is called with the graph, the equation of the jaxpr and its inputs as values. It returns the
output. Inputs may have size 1 along axes of equal numbers, and so may the output.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxdl.export.graph import Graph, Value

Rule = Callable[..., Any]


def _node(op: str) -> Rule:
    """Returns the rule of a primitive that is one operator of ONNX."""

    def rule(graph: Graph, eqn: Any, *inputs: Value) -> Value:
        return graph.elementwise(op, *inputs, dtype=eqn.outvars[0].aval.dtype)

    return rule


def _logical(op: str) -> Rule:
    """Returns the rule of an operator with one name for booleans and one for bits."""

    def rule(graph: Graph, eqn: Any, *inputs: Value) -> Value:
        prefix = "" if inputs[0].dtype == bool else "Bitwise"
        return graph.elementwise(prefix + op, *inputs)

    return rule


def _same(graph: Graph, eqn: Any, x: Value) -> Value:
    return x


def without_zero(inputs: Sequence[Value]) -> Value | None:
    """Returns the other term of a sum with the constant 0, or None.

    `match_varying_axes` adds zeros to all weights, which would then lose their names.
    """
    for zero, other in (inputs, inputs[::-1]):
        if zero.array is None or zero.array.size != 1 or zero.array.any():
            continue
        if zero.array.ndim <= len(other.shape):
            return other
    return None


def _add(graph: Graph, eqn: Any, x: Value, y: Value) -> Value:
    return without_zero([x, y]) or graph.elementwise("Add", x, y)


def _not_equal(graph: Graph, eqn: Any, x: Value, y: Value) -> Value:
    return graph.elementwise("Not", graph.elementwise("Equal", x, y, dtype=bool))


def _log1p(graph: Graph, eqn: Any, x: Value) -> Value:
    """Computes log(1 + x), by a series where the sum would lose the digits of x."""
    one = graph.like(x, 1)
    log = graph.elementwise("Log", graph.elementwise("Add", one, x))
    series = graph.like(x, -0.25)
    for coefficient in (1 / 3, -0.5, 1.0):
        product = graph.elementwise("Mul", series, x)
        series = graph.elementwise("Add", product, graph.like(x, coefficient))
    small = graph.elementwise("Less", _absolute(graph, x), graph.like(x, 1e-2), dtype=bool)
    return _where(graph, small, graph.elementwise("Mul", series, x), log)


def _expm1(graph: Graph, eqn: Any, x: Value) -> Value:
    """Computes exp(x) - 1, as 2 t / (1 - t) with t = tanh(x / 2) where it is small."""
    one = graph.like(x, 1)
    difference = graph.elementwise("Sub", graph.elementwise("Exp", x), one)
    t = graph.elementwise("Tanh", graph.elementwise("Mul", x, graph.like(x, 0.5)))
    twice = graph.elementwise("Add", t, t)
    quotient = graph.elementwise("Div", twice, graph.elementwise("Sub", one, t))
    small = graph.elementwise("Less", _absolute(graph, x), one, dtype=bool)
    return _where(graph, small, quotient, difference)


def _erfc(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.elementwise("Sub", graph.like(x, 1), graph.elementwise("Erf", x))


def _exp2(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.elementwise("Pow", graph.like(x, 2), x)


def _rsqrt(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.elementwise("Reciprocal", graph.elementwise("Sqrt", x))


def _cbrt(graph: Graph, eqn: Any, x: Value) -> Value:
    root = graph.elementwise("Pow", _absolute(graph, x), graph.like(x, 1 / 3))
    return graph.elementwise("Mul", graph.elementwise("Sign", x), root)


def _square(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.elementwise("Mul", x, x)


def _integer_pow(graph: Graph, eqn: Any, x: Value) -> Value:
    exponent = eqn.params["y"]
    if exponent == 2:
        return graph.elementwise("Mul", x, x)
    return graph.elementwise("Pow", x, graph.like(x, exponent))


def _remainder(graph: Graph, eqn: Any, x: Value, y: Value) -> Value:
    return graph.elementwise("Mod", x, y, fmod=1)


def _round(graph: Graph, eqn: Any, x: Value) -> Value:
    if int(eqn.params["rounding_method"]) == 1:
        return graph.elementwise("Round", x)  # halves to even numbers
    shifted = graph.elementwise("Add", _absolute(graph, x), graph.like(x, 0.5))
    return graph.elementwise(
        "Mul", graph.elementwise("Sign", x), graph.elementwise("Floor", shifted)
    )


def _is_finite(graph: Graph, eqn: Any, x: Value) -> Value:
    bad = [graph.elementwise(op, x, dtype=bool) for op in ("IsNaN", "IsInf")]
    return graph.elementwise("Not", graph.elementwise("Or", *bad))


def _clamp(graph: Graph, eqn: Any, low: Value, x: Value, high: Value) -> Value:
    return graph.elementwise("Min", graph.elementwise("Max", x, low), high)


def _select(graph: Graph, eqn: Any, which: Value, *cases: Value) -> Value:
    if which.dtype == bool:
        return _where(graph, which, *cases[::-1])
    result = cases[-1]
    for i in reversed(range(len(cases) - 1)):
        chosen = graph.elementwise("Equal", which, graph.like(which, i), dtype=bool)
        result = _where(graph, chosen, cases[i], result)
    return result


def _where(graph: Graph, mask: Value, x: Value, y: Value) -> Value:
    """Returns x where a mask is True, else y."""
    if x.dtype != bool:
        return graph.elementwise("Where", mask, x, y, dtype=x.dtype)
    both = graph.elementwise("And", mask, x)
    rest = graph.elementwise("And", graph.elementwise("Not", mask), y)
    return graph.elementwise("Or", both, rest)


def _convert(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.cast(x, eqn.params["new_dtype"])


def _absolute(graph: Graph, x: Value) -> Value:
    return graph.elementwise("Abs", x)


_ONE_NODE = {
    **{"sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "neg": "Neg"},
    **{"exp": "Exp", "log": "Log", "tanh": "Tanh", "logistic": "Sigmoid", "erf": "Erf"},
    **{"sqrt": "Sqrt", "pow": "Pow", "abs": "Abs", "sign": "Sign"},
    **{"floor": "Floor", "ceil": "Ceil", "sin": "Sin", "cos": "Cos", "tan": "Tan"},
    **{"asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh"},
    **{"asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "eq": "Equal", "gt": "Greater"},
    **{"ge": "GreaterOrEqual", "lt": "Less", "le": "LessOrEqual"},
}

#: Rules by name of the primitive.
ELEMENTWISE: Mapping[str, Rule] = {
    **{name: _node(op) for name, op in _ONE_NODE.items()},
    **{name: _logical(name.capitalize()) for name in ("and", "or", "xor", "not")},
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "reduce_precision", "pvary"), _same),
    "add": _add,
    "add_any": _add,
    "ne": _not_equal,
    "log1p": _log1p,
    "expm1": _expm1,
    "erfc": _erfc,
    "exp2": _exp2,
    "rsqrt": _rsqrt,
    "cbrt": _cbrt,
    "square": _square,
    "integer_pow": _integer_pow,
    "rem": _remainder,
    "round": _round,
    "is_finite": _is_finite,
    "clamp": _clamp,
    "select_n": _select,
    "convert_element_type": _convert,
}
