"""The numbers of a lecture, the network of the picture, and the convolution by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import MLP
from jaxdl.recipes.backpropagation import (
    NEURON,
    PRINTED,
    XOR,
    convolution_backward,
    convolution_difference,
    greatest_difference,
    network,
    network_arguments,
    neuron,
    traced,
)


def test_the_printed_numbers():
    graph = traced(neuron, NEURON)
    values = {node.name: float(node.gradient) for node in graph.nodes[:5]}
    values["output"] = float(graph.nodes[graph.output].value)
    assert {name: round(value, 2) for name, value in values.items()} == PRINTED
    assert greatest_difference(neuron, graph, 5) < 1e-12


@pytest.mark.parametrize("i", range(4))
def test_the_network_is_the_model(i):
    """Its output and gradients are those of the Linen module, with the parameters of the module."""
    model = MLP((2,), 1, "tanh")
    x, t = XOR[i]
    inputs = jnp.array([x])
    params = model.init(jax.random.key(3), inputs, train=False)["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.1, params)

    def loss(params):
        return ((model.apply({"params": params}, inputs, train=False)[0, 0] - t) ** 2).sum()

    arguments = network_arguments(params, x, t)
    graph = traced(network, arguments)
    assert greatest_difference(network, graph, len(arguments)) < 1e-12
    np.testing.assert_allclose(graph.nodes[graph.output].value, loss(params), rtol=1e-5)
    expected = network_arguments(jax.grad(loss)(params), (0, 0), 0)
    for node in graph.nodes[2 : len(arguments) - 1]:
        np.testing.assert_allclose(node.gradient, expected[node.name], rtol=1e-4, atol=1e-6)


def test_a_wrong_gradient_is_found():
    graph = traced(neuron, NEURON)
    node = graph.nodes[1]._replace(gradient=graph.nodes[1].gradient + 1e-3)
    wrong = graph._replace(nodes=(graph.nodes[0], node, *graph.nodes[2:]))
    assert greatest_difference(neuron, wrong, 5) == pytest.approx(1e-3)
    found = convolution_backward()
    assert convolution_difference(found) < 1e-12
    assert convolution_difference(found._replace(dx=found.dx + 1e-3)) == pytest.approx(1e-3)
    assert convolution_difference(found._replace(dw=-found.dw)) > 1
