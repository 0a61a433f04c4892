"""Activations by name, of every model: values, bumps and gradients against other computations."""

import dataclasses
import inspect
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxdl import models
from jaxdl.errors import InputError
from jaxdl.models import (
    CNN,
    CNN1D,
    MLP,
    VAE,
    Autoencoder,
    Conditional,
    ConvDecoder,
    OneHot,
    Reshaped,
    SequenceNet,
    Stage,
    UpStage,
    dcgan,
    tcn,
)
from jaxdl.nn import LSTM, RNN, Embedding, TimeDistributed, named, tap
from jaxdl.nn.tap import tapped
from tests.models.random_variables import random_variables
from tests.nn import recurrences

B = 2
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(B, 6)).astype(np.float32)
IMAGES = RNG.normal(size=(B, 8, 8, 2)).astype(np.float32)
IDS = RNG.integers(0, 5, (B, 6)).astype(np.int32)
CLIPS = RNG.normal(size=(B, 6, 4, 4, 1)).astype(np.float32)
STEPS = RNG.normal(size=(B, 6, 3)).astype(np.float32)
LABEL = {"label": np.array([2, 0], np.int32)}
LENGTHS = {"lengths": np.array([6, 3], np.int32)}

GENERATOR, DISCRIMINATOR = dcgan((8, 8, 2), 2, (5,), norm="batch")
HALVES = Conditional(MLP((5,), 4, "tanh"), 3, 2), Conditional(Reshaped(MLP((5,), 6), (3, 2)), 3, 2)

#: A model, its input, and the further arguments of its call.
MODELS = {
    "mlp": (MLP((5, 4), 3, "tanh", norm="layer"), VECTORS, {}),
    "weight_norm": (MLP((5,), 3, norm="weight"), VECTORS, {}),
    "cnn": (
        CNN(
            (Stage(8), Stage(8, pool="average"), Stage(8, pool=None, use_norm=False)), (9,), 3
        ).clone(activation="leaky_relu", norm="batch", remat=True),
        IMAGES,
        {},
    ),
    "smooth_cnn": (CNN((Stage(3, 2, 2), Stage(2)), (), 2, "tanh"), IMAGES, {}),
    "maps": (CNN((Stage(3),), outputs=None), IMAGES, {}),
    "conv_decoder": (
        ConvDecoder((UpStage(3), UpStage(1)), (2, 2, 4), (5,), norm="batch"),
        VECTORS,
        {},
    ),
    "conditional": (Conditional(MLP((5,), 3), 3), VECTORS, LABEL),
    "conditional_images": (Conditional(CNN((Stage(3),), (), 2), 3), IMAGES, LABEL),
    "autoencoder": (
        Autoencoder(CNN((Stage(3),), outputs=None), ConvDecoder((UpStage(2),))),
        IMAGES,
        {},
    ),
    "vae": (VAE(*HALVES, latent=2), VECTORS, LABEL),
    "generator": (GENERATOR, VECTORS, {}),
    "discriminator": (DISCRIMINATOR, IMAGES, {}),
    "simple": (
        SequenceNet(OneHot(5), RNN("simple", 3, 2, bidirectional=True), 2, "mean"),
        IDS,
        LENGTHS,
    ),
    "lstm": (SequenceNet(Embedding(5, 4), RNN("lstm", 3, 2), 2), IDS, {}),
    "bidirectional_lstm": (
        SequenceNet(None, RNN("lstm", 3, 1, bidirectional=True), 2, "last"),
        STEPS,
        LENGTHS,
    ),
    "gru": (SequenceNet(None, RNN("gru", 3, 2, return_sequences=False), 2), STEPS, LENGTHS),
    "tcn": (SequenceNet(Embedding(5, 3), tcn((3, 4), 2), 2, "last"), IDS, LENGTHS),
    "conv1d": (
        SequenceNet(TimeDistributed(CNN((Stage(2),), (), 3)), CNN1D((3, 4), 3), 2, "max"),
        CLIPS,
        LENGTHS,
    ),
}
each_model = pytest.mark.parametrize("name", MODELS)

#: Models in which each activation alone determines the outputs.
CHAINS = ["mlp", "weight_norm", "cnn", "smooth_cnn", "maps", "conv_decoder", "autoencoder"]
CHAINS += ["generator", "discriminator"]


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x):
    return np.maximum(x, 0.01 * x)


