"""The equations of a jaxpr as nodes of an ONNX graph: calls, branches, loops and all primitives."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from jaxdl.export.elementwise import ELEMENTWISE, Rule, without_zero
from jaxdl.export.graph import DTYPES, Graph, Value, constant, joint_shape, used_nodes
from jaxdl.export.shapes import SHAPES
from jaxdl.export.sums import SUMS

#: Primitives that call a function, with the parameter that holds it.
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vmap_call": "call",
}

#: Primitives whose rules compute constants, which keep their names.
_OF_CONSTANTS = ("gather", "reshape", "squeeze", "transpose")


def convert(graph: Graph, function: Any, inputs: Sequence[Value]) -> list[Value]:
    """Adds the nodes of a function to a graph.

    Args:
      graph: the graph.
      function: a jaxpr, with or without its constants.
      inputs: one value for each input.

    Returns:
      One value for each output. They may have size 1 along axes of equal numbers.

    Raises:
      InputError: a primitive, dtype or shape that ONNX does not have.
    """
    jaxpr = function
    values: dict[Any, Value] = {}
    if isinstance(function, ClosedJaxpr):
        jaxpr = function.jaxpr
        values |= {v: constant(x) for v, x in zip(jaxpr.constvars, function.consts, strict=True)}
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom: Any) -> Value:
        if isinstance(atom, Literal):
            aval: Any = atom.aval
            return constant(np.asarray(atom.val, aval.dtype))
        return values[atom]

    outside = graph.layer
    for eqn in _used_equations(jaxpr):
        graph.layer = "/".join(filter(None, [outside, str(eqn.source_info.name_stack)]))
        outputs = _equation(graph, eqn, [read(atom) for atom in eqn.invars])
        values |= dict(zip(eqn.outvars, outputs, strict=True))
    graph.layer = outside
    return [read(atom) for atom in jaxpr.outvars]


def _used_equations(jaxpr: Any) -> list[Any]:
    """Returns the equations that outputs depend on; Linen's cells derive keys that none reads."""
    needed = {id(v) for v in jaxpr.outvars}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if needed.isdisjoint(map(id, eqn.outvars)):
            continue
        kept.append(eqn)
        needed |= {id(v) for v in eqn.invars}
    return kept[::-1]


