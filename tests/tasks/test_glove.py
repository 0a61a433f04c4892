"""Tests of GloVe: a step against a loop in double precision, bad inputs and options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import jaxdl
from jaxdl.errors import InputError
from jaxdl.models import SkipGram
from jaxdl.tasks.glove import glove


def test_a_step_equals_a_loop():
    random = np.random.default_rng(0)
    task = glove(SkipGram(9, 4, biases=True), most=5.0, rate=0.3)
    net = jaxdl.learner(task.init, *task.updates())
    pairs = random.integers(2, 9, (12, 2)).astype(np.int32)
    counts = random.uniform(0.2, 9, 12).astype(np.float32)
    mask = np.array([1] * 10 + [0, 0], np.float32)
    batch = {"input": jnp.asarray(pairs), "target": jnp.asarray(counts), "mask": jnp.asarray(mask)}
    key = jax.random.key(0)
    state = net.init(key, batch)
    params = {n: random.normal(size=x.shape).astype(np.float32) for n, x in state.params.items()}
    state = state.replace(params={name: jnp.asarray(x) for name, x in params.items()})
    after, metrics = jax.jit(net.step)(state, batch, key)
    gradient = {name: np.zeros_like(x, np.float64) for name, x in params.items()}
    squares = {name: np.ones_like(x, np.float64) for name, x in params.items()}
    losses = []
    for (i, j), count in zip(pairs[:10], counts[:10], strict=True):
        v = params["input"][i].astype(float)
        u = params["output"][j].astype(float)
        error = v @ u + params["input_bias"][i] + params["output_bias"][j] - np.log(count)
        slope = min(1, (count / 5) ** 0.75) * error
        losses.append(slope * error / 2)
        for name, row, part in (
            ("input", i, slope * u),
            ("output", j, slope * v),
            ("input_bias", i, slope),
            ("output_bias", j, slope),
        ):
            gradient[name][row] += part
            squares[name][row] += part**2
    for name, x in params.items():
        expected = x - 0.3 * gradient[name] / np.sqrt(squares[name])
        np.testing.assert_allclose(after.params[name], expected, rtol=3e-6, atol=3e-6)
        found = after.extra["squares"][name]
        np.testing.assert_allclose(found, squares[name], rtol=3e-6, atol=3e-6)
    assert jaxdl.metrics.means(metrics)["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_pairs_in_rows_move_as_in_one_list():
    random = np.random.default_rng(0)
    task = glove(SkipGram(9, 4, biases=True))
    net = jaxdl.learner(task.init, *task.updates())
    pairs = jnp.asarray(random.integers(2, 9, (3, 5, 2)), jnp.int32)
    counts = jnp.asarray(random.uniform(0.2, 20, (3, 5)), jnp.float32)
    mask = jnp.array([1.0, 0.0, 1.0])
    rows = {"input": pairs, "target": counts, "mask": mask}
    flat = {
        "input": pairs.reshape(15, 2),
        "target": counts.reshape(15),
        "mask": jnp.repeat(mask, 5),
    }
    key = jax.random.key(0)
    state = net.init(key, rows)
    found = [jax.jit(net.step)(state, batch, key) for batch in (rows, flat)]
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_training_ends_at_the_optimum():
    """The optimum is found by SciPy, in double precision, from several starts."""
    random = np.random.default_rng(0)
    counts = random.uniform(0.2, 12, (5, 5)).astype(np.float32)
    weights = np.minimum(1, (counts.astype(float) / 10) ** 0.75)

    def loss(numbers: np.ndarray) -> float:
        v, u = numbers[:20].reshape(2, 5, 2)
        biases = numbers[20:25, None] + numbers[25:]
        return float((weights * (v @ u.T + biases - np.log(counts)) ** 2).mean() / 2)

    starts = random.normal(size=(10, 30))
    best = min(scipy.optimize.minimize(loss, start).fun for start in starts)
    first, second = np.meshgrid(np.arange(2, 7), np.arange(2, 7), indexing="ij")
    inputs = np.stack([first.ravel(), second.ravel()], 1).astype(np.int32)
    pairs = jaxdl.data.Dataset({"input": inputs, "target": counts.ravel()}, "pairs")
    task = glove(SkipGram(7, 2, biases=True), rate=0.3)
    net = jaxdl.learner(task.init, *task.updates())
    losses = []
    for seed in range(3):
        single = jaxdl.strategy("single")
        key = jaxdl.root(seed)
        state = jaxdl.train(net, pairs, key=key, steps=3000, batch_size=25, strategy=single)
        losses.append(jaxdl.evaluate(net, state, pairs)["loss"])
    assert best > 1e-3
    assert best - 1e-6 < min(losses) < 1.02 * best


@pytest.mark.parametrize(
    ("pair", "count", "finite"),
    [((2, 3), 1.0, True), ((2, 3), 0.0, True), ((2, 3), -1.0, False), ((2, 9), 1.0, False)],
)
def test_bad_pairs_make_the_loss_nan(pair, count, finite):
    task = glove(SkipGram(9, 4, biases=True))
    net = jaxdl.learner(task.init, *task.updates())
    batch = {"input": jnp.array([[2, 4], pair]), "target": jnp.array([2.0, count])}
    state = net.init(jax.random.key(0), batch)
    metrics = jaxdl.metrics.means(net.evaluate(state, batch, jax.random.key(0)))
    assert np.isfinite(metrics["loss"]) == finite


def test_pairs_of_another_shape():
    task = glove(SkipGram(9, 4, biases=True))
    net = jaxdl.learner(task.init, *task.updates())
    batch = {"input": jnp.zeros((4, 3), jnp.int32), "target": jnp.ones(4)}
    with pytest.raises(InputError, match=r"input: got \[4, 3\], allowed: \[4, 2\], two words"):
        net.evaluate(net.init(jax.random.key(0), batch), batch, jax.random.key(0))


def test_bad_options_are_errors_of_one_line():
    with pytest.raises(InputError, match="biases: got False, allowed: True for this task"):
        glove(SkipGram(9, 4))
    with pytest.raises(InputError, match="most: got 0.0"):
        glove(SkipGram(9, 4, biases=True), most=0.0)
    with pytest.raises(InputError, match="rate: got -1"):
        glove(SkipGram(9, 4, biases=True), rate=-1)
