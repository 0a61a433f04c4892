"""The loss as a function of parameters: that of evaluation, with the statistics of the data."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.tree_util import Partial

import jaxdl
from jaxdl import tasks
from jaxdl.core import State, inference
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.landscape import loss_of
from jaxdl.models import MLP, VAE, Reshaped
from jaxdl.training import evaluate, strategy
from jaxdl.wrappers import with_ema
from tests.landscape.networks import MODELS, SHAPE, dataset, network


def evaluated(task, state, data, batch_size):
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    full = net.init(jaxdl.root(0), {name: x[:2] for name, x in data.arrays.items()})
    state = full.replace(params=state.params, extra=state.extra)
    return evaluate(net, state, data, batch_size=batch_size, strategy=strategy("single"))["loss"]


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_one_batch_has_the_bits_of_evaluate(name):
    task, state = network(name)
    data = dataset()
    f = loss_of(task.loss, state, data)
    assert float(f(state.params)) == np.float32(evaluated(task, state, data, 21))


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_several_batches_have_the_loss_of_evaluate(name):
    task, state = network(name)
    data = dataset()
    expected = evaluated(task, state, data, 8)
    for size in (8, 21, 100):
        f = loss_of(task.loss, state, data, batch_size=size)
        np.testing.assert_allclose(f(state.params), expected, rtol=3e-7)


def test_a_mask_leaves_out_examples():
    task, state = network("mlp")
    data = dataset()
    mask = np.arange(21) % 3 > 0
    masked = Dataset({**data.arrays, "mask": mask.astype(np.float32)}, "masked", classes=3)
    expected = loss_of(task.loss, state, data.take(np.flatnonzero(mask)))(state.params)
    f = loss_of(task.loss, state, masked, batch_size=4)
    np.testing.assert_allclose(f(state.params), expected, rtol=1e-6)


def test_examples_are_spread_over_the_set():
    task, state = network("mlp")
    data = dataset(11)
    found = loss_of(task.loss, state, data, examples=3)(state.params)
    expected = loss_of(task.loss, state, data.take(np.array([0, 5, 10])))(state.params)
    assert float(found) == float(expected)
    more = loss_of(task.loss, state, data, examples=50)(state.params)
    assert float(more) == float(loss_of(task.loss, state, data)(state.params))


def test_bfloat16_has_a_sum_in_float32():
    model = MLP((7, 6), 3, dtype=jnp.bfloat16)
    task = tasks.classify(model)
    _, state = network("mlp")
    data = dataset(600)
    f = loss_of(task.loss, state, data, batch_size=600)
    rows = [
        float(loss_of(task.loss, state, data.take(np.array([i])))(state.params)) for i in range(600)
    ]
    assert f(state.params).dtype == jnp.float32
    np.testing.assert_allclose(f(state.params), np.mean(rows), rtol=2e-3)


def in_training(norms, params, extra, batch):
    """Returns the loss in training without dropout: BatchNorm has the statistics of the batch."""
    loss = tasks.classify(norms.clone(dropout=0.0)).loss
    (value, count), _ = loss(params, extra, batch, jaxdl.root(0), train=True)
    return float(value / count)


@pytest.mark.parametrize("batch_size", [None, 21, 7])
def test_norms_have_the_statistics_of_the_batch_and_dropout_stays_off(batch_size):
    task, state = network("norms")
    data = dataset()
    f = loss_of(task.loss, state, data, batch_size=batch_size)
    size = batch_size or 21
    batches = [data.take(np.arange(i, i + size)).arrays for i in range(0, 21, size)]
    batches = [{name: jnp.asarray(x) for name, x in batch.items()} for batch in batches]
    other = jax.tree.map(lambda w: 1.3 * w + 0.1, state.params)
    for params in (state.params, other):
        losses = [in_training(MODELS["norms"], params, state.extra, batch) for batch in batches]
        np.testing.assert_allclose(f(params), np.mean(losses), rtol=1e-6)
    assert abs(float(f(state.params)) - evaluated(task, state, data, 21)) > 1e-3


def test_norms_do_not_read_running_statistics():
    task, state = network("norms")
    other = state.replace(extra=jax.tree.map(lambda x: 3 * x + 1, state.extra))
    losses = [loss_of(task.loss, each, dataset())(state.params) for each in (state, other)]
    assert float(losses[0]) == float(losses[1])


class Flagged(nn.Module):
    """A network that passes the flag of its BatchNorm in the call."""

    @nn.compact
    def __call__(self, x, train):
        h = nn.Dense(4)(x.reshape(len(x), -1))
        h = nn.BatchNorm(name="norm")(h, use_running_average=not train)
        return nn.Dense(3)(h)


def test_norms_with_the_flag_in_the_call():
    data = dataset()
    task = tasks.classify(Flagged())
    batch = {name: jnp.asarray(x) for name, x in data.arrays.items()}
    params, extra = task.init(jaxdl.root(0), batch)
    state = State(jnp.zeros((), jnp.int32), params, (), extra)
    (value, count), _ = task.loss(params, extra, batch, jaxdl.root(0), train=True)
    np.testing.assert_allclose(loss_of(task.loss, state, data)(params), value / count, rtol=1e-6)


def test_the_gradient_is_that_of_all_batches():
    task, state = network("norms")
    data = dataset()
    batch = {name: jnp.asarray(x) for name, x in data.arrays.items()}
    loss = tasks.classify(MODELS["norms"].clone(dropout=0.0)).loss

    def mean(params):
        (value, count), _ = loss(params, state.extra, batch, jaxdl.root(0), train=True)
        return value / count

    found = jax.jit(jax.grad(loss_of(task.loss, state, data)))(state.params)
    expected = jax.jit(jax.grad(mean))(state.params)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_several_losses_are_compiled_once():
    task, state = network("mlp")
    structures = {
        jax.tree.structure(loss_of(task.loss, state, dataset(seed=seed))) for seed in (0, 1)
    }
    assert len(structures) == 1
    assert isinstance(loss_of(task.loss, state, dataset()), Partial)


def test_a_convolution_of_linen_is_not_computed_in_a_loop():
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(3)(nn.Conv(4, (3, 3), feature_group_count=2)(x).reshape(len(x), -1))

    data = dataset(250)
    task = tasks.classify(Plain())
    params, extra = task.init(jaxdl.root(0), {"input": data["input"][:1]})
    state = State(jnp.zeros((), jnp.int32), params, (), extra)
    assert "while" not in jax.jit(loss_of(task.loss, state, data)).lower(params).as_text()
    own, state = network("cnn")
    assert "while" in jax.jit(loss_of(own.loss, state, data)).lower(state.params).as_text()


def test_the_mean_of_the_weights_is_evaluated():
    task, state = network("mlp")
    data = dataset()
    net = with_ema(jaxdl.learner(task.init, *task.updates(optax.sgd(0.5))), 0.9)
    trained = jaxdl.train(net, data, key=jaxdl.root(0), steps=3, batch_size=8)
    expected = evaluate(net, trained, data, strategy=strategy("single"))["loss"]
    f = loss_of(task.loss, trained, data)
    assert float(f(inference(trained).params)) == np.float32(expected)


def test_a_vae_has_the_same_noise_at_each_point():
    data = Dataset({"input": dataset(8)["input"]}, "images")
    parts = MLP((4,), 4), Reshaped(MLP((4,), math.prod(SHAPE)), SHAPE)
    task = tasks.vae(VAE(*parts, latent=2))
    params, extra = task.init(jaxdl.root(0), {"input": data["input"][:2]})
    state = State(jnp.zeros((), jnp.int32), params, (), extra)
    f = loss_of(task.loss, state, data)
    assert float(f(params)) == float(f(params))
    other = loss_of(task.loss, state, data, key=jaxdl.root(1))
    assert float(f(params)) != float(other(params))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": 3}, "loss: got 3, allowed: the loss of a task, such as task.loss"),
        (
            {"state": {}},
            "state: got <class 'dict'>, allowed: the state of one run, such as that of `train`",
        ),
        ({"data": 1}, "data: got 1, allowed: a jaxdl.data.Dataset"),
        ({"examples": 0}, "examples: got 0, allowed: at least 1"),
        ({"batch_size": 0}, "batch_size: got 0, allowed: at least 1"),
        (
            {"batch_size": 4},
            "batch_size: got 4, allowed: a divisor of the 21 examples, or None; BatchNorm needs "
            "equal batches",
        ),
        ({"key": jaxdl.root([0, 1])}, "key: got '2 keys', allowed: one key, root(seed)"),
    ],
)
def test_bad_arguments(change, message):
    task, state = network("norms")
    arguments = {"loss": task.loss, "state": state, "data": dataset(), **change}
    with pytest.raises(InputError) as raised:
        loss_of(**arguments)
    assert str(raised.value) == message


def test_the_state_of_several_runs_is_refused():
    task, state = network("mlp")
    states = jax.tree.map(lambda x: jnp.stack([x, x]), state)
    with pytest.raises(InputError, match="state: got '2 runs', allowed: the state of one run"):
        loss_of(task.loss, states, dataset())
