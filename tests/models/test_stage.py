"""Stages against a NumPy loop and PyTorch's layers: several convolutions, skips, pooling, sizes."""

import dataclasses
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.description import build, describe
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.nn import Conv, avg_pool, max_pool
from tests.models.random_variables import random_variables

X = np.random.default_rng(0).normal(size=(4, 9, 8, 3)).astype(np.float32)

#: Blocks of two convolutions, by the case of their skip connection.
BLOCKS = {
    "identity": Stage(3, pool=None, convs=2, residual=True),
    "wider": Stage(5, padding=1, pool=None, convs=2, residual=True),
    "strided": Stage(3, 3, 2, 1, pool=None, convs=2, residual=True),
    "both": Stage(4, 5, 3, ((2, 2), (1, 3)), pool="max", convs=2, residual=True),
    "one": Stage(4, 3, 2, pool="average", residual=True),
    "three": Stage(2, padding="VALID", pool=None, convs=3),
    "even": Stage(3, 2, padding=((1, 0), (0, 1)), pool=None, convs=2, residual=True),
}

#: Stages of one convolution with dilation or groups.
SPREAD = {
    "dilated": Stage(4, 3, 2, dilation=2, pool=None),
    "dilated valid": Stage(4, padding="VALID", dilation=3, pool=None),
    "depthwise": Stage(6, 2, 1, ((1, 0), (2, 1)), dilation=2, groups=3, pool=None),
}

#: Stages of one convolution with other windows of pooling.
POOLS = {
    "overlapping": Stage(2, pool_strides=1),
    "same": Stage(2, pool="average", window=3, pool_strides=2, pool_padding="SAME"),
    "numbers": Stage(2, window=3, pool_strides=2, pool_padding=1),
    "pairs": Stage(2, pool="average", window=2, pool_padding=[(1, 0), (0, 1)]),
    "gaps": Stage(2, pool_strides=3),
}

each_block = pytest.mark.parametrize("name", BLOCKS)


