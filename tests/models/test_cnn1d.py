"""CNN1D against loops in NumPy and PyTorch's layers; what an output depends on, by brute force."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models.cnn1d import CNN1D, tcn
from jaxdl.nn.elementwise import Dropout
from jaxdl.nn.norm import Norm
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 12, 4)), jnp.float32)
LENGTHS = [12, 7, 1]

KINDS = {
    "pooled": CNN1D((5, 4, 3), 3, 2),
    "even_kernel": CNN1D((5, 4), 4, 3),
    "dilated": CNN1D((5, 4), 3, 1, dilated=True, norm="weight"),
    "causal": CNN1D((5, 4), 3, 1, causal=True),
    "residual": CNN1D((4, 5), 3, 1, residual=True, dilated=True),
    "residual_pooled": CNN1D((4, 5), 3, 2, residual=True),
    "tcn": tcn((5, 5), 3),
    "layer_norm": CNN1D((5, 4), 3, 2, norm="layer"),
    "rms_norm": tcn((4, 5), 3, norm=Norm("rms", epsilon=0.1)),
}
each_kind = pytest.mark.parametrize("model", KINDS.values(), ids=KINDS)


def run(model, variables, x, **more):
    return jax.jit(lambda v, x: model.apply(v, x, train=False, **more)[0])(variables, x)


def test_stages_are_their_layers_one_after_the_other():
    model = CNN1D((5, 6), kernel_size=3, pool=2)
    variables = random_variables(model, X)
    h = X
    for name, width in (("conv_0", 5), ("conv_1", 6)):
        h = jax.nn.relu(nn.Conv(width, (3,)).apply({"params": variables["params"][name]}, h))
        h = nn.max_pool(h, (2,), (2,))
    np.testing.assert_allclose(run(model, variables, X), h, rtol=1e-5, atol=1e-6)


def test_a_stage_is_pytorchs_with_its_gradient():
    torch = pytest.importorskip("torch")
    model = CNN1D((5,), kernel_size=5, pool=5)
    variables = random_variables(model, X)
    params = variables["params"]["conv_0"]
    layer = torch.nn.Conv1d(4, 5, 5, padding="same")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(np.array(params["kernel"])).permute(2, 1, 0))
        layer.bias.copy_(torch.tensor(np.array(params["bias"])))
    h = torch.relu(layer(torch.tensor(np.array(X)).permute(0, 2, 1)))
    h = torch.nn.functional.max_pool1d(h, 5, ceil_mode=True)
    h.square().sum().backward()
    grads = jax.jit(jax.grad(lambda v: (model.apply(v, X, train=False)[0] ** 2).sum()))(variables)[
        "params"
    ]["conv_0"]
    np.testing.assert_allclose(
        run(model, variables, X), h.detach().permute(0, 2, 1).numpy(), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        grads["kernel"], layer.weight.grad.permute(2, 1, 0).numpy(), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(grads["bias"], layer.bias.grad.numpy(), rtol=1e-4, atol=1e-4)


def relu(x):
    return np.maximum(x, 0)


def effective_kernel(params):
    """Returns a convolution's weights in float64, with weight normalization applied."""
    kernel = np.asarray(params["kernel"], np.float64)
    if "scale" not in params:
        return kernel
    return np.stack(
        [
            np.asarray(g) * w / np.linalg.norm(w)
            for g, w in zip(params["scale"], kernel.T, strict=True)
        ]
    ).T


def causal(params, x, dilation):
    """Computes a causal convolution step by step, for one sequence `[T, C]`."""
    kernel = effective_kernel(params)
    y = np.zeros((len(x), len(params["bias"]))) + np.asarray(params["bias"], np.float64)
    for t in range(len(x)):
        for k in range(len(kernel)):
            step = t - (len(kernel) - 1 - k) * dilation
            if step >= 0:
                y[t] += x[step] @ kernel[k]
    return y


def normed(params, h):
    """Normalizes each step `[T, D]` as "layer" does, if there are parameters."""
    if not params:
        return h
    h = h - h.mean(1, keepdims=True)
    h = h / np.sqrt((h**2).mean(1, keepdims=True) + 1e-6)
    return h * np.asarray(params["scale"]) + np.asarray(params["bias"])


