"""Operations of a jaxpr: their names as a lecture writes them, and their values."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

#: Primitives that call a function without a gradient rule, with the parameter that holds it.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}

#: Names of primitives; others have their own name.
_NAMES = {
    "add": "+",
    "add_any": "+",
    "sub": "−",
    "mul": "*",
    "div": "/",
    "neg": "*−1",
    "dot_general": "@",
    "logistic": "sigmoid",
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "square": "x²",
    "rsqrt": "1/√x",
    "sqrt": "√x",
    "abs": "|x|",
    "transpose": "T",
    "broadcast_in_dim": "broadcast",
    "select_n": "where",
    "convert_element_type": "convert",
    "pow": "^",
}

#: Names of primitives of two operands, the first or the second of which is the number c.
_FIRST = {
    "add": "+{c}",
    "sub": "{c}−x",
    "mul": "*{c}",
    "div": "{c}/x",
    "max": "max({c}, x)",
    "min": "min({c}, x)",
    "pow": "{c}^x",
}
_SECOND = {**_FIRST, "sub": "−{c}", "div": "/{c}", "pow": "x^{c}"}


def operation_name(equation: Any, constants: Sequence[Any]) -> str:
    """Returns the name of an operation.

    Args:
      equation: an equation of a jaxpr.
      constants: for each operand a constant, or None for an operand that is a node.

    Returns:
      A short name, such as `*`, `+1` or `1/x`.

    Example:
      >>> import jax.numpy as jnp
      >>> equations = jax.make_jaxpr(lambda x, y: 1 / (x * y + 2))(1.0, 1.0).eqns
      >>> [operation_name(equations[0], [None, None]), operation_name(equations[1], [None, 2.0])]
      ['*', '+2']
    """
    name = equation.primitive.name
    if name == "integer_pow":
        return _power(equation.params["y"])
    if name in ("custom_jvp_call", "custom_vjp_call"):
        return _called(equation.params)
    numbers = [_number(each) for each in constants]
    if len(numbers) == 2 and numbers != [None, None] and name in _FIRST:
        if numbers[0] is not None:
            return _FIRST[name].format(c=numbers[0])
        return _signed(_SECOND[name].format(c=numbers[1]))
    return _NAMES.get(name, name.replace("_", " "))


def _power(exponent: int) -> str:
    """Returns the name of an integer power."""
    return {2: "x²", 3: "x³", -1: "1/x"}.get(exponent, f"x^{exponent}")


def _called(params: Any) -> str:
    """Returns the name of a function that has a gradient rule."""
    inner = params.get("call_jaxpr")
    name = params.get("name") or getattr(getattr(inner, "jaxpr", None), "debug_info", None)
    return str(getattr(name, "func_name", name) or "function")


def _number(constant: Any) -> str | None:
    """Returns a constant as text if all its entries are equal."""
    if constant is None:
        return None
    values = np.asarray(constant)
    if not values.size or (values != values.flat[0]).any():
        return "c"
    return f"{float(values.flat[0]):.3g}".replace("-", "−")


def _signed(name: str) -> str:
    """Returns a sum with a negative number with one sign."""
    return name.replace("+−", "−").replace("−−", "+")


def apply(equation: Any, values: Sequence[Any]) -> list[jax.Array]:
    """Returns the outputs of one operation, which can be differentiated.

    Args:
      equation: an equation of a jaxpr.
      values: an array for each operand.

    Returns:
      An array for each output.

    Example:
      >>> import jax.numpy as jnp
      >>> equation = jax.make_jaxpr(jnp.sin)(1.0).eqns[0]
      >>> [round(float(each), 3) for each in apply(equation, [jnp.array(1.0)])]
      [0.841]
    """
    primitive = equation.primitive
    outputs = primitive.bind(*values, **primitive.get_bind_params(equation.params))
    if primitive.multiple_results:
        return list(outputs)
    return [outputs]
