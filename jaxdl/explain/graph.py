"""Backpropagation on a graph: values forward and gradients back, node by node.

Each node has its own reverse rule, `jax.vjp` of one operation, so that every step can be shown.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jax.extend.core import Literal as Number

from jaxdl.errors import InputError, at_least, in_jax, of_kind, real_array
from jaxdl.explain.operations import CALLS, apply, operation_name

#: Direction of a step.
Direction = Literal["forward", "backward"]


class Node(NamedTuple):
    """One value of a computation.

    Attributes:
      id: position among the nodes.
      name: name of an argument, or operation, such as `*`, `+1`, `exp` or `1/x`.
      value: the value, of any shape.
      gradient: derivative of the output with respect to the value, of its shape.
      parents: ids of the operands, in their order. It is empty for an argument.

    Example: see `computation_graph`.
    """

    id: int
    name: str
    value: np.ndarray
    gradient: np.ndarray
    parents: tuple[int, ...]


class Graph(NamedTuple):
    """A computation as nodes, each of them after its parents.

    Attributes:
      nodes: all nodes; the arguments are first.
      output: id of the output.
      steps: pairs of a node and its direction. Each node goes forward once, and in the opposite
        order backward once. A node goes backward after all nodes that use its value.

    Example: see `computation_graph`.
    """

    nodes: tuple[Node, ...]
    output: int
    steps: tuple[tuple[int, Direction], ...]


class _Operation(NamedTuple):
    """A value before its gradient is known; an argument has no function."""

    name: str
    value: Any
    parents: tuple[int, ...]
    function: Callable[..., Any] | None


class _Builder:
    """Operations in the order in which they are computed."""

    def __init__(self, limit: int):
        self.operations: list[_Operation] = []
        self.limit = limit

    def add(self, operation: _Operation) -> int:
        """Adds an operation, and returns its id."""
        if len(self.operations) == self.limit:
            allowed = f"a function of at most {self.limit} nodes; or pass a larger limit"
            raise InputError("f", "more nodes", allowed)
        self.operations.append(operation)
        return len(self.operations) - 1


class _Constant(NamedTuple):
    """A number or array that no argument changes."""

    value: Any


def computation_graph(
    f: Callable[..., Any], *args: Any, names: Sequence[str] | None = None, limit: int = 60
) -> Graph:
    """Returns a small function as a graph with the value and the gradient of every node.

        forward     v_i = f_i(v_parents)
        backward    dL/dv_j = sum over the nodes i that use v_j of  (dv_i/dv_j)^T dL/dv_i

    The graph is that of the jaxpr of `f`. A node whose value is used several times adds up the
    gradients of all uses. Calls, such as those of `jax.jit`, are replaced by what they compute.
    A function with a custom gradient rule, such as `jax.nn.relu`, is one node. A constant number
    is a part of the name of its operation, such as `+1`.

    Args:
      f: a function of numbers and small arrays with one number as result.
      *args: its arguments, real numbers, arrays, or trees of them. Integers and Booleans become
        floats.
      names: a name for each argument. None means the names of the parameters of `f`.
      limit: largest number of nodes.

    Returns:
      The graph. Its gradients are those of `jax.grad`.

    Raises:
      InputError: more nodes than `limit`, a result that is not one real number or that depends on
        no argument, another number of names, or an operation without a gradient, such as one of
        NumPy.

    Source: Stanford CS231n, Backpropagation, intuitions; Karpathy (2020), micrograd.

    Example:
      >>> graph = computation_graph(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0)
      >>> for node in graph.nodes:
      ...     print(node.id, node.name, node.value, node.gradient, node.parents)
      0 x -2.0 -4.0 ()
      1 y 5.0 -4.0 ()
      2 z -4.0 3.0 ()
      3 + 3.0 -4.0 (0, 1)
      4 * -12.0 1.0 (3, 2)
      >>> graph.steps[:2], graph.steps[-1]
      (((0, 'forward'), (1, 'forward')), (0, 'backward'))
    """
    at_least("limit", limit, 1)
    if not callable(f):
        raise InputError("f", f, "a function, such as lambda x, y: x * y")
    arrays = [jax.tree.map(_real, each) for each in args]
    builder = _Builder(limit)
    inputs = [
        builder.add(_Operation(name, value, (), None))
        for name, value in zip(_names(f, arrays, names), jax.tree.leaves(arrays), strict=True)
    ]
    output = _trace(builder, _jaxpr(f, arrays), inputs)
    nodes = _with_gradients(builder.operations, len(inputs), output)
    forward: list[tuple[int, Direction]] = [(node.id, "forward") for node in nodes]
    backward: list[tuple[int, Direction]] = [(node.id, "backward") for node in reversed(nodes)]
    # A result that is an argument stands before other arguments.
    number = min(output, len(nodes) - 1)
    return Graph(nodes, number, (*forward, *backward))


def _real(value: Any) -> Any:
    """Returns an argument as an array of real numbers."""
    allowed = "real numbers, arrays, or trees of them"
    array = real_array("args", value, allowed)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(float)
    return array


def _names(f: Callable[..., Any], args: Sequence[Any], names: Sequence[str] | None) -> list[str]:
    """Returns a name for each array of the arguments."""
    if names is None:
        try:
            signature = inspect.signature(f)
        except ValueError:
            # Some functions of other libraries have no signature.
            signature = inspect.signature(lambda *args: None)
        try:
            parameters = list(signature.bind(*args).arguments.items())
        except TypeError as error:
            raise InputError("args", str(error), "the arguments of f") from None
        names = []
        for name, value in parameters:
            is_variadic = isinstance(value, tuple) and len(parameters) < len(args)
            names += [f"{name}{i}" for i in range(len(value))] if is_variadic else [name]
    of_kind("names", names, Sequence, "a list of names, one for each argument")
    if len(names) != len(args):
        raise InputError("names", list(names), f"{len(args)} names, one for each argument")
    found = []
    for name, value in zip(names, args, strict=True):
        for path, _ in jax.tree_util.tree_leaves_with_path(value):
            inside = jax.tree_util.keystr(path, simple=True, separator="/")
            found.append("/".join(filter(None, [name, inside])))
    return found


def _jaxpr(f: Callable[..., Any], args: Sequence[Any]) -> ClosedJaxpr:
    """Returns the jaxpr of a function with one real number as result."""
    with in_jax("f"):
        jaxpr = jax.make_jaxpr(f)(*args)
    if len(jaxpr.out_avals) != 1 or not _is_real(jaxpr.out_avals[0]):
        shown = ", ".join(each.str_short() for each in jaxpr.out_avals)
        raise InputError("f", shown, "a function with one real number as result, such as a loss")
    return jaxpr


def _is_real(kind: Any) -> bool:
    """Returns True for the type of one real number."""
    return kind.shape == () and bool(jnp.issubdtype(kind.dtype, jnp.floating))


def _trace(builder: _Builder, closed: ClosedJaxpr, inputs: Sequence[int]) -> int:
    """Adds the operations of a function, and returns the id of its output."""
    output = _run(builder, closed.jaxpr, closed.consts, inputs)[0]
    if isinstance(output, _Constant):
        raise InputError("f", "a constant", "a function whose result depends on an argument")
    return output


def _run(builder: _Builder, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Adds the operations of a jaxpr, and returns ids or constants of its outputs."""
    known: dict[Any, Any] = dict(zip(jaxpr.invars, inputs, strict=True))
    known |= {v: _Constant(x) for v, x in zip(jaxpr.constvars, consts, strict=True)}

    def read(atom: Any) -> Any:
        if isinstance(atom, Number):
            kind: Any = atom.aval
            return _Constant(jnp.asarray(atom.val, kind.dtype))
        return known[atom]

    for equation in _used(jaxpr):
        operands = [read(atom) for atom in equation.invars]
        inner = equation.params.get(CALLS.get(equation.primitive.name, ""))
        if inner is not None:
            is_closed = isinstance(inner, ClosedJaxpr)
            body = inner.jaxpr if is_closed else inner
            outputs = _run(builder, body, inner.consts if is_closed else (), operands)
        else:
            outputs = _add(builder, equation, operands)
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _used(jaxpr: Any) -> list[Any]:
    """Returns the equations that the outputs depend on."""
    needed = {atom for atom in jaxpr.outvars if not isinstance(atom, Number)}
    found = []
    for equation in reversed(jaxpr.eqns):
        if needed.isdisjoint(equation.outvars):
            continue
        found.append(equation)
        needed |= {atom for atom in equation.invars if not isinstance(atom, Number)}
    return found[::-1]


