"""Tests of skip-gram and CBOW: a step against loops in double precision, and bad inputs."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.models import SkipGram
from jaxdl.tasks.embed import embed
from jaxdl.tasks.pairs import in_blocks, sample_negatives

WORDS = 30
COUNTS = np.bincount(np.random.default_rng(0).integers(2, WORDS, 400), minlength=WORDS)
WINDOW = 3
NEGATIVES = 4
SHARED = 8


ONE = jaxdl.training.Sharded(jax.devices()[:1])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step_by_loops(method, params, centres, negatives, rate, limit):
    """Moves the rows of a step pair by pair, in double precision."""
    before = {name: np.asarray(x, np.float64) for name, x in params.items()}
    moves = {name: np.zeros_like(x) for name, x in before.items()}
    changes = {name: np.zeros(WORDS) for name in before}
    losses = []
    weight = NEGATIVES / SHARED

    def pair(inputs, target, label, share):
        """Adds a pair of the mean of some input rows with an output row."""
        h = np.mean([before["input"][i] for i in inputs], 0)
        u = before["output"][target]
        error = share * (label - sigmoid(h @ u))
        losses.append(share * np.log1p(np.exp(-h @ u if label else h @ u)))
        moves["output"][target] += error * h
        changes["output"][target] += abs(error) * (h @ h)
        for i in inputs:
            moves["input"][i] += error * u / len(inputs)
            changes["input"][i] += abs(error) * (u @ u) / len(inputs)

    pairs = 0
    for block, ids in enumerate(np.asarray(centres.ids)):
        for s, word in enumerate(ids):
            near = np.asarray(centres.contexts)[block][np.asarray(centres.pairs)[block, s] > 0]
            if not len(near):
                continue
            if method == "cbow":
                pairs += 1
                pair(near, word, 1, 1.0)
                for k in negatives:
                    pair(near, k, 0, weight)
                continue
            pairs += len(near)
            for context in near:
                pair([word], context, 1, 1.0)
            for k in negatives:
                pair([word], k, 0, weight * len(near))
    after = {}
    for name in before:
        factor = np.minimum(1, limit / np.maximum(rate * changes[name], limit / 2))
        after[name] = before[name] + rate * factor[:, None] * moves[name]
    return after, sum(losses) / pairs


def learner_of(method, **options):
    options = {"window": WINDOW, "negatives": NEGATIVES, "shared": SHARED} | options
    task = embed(SkipGram(WORDS, 5), COUNTS, method=method, **options)
    return jaxdl.learner(task.init, *task.updates())


@pytest.mark.parametrize("method", ["skip_gram", "cbow"])
@pytest.mark.parametrize("limit", [1e6, 0.05])
def test_a_step_equals_loops_over_pairs(method, limit):
    """The limit 0.05 makes many moves shorter."""
    from jaxdl.tasks.embed import _sampled, _Settings
    from jaxdl.tasks.pairs import kept_probabilities, negative_table

    rate = 0.3
    net = learner_of(method, subsample=0.02, rate=rate, limit=limit)
    texts = np.random.default_rng(1).integers(2, WORDS, (3, 25)).astype(np.int32)
    texts[2, 20:] = 0
    batch = {"input": jnp.asarray(texts), "mask": jnp.ones(3)}
    key = jax.random.key(5)
    state = net.init(key, batch)
    random = np.random.default_rng(2)
    params = {
        name: jnp.asarray(random.normal(size=x.shape).astype(np.float32))
        for name, x in state.params.items()
    }
    after, metrics = jax.jit(net.step)(state.replace(params=params), batch, key)
    rule_key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, 0), 0), 0)
    kept = kept_probabilities(COUNTS, 0.02)
    table = negative_table(COUNTS, 0.75)
    fixed = method, WINDOW, NEGATIVES, SHARED, rate, None, limit, COUNTS, kept, table
    centres, negatives = _sampled(_Settings(*fixed), batch, rule_key)
    assert centres.pairs.sum() > 20
    expected, loss = step_by_loops(method, params, centres, np.asarray(negatives), rate, limit)
    for name, x in expected.items():
        np.testing.assert_allclose(after.params[name], x, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(jaxdl.metrics.means(metrics)["loss"], loss, rtol=1e-5)
    moved = (np.asarray(after.params["input"]) != np.asarray(params["input"])).any(1)
    assert not moved[np.setdiff1d(np.arange(WORDS), texts)].any()


def test_windows_are_those_of_a_loop():
    random = np.random.default_rng(3)
    ids = random.integers(2, 9, 64)
    ids[50:] = -1
    rows = np.repeat([0, 1], 32)
    reach = random.integers(1, WINDOW + 1, 64)
    centres = in_blocks(*(jnp.asarray(x) for x in (ids, rows, reach)), WINDOW)
    for i in range(64):
        block, s = divmod(i, 32)
        found = np.asarray(centres.contexts[block])[np.asarray(centres.pairs[block, s]) > 0]
        near = [
            ids[j]
            for j in range(max(0, i - reach[i]), min(64, i + reach[i] + 1))
            if j != i and rows[i] == rows[j] and ids[i] >= 0 and ids[j] >= 0
        ]
        assert found.tolist() == near


def test_the_gradient_is_that_of_the_loss():
    """With a tiny rate and no limit, a move divided by the rate is the gradient."""
    net = learner_of("skip_gram", subsample=0.0, rate=1e-3, limit=1e9)
    texts = jnp.asarray(np.random.default_rng(4).integers(2, WORDS, (2, 16)), jnp.int32)
    batch = {"input": texts}
    key = jax.random.key(1)
    state = net.init(key, batch)
    spread = {name: jax.random.normal(key, x.shape) for name, x in state.params.items()}
    state = state.replace(params=spread)
    first, metrics = net.step(state, batch, key)
    loss, pairs = (float(x) for x in metrics["loss"])
    second, metrics = net.step(first.replace(step=state.step), batch, key)
    moved = sum(float(((first.params[name] - spread[name]) ** 2).sum()) / 1e-3 for name in spread)
    np.testing.assert_allclose(loss - float(metrics["loss"][0]), moved, rtol=0.05)
    assert pairs > 30


@pytest.mark.slow
def test_word_vectors_of_a_shifted_pmi():
    """With exact counts the optimum of a pair is its PMI minus the logarithm of the negatives."""
    ids = np.tile(np.array([2, 3, 2, 3, 4, 5, 4, 5, 2, 5], np.int32), 200).reshape(20, 100)
    counts = np.bincount(ids.reshape(-1))
    task = embed(
        SkipGram(6, 6),
        counts,
        window=1,
        negatives=2,
        shared=256,
        power=1.0,
        subsample=0,
        rate=0.001,
    )
    net = jaxdl.learner(task.init, *task.updates())
    rows = jaxdl.data.Dataset({"input": ids}, "cycle")
    state = jaxdl.train(net, rows, key=jaxdl.root(0), steps=3000, batch_size=4, strategy=ONE)
    pairs = np.zeros((6, 6))
    for row in ids:
        np.add.at(pairs, (row[:-1], row[1:]), 1)
        np.add.at(pairs, (row[1:], row[:-1]), 1)
    joint = pairs / pairs.sum()
    share = joint.sum(1)
    noise = counts / counts.sum()
    scores = np.asarray(state.params["input"] @ state.params["output"].T)
    seen = joint > 0
    pmi = np.log(joint[seen] / (share[:, None] * noise[None] * 2)[seen])
    np.testing.assert_allclose(scores[seen], pmi, atol=0.15)


def test_predict_is_the_sum_of_unit_vectors_and_nan_for_no_word():
    task = embed(SkipGram(WORDS, 5), COUNTS)
    random = np.random.default_rng(6)
    params = {
        name: random.normal(size=(WORDS, 5)).astype(np.float32) for name in ("input", "output")
    }
    found = task.predict(params, {}, jnp.array([[3, 4], [WORDS, -1]]))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in params.values()]
    np.testing.assert_allclose(found[0], (unit[0] + unit[1])[[3, 4]], rtol=1e-5)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "glove"}, "method: got 'glove'"),
        ({"window": 0}, "window: got 0, allowed: at least 1"),
        ({"negatives": 0}, "negatives: got 0"),
        ({"subsample": -1.0}, "subsample: got -1.0, allowed: a number in"),
        ({"rate": 0.0}, "rate: got 0.0, allowed: a finite number above 0"),
        ({"steps": 0}, "steps: got 0"),
        ({"counts": [1, 2]}, "counts: got .*, allowed: an array"),
        ({"counts": np.ones((2, 2), int)}, "counts: got 'int64\\[2, 2\\]'"),
        ({"counts": np.array([0, 0, 3])}, "counts: got '1 words', allowed: at least two"),
        ({"counts": np.ones(99, int)}, "counts: got 99, allowed: at most 30, the vocabulary"),
        ({"model": SkipGram(WORDS, 2, biases=True)}, "biases: got True, allowed: False"),
        ({"model": jaxdl.models.MLP((3,))}, "model: got .*MLP"),
    ],
)
def test_bad_options_are_errors_of_one_line(options, message):
    given = {"model": SkipGram(WORDS, 2), "counts": COUNTS} | options
    with pytest.raises(InputError, match=message) as caught:
        embed(**given)
    assert "\n" not in str(caught.value)


def test_an_id_out_of_range_stops_a_run():
    net = learner_of("skip_gram")
    rows = jaxdl.data.Dataset({"input": np.full((4, 8), WORDS, np.int32)}, "bad")
    with pytest.raises(jaxdl.errors.NonFinite, match="loss"):
        jaxdl.train(net, rows, key=jaxdl.root(0), steps=1, batch_size=4, strategy=ONE)


def test_negatives_have_the_frequencies_of_the_table():
    from scipy.stats import chisquare

    from jaxdl.tasks.pairs import negative_table

    counts = np.random.default_rng(7).zipf(1.3, 50).clip(1, 10_000)
    counts[:2] = 0
    table = jnp.asarray(negative_table(counts, 0.75))
    found = np.bincount(
        np.asarray(sample_negatives(table, jax.random.key(0), 200_000)), minlength=50
    )
    assert not found[:2].any()
    expected = np.where(counts > 0, counts.astype(float) ** 0.75, 0)[2:]
    assert chisquare(found[2:], expected / expected.sum() * 200_000).pvalue > 1e-3


@pytest.mark.parametrize("method", ["skip_gram", "cbow"])
def test_a_saved_network_gives_the_same_vectors_and_loss(tmp_path, method):
    task = embed(SkipGram(WORDS, 3), COUNTS, method=method, shared=4)
    net = jaxdl.learner(task.init, *task.updates())
    texts = np.random.default_rng(8).integers(2, WORDS, (8, 20)).astype(np.int32)
    rows = jaxdl.data.Dataset({"input": texts}, "random")
    options = {"key": jaxdl.root(0), "batch_size": 4, "strategy": ONE}
    state = jaxdl.train(net, rows, steps=4, **options)
    jaxdl.save(tmp_path, task, state, rows)
    network = jaxdl.load(tmp_path)
    expected = jaxdl.bind(task.predict, state)(texts)
    np.testing.assert_allclose(network.predict(texts), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(network.task.arguments["counts"], COUNTS)
    assert network.evaluate(rows, batch_size=4) == jaxdl.evaluate(net, state, rows, **options)


#: Prints the hash of a short training and its loss.
TRAINING = """
import jax, jaxdl, numpy as np
from jaxdl.training import state_sha256
ids = np.random.default_rng(0).integers(2, 500, (20, 400)).astype(np.int32)
counts = np.bincount(ids.ravel(), minlength=500)
data = jaxdl.data.Dataset({"input": ids}, "random")
for method in ("skip_gram", "cbow"):
    options = {"method": method, "steps": 20, "subsample": 1e-2}
    task = jaxdl.tasks.embed(jaxdl.models.SkipGram(500, 100), counts, **options)
    net = jaxdl.learner(task.init, *task.updates())
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=8, batch_size=4)
    print(state_sha256(jax.device_get(state)), float(jaxdl.evaluate(net, state, data)["loss"]))
"""


@pytest.mark.slow
@pytest.mark.optimized
def test_the_bits_are_those_of_any_number_of_threads():
    found = set()
    for threads in ("1", "2", "8"):
        environment = {**os.environ, "PJRT_NPROC": threads, "XLA_FLAGS": ""}
        done = subprocess.run(
            [sys.executable, "-c", TRAINING],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1 and len(found.pop().split()) == 4
