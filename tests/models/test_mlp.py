"""MLP against a loop in NumPy, its norms against PyTorch, its dropout against its rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.models import MLP, softmax_mlp
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2, 4, 1)), jnp.float32)


@pytest.mark.parametrize("hidden", [(), (5,), (7, 5, 3)])
def test_is_the_loop_over_its_layers(hidden):
    model = MLP(hidden, outputs=4, activation="tanh")
    variables = random_variables(model, X)
    names = [*(f"dense_{i}" for i in range(len(hidden))), "out"]
    assert set(variables["params"]) == set(names)
    h = np.asarray(X, np.float64).reshape(6, 8)
    for name in names:
        layer = variables["params"][name]
        kernel, bias = (np.asarray(layer[part], np.float64) for part in ("kernel", "bias"))
        h = np.array([[row @ w for w in kernel.T] for row in h]) + bias
        if name != "out":
            h = np.tanh(h)
    np.testing.assert_allclose(model.apply(variables, X, train=False), h, rtol=1e-5, atol=1e-5)


def test_no_hidden_layer_is_softmax_regression():
    model = MLP(outputs=3)
    variables = random_variables(model, X)
    labels = jnp.array([0, 2, 1, 1, 0, 2])

    def loss(params):
        logits = model.apply({"params": params}, X, train=True)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).sum()

    grads = jax.grad(loss)(variables["params"])
    error = jax.nn.softmax(model.apply(variables, X, train=False)) - jax.nn.one_hot(labels, 3)
    np.testing.assert_allclose(
        grads["out"]["kernel"], X.reshape(6, 8).T @ error, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(grads["out"]["bias"], error.sum(0), rtol=1e-4, atol=1e-5)


def torch_layer(params, layer):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.array(params.get("kernel", params.get("scale"))).T))
        if "bias" in params:
            layer.bias.copy_(torch.tensor(np.array(params["bias"])))
    return layer


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_norms_are_pytorchs_in_training_and_after(norm):
    torch = pytest.importorskip("torch")
    model = MLP((5,), outputs=3, norm=norm)
    variables = random_variables(model, X)
    params = variables["params"]
    # The running variance is biased here and unbiased in PyTorch.
    kind = torch.nn.LayerNorm(5, eps=1e-6)
    if norm == "batch":
        kind = torch.nn.BatchNorm1d(5, eps=1e-5, momentum=0.1)
    normalize = torch_layer(params["norm_0"], kind)
    first = torch_layer(params["dense_0"], torch.nn.Linear(8, 5, bias="bias" in params["dense_0"]))
    expected = torch.nn.Sequential(
        first, normalize, torch.nn.ReLU(), torch_layer(params["out"], torch.nn.Linear(5, 3))
    )
    flat = torch.tensor(np.array(X).reshape(6, 8))

    y, changed = model.apply(variables, X, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(y, expected(flat).detach().numpy(), rtol=1e-4, atol=1e-4)
    assert ("bias" in params["dense_0"]) == (norm == "layer"), (
        "a bias before BatchNorm would never move"
    )
    if norm == "batch":
        stats = changed["batch_stats"]["norm_0"]
        np.testing.assert_allclose(
            stats["mean"], normalize.running_mean.numpy(), rtol=1e-4, atol=1e-5
        )
        biased = 0.9 + (normalize.running_var.numpy() - 0.9) * 5 / 6
        np.testing.assert_allclose(stats["var"], biased, rtol=1e-4, atol=1e-5)
        normalize.running_var.copy_(torch.tensor(np.array(stats["var"])))
    after = model.apply({**variables, **changed}, X, train=False)
    np.testing.assert_allclose(after, expected.eval()(flat).detach().numpy(), rtol=1e-4, atol=1e-4)


def test_weight_norm_makes_each_kernels_length_irrelevant():
    model = MLP((5,), norm="weight")
    variables = random_variables(model, X)
    longer = jax.tree_util.tree_map_with_path(
        lambda path, p: 7.0 * p if path[-1].key == "kernel" else p, variables["params"]
    )
    plain = model.apply(variables, X, train=False)
    np.testing.assert_allclose(
        model.apply({"params": longer}, X, train=False), plain, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_dropout_drops_its_rate_and_keeps_the_mean(key, rate):
    width = 4000
    x = jnp.asarray(np.random.default_rng(2).normal(size=(8, 3)), jnp.float32)
    model = MLP((width,), outputs=1, activation="linear", dropout=rate)
    params = random_variables(model, x)["params"]

    @jax.jit
    def hidden(key):
        kept = lambda module, _: module.name == "Dropout_0"  # noqa: E731
        _, seen = model.apply(
            {"params": params}, x, train=True, rngs={"dropout": key}, capture_intermediates=kept
        )
        return seen["intermediates"]["Dropout_0"]["__call__"][0]

    h = np.asarray(hidden(key))
    full = np.asarray(x @ params["dense_0"]["kernel"] + params["dense_0"]["bias"][None])
    dropped = h == 0
    assert abs(dropped.mean() - rate) <= 4 * (rate * (1 - rate) / h.size) ** 0.5
    np.testing.assert_allclose(h[~dropped], full[~dropped] / (1 - rate), rtol=1e-4, atol=1e-5)
    assert (h == hidden(jax.random.key(1))).all() == (rate == 0)


def test_without_training_nothing_is_dropped(key):
    model = MLP((16,), dropout=0.9)
    variables = random_variables(model, X)
    plain = MLP((16,)).apply(variables, X, train=False)
    np.testing.assert_array_equal(model.apply(variables, X, train=False), plain)


@pytest.mark.parametrize("norm", [None, "batch", "layer", "weight"])
def test_bfloat16_computes_near_and_returns_float32(norm):
    exact = MLP((16, 8), norm=norm)
    rounded = MLP((16, 8), norm=norm, dtype=jnp.bfloat16)
    variables = random_variables(exact, X)
    shapes = jax.eval_shape(lambda: rounded.init(jax.random.key(0), X, train=False))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    a, b = (model.apply(variables, X, train=False) for model in (exact, rounded))
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05 * float(jnp.abs(a).max())


def test_biases_and_weights_start_as_told(key):
    params = MLP((50,), kernel_init="truncated_normal", bias_init=0.1).init(key, X, train=False)[
        "params"
    ]
    np.testing.assert_allclose(params["dense_0"]["bias"], 0.1)
    np.testing.assert_allclose(params["out"]["bias"], 0.1)
    assert 0.1 < float(jnp.abs(params["dense_0"]["kernel"]).max()) <= 0.2


def test_the_lectures_network_has_its_size(key):
    shapes = jax.eval_shape(lambda: softmax_mlp().init(key, jnp.zeros((1, 28, 28, 1)), train=False))
    assert (
        sum(leaf.size for leaf in jax.tree.leaves(shapes))
        == 784 * 512 + 512 + 512 * 10 + 10
        == 407_050
    )
