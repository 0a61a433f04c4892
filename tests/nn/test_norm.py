"""Norms against PyTorch, and norms of single values, which are refused in every task."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, ConvDecoder, Stage, UpStage
from jaxdl.models.mlp import normalize
from jaxdl.nn.norm import (
    Norm,
    batch_statistics,
    check_norm,
    norm_of,
    refuse_single_values,
    replaces_bias,
)

BATCH = (
    "2 or more values per channel in training: a larger batch_size, also of each device under "
    "pmap and of each part under accumulate; or no norm"
)


class Normed(nn.Module):
    """A network of a user, with a norm of Linen's after its first layer."""

    norm: nn.Module
    batch: bool = False

    @nn.compact
    def __call__(self, x, train):
        h = self.norm(x, use_running_average=not train) if self.batch else self.norm(x)
        return nn.Dense(2)(h.reshape(h.shape[0], -1))


def random_variables(model, x):
    """Returns variables with random statistics."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape)), shapes)


def trace(model, shape, train=True):
    """Traces a loss of the model on inputs of this shape."""
    x = jnp.zeros(shape)
    task = jaxdl.tasks.classify(model)
    batch = {"input": x, "label": jnp.zeros(shape[0], jnp.int32)}

    def step(key):
        params, extra = task.init(key, batch)
        return task.loss(params, extra, batch, key, train=train)[0]

    return jax.eval_shape(step, jax.random.key(0))


REFUSED = [
    (MLP((8,), 2, norm="batch"), (1, 3), "norm_0", [1, 8], BATCH),
    (MLP((1,), 2, norm="layer"), (4, 3), "norm_0", [4, 1], "2 or more features"),
    (CNN((Stage(4, 2, 2, pool=None),), (), 2, norm="batch"), (1, 2, 2, 1), "norm_0", None, BATCH),
    (Normed(nn.BatchNorm(), batch=True), (1, 3), "norm", [1, 3], BATCH),
    (Normed(nn.LayerNorm()), (4, 1), "norm", [4, 1], "2 or more features"),
    (Normed(nn.RMSNorm()), (4, 1), "norm", [4, 1], "2 or more features"),
    (Normed(nn.GroupNorm(4)), (4, 4), "norm", [4, 4], "2 or more values per group"),
    (Normed(nn.GroupNorm(None, 1)), (2, 1, 1, 4), "norm", None, "2 or more values per group"),
    (Normed(nn.InstanceNorm()), (4, 1, 1, 3), "norm", None, "2 or more values per channel"),
]
ACCEPTED = [
    (MLP((8,), 2, norm="batch"), (2, 3)),
    (MLP((2,), 2, norm="layer"), (1, 3)),
    (CNN((Stage(4),), (), 2, norm="batch"), (1, 4, 4, 1)),
    (Normed(nn.GroupNorm(2)), (1, 4)),
    (Normed(nn.GroupNorm(4)), (1, 2, 1, 4)),
    (Normed(nn.InstanceNorm()), (1, 1, 2, 3)),
]


@pytest.mark.parametrize(("model", "shape", "name", "seen", "allowed"), REFUSED)
def test_a_norm_of_single_values_is_refused_while_tracing(model, shape, name, seen, allowed):
    with pytest.raises(InputError) as error:
        trace(model, shape)
    line = str(error.value)
    assert "\n" not in line
    assert name in line.split(":")[0]
    assert allowed in line
    if seen is not None:
        assert f"got {seen}" in line


@pytest.mark.parametrize(("model", "shape"), ACCEPTED)
def test_two_values_are_accepted(model, shape):
    assert trace(model, shape)[0].shape == ()


def test_running_statistics_need_one_example():
    assert trace(MLP((8,), 2, norm="batch"), (1, 3), train=False)[0].shape == ()


def test_devices_of_one_axis_share_their_statistics():
    norm = nn.BatchNorm(use_running_average=False, axis_name="i")
    variables = nn.BatchNorm(use_running_average=True).init(jax.random.key(0), jnp.zeros((1, 3)))

    def apply(x):
        with nn.intercept_methods(refuse_single_values):
            return norm.apply(variables, x, mutable=["batch_stats"])[0]

    x = jnp.arange(6.0).reshape(2, 1, 3)
    y = jax.vmap(apply, axis_name="i")(x)
    np.testing.assert_allclose(y.mean((0, 1)), np.zeros(3), atol=1e-6)
    with pytest.raises(InputError, match="2 or more values per channel"):
        jax.vmap(apply, axis_name="i")(x[:1])


class One(nn.Module):
    """A norm alone."""

    norm: Norm | str

    @nn.compact
    def __call__(self, x, train):
        return normalize(x, self.norm, "norm", train)


def torch_norm(norm, features):
    """Returns PyTorch's layer of channels-first images."""
    torch = pytest.importorskip("torch")
    made = norm_of(norm)
    epsilon = made.epsilon or {"batch": 1e-5}.get(made.kind, 1e-6)
    if made.kind == "batch":
        return torch.nn.BatchNorm2d(features, epsilon, momentum=1 - made.momentum)
    if made.kind == "group":
        return torch.nn.GroupNorm(made.groups, features, epsilon)
    if made.kind == "instance":
        return torch.nn.InstanceNorm2d(features, epsilon, affine=True)
    last = {"layer": torch.nn.LayerNorm, "rms": torch.nn.RMSNorm}[made.kind](features, epsilon)

    def apply(x):
        return last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    apply.weight = last.weight
    apply.bias = getattr(last, "bias", None)
    return apply