@pytest.mark.parametrize(
    ("features", "norm"), [((5, 5), "weight"), ((4, 6, 3), None), ((5, 4), "layer")]
)
def test_a_tcn_is_the_loop_over_its_blocks(features, norm):
    model = tcn(features, kernel_size=3, norm=norm)
    variables = random_variables(model, X)
    params = variables["params"]
    ys = run(model, variables, X)
    for x, y in zip(X, ys, strict=True):
        h = np.asarray(x, np.float64)
        for i in range(len(features)):
            a, b = (params.get(f"norm_{i}{part}") for part in "ab")
            u = relu(normed(a, causal(params[f"conv_{i}a"], h, 2**i)))
            v = relu(normed(b, causal(params[f"conv_{i}b"], u, 2**i)))
            if f"skip_{i}" in params:
                h = causal(params[f"skip_{i}"], h, 1)
            h = relu(v + h)
        np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-5)
    skips = {
        f"skip_{i}"
        for i, (a, b) in enumerate(zip((4, *features), features, strict=False))
        if a != b
    }
    assert {name for name in params if name.startswith("skip")} == skips
    assert ("scale" in params["conv_0a"]) == (norm == "weight")
    assert ("norm_0a" in params) == (norm == "layer")


def test_a_tcn_is_pytorchs_layers_with_their_gradients():
    torch = pytest.importorskip("torch")
    model = tcn((5, 6), kernel_size=3)
    variables = random_variables(model, X)

    def layer(params, dilation):
        kernel = torch.tensor(np.array(params["kernel"])).permute(2, 1, 0)
        made = torch.nn.Conv1d(kernel.shape[1], kernel.shape[0], kernel.shape[2], dilation=dilation)
        if "scale" in params:
            made = torch.nn.utils.parametrizations.weight_norm(made)
            weight = made.parametrizations.weight
        with torch.no_grad():
            made.bias.copy_(torch.tensor(np.array(params["bias"])))
            if "scale" not in params:
                made.weight.copy_(kernel)
                return made
            weight.original0.copy_(torch.tensor(np.array(params["scale"]))[:, None, None])
            weight.original1.copy_(kernel)
        return made

    layers = {
        name: layer(p, 2 ** int(name[5]) if "conv" in name else 1)
        for name, p in variables["params"].items()
    }
    h = torch.tensor(np.array(X)).permute(0, 2, 1)
    for i in range(2):
        u = h
        for name in (f"conv_{i}a", f"conv_{i}b"):
            u = torch.relu(layers[name](torch.nn.functional.pad(u, (2 * 2**i, 0))))
        h = torch.relu(u + layers[f"skip_{i}"](h))
    h.square().sum().backward()

    def loss(variables):
        ys, _ = model.apply(variables, X, train=False)
        return (ys**2).sum(), ys

    (_, ys), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables)
    np.testing.assert_allclose(ys, h.detach().permute(0, 2, 1).numpy(), rtol=1e-4, atol=1e-5)
    for name, grad in grads["params"].items():
        expected = layers[name]
        weight = expected.weight
        if "scale" in grad:
            weight = expected.parametrizations.weight.original1
        close = {"rtol": 1e-3, "atol": 1e-4 * float(jnp.abs(grad["kernel"]).max())}
        np.testing.assert_allclose(grad["kernel"], weight.grad.permute(2, 1, 0).numpy(), **close)
        np.testing.assert_allclose(grad["bias"], expected.bias.grad.numpy(), **close)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (tcn((6,), 4), 7),
        (tcn((6, 6), 3), 13),
        (tcn((6, 6, 6), 2), 15),
        (tcn((6, 6), 1), 1),
        (CNN1D((6, 6), 4, 1, causal=True), 7),
        (CNN1D((6, 6), 4, 1), 7),
        (CNN1D((6, 6), 3, 2), 10),
        (CNN1D((6, 6), 2, 3, residual=True, dilated=True), 23),
    ],
)
def test_an_output_depends_on_its_receptive_field_and_on_nothing_else(model, size):
    assert model.receptive_field == size
    total = 3 * size + 15
    x = jnp.asarray(np.random.default_rng(2).normal(size=(1, total, 6)), jnp.float32)
    # With positive numbers, no ReLU hides its input. A large change passes every maximum.
    variables = jax.tree.map(jnp.abs, random_variables(model, x))
    batch = jnp.concatenate([x + 9.0, *(x.at[:, t].add(99.0) + 9.0 for t in range(total))])
    ys = np.asarray(run(model, variables, batch))
    # The place of an example in its batch may decide its rounding.
    changed = ~np.isclose(ys[1:], ys[0], rtol=1e-4).all(-1)
    middle = ys.shape[1] // 2
    steps = np.flatnonzero(changed[:, middle])
    assert steps[-1] - steps[0] + 1 == size
    if model.causal:
        for t in range(total):
            expected = list(range(t, min(total, t + size)))
            assert np.flatnonzero(changed[t]).tolist() == expected


@each_kind
def test_a_padded_sequence_is_the_sequence_alone(model):
    variables = random_variables(model, X)
    ys = run(model, variables, X, lengths=jnp.array(LENGTHS))
    for x, y, length in zip(X, ys, LENGTHS, strict=True):
        alone = run(model, variables, x[None, :length])[0]
        np.testing.assert_allclose(y[: len(alone)], alone, rtol=1e-5, atol=1e-6)
        assert not np.any(y[len(alone) :])


