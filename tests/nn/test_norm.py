"""Norms of single values are refused, in every place where a task applies a model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage
from jaxdl.nn.norm import frozen_norms, network, refuse_single_values

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


class Norms(nn.Module):
    """A layer and norms with the flag as a field, as an argument, and called twice."""

    @nn.compact
    def __call__(self, x, train):
        field = nn.BatchNorm(use_running_average=not train, name="field")
        x = field(field(nn.Dense(3, name="dense")(x)))
        return nn.BatchNorm(name="argument")(x, use_running_average=not train)


def random_variables(model, x):
    """Returns variables with random statistics."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape)), shapes)


@pytest.mark.parametrize("frozen", [{"field"}, {"argument"}, {"field", "argument"}])
def test_a_frozen_norm_is_that_of_evaluation(frozen):
    model = Norms()
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    variables = random_variables(model, x)
    with frozen_norms(lambda name: name in frozen):
        y, updated = model.apply(variables, x, train=True, mutable="batch_stats")
    for name, statistics in updated["batch_stats"].items():
        for part, value in statistics.items():
            same = (value == variables["batch_stats"][name][part]).all()
            assert same == (name in frozen), (name, part)
    mixed = {"field": "field" not in frozen, "argument": "argument" not in frozen}
    expected = by_hand(variables, np.asarray(x, np.float64), mixed)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def by_hand(variables, x, of_batch):
    """Computes `Norms` with the statistics of the batch or the running ones."""
    params, running = (
        jax.tree.map(np.float64, variables[name]) for name in ("params", "batch_stats")
    )
    h = x @ params["dense"]["kernel"] + params["dense"]["bias"]
    for name in ("field", "field", "argument"):
        mean = h.mean(0) if of_batch[name] else running[name]["mean"]
        var = h.var(0) if of_batch[name] else running[name]["var"]
        h = (h - mean) / np.sqrt(var + 1e-5) * params[name]["scale"] + params[name]["bias"]
    return h


def test_a_frozen_norm_accepts_one_value_and_others_do_not():
    model = Norms()
    x = jnp.ones((1, 2))
    variables = random_variables(model, x)
    with nn.intercept_methods(refuse_single_values):
        with frozen_norms(lambda name: True):
            model.apply(variables, x, train=True, mutable="batch_stats")
        with (
            frozen_norms(lambda name: name == "field"),
            pytest.raises(InputError, match="argument"),
        ):
            model.apply(variables, x, train=True, mutable="batch_stats")
        with pytest.raises(InputError, match="field"):
            model.apply(variables, x, train=True, mutable="batch_stats")


def test_a_frozen_norm_is_initialized_like_any_other():
    x = jnp.asarray([[1.0, 2.0], [3.0, 5.0]])
    with frozen_norms(lambda name: True):
        made = Norms().init(jax.random.key(0), x, train=True)
    plain = Norms().init(jax.random.key(0), x, train=True)
    jax.tree.map(np.testing.assert_array_equal, made, plain)


def test_rematerialized_norms_are_frozen_too():
    stages = (Stage(2), Stage(3))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 8, 8, 1)), jnp.float32)
    for remat in (False, True):
        model = CNN(stages, (), 2, norm="batch", remat=remat)
        variables = random_variables(model, x)
        with frozen_norms(lambda name: name == "norm_1"):
            _, updated = model.apply(variables, x, train=True, mutable="batch_stats")
        before = variables["batch_stats"]
        same = jax.tree.map(lambda a, b: bool((a == b).all()), before, updated["batch_stats"])
        assert same == {name: {"mean": i == 1, "var": i == 1} for i, name in enumerate(before)}


def test_layers_of_several_networks_have_longer_names():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)), jnp.float32)
    model = Norms()
    variables = random_variables(model, x)
    changed = {}
    with frozen_norms(lambda name: name == "a/field"):
        for name in ("a", "b"):
            with network(name):
                _, updated = model.apply(variables, x, train=True, mutable="batch_stats")
            before = variables["batch_stats"]["field"]["mean"]
            changed[name] = bool((updated["batch_stats"]["field"]["mean"] != before).all())
    assert changed == {"a": False, "b": True}
