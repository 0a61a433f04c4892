"""Backpropagation by hand: a neuron, a 2-2-1 network and a convolution, with exact checks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.explain import Graph, computation_graph, convolve, filter_gradient, input_gradient
from jaxdl.updates import Params

#: Arguments of `neuron` in the lecture notes of CS231n.
NEURON = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}

#: Its output, and the gradients of its arguments, as they are printed there.
PRINTED = {"output": 0.73, "w0": -0.20, "x0": 0.39, "w1": -0.39, "x1": -0.59, "w2": 0.20}

#: The inputs and targets of XOR.
XOR = (((0.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0))

#: Input 3x3, filter 2x2 and upstream gradient 2x2 of the convolution.
INPUT = ((1.0, 2.0, 0.0), (0.0, 1.0, 3.0), (2.0, 1.0, 1.0))
FILTER = ((1.0, -1.0), (2.0, 0.5))
UPSTREAM = ((1.0, -2.0), (0.5, 1.0))


class Backward(NamedTuple):
    """A convolution with its gradients.

    Attributes:
      x: `[H, W]`, the input.
      w: `[h, w]`, the filter.
      y: `[P, Q]`, the output.
      dy: `[P, Q]`, the gradient of the output.
      dw: `[h, w]`, the gradient of the filter.
      dx: `[H, W]`, the gradient of the input.

    Example: see `convolution_backward`.
    """

    x: Float[np.ndarray, "H W"]
    w: Float[np.ndarray, "h w"]
    y: Float[np.ndarray, "P Q"]
    dy: Float[np.ndarray, "P Q"]
    dw: Float[np.ndarray, "h w"]
    dx: Float[np.ndarray, "H W"]


def neuron(w0: Any, x0: Any, w1: Any, x1: Any, w2: Any) -> Any:
    """Returns a sigmoid neuron of two inputs, written with elementary operations.

        f = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))

    Source: Stanford CS231n, Backpropagation, intuitions.

    Example:
      >>> round(float(neuron(**NEURON)), 2)
      0.73
    """
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def network(
    x1: Any,
    x2: Any,
    w11: Any,
    w12: Any,
    b1: Any,
    w21: Any,
    w22: Any,
    b2: Any,
    v1: Any,
    v2: Any,
    c: Any,
    t: Any,
) -> Any:
    """Returns the squared error of a network with two inputs, two hidden units and one output.

        h_i = tanh(w_i1 x1 + w_i2 x2 + b_i),    y = v1 h1 + v2 h2 + c,    L = (y - t)^2

    Example:
      >>> float(network(1.0, 1.0, *(0.0,) * 8, 2.0, 5.0))
      9.0
    """
    h1 = jnp.tanh(w11 * x1 + w12 * x2 + b1)
    h2 = jnp.tanh(w21 * x1 + w22 * x2 + b2)
    y = v1 * h1 + v2 * h2 + c
    return (y - t) ** 2


def network_arguments(params: Params, x: Sequence[float], t: float) -> dict[str, float]:
    """Returns the arguments of `network` for the parameters of `MLP((2,), 1, "tanh")`.

    Args:
      params: parameters of the model.
      x: two inputs.
      t: the target.

    Example:
      >>> from jaxdl.models import MLP
      >>> params = MLP((2,), 1, "tanh").init(jax.random.key(0), jnp.ones((1, 2)), train=False)
      >>> list(network_arguments(params["params"], (0.0, 1.0), 1.0))
      ['x1', 'x2', 'w11', 'w12', 'b1', 'w21', 'w22', 'b2', 'v1', 'v2', 'c', 't']
    """
    (w11, w21), (w12, w22) = np.asarray(params["dense_0"]["kernel"]).tolist()
    b1, b2 = np.asarray(params["dense_0"]["bias"]).tolist()
    (v1,), (v2,) = np.asarray(params["out"]["kernel"]).tolist()
    (c,) = np.asarray(params["out"]["bias"]).tolist()
    values = [*x, w11, w12, b1, w21, w22, b2, v1, v2, c, t]
    names = ["x1", "x2", "w11", "w12", "b1", "w21", "w22", "b2", "v1", "v2", "c", "t"]
    return dict(zip(names, values, strict=True))


def traced(f: Callable[..., Any], arguments: Mapping[str, float]) -> Graph:
    """Returns a function of numbers as a graph in float64.

    Args:
      f: the function.
      arguments: its arguments by name, in their order.

    Example:
      >>> graph = traced(neuron, NEURON)
      >>> round(float(graph.nodes[0].gradient), 2), graph.nodes[0].gradient.dtype
      (-0.2, dtype('float64'))
    """
    with jax.enable_x64(True):
        values = [jnp.float64(value) for value in arguments.values()]
        return computation_graph(f, *values, names=list(arguments))


def greatest_difference(f: Callable[..., Any], graph: Graph, count: int) -> float:
    """Returns the greatest difference of a graph's gradients from those of `jax.grad`, in float64.

    Args:
      f: the function of the graph.
      graph: the graph, in float64.
      count: number of arguments.

    Example:
      >>> greatest_difference(neuron, traced(neuron, NEURON), 5) < 1e-12
      True
    """
    with jax.enable_x64(True):
        values = [jnp.float64(node.value) for node in graph.nodes[:count]]
        expected = jax.grad(f, tuple(range(count)))(*values)
    pairs = zip(graph.nodes, expected, strict=False)
    return max(abs(float(node.gradient) - float(each)) for node, each in pairs)


def convolution_backward(x: Any = INPUT, w: Any = FILTER, dy: Any = UPSTREAM) -> Backward:
    """Returns a convolution with both gradients by hand, in float64.

    Args:
      x: `[H, W]`, the input.
      w: `[h, w]`, the filter.
      dy: `[H - h + 1, W - w + 1]`, the gradient of the output.

    Example:
      >>> found = convolution_backward()
      >>> found.y.tolist(), found.dw.tolist()
      ([[-0.5, 5.5], [3.5, 0.5]], [[-2.0, 5.5], [0.0, -3.5]])
    """
    with jax.enable_x64(True):
        arrays = [jnp.asarray(each, jnp.float64) for each in (x, w, dy)]
        x, w, dy = arrays
        found = (x, w, convolve(x, w), dy, filter_gradient(x, dy), input_gradient(w, dy))
        return Backward(*(np.asarray(each) for each in found))


def convolution_difference(found: Backward) -> float:
    """Returns the greatest difference of both gradients from those of `jax.vjp`, in float64.

    The oracle is the convolution of XLA, `lax.conv_general_dilated`.

    Example:
      >>> convolution_difference(convolution_backward()) < 1e-12
      True
    """

    def convolution(x: Array, w: Array) -> Array:
        return jax.lax.conv_general_dilated(x[None, None], w[None, None], (1, 1), "VALID")[0, 0]

    with jax.enable_x64(True):
        _, pull = jax.vjp(convolution, jnp.asarray(found.x), jnp.asarray(found.w))
        dx, dw = pull(jnp.asarray(found.dy))
        pairs = ((found.dx, np.asarray(dx)), (found.dw, np.asarray(dw)))
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)