@each_kind
def test_padding_moves_no_gradient(model):
    variables = random_variables(model, X)
    lengths = jnp.array(LENGTHS)

    @jax.jit
    def gradient(x):
        return jax.grad(lambda v: (model.apply(v, x, False, lengths)[0] ** 2).sum())(variables)

    filled = jnp.where(jnp.arange(12)[None, :, None] < lengths[:, None, None], X, jnp.nan)
    jax.tree.map(np.testing.assert_array_equal, gradient(X), gradient(filled))


def test_dropout_drops_its_rate_in_training_only(key):
    model = CNN1D((40,), 1, 1, dropout=0.4)
    x = jnp.ones((20, 8, 2))
    variables = jax.tree.map(jnp.abs, random_variables(model, x))
    ys = jax.jit(lambda v: model.apply(v, x, train=True, rngs={"dropout": key})[0])(variables)
    dropped = np.asarray(ys) == 0
    assert abs(dropped.mean() - 0.4) <= 4 * (0.4 * 0.6 / dropped.size) ** 0.5
    assert np.all(run(model, variables, x) > 0)


def test_residual_blocks_drop_whole_channels_at_its_rate(key):
    x = jnp.ones((40, 6, 4))
    model = tcn((50,), dropout=0.3)
    variables = jax.tree.map(jnp.abs, random_variables(model, x))
    dropouts = lambda module, _: isinstance(module, Dropout)  # noqa: E731
    more = {"rngs": {"dropout": key}, "capture_intermediates": dropouts}
    seen = jax.jit(lambda v: model.apply(v, x, train=True, **more)[1])(variables)
    masks = [np.asarray(value["__call__"][0]) == 0 for value in seen["intermediates"].values()]
    assert len(masks) == 2
    for mask in masks:
        assert (mask == mask[:, :1]).all()
        assert abs(mask.mean() - 0.3) <= 4 * (0.3 * 0.7 / mask[:, 0].size) ** 0.5
    assert (masks[0][:, 0] != masks[1][:, 0]).any()


def test_every_parameter_has_a_gradient(key):
    model = tcn((6, 8), kernel_size=3, dropout=0.1)
    params = random_variables(model, X)["params"]

    def loss(params):
        return (model.apply({"params": params}, X, train=True, rngs={"dropout": key})[0] ** 2).sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(loss))(params)):
        assert np.isfinite(leaf).all() and np.any(leaf)


@pytest.mark.parametrize("model", [CNN1D((8, 8), 3), tcn((8, 8), 3)], ids=["pooled", "tcn"])
def test_bfloat16_computes_near(model):
    variables = random_variables(model, X)
    exact = run(model, variables, X)
    rounded = run(dataclasses.replace(model, dtype=jnp.bfloat16), variables, X)
    assert rounded.dtype == jnp.bfloat16
    difference = jnp.abs(exact - rounded.astype(jnp.float32)).max()
    assert 0 < float(difference) < 0.05 * float(jnp.abs(exact).max())


def called(x, *args):
    return jax.eval_shape(lambda: CNN1D((3,)).init(jax.random.key(0), x, False, *args))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: CNN1D(()), "features: got (), allowed: a sequence of widths, at least one"),
        (lambda: tcn(8), "features: got 8, allowed: a sequence of widths, at least one"),
        (lambda: CNN1D((8, 0)), "features: got 0, allowed: at least 1"),
        (lambda: tcn((8,), 0), "kernel_size: got 0, allowed: at least 1"),
        (lambda: CNN1D((8,), pool=0), "pool: got 0, allowed: at least 1"),
        (lambda: CNN1D((8,), causal=True), "pool: got 2, allowed: 1, for a causal network"),
        (lambda: CNN1D((8,), dropout=1.0), "dropout: got 1.0, allowed: a number in [0, 1)"),
        (lambda: tcn((8,), norm="batch"), "norm: got 'batch', allowed: layer, rms, weight"),
        (
            lambda: CNN1D((8,), norm=Norm("group")),
            "norm: got 'group', allowed: layer, rms, weight",
        ),
        (lambda: called(X[0]), "x: got 'float32[12, 4]', allowed: floats [B, T, D]"),
        (
            lambda: called(X, jnp.array([1, 13, 2])),
            "length[1]: got 13, allowed: an integer in [1, 12]",
        ),
        (
            lambda: called(X, None, (X,)),
            "carry: got <class 'tuple'>, allowed: None or (), since convolutions have no carry",
        ),
    ],
)
def test_says_in_one_line_what_is_allowed(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line


def test_an_empty_carry_is_none():
    model = tcn((3,))
    variables = random_variables(model, X)
    ys, carry = jax.jit(lambda v: model.apply(v, X, False, None, ()))(variables)
    assert carry == ()
    np.testing.assert_array_equal(ys, run(model, variables, X))
