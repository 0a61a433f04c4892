"""Wrappers: averages, accumulated gradients, skipped steps, and members against single runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import inference
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import MLP
from jaxdl.updates import Update
from tests.contract import classifier
from tests.training.linear import KEY, init, line, loss, points

DATA = points(32)
BATCHES = [
    {name: jnp.asarray(x[8 * i : 8 * i + 8]) for name, x in DATA.arrays.items()} for i in range(4)
]


@functools.cache
def averaged() -> tuple:
    """Returns learners without and with an average, and the states of four steps of each."""
    plain = line()
    smooth = jaxdl.with_ema(line(), 0.3)
    runs = []
    for net in (plain, smooth):
        states = [net.init(KEY, BATCHES[0])]
        step = jax.jit(net.step)
        for batch in BATCHES:
            states.append(step(states[-1], batch, KEY)[0])
        runs.append(states)
    return plain, smooth, *runs


def test_average_agrees_with_the_formula():
    _, _, plain, smooth = averaged()
    average = np.asarray(plain[0].params["w"], np.float64)
    for t, state in enumerate(smooth[1:], 1):
        d = min(0.3, (1 + t) / (10 + t))
        average = d * average + (1 - d) * np.asarray(plain[t].params["w"], np.float64)
        np.testing.assert_allclose(state.wrapped["ema"]["w"], average, rtol=1e-5, atol=1e-6)
    assert (1 + 1) / (10 + 1) < 0.3 < (1 + 4) / (10 + 4)  # both branches of the minimum


def test_average_does_not_change_training():
    _, _, plain, smooth = averaged()
    for a, b in zip(plain, smooth, strict=True):
        assert jaxdl.state_sha256(a) == jaxdl.state_sha256(b.replace(wrapped={}))


def test_evaluation_uses_the_average():
    plain, smooth, _, states = averaged()
    state = states[-1]
    with_average = plain.evaluate(
        state.replace(params=state.wrapped["ema"], wrapped={}), BATCHES[0], KEY
    )
    assert means(smooth.evaluate(state, BATCHES[0], KEY)) == means(with_average)
    assert means(smooth.evaluate(state, BATCHES[0], KEY)) != means(
        plain.evaluate(state.replace(wrapped={}), BATCHES[0], KEY)
    )
    assert inference(state).params == state.wrapped["ema"]


def test_average_starts_as_a_copy_of_the_weights():
    """A step donates its state, and a buffer with two names would be donated twice."""
    net = jaxdl.with_ema(line(), 0.9)
    state = net.init(KEY, BATCHES[0])
    state, _ = jax.jit(net.step, donate_argnums=0)(state, BATCHES[0], KEY)
    state, _ = jax.jit(net.step, donate_argnums=0)(state, BATCHES[1], KEY)
    assert np.isfinite(state.wrapped["ema"]["w"]).all()


def loss_without_noise(params, extra, batch, key, *, train):
    return loss(params, extra, batch, key, train=False)


@functools.cache
def noiseless(n: int):
    """Returns a learner that divides a batch into `n` parts, and its compiled step.

    Its loss has no noise, as in evaluation.
    """
    net = jaxdl.learner(init, jaxdl.accumulate(Update(loss_without_noise, optax.sgd(0.1)), n))
    return net, jax.jit(net.step)


@pytest.mark.parametrize(
    "mask", [None, [1, 1, 0, 1, 0, 0, 1, 1], [1, 0, 0, 0, 1, 0, 0, 0], [0] * 8]
)
@pytest.mark.parametrize("n", [2, 4, 8])
def test_parts_give_the_gradient_of_the_whole_batch(n, mask):
    batch = dict(BATCHES[0])
    if mask is not None:
        batch["mask"] = jnp.asarray(mask, jnp.float32)
    state = noiseless(1)[0].init(KEY, batch)
    whole, metrics = noiseless(1)[1](state, batch, KEY)
    parts, summed = noiseless(n)[1](state, batch, KEY)
    np.testing.assert_allclose(parts.params["w"], whole.params["w"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(summed["loss"], metrics["loss"], rtol=1e-5)
    assert (parts.params["w"] != state.params["w"]).any() == (mask != [0] * 8)


def test_parts_reach_the_optimizer_as_one_gradient():
    """With clipping, several small steps would differ from one."""
    update = Update(loss_without_noise, optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)))
    batch = BATCHES[1]
    nets = jaxdl.learner(init, update), jaxdl.learner(init, jaxdl.accumulate(update, 4))
    whole, parts = (jax.jit(net.step)(net.init(KEY, batch), batch, KEY)[0] for net in nets)
    np.testing.assert_allclose(parts.params["w"], whole.params["w"], rtol=1e-5, atol=1e-6)


def test_each_part_has_a_different_key():
    keys = []

    def spy(params, extra, batch, key, *, train):
        jax.debug.callback(lambda k: keys.append(tuple(k.tolist())), jax.random.key_data(key))
        return loss(params, extra, batch, key, train=train)

    net = jaxdl.learner(init, jaxdl.accumulate(Update(spy, optax.sgd(0.1)), 4))
    net.step(net.init(KEY, BATCHES[0]), BATCHES[0], KEY)
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 4


def test_each_part_updates_the_running_statistics():
    row = classifier(MLP((4,), 3, norm="batch"), (5,))
    (update,) = row.updates(optax.sgd(0.1))
    batch = {name: jnp.asarray(x[:8]) for name, x in row.data.arrays.items()}
    net = jaxdl.learner(row.init, jaxdl.accumulate(update, 2))
    before = net.init(KEY, batch)
    after, _ = jax.jit(net.step)(before, batch, KEY)
    dense = before.params["dense_0"]
    running = np.zeros(4)
    x = np.asarray(batch["input"], np.float64) @ np.asarray(dense["kernel"], np.float64)
    for i in range(2):
        running = 0.9 * running + 0.1 * x[i::2].mean(0)
    (name,) = after.extra["batch_stats"]
    np.testing.assert_allclose(
        after.extra["batch_stats"][name]["mean"], running, rtol=1e-5, atol=1e-6
    )


def test_evaluation_uses_the_whole_batch():
    net = jaxdl.learner(init, jaxdl.accumulate(Update(loss, optax.sgd(0.1)), 3))
    plain = line()
    state = plain.init(KEY, BATCHES[0])  # 3 does not divide 8, which matters in training only
    assert means(net.evaluate(state, BATCHES[0], KEY)) == means(
        plain.evaluate(state, BATCHES[0], KEY)
    )


def test_members_of_a_wrapped_learner_are_single_runs():
    net = jaxdl.with_ema(line(), 0.9)
    keys = jnp.stack([jaxdl.root(seed) for seed in (1, 2)])
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b]), BATCHES[2], BATCHES[3])
    states = jax.vmap(net.init, in_axes=(0, None))(keys, BATCHES[0])
    states, _ = jax.jit(jax.vmap(net.step))(states, stacked, keys)
    evaluated = jax.vmap(net.evaluate, in_axes=(0, None, 0))(states, BATCHES[0], keys)
    step = jax.jit(net.step)
    for i in range(2):
        alone, _ = step(net.init(keys[i], BATCHES[0]), BATCHES[2 + i], keys[i])
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a, b[i], rtol=1e-5, atol=1e-6),
            alone,
            states,
        )
        expected = net.evaluate(alone, BATCHES[0], keys[i])["loss"]
        np.testing.assert_allclose([x[i] for x in evaluated["loss"]], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: jaxdl.with_ema(line(), 1.0), "decay: got 1.0, allowed: a number in [0, 1)"),
        (lambda: jaxdl.with_ema(line(), -0.1), "decay: got -0.1, allowed: a number in [0, 1)"),
        (
            lambda: jaxdl.accumulate(Update(loss, optax.sgd(0.1)), 0),
            "n: got 0, allowed: at least 1",
        ),
        (
            lambda: _step(jaxdl.learner(init, jaxdl.accumulate(Update(loss, optax.sgd(0.1)), 3))),
            "n: got 3, allowed: a divisor of the batch size 8",
        ),
    ],
)
def test_bad_wrappers_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


def _step(net):
    jax.eval_shape(net.step, jax.eval_shape(net.init, KEY, BATCHES[0]), BATCHES[0], KEY)


def broken(batch: dict, value: float = np.nan) -> dict:
    """Returns a batch with one number replaced."""
    return {**batch, "input": batch["input"].at[3, 1].set(value)}


def train_on(net: jaxdl.Learner, batches: list):
    """Returns the states and the metrics of one step per batch."""
    step = jax.jit(net.step)
    states = [net.init(KEY, BATCHES[0])]
    records = []
    for batch in batches:
        state, metrics = step(states[-1], batch, KEY)
        states.append(state)
        records.append(metrics)
    return states, records


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_skipped_step_changes_the_counts_only(value):
    net = jaxdl.skip_nonfinite(line(optax.adam(0.1)))
    states, metrics = train_on(net, [BATCHES[0], broken(BATCHES[1], value), BATCHES[2]])
    assert [int(state.step) for state in states] == [0, 1, 2, 3]
    assert [int(state.wrapped["skipped"]["steps"]) for state in states] == [0, 0, 1, 1]
    before, after = (state.replace(step=jnp.zeros(()), wrapped={}) for state in states[1:3])
    assert jaxdl.state_sha256(before) == jaxdl.state_sha256(after)
    assert [float(each["skipped"][0]) for each in metrics] == [0, 1, 0]
    assert [float(each["loss"][1]) for each in metrics] == [8, 0, 8]
    assert all(np.isfinite(x) for each in metrics for pair in each.values() for x in pair)
    assert jaxdl.state_sha256(states[3].replace(wrapped={})) != jaxdl.state_sha256(after)


def test_finite_steps_are_those_of_the_wrapped_learner():
    plain = train_on(line(), BATCHES)[0]
    skipping = train_on(jaxdl.skip_nonfinite(line()), BATCHES)[0]
    for a, b in zip(plain, skipping, strict=True):
        np.testing.assert_allclose(a.params["w"], b.params["w"], rtol=1e-6)


def test_after_too_many_consecutive_skips_a_step_is_taken():
    net = jaxdl.skip_nonfinite(line(), max_consecutive=2)
    bad = broken(BATCHES[0])
    states, metrics = train_on(net, [bad, bad, BATCHES[1], bad, bad, bad])
    assert [int(state.wrapped["skipped"]["steps"]) for state in states] == [0, 1, 2, 2, 3, 4, 4]
    assert [bool(np.isfinite(state.params["w"]).all()) for state in states] == [True] * 6 + [False]
    assert not np.isfinite(metrics[-1]["loss"][0])


def test_evaluation_is_that_of_the_wrapped_learner():
    net = jaxdl.skip_nonfinite(jaxdl.with_ema(line(), 0.5))
    plain = jaxdl.with_ema(line(), 0.5)
    state = train_on(net, BATCHES)[0][-1]
    bare = plain.evaluate(state.replace(wrapped={"ema": state.wrapped["ema"]}), BATCHES[0], KEY)
    assert means(net.evaluate(state, BATCHES[0], KEY)) == means(bare)
    assert inference(state).wrapped == {}


def test_each_member_skips_different_steps():
    """Members read different rows in a step, so only one of them reads the bad row."""
    data = points(32, rows={5: np.nan})
    net = jaxdl.skip_nonfinite(line())
    state = jaxdl.train(net, data, key=jaxdl.root(range(3)), steps=8, batch_size=4)
    assert state.wrapped["skipped"]["steps"].tolist() == [1, 1, 1]
    assert np.isfinite(state.params["w"]).all()
    single = jaxdl.strategy("single")
    alone = jaxdl.train(net, data, key=jaxdl.root(1), steps=8, batch_size=4, strategy=single)
    assert jaxdl.state_sha256(state.member(1)) == jaxdl.state_sha256(alone)


def test_max_consecutive_is_at_least_one():
    with pytest.raises(InputError, match="^max_consecutive: got 0, allowed: at least 1$"):
        jaxdl.skip_nonfinite(line(), max_consecutive=0)


def test_a_learner_that_skips_steps_already_is_refused():
    twice = jaxdl.skip_nonfinite(jaxdl.skip_nonfinite(line()))
    with pytest.raises(InputError) as caught:
        twice.init(KEY, BATCHES[0])
    allowed = "a learner that skips no steps"
    assert str(caught.value) == f"learner: got 'skip_nonfinite(...)', allowed: {allowed}"
