"""CNN against Linen's layers, its norm against PyTorch, and the sizes of the lectures' networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage, lecture_cnn_3x3, lecture_cnn_5x5, resnet20
from jaxdl.nn import Conv
from jaxdl.nn.elementwise import Dropout, activation, is_monotonic
from jaxdl.nn.pool import max_pool
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 9, 8, 2)), jnp.float32)
TWO = (Stage(4, 3, pool="average", padding="VALID"), Stage(5, 2, strides=2, pool="max", window=2))


def test_is_its_layers_one_after_the_other():
    model = CNN(TWO, dense=(7,), outputs=3, activation="tanh")
    variables = random_variables(model, X)
    params = variables["params"]
    assert set(params) == {"conv_0", "conv_1", "head"}
    h = jnp.tanh(nn.Conv(4, (3, 3), padding="VALID").apply({"params": params["conv_0"]}, X))
    h = h[:, :6].reshape(6, 3, 2, 3, 2, 4).mean((2, 4))
    h = jnp.tanh(nn.Conv(5, (2, 2), 2).apply({"params": params["conv_1"]}, h))
    h = nn.max_pool(h, (2, 2), (2, 2)).reshape(6, -1)
    for name in ("dense_0", "out"):
        layer = params["head"][name]
        h = h @ layer["kernel"] + layer["bias"][None]
        if name != "out":
            h = jnp.tanh(h)
    y = jax.jit(lambda v: model.apply(v, X, train=False))(variables)
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-5)


def test_without_outputs_the_last_stages_maps_are_returned():
    model = CNN(TWO, outputs=None, activation="tanh")
    variables = random_variables(model, X)
    params = variables["params"]
    assert set(params) == {"conv_0", "conv_1"}
    h = jnp.tanh(Conv(4, (3, 3), padding="VALID").apply({"params": params["conv_0"]}, X))
    h = h[:, :6].reshape(6, 3, 2, 3, 2, 4).mean((2, 4))
    h = max_pool(jnp.tanh(Conv(5, (2, 2), (2, 2)).apply({"params": params["conv_1"]}, h)), 2)
    y = jax.jit(lambda v: model.apply(v, X, train=False))(variables)
    assert (y.shape, y.dtype) == ((6, 1, 1, 5), jnp.float32)
    np.testing.assert_allclose(y, h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", [{"dense": (8,)}, {"dropout": 0.5}])
def test_without_outputs_there_is_no_head(head):
    with pytest.raises(InputError) as caught:
        CNN(TWO, outputs=None, **head)
    assert (
        str(caught.value)
        == "outputs: got None, allowed: a number, with a head's dense layers or dropout"
    )


@pytest.mark.parametrize(
    "wrong", [{"activation": "rel"}, {"kernel_init": "he"}, {"norm": "weight"}]
)
def test_without_outputs_the_stages_fields_are_checked_as_with(wrong):
    lines = []
    for outputs in (3, None):
        with pytest.raises(InputError) as caught:
            CNN(TWO, outputs=outputs, **wrong)
        lines.append(str(caught.value))
    assert lines[0] == lines[1]


MONOTONIC = ("linear", "piecewise_linear", "relu", "relu6", "leaky_relu", "leaky_relu(0.3)")
MONOTONIC += ("leaky_relu(0)", "thresholded_relu", "hard_sigmoid")


@pytest.mark.parametrize("name", MONOTONIC)
def test_the_largest_activation_is_the_activation_of_the_largest(name):
    assert is_monotonic(name)
    f = activation(name)
    g = jnp.asarray(np.random.default_rng(4).normal(size=(32, 6, 6, 8)), jnp.float32)
    x = 2 * jnp.asarray(np.random.default_rng(5).normal(size=(32, 12, 12, 8)), jnp.float32)
    last, first = (
        jax.vjp(h, x) for h in (lambda x: max_pool(f(x), 2), lambda x: f(max_pool(x, 2)))
    )
    np.testing.assert_array_equal(last[0], first[0])
    np.testing.assert_array_equal(last[1](g)[0], first[1](g)[0])


@pytest.mark.parametrize(
    ("name", "pool", "early"),
    [
        ("relu", "max", True),
        ("relu", "average", False),
        ("tanh", "max", False),
        ("leaky_relu(0.2)", "max", True),
        ("leaky_relu(-0.2)", "max", False),
    ],
)
def test_pooling_comes_first_where_that_changes_nothing(monkeypatch, name, pool, early):
    model = CNN(
        (Stage(4, pool=pool), Stage(5, 2, pool=pool)), outputs=3, activation=name, norm="batch"
    )
    variables = random_variables(model, X)

    def loss(variables):
        return jnp.sin(model.apply(variables, X, train=False)).sum()

    def measured():
        step = jax.value_and_grad(lambda variables: loss(variables))
        return str(jax.make_jaxpr(step)(variables)), jax.jit(step)(variables)

    program, found = measured()
    monkeypatch.setattr("jaxdl.models.cnn.is_monotonic", lambda name: False)
    program_after, found_after = measured()
    assert (program != program_after) == early
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, found_after
    )


@pytest.mark.parametrize(
    "stage", [*TWO, Stage(3, 5, pool=None), Stage(3, 4, strides=3, padding="VALID", pool=None)]
)
def test_stages_know_their_size(key, stage):
    model = CNN((stage,), outputs=1)
    params = jax.eval_shape(lambda: model.init(key, X, train=False))["params"]
    assert params["head"]["out"]["kernel"].shape == (
        stage.size(9) * stage.size(8) * stage.features,
        1,
    )


def test_batch_norm_is_pytorchs_in_training():
    torch = pytest.importorskip("torch")
    model = CNN((Stage(4, pool=None, padding="VALID"),), outputs=3, norm="batch")
    variables = random_variables(model, X)
    params = variables["params"]
    conv = torch.nn.Conv2d(2, 4, 3, bias=False)
    norm = torch.nn.BatchNorm2d(4)
    dense = torch.nn.Linear(7 * 6 * 4, 3)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(np.array(params["conv_0"]["kernel"])).permute(3, 2, 0, 1))
        norm.weight.copy_(torch.tensor(np.array(params["norm_0"]["scale"])))
        dense.weight.copy_(torch.tensor(np.array(params["head"]["out"]["kernel"]).T))
        for layer, ours in ((norm, params["norm_0"]), (dense, params["head"]["out"])):
            layer.bias.copy_(torch.tensor(np.array(ours["bias"])))
    h = torch.relu(norm(conv(torch.tensor(np.array(X)).permute(0, 3, 1, 2))))
    theirs = dense(h.permute(0, 2, 3, 1).flatten(1)).detach().numpy()
    ours, changed = model.apply(variables, X, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    stats = changed["batch_stats"]["norm_0"]
    n = 6 * 7 * 6
    np.testing.assert_allclose(stats["mean"], norm.running_mean.numpy(), rtol=1e-4, atol=1e-5)
    biased = 0.9 + (norm.running_var.numpy() - 0.9) * (n - 1) / n
    np.testing.assert_allclose(stats["var"], biased, rtol=1e-4, atol=1e-5)


def test_a_stage_can_do_without_the_norm():
    model = CNN((Stage(4, pool=None, use_norm=False), Stage(3, pool=None)), outputs=2, norm="batch")
    variables = random_variables(model, X)
    first = variables["params"]["conv_0"]
    second = variables["params"]["conv_1"]
    assert (set(first), set(second)) == ({"kernel", "bias"}, {"kernel"})
    assert set(variables["batch_stats"]) == {"norm_1"}
    taken = lambda module, _: module.name == "conv_0"  # noqa: E731
    _, seen = model.apply(variables, X, train=True, capture_intermediates=taken, mutable=True)
    conv = Conv(4, (3, 3)).apply({"params": first}, X)
    np.testing.assert_allclose(
        seen["intermediates"]["conv_0"]["__call__"][0], conv, rtol=1e-5, atol=1e-6
    )


def test_dropout_drops_the_rate_of_each_stage_and_of_the_head(key):
    x = jnp.asarray(np.random.default_rng(2).normal(size=(8, 16, 16, 1)), jnp.float32)
    model = CNN((Stage(32, pool=None, dropout=0.25),), (2000,), dropout=0.5, activation="linear")
    variables = random_variables(model, x)

    @jax.jit
    def seen(key):
        dropouts = lambda module, _: isinstance(module, Dropout)  # noqa: E731
        return model.apply(
            variables, x, train=True, rngs={"dropout": key}, capture_intermediates=dropouts
        )[1]

    seen = seen(key)["intermediates"]
    for inside, rate in ((seen, 0.25), (seen["head"], 0.5)):
        dropped = np.asarray(inside["Dropout_0"]["__call__"][0]) == 0
        assert abs(dropped.mean() - rate) <= 4 * (rate * (1 - rate) / dropped.size) ** 0.5


def test_bfloat16_computes_near_and_returns_float32():
    exact, rounded = (CNN(TWO, (8,), norm="batch", dtype=dtype) for dtype in (None, jnp.bfloat16))
    variables = random_variables(exact, X)
    a, b = (
        jax.jit(lambda v, model=model: model.apply(v, X, train=False))(variables)
        for model in (exact, rounded)
    )
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05 * float(jnp.abs(a).max())


SIZES = [
    (
        lecture_cnn_5x5,
        (5 * 5 * 32 + 32) + (5 * 5 * 32 * 64 + 64) + (7 * 7 * 64 * 1024 + 1024) + 10_250,
        3_274_634,
    ),
    (
        lecture_cnn_3x3,
        (3 * 3 * 32 + 32) + (3 * 3 * 32 * 64 + 64) + (12 * 12 * 64 * 128 + 128) + 1_290,
        1_199_882,
    ),
]


@pytest.mark.parametrize(("preset", "by_hand", "published"), SIZES)
def test_the_lectures_networks_have_their_size(key, preset, by_hand, published):
    shapes = jax.eval_shape(lambda: preset().init(key, jnp.zeros((1, 28, 28, 1)), train=False))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == by_hand == published


@pytest.mark.parametrize("preset", [lecture_cnn_5x5, lecture_cnn_3x3])
def test_the_lectures_networks_train_on_small_digits(key, preset):
    model = preset()
    x = jnp.asarray(np.random.default_rng(3).uniform(size=(16, 8, 8, 1)), jnp.float32)
    labels = jnp.arange(16) % 10

    params = random_variables(model, x)["params"]

    @jax.jit
    def gradients(params):
        def loss(params):
            logits = model.apply({"params": params}, x, train=True, rngs={"dropout": key})
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()

        return jax.grad(loss)(params)

    for leaf in jax.tree.leaves(gradients(params)):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


def test_weights_and_biases_start_as_told(key):
    model = CNN((Stage(16, 5),), (8,), kernel_init="truncated_normal", bias_init=0.1)
    params = jax.jit(lambda: model.init(key, X, train=False))()["params"]
    for layer in (params["conv_0"], params["head"]["dense_0"], params["head"]["out"]):
        np.testing.assert_allclose(layer["bias"], 0.1)
        assert 0.1 < float(jnp.abs(layer["kernel"]).max()) <= 0.2
    model = lecture_cnn_5x5()
    assert (model.kernel_init, model.bias_init, model.dropout) == ("truncated_normal", 0.1, 0.5)


def count(model, x):
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(("channels", "first"), [(3, 432), (1, 144)])
def test_resnet20_has_the_size_of_its_layers(channels, first):
    x = jnp.zeros((1, 32, 32, channels))
    widths = (16, 32, 64)
    within = sum(9 * width**2 for width in widths)
    between = 9 * (16 * 32 + 32 * 64)
    # Six convolutions of each width, the first of which may be a change of width.
    convs = first + 6 * within - 9 * (32**2 + 64**2) + between
    norms = 2 * (16 + 6 * sum(widths))
    head = 64 * 10 + 10
    projections = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    assert count(resnet20(residual=False), x) == convs + norms + head
    assert count(resnet20(), x) == convs + norms + head + projections
    assert channels == 1 or count(resnet20(), x) == 272_474


def test_resnet20_has_twenty_layers_and_its_twin_the_same(key):
    x = jnp.zeros((2, 16, 12, 1))
    one, other = (
        jax.eval_shape(lambda model=model: model.init(key, x, train=False))["params"]
        for model in (resnet20(7, 4), resnet20(7, 4, residual=False))
    )
    skips = {"skip_4", "norm_skip_4", "skip_7", "norm_skip_7"}
    assert {name: one[name] for name in set(one) - skips} == other
    assert skips < set(one)
    layers = [name for name in other if name.startswith("conv")] + list(other["head"])
    assert len(layers) == 20
    assert other["head"]["out"]["kernel"].shape == (16, 7)


def test_resnet20_trains_in_every_layer():
    x = jnp.asarray(np.random.default_rng(3).uniform(size=(8, 8, 8, 1)), jnp.float32)
    model = resnet20(3, 2)
    variables = random_variables(model, x)

    @jax.jit
    def gradients(params):
        def loss(params):
            arrays = {"params": params, "batch_stats": variables["batch_stats"]}
            y, _ = model.apply(arrays, x, train=True, mutable=["batch_stats"])
            return jnp.sin(y).sum()

        return jax.grad(loss)(params)

    for leaf in jax.tree.leaves(gradients(variables["params"])):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0


@pytest.mark.slow
@pytest.mark.optimized
def test_rematerialised_stages_give_the_same_for_less_memory(key):
    x = jnp.asarray(np.random.default_rng(5).normal(size=(32, 16, 16, 1)), jnp.float32)
    stages = (
        Stage(16, pool=None, dropout=0.2),
        Stage(16, pool=None),
        Stage(16, pool=None, convs=2, residual=True),
        Stage(16),
    )
    plain, again = (CNN(stages, norm="batch", remat=remat) for remat in (False, True))
    variables = random_variables(plain, x)
    found = []
    for model in (plain, again):

        def loss(params, model=model):
            rest = {name: value for name, value in variables.items() if name != "params"}
            arguments = {"rngs": {"dropout": key}, "mutable": ["batch_stats"]}
            y, moved = model.apply({"params": params, **rest}, x, train=True, **arguments)
            return (y**2).sum(), moved

        kept = jax.eval_shape(
            lambda params, loss=loss: jax.vjp(loss, params, has_aux=True)[1], variables["params"]
        )
        size = sum(leaf.size for leaf in jax.tree.leaves(kept))
        found.append((jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"]), size))
    (one, memory), (other, less) = found
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max()),
        one,
        other,
    )
    assert less < 0.5 * memory
