"""The operations of a step against those of its formula."""

import optax
import pytest

import jaxdl
from jaxdl.training.cost import step_flops


@pytest.mark.parametrize("seeds", [1, 3])
def test_operations_of_a_linear_layer(seeds):
    """The forward pass and the gradient of the kernel are one product of matrices each."""
    data, _ = jaxdl.data.load("digits")
    task = jaxdl.tasks.classify(jaxdl.models.MLP((), outputs=10))
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    key = jaxdl.root(range(seeds)) if seeds > 1 else jaxdl.root(0)
    counts = [step_flops(net, data, key, size) for size in (100, 200)]
    products = 2 * 2 * 64 * 10 * 100
    assert products < counts[1] - counts[0] < 1.2 * products
    assert counts[0] > products