def pool(maps, reduce=np.max):
    """Pools `[B, H, W, C]` in windows of 2x2."""
    b, h, w, c = maps.shape
    return reduce(maps.reshape(b, h // 2, 2, w // 2, 2, c), axis=(2, 4))


def valid(x):
    """Returns `[B, T, ...]` with zeros at invalid steps."""
    mask = np.arange(x.shape[1])[None] < LENGTHS["lengths"][:, None]
    return x * mask[..., None]


def steps_to(x, count):
    """Returns the maximum of every two steps of `[B, 2 count, D]`."""
    return x.reshape(B, count, 2, -1).max(2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


#: The activations that are no output of a layer, from those of the layers before them.
POINTS = {
    "mlp": {f"activation_{i}": lambda a, i=i: np.tanh(a[f"norm_{i}"]) for i in range(2)},
    "weight_norm": {"activation_0": lambda a: relu(a["dense_0"])},
    "cnn": {
        "activation_0": lambda a: leaky_relu(a["norm_0"]),
        "pool_0": lambda a: pool(leaky_relu(a["norm_0"])),
        "activation_1": lambda a: leaky_relu(a["norm_1"]),
        "pool_1": lambda a: pool(leaky_relu(a["norm_1"]), np.mean),
        "activation_2": lambda a: leaky_relu(a["conv_2"]),
        "head/activation_0": lambda a: leaky_relu(a["head/norm_0"]),
    },
    "smooth_cnn": {
        "activation_0": lambda a: np.tanh(a["conv_0"]),
        "pool_0": lambda a: pool(np.tanh(a["conv_0"])),
        "activation_1": lambda a: np.tanh(a["conv_1"]),
        "pool_1": lambda a: pool(np.tanh(a["conv_1"])),
    },
    "maps": {
        "activation_0": lambda a: relu(a["conv_0"]),
        "pool_0": lambda a: pool(relu(a["conv_0"])),
    },
    "conv_decoder": {
        "activation_dense_0": lambda a: relu(a["norm_dense_0"]),
        "activation_start": lambda a: relu(a["norm_start"]),
        "activation_0": lambda a: relu(a["norm_0"]),
    },
    "conditional": {"body/activation_0": lambda a: relu(a["body/dense_0"])},
    "conditional_images": {
        "body/activation_0": lambda a: relu(a["body/conv_0"]),
        "body/pool_0": lambda a: pool(relu(a["body/conv_0"])),
    },
    "autoencoder": {
        "encoder/activation_0": lambda a: relu(a["encoder/conv_0"]),
        "encoder/pool_0": lambda a: pool(relu(a["encoder/conv_0"])),
    },
    "vae": {
        "encoder/body/activation_0": lambda a: np.tanh(a["encoder/body/dense_0"]),
        "decoder/body/body/activation_0": lambda a: relu(a["decoder/body/body/dense_0"]),
    },
    "generator": {
        "body/activation_dense_0": lambda a: relu(a["body/norm_dense_0"]),
        "body/activation_start": lambda a: relu(a["body/norm_start"]),
        "body/activation_0": lambda a: relu(a["body/norm_0"]),
        "activation": lambda a: sigmoid(a["body"]),
    },
    "discriminator": {
        "activation_0": lambda a: leaky_relu(a["conv_0"]),
        "activation_1": lambda a: leaky_relu(a["norm_1"]),
        "head/activation_0": lambda a: leaky_relu(a["head/norm_0"]),
    },
    "tcn": {
        **{
            f"body/activation_{part}": lambda a, part=part: relu(valid(a[f"body/conv_{part}"]))
            for part in ("0a", "0b", "1a", "1b")
        },
        "body/activation_0": lambda a: valid(relu(relu(a["body/conv_0b"]) + a["embed"])),
        "body/activation_1": lambda a: valid(relu(relu(a["body/conv_1b"]) + a["body/skip_1"])),
        "pool": lambda a: a["body"][np.arange(B), LENGTHS["lengths"] - 1],
    },
    "conv1d": {
        "embed/model/activation_0": lambda a: relu(a["embed/model/conv_0"]),
        "embed/model/pool_0": lambda a: pool(relu(a["embed/model/conv_0"])),
        "body/activation_0": lambda a: relu(valid(a["body/conv_0"])),
        "body/pool_0": lambda a: steps_to(relu(valid(a["body/conv_0"])), 3),
        "body/activation_1": lambda a: relu(
            np.stack([a["body/conv_1"][0], a["body/conv_1"][1] * [[1], [1], [0]]])
        ),
        "body/pool_1": lambda a: steps_to(
            np.pad(a["body/activation_1"], ((0, 0), (0, 1), (0, 0))), 2
        ),
        "pool": lambda a: a["body"].max(1),
    },
}


def close(actual, expected, tolerance=1e-6):
    recurrences.close(actual, expected, tolerance)


@cache
def variables_of(name):
    model, x, more = MODELS[name]
    return random_variables(model, x, **more)


def tapped_model(name, *names):
    model, _, more = MODELS[name]
    return jax.jit(tap(model, variables_of(name), *names, train=False, **more))


@cache
def seen(name):
    """Returns the outputs and all activations of a model, as NumPy arrays."""
    return jax.tree.map(np.asarray, tapped_model(name)(MODELS[name][1]))


def modules_in(module):
    """Yields the types of a module and of the modules in its fields."""
    yield type(module)
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, linen.Module) and field.name != "parent":
            yield from modules_in(value)


def test_the_table_has_every_model():
    known = {value for value in vars(models).values() if inspect.isclass(value)}
    known = {value for value in known if issubclass(value, linen.Module)}
    assert known <= {kind for model, _, _ in MODELS.values() for kind in modules_in(model)}


@cache
def captured(name):
    """Returns the outputs and the layers' outputs by Linen's own means, without a tap."""
    model, x, more = MODELS[name]
    variables = variables_of(name)

    @jax.jit
    def run(x):
        return model.apply(
            variables,
            x,
            train=False,
            **more,
            capture_intermediates=True,
            mutable=["intermediates"],
        )

    y, updates = run(x)
    layers = {}
    for path, (first, *_) in flatten_dict(updates["intermediates"]).items():
        if path[:-1]:
            layers["/".join(path[:-1])] = first[0] if isinstance(first, tuple) else first
    return y, layers


@each_model
def test_outputs_and_layers_are_those_without_a_tap(name):
    y, layers = captured(name)
    outputs, activations = seen(name)
    close(outputs, y)
    close({path: activations[path] for path in layers}, layers)
    assert len(layers) >= 2


@pytest.mark.parametrize("name", POINTS)
def test_all_other_activations_follow_from_the_layers(name):
    activations = seen(name)[1]
    assert set(activations) - set(captured(name)[1]) == set(POINTS[name])
    for point, expected in POINTS[name].items():
        close(activations[point], expected(activations).astype(np.float32))


@pytest.mark.parametrize("name", CHAINS)
def test_a_bump_replaces_the_activation(name):
    """The activations of other inputs, one after the other, give the outputs of those inputs."""
    x = MODELS[name][1]
    f = tapped_model(name)
    other = x[::-1] + np.float32(0.3)
    outputs, activations = seen(name)
    expected, others = jax.tree.map(np.asarray, f(other))
    assert abs(expected - outputs).max() > 0.01
    for point, activation in activations.items():
        zeros = {each: np.zeros_like(value) for each, value in activations.items()}
        y, bumped = f(x, {**zeros, point: others[point] - activation})
        close(y, expected, 1e-5)
        close(bumped[point], others[point], 1e-5)


@each_model
def test_gradients_by_bumps_are_differences(name):
    _, x, _ = MODELS[name]
    rng = np.random.default_rng(3)
    f = tapped_model(name)
    outputs, activations = seen(name)
    weights = rng.normal(size=outputs.shape).astype(np.float32)
    # Random bumps, because a ReLU and a maximum have no derivative at a 0 and at equal numbers.
    bumps = {
        point: rng.normal(size=value.shape).astype(np.float32)
        for point, value in activations.items()
    }
    gradients = jax.jit(jax.grad(lambda bumps: (f(x, bumps)[0] * weights).sum()))(bumps)
    not_zero = 0
    for point, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape).astype(np.float32)
        high, low = (
            np.sum(np.float64(f(x, {**bumps, point: bumps[point] + step * direction})[0]) * weights)
            for step in (np.float32(1e-3), np.float32(-1e-3))
        )
        expected = np.vdot(gradient, direction)
        assert abs((high - low) / 2e-3 - expected) < 0.01 + 0.01 * abs(expected), point
        not_zero += bool(abs(gradient).max() > 1e-4)
    assert not_zero >= len(gradients) - 2


def gates(np, cell, p, x, bumps, lengths):
    """Runs a cell over one sequence step by step; returns the gates and carries `[T, H]`.

    `np` is NumPy or `jax.numpy`.
    """

    def s(a):
        return 1 / (1 + np.exp(-a))

    size = p["recurrent_kernel"].shape[0]
    zero = np.zeros(size)
    h = zero
    c = zero
    rows = []
    for t in range(len(x)):
        row = {}

        def point(name, value, t=t, row=row):
            row[name] = value + bumps.get(name, np.zeros((len(x), size)))[t]
            return row[name]

        if t >= lengths:
            rows.append(dict.fromkeys(rows[0], zero))
            continue
        a = x[t] @ p["kernel"] + p["bias"]
        u = h @ p["recurrent_kernel"]
        if cell == "simple":
            h = point("h", np.tanh(a + u))
        elif cell == "lstm":
            i, f, g, o = np.split(a + u, 4)
            kept = point("forget", s(f)) * c
            c = point("cell", kept + point("input", s(i)) * point("candidate", np.tanh(g)))
            h = point("h", point("output", s(o)) * np.tanh(c))
        else:
            (r, z, n), (r_h, z_h, n_h) = np.split(a, 3), np.split(u, 3)
            r = point("reset", s(r + r_h))
            z = point("update", s(z + z_h))
            n = point("candidate", np.tanh(n + r * (n_h + p["recurrent_bias"])))
            h = point("h", (1 - z) * n + z * h)
        rows.append(row)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_gates_and_carries_are_those_of_the_loop(cell):
    """Two layers in two directions with lengths; values in NumPy, gradients by autodiff."""
    model = RNN(cell, 3, 2, bidirectional=True)
    variables = random_variables(model, STEPS)
    lengths = jnp.asarray(LENGTHS["lengths"])
    f = jax.jit(tap(model, variables, train=False, lengths=lengths))
    (ys, _), activations = f(STEPS)
    params = jax.tree.map(np.asarray, variables["params"])

    def layer(np, name, x, bumps):
        """Returns the gates of one layer and direction, of all sequences."""
        results = []
        for b, length in enumerate(LENGTHS["lengths"]):
            steps = np.asarray(x[b])
            mine = {point: bump[b] for point, bump in bumps.items()}
            if name.endswith("backward"):
                order = np.concatenate([np.arange(length)[::-1], np.arange(length, len(steps))])
                mine = {point: bump[order] for point, bump in mine.items()}
                values = gates(np, cell, params[name], steps[order], mine, length)
                results.append({point: value[order] for point, value in values.items()})
            else:
                results.append(gates(np, cell, params[name], steps, mine, length))
        return {point: np.stack([each[point] for each in results]) for point in results[0]}

    x = STEPS
    for i in range(2):
        halves = []
        for name in (f"{cell}_{i}", f"{cell}_{i}_backward"):
            expected = layer(np, name, x, {})
            close({point: activations[f"{name}/{point}"] for point in expected}, expected, 1e-5)
            halves.append(expected["h"])
        x = np.concatenate(halves, -1)
    close(ys, x, 1e-5)

    # The gradient of the last backward layer by each of its gates and carries.
    name = f"{cell}_1_backward"
    points = [path for path in activations if path.startswith(name + "/")]
    bumps = {path: 0.1 * RNG.normal(size=(B, 6, 3)).astype(np.float32) for path in points}
    weights = RNG.normal(size=(B, 6, 3)).astype(np.float32)
    below = np.concatenate([activations[f"{cell}_0{half}/h"] for half in ("", "_backward")], -1)

    def textbook(bumps):
        inside = {path.split("/")[-1]: bump for path, bump in bumps.items()}
        return (layer(jnp, name, below, inside)["h"] * weights).sum()

    def score(bumps):
        return (f(STEPS, bumps)[0][0][..., 3:] * weights).sum()

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        expected = jax.jit(jax.grad(textbook))(bumps)
    close(jax.jit(jax.grad(score))(bumps), expected, 1e-4)


def test_grad_cam_of_a_network_that_ends_in_a_global_average_is_cam():
    model = CNN((Stage(4), Stage(6, pool="average", window=4)), (), 3)
    variables = random_variables(model, IMAGES)
    f = jax.jit(tap(model, variables, "activation_1", train=False))
    maps = np.asarray(f(IMAGES)[1]["activation_1"])
    for label in range(3):
        gradient = jax.grad(lambda bump: f(IMAGES, {"activation_1": bump})[0][:, label].sum())
        weights = gradient(np.zeros_like(maps)).mean((1, 2), keepdims=True)
        grad_cam = (weights * maps).sum(-1)
        cam = maps @ np.asarray(variables["params"]["head"]["out"]["kernel"])[:, label]
        close(grad_cam * 16, cam, 1e-5)


def test_the_names_select_and_bumps_need_no_name():
    model, x, _ = MODELS["mlp"]
    f = tap(model, variables_of("mlp"), "out", "dense_0", train=False)
    y, activations = f(x)
    assert list(activations) == ["out", "dense_0"]
    bump = np.full((B, 4), 0.5, np.float32)
    moved, bumped = f(x, {"activation_1": bump})
    assert set(bumped) == set(activations)
    out = variables_of("mlp")["params"]["out"]["kernel"]
    close(moved, y + bump @ out, 1e-5)
    close(bumped["out"], moved)
    shapes = jax.eval_shape(tap(model, variables_of("mlp"), train=False), x)[1]
    assert {"norm_1", "activation_1"} < set(shapes)


def test_a_sum_of_a_narrow_activation_and_a_wide_bump_is_narrow():
    model = MLP((4,), 2, dtype=jnp.bfloat16)
    f = tap(model, random_variables(model, VECTORS), "dense_0", train=False)
    bump = np.ones((B, 4), np.float32)
    values = f(VECTORS)[1]["dense_0"]
    bumped = f(VECTORS, {"dense_0": bump})[1]["dense_0"]
    assert values.dtype == bumped.dtype == jnp.bfloat16
    close(bumped.astype(jnp.float32), values.astype(jnp.float32) + bump, 0.01)
    gradient = jax.grad(lambda bump: f(VECTORS, {"dense_0": bump})[0].sum())(bump)
    assert gradient.dtype == jnp.float32


def test_training_mode_returns_the_updated_statistics(key):
    model = MLP((50,), 2, dropout=0.5, norm="batch")
    variables = random_variables(model, VECTORS)
    more = {"train": True, "rngs": {"dropout": key}, "mutable": ["batch_stats"]}
    (y, updates), activations = tap(model, variables, **more)(VECTORS)
    expected, expected_updates = model.apply(variables, VECTORS, **more)
    close((y, updates), (expected, expected_updates))
    dropped = np.asarray(activations["Dropout_0"]) == 0
    kept = activations["activation_0"] * 2
    close(activations["Dropout_0"], np.where(dropped, 0, kept))


ERRORS = {
    "name: got 'conv_7', allowed: .*norm_0.* \\(did you mean 'conv_2'": (["conv_7"], {}),
    "name: got 3, allowed: names of activations": ([3], {}),
    "bumps: got 'pool', allowed: .*pool_0": ([], {"pool": np.zeros(1)}),
    "bumps\\['pool_0'\\]: got \\[1, 4, 4, 8\\], allowed: \\[2, 4, 4, 8\\], the shape": (
        [],
        {"pool_0": np.zeros((1, 4, 4, 8))},
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_list_what_is_allowed(message):
    names, bumps = ERRORS[message]
    model, x, _ = MODELS["cnn"]
    with pytest.raises(InputError, match=message) as error:
        jax.eval_shape(tap(model, variables_of("cnn"), *names, train=False), x, bumps)
    assert "\n" not in str(error.value)


def test_a_bump_of_a_gate_has_its_shape():
    model, x, _ = MODELS["lstm"]
    f = tap(model, variables_of("lstm"), train=False)
    with pytest.raises(InputError, match="forget'\\]: got \\[2, 5, 3\\], allowed: \\[2, 6, 3\\]"):
        f(x, {"body/lstm_1/forget": np.zeros((2, 5, 3), np.float32)})


def test_nothing_remains_after_a_call_or_an_error():
    model, x, _ = MODELS["cnn"]
    variables = variables_of("cnn")

    def program():
        return gradient_of(lambda x: (model.apply(variables, x, train=False), None))

    def gradient_of(f):
        return str(jax.make_jaxpr(jax.grad(lambda x: f(x)[0].sum()))(x))

    class Probe(linen.Module):
        @linen.compact
        def __call__(self, x):
            assert (tapped(self) is None) == (len(x) == 1)
            if len(x) == 3:
                raise ZeroDivisionError
            return x

    before = program()
    f = tap(model, variables, train=False)
    jax.eval_shape(f, x)
    with pytest.raises(InputError):
        f(x, {"conv_0": np.zeros(1)})
    with pytest.raises(ZeroDivisionError):
        tap(Probe(), {})(np.zeros(3))
    tap(Probe(), {})(np.zeros(2))
    Probe().apply({}, np.zeros(1))
    assert program() == before
    assert "remat" in before
    assert "remat" not in gradient_of(f)


def test_transformations_of_f_leak_nothing():
    model, x, _ = MODELS["smooth_cnn"]
    f = tap(model, variables_of("smooth_cnn"), "pool_0", train=False)
    y, activations = seen("smooth_cnn")
    with jax.checking_leaks():
        close(jax.jit(f)(x)[0], y)
        mapped = jax.vmap(lambda x: f(x[None]))(x)
        close(mapped[1]["pool_0"][:, 0], activations["pool_0"])
        gradient = jax.jit(jax.grad(lambda x: f(x)[1]["pool_0"].sum()))(x)
        rest = jax.checkpoint(lambda x: f(x)[1]["pool_0"].sum())
        close(jax.jit(jax.grad(rest))(x), gradient, 1e-5)
        _, scanned = jax.lax.scan(lambda c, x: (c, f(x[None])[1]), 0, x)
        close(scanned["pool_0"][:, 0], activations["pool_0"])


def test_threads_have_taps_of_their_own():
    names = ["mlp", "weight_norm", "conditional", "vae"] * 3

    def run(name):
        model, x, more = MODELS[name]
        return tap(model, variables_of(name), train=False, **more)(x)

    with ThreadPoolExecutor(4) as threads:
        for name, result in zip(names, threads.map(run, names), strict=True):
            close(result, seen(name), 1e-5)


class Users(linen.Module):
    """A module of a user: a shared layer, a base class, loops, and a value with a name."""

    def setup(self):
        self.shared = linen.Dense(6)
        self.scaled = Scaled(6)
        self.again = linen.remat(linen.Dense)(6)

    def __call__(self, x):
        x = named(self, "square", self.shared(x) ** 2)
        x = self.shared(x) + self.scaled(x) + self.again(x)
        x = jax.jit(lambda x: named(self, "inside", x) + 1)(x)
        return jax.lax.scan(lambda c, row: (c, named(self, "row", row)), 0, x)[1]


class Scaled(linen.Dense):
    @linen.compact
    def __call__(self, x):
        return super().__call__(x) * 3


def test_a_module_of_a_user_has_names():
    model = Users()
    variables = random_variables_of_a_user(model)
    params = variables["params"]
    y, activations = jax.jit(tap(model, variables))(VECTORS)

    def dense(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"][None]

    square = dense("shared", VECTORS) ** 2
    expected = {
        "shared": dense("shared", VECTORS),
        "square": square,
        "shared:1": dense("shared", square),
        "scaled": 3 * dense("scaled", square),
    }
    close(activations, expected, 1e-5)
    again = dense("again", square)
    close(y, expected["shared:1"] + expected["scaled"] + again + 1, 1e-5)


def random_variables_of_a_user(model):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), VECTORS))
    return recurrences.random_like(shapes, 0)


def test_a_tapped_model_may_apply_another_one():
    inner = MLP((5,), 6, "tanh")
    inner_variables = random_variables(inner, VECTORS)

    class Outer(linen.Module):
        tap: bool

        @linen.compact
        def __call__(self, x, train):
            if self.tap:
                x, activations = tap(inner, inner_variables, train=False)(x)
                assert set(activations) >= {"dense_0", "activation_0"}
            else:
                x = inner.apply(inner_variables, x, train=False)
            return linen.Dense(3, name="dense_0")(x)

    variables = random_variables(Outer(False), VECTORS)
    results = [tap(Outer(each), variables, train=False)(VECTORS) for each in (True, False)]
    assert set(results[0][1]) == {"dense_0"}
    close(results[0], results[1])
    close(results[0][0], results[0][1]["dense_0"])


def test_an_lstm_by_itself_has_names_without_a_path():
    model = LSTM(3)
    variables = recurrences.parameters("lstm")
    x = recurrences.normal(1, recurrences.B, recurrences.T, recurrences.D)
    carry = recurrences.carries("lstm", 5)
    (ys, end), activations = tap(model, variables, carry=carry, mask=recurrences.HOLES)(x)
    close((ys, end), model.apply(variables, x, carry, recurrences.HOLES))
    close(activations["h"], ys)
    assert set(activations) == {"input", "forget", "candidate", "output", "cell", "h"}