@pytest.mark.parametrize(
    "norm",
    [
        "batch",
        "layer",
        "rms",
        "instance",
        Norm("group", groups=3),
        Norm("batch", epsilon=0.1, momentum=0.7),
        *(Norm(kind, epsilon=0.1) for kind in ("layer", "rms", "instance")),
        Norm("group", 0.1, groups=2),
    ],
)
def test_norms_and_their_gradients_match_pytorch(norm):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x = rng.normal(1, 2, (4, 5, 3, 6)).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)
    theirs = torch_norm(norm, 6)
    model = One(norm)
    variables = random_variables(model, x)
    params = variables["params"]["norm"]
    if "batch_stats" in variables:
        variables["batch_stats"] = {"norm": {"mean": jnp.zeros(6), "var": jnp.ones(6)}}
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(np.array(params["scale"])))
        if "bias" in params:
            theirs.bias.copy_(torch.tensor(np.array(params["bias"])))
    tx = torch.tensor(x, requires_grad=True)
    ty = theirs(tx.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    ty.backward(torch.tensor(g))

    def apply(x, params):
        changed = {**variables, "params": {"norm": params}}
        return model.apply(changed, x, train=True, mutable=["batch_stats"])

    y, back, updated = jax.vjp(apply, jnp.asarray(x), params, has_aux=True)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-4, atol=1e-5)
    g_x, g_params = back(jnp.asarray(g))
    np.testing.assert_allclose(g_x, tx.grad.numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(g_params["scale"], theirs.weight.grad.numpy(), rtol=1e-4, atol=1e-4)
    if "batch_stats" in variables:
        stats = updated["batch_stats"]["norm"]
        n = 4 * 5 * 3
        m = norm_of(norm).momentum
        mean = theirs.running_mean.numpy()
        np.testing.assert_allclose(stats["mean"], mean, rtol=1e-5, atol=1e-6)
        # The running variance is biased here and unbiased in PyTorch.
        var = m + (theirs.running_var.numpy() - m) * (n - 1) / n
        np.testing.assert_allclose(stats["var"], var, rtol=1e-5)


def test_a_kind_stands_for_its_default_numbers():
    for kind in ("batch", "layer", "rms", "instance"):
        x = jnp.asarray(np.random.default_rng(4).normal(size=(3, 4, 4, 2)), jnp.float32)
        by_name = jax.make_jaxpr(lambda x, kind=kind: One(kind).init(jax.random.key(0), x, True))(x)
        by_norm = jax.make_jaxpr(
            lambda x, kind=kind: One(Norm(kind)).init(jax.random.key(0), x, True)
        )(x)
        assert str(by_name) == str(by_norm)
    assert norm_of(None) is None and norm_of("weight") is None


def test_a_bias_before_batch_and_instance_norms_has_no_effect():
    assert [kind for kind in ("batch", "layer", "rms", "instance") if replaces_bias(kind)] == [
        "batch",
        "instance",
    ]
    model = CNN((Stage(4, pool=None),), (), 2, norm="layer")
    x = jnp.zeros((1, 4, 4, 1))
    assert "bias" in model.init(jax.random.key(0), x, False)["params"]["conv_0"]


MODELS = [
    (lambda norm: MLP((4,), 2, norm=norm), (3, 5)),
    (lambda norm: CNN((Stage(4),), (8,), 2, norm=norm), (3, 6, 6, 1)),
    (lambda norm: CNN((Stage(4),), (8,), 2, norm=norm, remat=True), (3, 6, 6, 1)),
    (lambda norm: ConvDecoder((UpStage(4), UpStage(1)), (2, 2, 4), norm=norm), (3, 5)),
]


@pytest.mark.parametrize("norm", ["batch", "layer", "rms", Norm("group", groups=2)])
@pytest.mark.parametrize(("make", "shape"), MODELS)
def test_models_accept_every_norm(make, shape, norm):
    model = make(norm)
    x = jnp.asarray(np.random.default_rng(5).normal(size=shape), jnp.float32)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=True))
    norms = {name for name in shapes["params"] if name.startswith("norm")}
    assert norms
    assert all("scale" in shapes["params"][name] for name in norms)
    described = jaxdl.description.describe(model)
    assert jaxdl.description.build(described) == model


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: Norm("bacth"),
            "norm: got 'bacth', allowed: batch, group, instance, layer, rms "
            "(did you mean 'batch'?)",
        ),
        (
            lambda: check_norm("wieght", "weight"),
            "norm: got 'wieght', allowed: batch, group, instance, layer, rms, weight "
            "(did you mean 'weight'?)",
        ),
        (lambda: Norm("batch", momentum=1.0), "momentum: got 1.0, allowed: a number in [0, 1)"),
        (lambda: Norm("batch", epsilon=-1.0), "epsilon: got -1.0, allowed: a number in [0, inf)"),
        (lambda: Norm("group", groups=0), "groups: got 0, allowed: at least 1"),
        (
            lambda: trace(MLP((6,), 2, norm=Norm("group", groups=4)), (2, 3)),
            "groups: got 4, allowed: a divisor of the 6 features of norm_0",
        ),
        (
            lambda: CNN((Stage(4),), (4,), norm="instance"),
            "norm: got 'instance', allowed: another norm, such as 'layer', for hidden dense layers",
        ),
        (
            lambda: trace(MLP((4,), 2, norm=Norm("group", groups=4)), (2, 3)),
            "norm_0: got [2, 4], allowed: 2 or more values per group: fewer groups, larger maps, "
            "or no norm",
        ),
    ],
)
def test_errors_are_one_line(make, line):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == line