def _add(builder: _Builder, equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Adds one operation, with a node for each of its outputs."""
    parents = tuple(each for each in operands if not isinstance(each, _Constant))
    constants = [each.value if isinstance(each, _Constant) else None for each in operands]
    values = [
        each.value if isinstance(each, _Constant) else builder.operations[each].value
        for each in operands
    ]
    outputs = apply(equation, values)
    if not parents:
        return [_Constant(each) for each in outputs]
    is_same = equation.primitive.name in ("convert_element_type", "copy", "copy_p")
    if is_same and outputs[0].dtype == values[0].dtype:
        return [parents[0]]
    name = operation_name(equation, constants)

    def function(i: int) -> Callable[..., Any]:
        def compute(*variable: Any) -> Any:
            given = iter(variable)
            filled = [next(given) if each is None else each for each in constants]
            return apply(equation, filled)[i]

        return compute

    return [
        builder.add(_Operation(name, value, parents, function(i)))
        for i, value in enumerate(outputs)
    ]


def _with_gradients(operations: Sequence[_Operation], inputs: int, output: int) -> tuple[Node, ...]:
    """Returns the arguments and the nodes before the output, with their gradients.

    Args:
      operations: all operations.
      inputs: number of arguments.
      output: id of the output.
    """
    kept = set(range(inputs)) | {output}
    for i in range(output, inputs - 1, -1):
        if i in kept:
            kept |= set(operations[i].parents)
    gradients: dict[int, Any] = {i: jnp.zeros_like(operations[i].value) for i in kept}
    gradients[output] = jnp.ones_like(operations[output].value)
    for i in sorted(kept, reverse=True):
        _backward(operations, i, gradients)
    number = {old: new for new, old in enumerate(sorted(kept))}
    return tuple(
        Node(
            number[i],
            operations[i].name,
            np.asarray(operations[i].value),
            np.asarray(gradients[i]),
            tuple(number[parent] for parent in operations[i].parents),
        )
        for i in sorted(kept)
    )


def _backward(operations: Sequence[_Operation], i: int, gradients: dict[int, Any]) -> None:
    """Adds the gradient of one node, times the node's derivatives, to its parents' gradients."""
    _, value, parents, function = operations[i]
    if function is None or not jnp.issubdtype(value.dtype, jnp.floating):
        return
    try:
        _, pull = jax.vjp(function, *(operations[parent].value for parent in parents))
        parts = pull(gradients[i])
    except (NotImplementedError, ValueError) as error:
        allowed = "operations with a gradient in reverse mode"
        raise InputError("f", f"{operations[i].name}: {error}", allowed) from None
    for parent, part in zip(parents, parts, strict=True):
        if part.dtype != jax.dtypes.float0:
            gradients[parent] = gradients[parent] + part
