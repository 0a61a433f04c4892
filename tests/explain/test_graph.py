"""Backpropagation on a graph: `jax.grad`, PyTorch node by node, and printed numbers of a course."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.explain import computation_graph, convolve, filter_gradient, input_gradient

RNG = np.random.default_rng(0)


def neuron(w0, x0, w1, x1, w2):
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def test_the_printed_numbers_of_the_course():
    graph = computation_graph(neuron, 2, -1, -3, -2, -3)
    names = ["w0", "x0", "w1", "x1", "w2", "*", "*", "+", "+", "*−1", "exp", "+1", "1/x"]
    assert [node.name for node in graph.nodes] == names
    forward = [2, -1, -3, -2, -3, -2, 6, 4, 1, -1, 0.37, 1.37, 0.73]
    assert [round(float(node.value), 2) for node in graph.nodes] == forward
    backward = [-0.2, 0.39, -0.39, -0.59, 0.2, 0.2, 0.2, 0.2, 0.2, -0.2, -0.53, -0.53, 1]
    assert [round(float(node.gradient), 2) for node in graph.nodes] == backward
    assert graph.output == 12
    assert [node.parents for node in graph.nodes[5:9]] == [(0, 1), (2, 3), (5, 6), (7, 4)]


@jax.custom_vjp
def clipped(x):
    """Returns its input; its gradient is limited."""
    return x


clipped.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -0.1, 0.1),))


def softmax_loss(w, x):
    logits = jax.jit(lambda z: z @ w)(jnp.tanh(x))
    return -jax.nn.log_softmax(logits)[1] + 0.5 * (w**2).sum()


FUNCTIONS = {
    "shared": (lambda x, y: (x + y) * x * x / (y - x * y), (1.7, -0.6)),
    "powers": (lambda x: x**3 + 2**x - x**-1 + x**2.5 + 3 / x - (4 - x), (1.3,)),
    "relu at zero": (lambda x, y: jax.nn.relu(x) * y + jax.nn.relu(y), (0.0, 2.0)),
    "own gradient": (lambda x, y: clipped(x * y) * 3, (0.4, 2.0)),
    "activations": (
        lambda x: jax.nn.gelu(x) + jax.nn.silu(x) + jax.nn.softplus(x) + jnp.sin(x) * jnp.log(x),
        (0.7,),
    ),
    "softmax": (softmax_loss, (RNG.normal(size=(3, 4)), RNG.normal(size=3))),
    "checkpoint": (jax.checkpoint(lambda x, y: jnp.sin(x * y) ** 2), (0.3, 2.0)),
    "sorted": (lambda x: (jnp.sort(x) * jnp.arange(4.0)).sum() - x.max(), (RNG.normal(size=4),)),
    "loop": (lambda x: jax.lax.scan(lambda c, _: (c * jnp.cos(c), c), x, None, 5)[0], (0.8,)),
    "branch": (lambda x, y: jnp.where(x > y, x * y, x / y), (2.0, 3.0)),
    "unused": (lambda x, y: x * 2, (2.0, 3.0)),
    "itself": (lambda x, y: y, (2.0, 3.0)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_gradients_are_those_of_jax(name):
    f, args = FUNCTIONS[name]
    with jax.enable_x64(True):
        args = [jnp.asarray(each) for each in args]
        graph = computation_graph(f, *args)
        np.testing.assert_allclose(graph.nodes[graph.output].value, f(*args), rtol=1e-14)
        expected = jax.grad(f, tuple(range(len(args))))(*args)
    for node, gradient in zip(graph.nodes, expected, strict=False):
        assert node.gradient.dtype == np.float64
        np.testing.assert_allclose(node.gradient, gradient, rtol=1e-12, atol=1e-12)


def test_a_network_with_parameters_in_a_dictionary():
    params = {"hidden": {"w": RNG.normal(size=(2, 2))}, "out": RNG.normal(size=2)}

    def loss(params, x, target):
        h = jnp.tanh(x @ params["hidden"]["w"])
        return (h @ params["out"] - target) ** 2

    args = (params, RNG.normal(size=2), 1.0)
    graph = computation_graph(loss, *args)
    assert [node.name for node in graph.nodes[:4]] == [
        "params/hidden/w",
        "params/out",
        "x",
        "target",
    ]
    expected = jax.tree.leaves(jax.grad(loss, (0, 1, 2))(*jax.tree.map(jnp.asarray, args)))
    for node, gradient in zip(graph.nodes, expected, strict=False):
        np.testing.assert_allclose(node.gradient, gradient, rtol=1e-5)


def test_inner_nodes_are_those_of_torch():
    """All values of a 2-2-1 network, with the gradients that PyTorch keeps."""
    torch = pytest.importorskip("torch")
    numbers = RNG.normal(size=(3, 3))
    a, b, t = (float(each) for each in RNG.normal(size=3))

    def net(w, a, b, t, sigmoid):
        h0 = sigmoid(w[0][0] * a + w[0][1] * b + w[0][2])
        h1 = sigmoid(w[1][0] * a + w[1][1] * b + w[1][2])
        y = sigmoid(w[2][0] * h0 + w[2][1] * h1 + w[2][2])
        return h0, h1, y, (y - t) ** 2

    with jax.enable_x64(True):
        rows = [list(map(float, row)) for row in numbers]
        graph = computation_graph(lambda *args: net(*args, jax.nn.sigmoid)[-1], rows, a, b, t)
    w = [[torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in row] for row in numbers]
    h0, h1, y, loss = net(w, a, b, t, torch.sigmoid)
    for each in (h0, h1, y):
        each.retain_grad()
    loss.backward()
    for node, leaf in zip(graph.nodes, [x for row in w for x in row], strict=False):
        np.testing.assert_allclose(node.gradient, leaf.grad, rtol=1e-12)
    found = [node for node in graph.nodes if node.name == "sigmoid"]
    assert len(found) == 3
    for node, each in zip(found, (h0, h1, y), strict=True):
        np.testing.assert_allclose(node.value, each.detach(), rtol=1e-12)
        np.testing.assert_allclose(node.gradient, each.grad, rtol=1e-12)


def test_a_node_goes_forward_after_its_parents_and_back_after_its_uses():
    graph = computation_graph(FUNCTIONS["shared"][0], 1.7, -0.6)
    forward = [i for i, direction in graph.steps if direction == "forward"]
    backward = [i for i, direction in graph.steps if direction == "backward"]
    assert forward == list(range(len(graph.nodes)))
    assert backward == forward[::-1]
    assert all(max(node.parents, default=-1) < node.id for node in graph.nodes)
    assert backward[0] == graph.output


def test_constants_are_a_part_of_the_name():
    constant = jnp.array([1.0, 2.0])
    graph = computation_graph(lambda x: ((3 * x - 1) / 4 + 0.5 * constant).sum() + 2 - 5, 1.0)
    assert [node.name for node in graph.nodes] == [
        "x",
        "*3",
        "−1",
        "/4",
        "+c",
        "sum",
        "+2",
        "−5",
    ]


def test_names_can_be_given():
    graph = computation_graph(lambda *x: x[0] * x[1], 1.0, 2.0, names=["weight", "input"])
    assert [node.name for node in graph.nodes] == ["weight", "input", "*"]
    assert [node.name for node in computation_graph(lambda *x: x[0] * x[1], 1, 2).nodes][:2] == [
        "x0",
        "x1",
    ]


@pytest.mark.parametrize(
    ("f", "args", "message"),
    [
        (
            lambda x: sum((x + i) ** 2 for i in range(40)),
            (1.0,),
            "f: got 'more nodes', allowed: a function of at most 60 nodes; or pass a larger limit",
        ),
        (
            lambda x: jnp.stack([x, x]),
            (1.0,),
            "f: got 'float32[2]', allowed: a function with one real number as result, such as a ",
        ),
        (
            lambda x: (x, x),
            (1.0,),
            "f: got 'float32[], float32[]', allowed: a function with one real number as result, "
            "such as a loss",
        ),
        (lambda x: x > 0, (1.0,), "f: got 'bool[]', allowed: a function with one real number"),
        (lambda x: jnp.float32(3), (1.0,), "f: got 'a constant', allowed: a function whose result"),
        (lambda x: x, ("a",), "args: got 'a', allowed: real numbers, arrays, or trees of them"),
        (
            lambda x: x.real,
            (1j,),
            "args: got 'complex64[]', allowed: real numbers, arrays, or trees of them",
        ),
        (lambda x: x, (1.0, 2.0), "args: got 'too many positional arguments', allowed: the arg"),
        (3, (1.0,), "f: got 3, allowed: a function, such as lambda x, y: x * y"),
        (np.sin, (1.0,), "f: got 'np.sin, math.sin, float(x) or a condition on a number', allowed"),
        (
            max,
            (1.0, 2.0),
            "f: got 'np.sin, math.sin, float(x) or a condition on a number', allowed",
        ),
        (lambda x: math.sin(x), (1.0,), "f: got 'np.sin, math.sin, float(x) or a condition on a n"),
        (
            lambda x: jax.lax.while_loop(lambda c: c < 9, lambda c: c * 2, x),
            (1.0,),
            "f: got 'while: Reverse-mode differentiation does not work for lax.while_loop",
        ),
    ],
)
def test_bad_functions(f, args, message):
    with pytest.raises(InputError) as raised:
        computation_graph(f, *args)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_another_number_of_names():
    with pytest.raises(InputError, match=r"names: got \['a'\], allowed: 2 names, one for each"):
        computation_graph(lambda x, y: x * y, 1.0, 2.0, names=["a"])
    with pytest.raises(InputError, match=r"limit: got 0, allowed: at least 1"):
        computation_graph(lambda x: x, 1.0, limit=0)


@pytest.mark.parametrize(("size", "window"), [((3, 3), (2, 2)), ((5, 4), (3, 1)), ((3, 3), (3, 3))])
def test_the_convolution_by_hand_has_the_gradients_of_jax(size, window):
    with jax.enable_x64(True):
        x = jnp.asarray(RNG.normal(size=size))
        w = jnp.asarray(RNG.normal(size=window))
        y, pull = jax.vjp(lax_convolution, x, w)
        dy = jnp.asarray(RNG.normal(size=y.shape))
        dx, dw = pull(dy)
        np.testing.assert_allclose(convolve(x, w), y, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(filter_gradient(x, dy), dw, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(input_gradient(w, dy), dx, rtol=1e-12, atol=1e-12)


def lax_convolution(x, w):
    return jax.lax.conv_general_dilated(x[None, None], w[None, None], (1, 1), "VALID")[0, 0]


def test_the_convolution_by_hand_is_its_sums():
    x, w, dy = (RNG.normal(size=n) for n in ((4, 5), (2, 3), (3, 3)))
    y = np.zeros((3, 3))
    dw = np.zeros((2, 3))
    dx = np.zeros((4, 5))
    for i, j in np.ndindex(3, 3):
        for a, b in np.ndindex(2, 3):
            y[i, j] += x[i + a, j + b] * w[a, b]
            dw[a, b] += dy[i, j] * x[i + a, j + b]
            dx[i + a, j + b] += dy[i, j] * w[a, b]
    np.testing.assert_allclose(convolve(x, w), y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(filter_gradient(x, dy), dw, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(input_gradient(w, dy), dx, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convolve(jnp.ones(3), jnp.ones((2, 2))), "x: got [3], allowed: an array with two"),
        (lambda: convolve(jnp.ones((2, 2)), jnp.ones((3, 3))), "w: got [3, 3], allowed: at most"),
        (lambda: filter_gradient(jnp.ones((2, 2)), jnp.ones((3, 1))), "dy: got [3, 1], allowed: "),
        (lambda: input_gradient(jnp.ones((2, 0)), jnp.ones((3, 1))), "w: got [2, 0], allowed: an"),
    ],
)
def test_bad_arrays(call, message):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value).startswith(message)