def data(count):
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return jaxdl.data.Dataset({"input": x, "label": np.arange(count, dtype=np.int32) % 2}, "x")


def train(batch_size, change=lambda update: update, **more):
    task = jaxdl.tasks.classify(MLP((4,), 2, norm="batch"))
    updates = [change(update) for update in task.updates(optax.sgd(0.1))]
    net = jaxdl.learner(task.init, *updates)
    return jaxdl.train(net, data(8), key=jaxdl.root(0), steps=1, batch_size=batch_size, **more)


@pytest.mark.parametrize(
    ("batch_size", "more"),
    [
        (1, {"strategy": lambda: jaxdl.strategy("single")}),
        (4, {"change": lambda update: jaxdl.accumulate(update, 4)}),
        (4, {"strategy": lambda: jaxdl.strategy("pmap")}),
    ],
)
def test_training_names_the_batch_size(batch_size, more):
    if "strategy" in more:
        more = {"strategy": more["strategy"]()}
    with pytest.raises(InputError, match=r"norm_0: got \[1, 4\], allowed: .*larger batch_size"):
        train(batch_size, **more)


def test_numbers_of_a_norm_are_plain():
    norm = Norm("batch", jnp.array(0.5), np.float32(0.25), np.int64(4))
    assert hash(norm) == hash(Norm("batch", 0.5, 0.25, 4))


def test_batch_statistics_are_those_of_the_inputs_that_count():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x, mask):
            h = nn.BatchNorm(use_running_average=True, name="batch")(x, mask=mask)
            return h, nn.LayerNorm(name="layer")(x)

    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(2, 3, (6, 4)), jnp.float32)
    mask = jnp.array([1, 1, 0, 1, 1, 1])[:, None] > 0
    variables = Two().init(jax.random.key(0), x, mask)
    with batch_statistics():
        found, layer = jax.jit(Two().apply)(variables, x, mask)
    counted = np.asarray(x)[[0, 1, 3, 4, 5]]
    expected = (np.asarray(x) - counted.mean(0)[None]) / np.sqrt(counted.var(0) + 1e-5)[None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    running, same = Two().apply(variables, x, mask)
    np.testing.assert_allclose(layer, same, rtol=1e-5)
    assert np.abs(np.asarray(running) - expected).max() > 1
