"""ConvDecoder against Linen's layers and PyTorch: outputs, norm, sizes and errors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import ConvDecoder, UpStage
from jaxdl.nn import activation, initializer
from tests.models.random_variables import random_variables

RNG = np.random.default_rng(0)
Z, MAPS = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((6, 3), (4, 3, 2, 3)))
TWO = (UpStage(5), UpStage(2, 3, 3))


def linens(stage, params, x):
    size = (stage.kernel, stage.kernel)
    strides = (stage.strides, stage.strides)
    layer = nn.ConvTranspose(stage.features, size, strides, use_bias="bias" in params)
    return layer.apply({"params": params}, x)


def test_is_its_layers_one_after_the_other():
    model = ConvDecoder(TWO, start=(2, 3, 4), activation="tanh")
    variables = random_variables(model, Z)
    params = variables["params"]
    assert set(params) == {"dense", "up_0", "up_1"}
    h = jnp.tanh(nn.Dense(24).apply({"params": params["dense"]}, Z).reshape(6, 2, 3, 4))
    h = linens(TWO[1], params["up_1"], jnp.tanh(linens(TWO[0], params["up_0"], h)))
    y = jax.jit(lambda v: model.apply(v, Z, train=False))(variables)
    assert y.shape == (6, 2 * 2 * 3, 3 * 2 * 3, 2)
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [None, "batch"])
def test_dense_layers_come_before_the_first_maps(norm):
    model = ConvDecoder(TWO, (2, 3, 4), (7, 8), "tanh", norm)
    whole = ConvDecoder(TWO, (2, 3, 4), (), "tanh", norm)
    variables = random_variables(model, Z)
    params = variables["params"]
    stats = variables.get("batch_stats", {})
    h = Z
    for i in range(2):
        h = nn.Dense((7, 8)[i], norm is None).apply({"params": params[f"dense_{i}"]}, h)
        if norm:
            named = {part: each[f"norm_dense_{i}"] for part, each in variables.items()}
            h = nn.BatchNorm(use_running_average=True).apply(named, h)
        h = jnp.tanh(h)
    rest = {
        part: {name: w for name, w in each.items() if "dense_" not in name}
        for part, each in variables.items()
    }
    assert ("norm_dense_0" in stats) == (norm is not None)
    y = jax.jit(lambda v: model.apply(v, Z, train=False))(variables)
    np.testing.assert_allclose(y, whole.apply(rest, h, train=False), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("start", [(1, 2, 3), None])
@pytest.mark.parametrize(
    "stages",
    [
        (UpStage(3),),
        (UpStage(4, 5), UpStage(1, 3, 1)),
        (UpStage(2, 2, 3), UpStage(2, 1), UpStage(7)),
    ],
)
def test_images_are_as_large_as_the_first_maps_times_all_strides(start, stages):
    model = ConvDecoder(stages, start=start)
    x = MAPS
    height, width = MAPS.shape[1:3]
    if start:
        x = Z
        height, width = start[:2]
    shape = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=True)[0])
    times = int(np.prod([stage.strides for stage in stages]))
    assert shape.shape == (len(x), height * times, width * times, stages[-1].features)
    assert shape.dtype == jnp.float32


def test_is_pytorchs():
    torch = pytest.importorskip("torch")
    model = ConvDecoder((UpStage(5), UpStage(2)))
    variables = random_variables(model, MAPS)
    layers = []
    for name, (before, after) in (("up_0", (3, 5)), ("up_1", (5, 2))):
        layer = torch.nn.ConvTranspose2d(before, after, 4, 2, padding=1)
        ours = variables["params"][name]
        with torch.no_grad():
            layer.weight.copy_(
                torch.tensor(np.array(ours["kernel"])).flip(0, 1).permute(2, 3, 0, 1)
            )
            layer.bias.copy_(torch.tensor(np.array(ours["bias"])))
        layers.append(layer)
    theirs = layers[1](torch.relu(layers[0](torch.tensor(np.array(MAPS)).permute(0, 3, 1, 2))))
    ours = jax.jit(lambda v: model.apply(v, MAPS, train=False))(variables)
    np.testing.assert_allclose(
        ours, theirs.permute(0, 2, 3, 1).detach().numpy(), rtol=1e-4, atol=1e-5
    )


def test_batch_norm_follows_every_stage_but_the_last_and_learns_in_training_only():
    model = ConvDecoder(TWO, start=(2, 3, 4), norm="batch")
    variables = random_variables(model, Z)
    params = variables["params"]
    stats = variables["batch_stats"]
    assert set(params) == {"dense", "up_0", "up_1", "norm_start", "norm_0"}
    assert [name for name in params if "bias" in params[name] and "kernel" in params[name]] == [
        "up_1"
    ]

    def by_hand(of_batch):
        updated = {}
        h = np.asarray(Z @ params["dense"]["kernel"]).reshape(6, 2, 3, 4)
        for name in ("norm_start", "norm_0"):
            if name == "norm_0":
                h = np.asarray(linens(TWO[0], params["up_0"], jnp.asarray(h)))
            running, norm = (
                {key: np.asarray(v) for key, v in tree[name].items()} for tree in (stats, params)
            )
            batch = {"mean": h.mean((0, 1, 2)), "var": h.var((0, 1, 2))}
            updated[name] = {key: 0.9 * running[key] + 0.1 * batch[key] for key in batch}
            used = running
            if of_batch:
                used = batch
            normalized = (h - used["mean"]) / np.sqrt(used["var"] + 1e-5)
            h = np.maximum(normalized * norm["scale"] + norm["bias"], 0)
        return linens(TWO[1], params["up_1"], jnp.asarray(h)), updated

    run = jax.jit(
        lambda v, train: model.apply(v, Z, train=train, mutable=["batch_stats"]), static_argnums=1
    )
    expected, statistics = by_hand(True)
    y, after = run(variables, True)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        after["batch_stats"],
        statistics,
    )
    y, unchanged = run(variables, False)
    np.testing.assert_allclose(y, by_hand(False)[0], rtol=1e-3, atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, unchanged["batch_stats"], stats)


def test_bfloat16_computes_near_and_returns_float32():
    exact, rounded = (
        ConvDecoder(TWO, (2, 3, 4), norm="batch", dtype=dtype) for dtype in (None, jnp.bfloat16)
    )
    variables = random_variables(exact, Z)
    a, b = (
        jax.jit(lambda v, model=model: model.apply(v, Z, train=False))(variables)
        for model in (exact, rounded)
    )
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05 * float(jnp.abs(a).max())


def test_kernels_start_as_told(key):
    model = ConvDecoder((UpStage(16), UpStage(16)), start=(2, 2, 8), kernel_init="truncated_normal")
    params = jax.jit(lambda: model.init(key, Z, train=False))()["params"]
    assert set(params) == {"dense", "up_0", "up_1"}
    for layer in params.values():
        assert 0.15 < float(jnp.abs(layer["kernel"]).max()) <= 0.2


def init(model, z):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), z, train=False))


def line_of(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


SOME = "a sequence of UpStage, at least one"
BAD = [
    (lambda: UpStage(0), "features: got 0, allowed: at least 1"),
    (lambda: UpStage(1, 0), "kernel: got 0, allowed: at least 1"),
    (lambda: UpStage(1, 4, 1.5), "strides: got 1.5, allowed: an integer, at least 1"),
    (lambda: ConvDecoder(()), f"stages: got (), allowed: {SOME}"),
    (
        lambda: ConvDecoder(UpStage(1)),
        f"stages: got UpStage(features=1, kernel=4, strides=2), allowed: {SOME}",
    ),
    (lambda: ConvDecoder((8,)), f"stages: got (8,), allowed: {SOME}"),
    (lambda: ConvDecoder(TWO, (7, 7)), "start: got (7, 7), allowed: height, width and features"),
    (lambda: ConvDecoder(TWO, ()), "start: got (), allowed: height, width and features"),
    (lambda: ConvDecoder(TWO, 7), "start: got 7, allowed: height, width and features"),
    (lambda: ConvDecoder(TWO, (7, 0, 3)), "start: got 0, allowed: at least 1"),
    (
        lambda: ConvDecoder(TWO, dense=(3,)),
        "dense: got (3,), allowed: () without `start`, where the input is feature maps",
    ),
    (lambda: ConvDecoder(TWO, (2, 3, 4), (3, 0)), "dense: got 0, allowed: at least 1"),
    (
        lambda: ConvDecoder(TWO, norm="weight"),
        "norm: got 'weight', allowed: batch, group, instance, layer, rms",
    ),
    (lambda: ConvDecoder(TWO, activation="rel"), line_of(lambda: activation("rel"))),
    (lambda: ConvDecoder(TWO, kernel_init="normal"), line_of(lambda: initializer("normal"))),
    (
        lambda: init(ConvDecoder(TWO, (2, 3, 4)), MAPS),
        "z: got 'float32[4, 3, 2, 3]', allowed: float vectors [B, Z]",
    ),
    (lambda: init(ConvDecoder(TWO), Z), "z: got 'float32[6, 3]', allowed: float maps [B, I, J, D]"),
    (
        lambda: init(ConvDecoder(TWO, (2, 3, 4)), Z.astype(jnp.int32)),
        "z: got 'int32[6, 3]', allowed: float vectors [B, Z]",
    ),
]


@pytest.mark.parametrize(
    ("call", "line"), BAD, ids=[f"{i} {line.split(',')[0]}" for i, (_, line) in enumerate(BAD)]
)
def test_says_in_one_line_what_is_allowed(call, line):
    assert line_of(call) == line
