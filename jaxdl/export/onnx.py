"""A trained network as an ONNX model, for runtimes without Python or JAX."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from jaxdl.errors import InputError, at_least
from jaxdl.export.convert import convert, described
from jaxdl.export.graph import Graph, Value, constant, used_nodes
from jaxdl.export.inputs import any_batch_size, batch_specs, input_names, require
from jaxdl.version import __version__

#: Version of the operators. From this one on, all reductions take their axes as an input.
OPSET = 18


def to_onnx(f: Callable[..., Any], *examples: Any, opset: int = OPSET) -> bytes:
    """Returns a function with its weights as an ONNX model for any batch size.

    The inputs have the names of the function's arguments, such as "inputs" and "lengths". An array
    as output is called "output". The arrays of a tuple are "output_0", "output_1" and so on, and
    those of a dictionary have its keys as names.

    Args:
      f: a function of arrays, such as `bind(task.predict, state)`. Its arrays become constants.
      *examples: one array `[B, ...]` for each input; only shape and dtype matter, and B does not.
      opset: version of the operators, at least 18.

    Returns:
      The model, to be written to a file.

    Raises:
      InputError: a missing package, an opset out of range, an example that is not an array, or a
        part of the function that ONNX cannot compute; the message names its layer.

    Example:
      >>> import jax.numpy as jnp
      >>> model = to_onnx(lambda x: jnp.tanh(x) @ jnp.ones((3, 2)), jnp.zeros((1, 3)))
      >>> import onnx
      >>> [node.op_type for node in onnx.load_from_string(model).graph.node]
      ['Tanh', 'MatMul', 'Identity']
    """
    require("onnx")
    from onnx import checker, defs, helper

    at_least("opset", opset, OPSET)
    if opset > defs.onnx_opset_version():
        allowed = f"at most {defs.onnx_opset_version()}, the last one of the package onnx"
        raise InputError("opset", opset, allowed)
    specs = batch_specs(*examples)
    names = input_names(f, len(specs))
    with any_batch_size():
        closed, outputs = _trace(f, specs)
    output_names = _output_names(outputs)
    weights = [constant(x, name) for name, x in _weights(f)]
    inputs = [Value(x.shape, np.dtype(x.dtype), name) for name, x in zip(names, specs, strict=True)]
    graph = Graph([*names, *output_names], specs[0].shape[0])
    results = convert(graph, closed, [*weights, *inputs])
    described_outputs = []
    for name, x, v in zip(output_names, results, closed.jaxpr.outvars, strict=True):
        value = Value(v.aval.shape, np.dtype(v.aval.dtype), name)
        source = graph.name_of(graph.full(x, value.shape))
        graph.nodes.append(helper.make_node("Identity", [source], [name], name))
        described_outputs.append(described(value))
    nodes, used = used_nodes(graph.all_nodes(), output_names)
    proto = helper.make_model(
        helper.make_graph(
            nodes,
            _name_of(f),
            [described(x) for x in inputs],
            described_outputs,
            graph.initializers(used),
        ),
        producer_name="jaxdl",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", opset)],
    )
    proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)
    checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def _trace(f: Callable[..., Any], specs: tuple[Any, ...]) -> tuple[Any, Any]:
    """Returns the jaxpr of `f(*weights, *inputs)` and the tree of its outputs."""
    bound = f if isinstance(f, Partial) else Partial(f)
    traced = jax.jit(lambda function, *inputs: function(*inputs)).trace(bound, *specs)
    return traced.jaxpr, traced.out_info


def _weights(f: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Returns the names and the arrays that are bound to a function, in the order of its leaves."""
    if not isinstance(f, Partial):
        return []
    bound = jax.tree_util.tree_flatten_with_path((f.args, f.keywords))[0]
    return [(_path(path[2:]) or "weights", x) for path, x in bound]


def _path(keys: Any) -> str:
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def _output_names(outputs: Any) -> list[str]:
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(outputs)[0]]
    if not paths:
        raise InputError("f", "a function without outputs", "a function that returns arrays")
    named = [_path(path) for path in paths]
    return [
        f"output_{name}".rstrip("_") if name[:1].isdigit() or not name else name for name in named
    ]


def _name_of(f: Callable[..., Any]) -> str:
    while isinstance(f, Partial):
        f = f.func
    return getattr(f, "__name__", type(f).__name__)
