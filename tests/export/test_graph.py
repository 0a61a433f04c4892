"""Values, names and dead nodes of a graph."""

import numpy as np
import pytest
from jax.export import symbolic_shape

from jaxdl.errors import InputError
from jaxdl.export.graph import Graph, Value, constant, joint_shape, used_nodes

pytest.importorskip("onnx", reason="needs onnx: pip install jaxdl[export]")

(B,) = symbolic_shape("batch")
F32 = np.dtype(np.float32)


def test_joint_shapes():
    assert joint_shape([(B, 1), (1, 3), ()]) == (B, 3)
    assert joint_shape([(), ()]) == ()


def test_equal_constants_and_names():
    graph = Graph(["x", "output"], B)
    first = graph.name_of(constant(np.float32(2), "w"))
    assert graph.name_of(constant(np.float32(2))) == first == "w"
    assert graph.name_of(constant(np.zeros(99), "x")) == "x_1", "the input has the name"
    assert [x.name for x in graph.initializers([first])] == [first]


def test_a_batch_size_is_computed_once_and_repeats_numbers():
    graph = Graph(["x"], B)
    row = constant(np.ones((1, 3), np.float32))
    assert graph.full(row, (B, 3)).shape == (B, 3)
    assert graph.full(row, (2 * B, 3)).shape == (2 * B, 3)
    assert graph.full(row, (5, 3)).array.shape == (5, 3)
    assert [node.op_type for node in graph.all_nodes()].count("Shape") == 1
    with pytest.raises(InputError, match=r"got 'the size batch \+ 1', allowed: numbers"):
        graph.full(row, (B + 1, 3))


def test_dead_nodes_are_removed():
    graph = Graph(["x"], B)
    x = Value((B, 3), F32, "x")
    y = graph.elementwise("Exp", x)
    graph.elementwise("Log", x)
    nodes, names = used_nodes(graph.nodes, [y.name])
    assert [node.op_type for node in nodes] == ["Exp"]
    assert names == {"x", y.name}