def _equation(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    """Returns the outputs of one equation."""
    name = eqn.primitive.name
    if name in _CONTROL:
        return _CONTROL[name](graph, eqn, inputs)
    if name not in ELEMENTWISE and name not in _RULES:
        raise graph.refused(f"the primitive {name}", "the primitives of docs/export.md")
    _check_dtypes(graph, eqn)
    if name in ELEMENTWISE:
        same = name == "add" and without_zero(inputs) is not None
        if all(x.array is not None for x in inputs) and not same:
            return _evaluate(eqn, inputs, joint_shape(x.shape for x in inputs))
        return [ELEMENTWISE[name](graph, eqn, *inputs)]
    if name != "broadcast_in_dim":
        inputs = [
            graph.full(x, atom.aval.shape) for x, atom in zip(inputs, eqn.invars, strict=True)
        ]
        constants = bool(inputs) and all(x.array is not None for x in inputs)
        if constants and name not in _OF_CONSTANTS:
            return _evaluate(eqn, inputs, None)
    outputs = _RULES[name](graph, eqn, *inputs)
    if isinstance(outputs, Value):
        return [outputs]
    return outputs


def _check_dtypes(graph: Graph, eqn: Any) -> None:
    for v in eqn.outvars:
        if str(v.aval.dtype) not in DTYPES:
            allowed = "float32: build the model with dtype=None; its parameters are float32"
            raise graph.refused(f"the dtype {v.aval.dtype}", allowed)


def _evaluate(eqn: Any, inputs: list[Value], shape: Any) -> list[Value]:
    """Computes an equation of constants, after broadcasting them to a shape, if there is one."""
    arrays = [x.array for x in inputs]
    if shape is not None:
        arrays = [np.broadcast_to(x, shape) for x in arrays]  # type: ignore[arg-type]
    with jax.ensure_compile_time_eval():
        outputs = eqn.primitive.bind(*map(jax.numpy.asarray, arrays), **eqn.params)
    if not eqn.primitive.multiple_results:
        outputs = [outputs]
    return [constant(np.asarray(y)) for y in outputs]


def _call(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    return convert(graph, eqn.params[_CALLS[eqn.primitive.name]], inputs)


def _barrier(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    return inputs


def _platform_index(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    """Chooses the branch for other platforms, which has no routine for a single one."""
    platforms = eqn.params["platforms"]
    index = next((i for i, names in enumerate(platforms) if names is None), 0)
    return [constant(np.int32(index))]


def _branch(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    index, *operands = inputs
    if index.array is None:
        raise graph.refused("a branch that depends on the inputs", "jnp.where")
    branches = eqn.params["branches"]
    return convert(graph, branches[int(np.clip(index.array, 0, len(branches) - 1))], operands)


def _scan(graph: Graph, eqn: Any, inputs: list[Value]) -> list[Value]:
    """Adds a loop over the first axis; its body reads constants from the graph around it."""
    from onnx import helper

    p = eqn.params
    invars = p["jaxpr"].jaxpr.invars
    outvars = p["jaxpr"].jaxpr.outvars
    first, carries = _loop_counts(p)
    shapes = [v.aval.shape for v in eqn.invars]
    arrays = [graph.full(x, shape) for x, shape in zip(inputs[first:], shapes[first:], strict=True)]
    body = graph.body()
    parts = [
        Value(v.aval.shape, v.aval.dtype, graph.fresh(f"{body.layer}/loop".lstrip("/")))
        for v in invars[first:]
    ]
    results = convert(body, p["jaxpr"], [*inputs[:first], *parts])
    # An output of a body is a value of this body.
    outputs = [
        body.node("Identity", [body.full(x, v.aval.shape)], v.aval.shape, v.aval.dtype)
        for x, v in zip(results, outvars, strict=True)
    ]
    if len(arrays) == carries:
        arrays.append(constant(np.arange(p["length"], dtype=np.int64)))
        parts.append(Value((), np.dtype(np.int64), graph.fresh("loop/step")))
    nodes, _ = used_nodes(body.nodes, [x.name for x in outputs])
    subgraph = helper.make_graph(
        nodes, "loop", [described(x) for x in parts], [described(x) for x in outputs]
    )
    scanned = len(arrays) - carries
    direction = int(p["reverse"])
    directions = {"scan_input_directions": [direction] * scanned}
    if len(outputs) > carries:
        directions["scan_output_directions"] = [direction] * (len(outputs) - carries)
    return graph.node_of_many(
        "Scan",
        arrays,
        [(v.aval.shape, v.aval.dtype) for v in eqn.outvars],
        body=subgraph,
        num_scan_inputs=scanned,
        **directions,
    )


def _loop_counts(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the number of constants and of carries of a scan."""
    if "ft_in" not in parameters:
        return parameters["num_consts"], parameters["num_carry"]
    # JAX 0.12 has the inputs in groups: constants, carries, and arrays with steps.
    constants, carries, _ = parameters["ft_in"].unpack()
    return len(constants), len(carries)


def described(value: Value) -> Any:
    """Returns the name, dtype and shape of a value as a protocol buffer."""
    from onnx import helper

    sizes = [size if isinstance(size, int) else str(size) for size in value.shape]
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return helper.make_tensor_value_info(value.name, dtype, sizes)


_CONTROL: Mapping[str, Any] = {
    **dict.fromkeys(_CALLS, _call),
    "cond": _branch,
    "optimization_barrier": _barrier,
    "platform_index": _platform_index,
    "scan": _scan,
}

_RULES: Mapping[str, Rule] = {**SHAPES, **SUMS}

#: Names of the primitives that can be exported.
PRIMITIVES = tuple(sorted({*ELEMENTWISE, *_RULES, *_CONTROL}))