def pads_of(stage, x, stride):
    """Returns the zeros before and after height and width."""
    if stage.padding == "VALID":
        return (0, 0), (0, 0)
    if stage.padding == "SAME":
        pads = []
        for size in x.shape[1:3]:
            total = max(0, (-(-size // stride) - 1) * stride + stage.kernel - size)
            pads.append((total // 2, total - total // 2))
        return tuple(pads)
    if isinstance(stage.padding, int):
        return ((stage.padding,) * 2,) * 2
    return stage.padding


def convolve(x, layer, stride, pads):
    """Computes a convolution of images, one position after the other."""
    kernel = np.float64(layer["kernel"])
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    f, g = kernel.shape[:2]
    rows = range(0, x.shape[1] - f + 1, stride)
    columns = range(0, x.shape[2] - g + 1, stride)
    y = np.stack(
        [
            np.stack(
                [np.tensordot(x[:, i : i + f, j : j + g], kernel, 3) for j in columns],
                axis=1,
            )
            for i in rows
        ],
        axis=1,
    )
    return y + np.float64(layer.get("bias", np.zeros(kernel.shape[-1])))


def pooled(stage, x):
    if stage.pool is None:
        return x
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
    return x.max((2, 4)) if stage.pool == "max" else x.mean((2, 4))


def looped(stage, params, stats, x):
    """Computes a network of one stage with ReLU; `stats` are running statistics, or None."""

    def norm(h, name):
        if stats is None:
            return h
        layer = params[name]
        mean, var = (np.float64(stats[name][part]) for part in ("mean", "var"))
        scale, bias = (np.float64(layer[part]) for part in ("scale", "bias"))
        return (h - mean) / np.sqrt(var + 1e-5) * scale + bias

    x = np.float64(x)
    h = x
    names = ["0"] if stage.convs == 1 else ["0a", "0b", "0c"][: stage.convs]
    for name in names:
        stride = stage.strides if name == names[0] else 1
        h = norm(
            convolve(h, params[f"conv_{name}"], stride, pads_of(stage, h, stride)), f"norm_{name}"
        )
        if name != names[-1]:
            h = np.maximum(h, 0)
    if stage.residual:
        skip = x
        if "skip_0" in params:
            skip = convolve(x, params["skip_0"], stage.strides, ((0, 0), (0, 0)))
            skip = norm(skip, "norm_skip_0")
        h = h + skip
    return pooled(stage, np.maximum(h, 0))


@pytest.mark.parametrize("norm", [None, "batch"])
@each_block
def test_a_stage_is_a_loop_over_its_convolutions(name, norm):
    stage = BLOCKS[name]
    model = CNN((stage,), outputs=None, norm=norm)
    variables = random_variables(model, X)
    stats = None
    if norm:
        rng = np.random.default_rng(2)
        variables["batch_stats"] = jax.tree.map(
            lambda x: jnp.asarray(rng.uniform(0.5, 1.5, x.shape), x.dtype), variables["batch_stats"]
        )
        stats = variables["batch_stats"]
    y = jax.jit(lambda v: model.apply(v, X, train=False))(variables)
    expected = looped(stage, variables["params"], stats, X)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@each_block
def test_layers_are_named_by_stage_and_letter(name):
    stage = BLOCKS[name]
    model = CNN((Stage(3, pool=None), stage), outputs=None, norm="batch")
    params = random_variables(model, X)["params"]
    parts = {"one": [""], "three": ["a", "b", "c"]}.get(name, ["a", "b"])
    expected = {"conv_0", "norm_0"} | {
        f"{kind}_1{part}" for kind in ("conv", "norm") for part in parts
    }
    if name in ("wider", "strided", "both", "one"):
        expected |= {"skip_1", "norm_skip_1"}
    assert set(params) == expected


@pytest.mark.parametrize("name", [*BLOCKS, *POOLS, *SPREAD])
def test_stages_know_their_size(name):
    stage = (BLOCKS | POOLS | SPREAD)[name]
    y = jax.eval_shape(
        lambda: CNN((stage,), outputs=None).init_with_output(jax.random.key(0), X, False)
    )[0]
    assert y.shape == (4, stage.size(9, 0), stage.size(8, 1), stage.features)


@pytest.mark.parametrize("padding", [1, (2, 0), ((0, 1), (2, 1)), np.array([1, 2])])
def test_padding_by_numbers_is_that_of_the_convolution(padding):
    stage = Stage(4, 3, 2, padding, pool=None)
    model = CNN((stage,), outputs=None, activation="linear")
    variables = random_variables(model, X)
    layer = {"params": variables["params"]["conv_0"]}
    y = model.apply(variables, X, train=False)
    np.testing.assert_array_equal(y, Conv(4, 3, strides=2, padding=padding).apply(layer, X))
    assert y.shape[1:3] == (stage.size(9, 0), stage.size(8, 1))
    assert hash(stage) == hash(Stage(4, 3, 2, padding, pool=None))
    assert build(json.loads(json.dumps(describe(stage)))) == stage


@pytest.mark.parametrize("name", SPREAD)
def test_dilation_and_groups_are_those_of_linen(name):
    stage = SPREAD[name]
    model = CNN((stage,), outputs=None, activation="linear")
    variables = random_variables(model, X)
    linen = nn.Conv(
        stage.features,
        (stage.kernel,) * 2,
        stage.strides,
        stage.padding,
        kernel_dilation=stage.dilation,
        feature_group_count=stage.groups,
    )
    expected = linen.apply({"params": variables["params"]["conv_0"]}, X)
    y = model.apply(variables, X, train=False)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_a_dilated_block_of_groups_keeps_its_size():
    stage = Stage(6, padding=2, pool=None, convs=2, residual=True, dilation=2, groups=3)
    model = CNN((stage,), outputs=None)
    variables = random_variables(model, X)
    assert model.apply(variables, X, train=False).shape == (4, 9, 8, 6)
    assert variables["params"]["conv_0a"]["kernel"].shape == (3, 3, 1, 6)
    assert variables["params"]["skip_0"]["kernel"].shape == (1, 1, 3, 6)
    with pytest.raises(InputError, match="^padding: got 1, allowed: .* add up to 4 along"):
        dataclasses.replace(stage, padding=1)


@pytest.mark.parametrize("name", POOLS)
def test_pooling_has_its_own_strides_and_padding(name):
    stage = POOLS[name]
    model = CNN((stage,), outputs=None)
    variables = random_variables(model, X)
    maps = CNN((dataclasses.replace(stage, pool=None),), outputs=None)
    h = maps.apply(variables, X, train=False)
    pools = {"max": max_pool, "average": avg_pool}
    expected = pools[stage.pool](h, stage.window, stage.pool_strides, stage.pool_padding)
    y = model.apply(variables, X, train=False)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    assert build(json.loads(json.dumps(describe(stage)))) == stage


def test_the_size_does_not_recover_from_an_empty_image():
    assert Stage(1, 4, padding="VALID", pool=None, convs=2).size(3) < 1
    assert Stage(1, 5, padding=1, pool=None, convs=3).size(2) < 1


def block_of_pytorch(torch, params, features):
    """Returns a basic block of stride 2 with the same weights."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_0a = torch.nn.Conv2d(3, features, 3, 2, 1, bias=False)
            self.norm_0a = torch.nn.BatchNorm2d(features)
            self.conv_0b = torch.nn.Conv2d(features, features, 3, 1, 1, bias=False)
            self.norm_0b = torch.nn.BatchNorm2d(features)
            self.skip_0 = torch.nn.Conv2d(3, features, 1, 2, bias=False)
            self.norm_skip_0 = torch.nn.BatchNorm2d(features)

        def forward(self, x):
            h = torch.relu(self.norm_0a(self.conv_0a(x)))
            h = self.norm_0b(self.conv_0b(h))
            return torch.relu(h + self.norm_skip_0(self.skip_0(x)))

    block = Block()
    with torch.no_grad():
        for name, layer in block.named_children():
            ours = params[name]
            if "kernel" in ours:
                layer.weight.copy_(torch.tensor(np.array(ours["kernel"])).permute(3, 2, 0, 1))
            else:
                layer.weight.copy_(torch.tensor(np.array(ours["scale"])))
                layer.bias.copy_(torch.tensor(np.array(ours["bias"])))
    return block


def test_a_block_and_its_gradients_are_pytorchs_in_training():
    torch = pytest.importorskip("torch")
    model = CNN((Stage(5, 3, 2, 1, pool=None, convs=2, residual=True),), outputs=None, norm="batch")
    variables = random_variables(model, X)
    block = block_of_pytorch(torch, variables["params"], 5)
    weights = np.random.default_rng(3).normal(size=(4, 5, 4, 5)).astype(np.float32)

    @jax.jit
    def ours(params, x):
        def loss(params, x):
            arrays = {"params": params, "batch_stats": variables["batch_stats"]}
            y, moved = model.apply(arrays, x, train=True, mutable=["batch_stats"])
            return (y * weights).sum(), (y, moved)

        return jax.grad(loss, (0, 1), has_aux=True)(params, x)

    (gradients, gradient_x), (y, moved) = ours(variables["params"], X)
    x = torch.tensor(X).permute(0, 3, 1, 2).requires_grad_()
    theirs = block(x).permute(0, 2, 3, 1)
    (theirs * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient_x, x.grad.permute(0, 2, 3, 1).numpy(), rtol=1e-3, atol=1e-4)
    for name, layer in block.named_children():
        if "kernel" in gradients[name]:
            expected = {"kernel": layer.weight.grad.permute(2, 3, 1, 0)}
        else:
            expected = {"scale": layer.weight.grad, "bias": layer.bias.grad}
            np.testing.assert_allclose(
                moved["batch_stats"][name]["mean"], layer.running_mean.numpy(), rtol=1e-4, atol=1e-5
            )
        for part, gradient in expected.items():
            np.testing.assert_allclose(
                gradients[name][part], gradient.numpy(), rtol=1e-3, atol=1e-3, err_msg=name
            )


def test_a_block_whose_last_scale_is_zero_adds_nothing():
    stage = Stage(3, pool=None, convs=2, residual=True)
    model = CNN((stage,), outputs=None, norm="batch")
    variables = random_variables(model, X)
    last = variables["params"]["norm_0b"]
    variables["params"]["norm_0b"] = jax.tree.map(jnp.zeros_like, last)
    y = model.apply(variables, X, train=False)
    np.testing.assert_array_equal(y, np.maximum(X, 0))


def test_a_network_with_global_pooling_accepts_images_of_any_size():
    model = CNN((Stage(4, pool=None), Stage(5, pool=None)), outputs=2, head_size=1)
    variables = random_variables(model, X)
    maps = CNN((Stage(4, pool=None), Stage(5, pool=None)), outputs=None)
    for x in (X, X[:, :5], X[:, 2:3, 3:4]):
        y = model.apply(variables, x, train=False)
        mean = maps.apply(variables, x, train=False).mean((1, 2))
        out = variables["params"]["head"]["out"]
        np.testing.assert_allclose(
            y, mean @ out["kernel"] + out["bias"][None], rtol=1e-4, atol=1e-5
        )


def test_stages_of_low_precision_add_in_that_precision():
    stage = Stage(3, pool=None, convs=2, residual=True)
    exact, rounded = (CNN((stage,), outputs=None, dtype=dtype) for dtype in (None, jnp.bfloat16))
    variables = random_variables(exact, X)
    a, b = (model.apply(variables, X, train=False) for model in (exact, rounded))
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05 * float(jnp.abs(a).max())
    assert (b == b.astype(jnp.bfloat16).astype(jnp.float32)).all()
