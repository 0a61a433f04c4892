"""Language models: losses against NumPy, sums over all strings, and the carry."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import CNN1D, OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.tasks import language
from jaxdl.training import Directory, Sharded, state_sha256, train
from tests.tasks.tiny_language import (
    BATCH,
    LENGTHS,
    ROWS,
    STEPS,
    B,
    T,
    V,
    compiled_resume,
    each_cell,
    nats,
    started,
)
from tests.training.linear import KEY

ONE_DEVICE = Sharded(jax.devices()[:1])


def counted_tokens(**fields) -> np.ndarray:
    """Returns 1 for each token that counts and 0 for the others, by a loop."""
    counted = np.ones((B, T))
    fields = jax.device_get(fields)
    for b, t in itertools.product(range(B), range(T)):
        if "mask" in fields:
            row = np.broadcast_to(fields["mask"][b], T)
            counted[b, t] *= row[t]
        if "length" in fields:
            counted[b, t] *= t < fields["length"][b]
    return counted


FIELDS = [
    {},
    {"mask": ROWS},
    {"mask": STEPS},
    {"length": LENGTHS},
    {"length": LENGTHS, "mask": ROWS},
    {"length": LENGTHS, "mask": STEPS},
]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "fields", FIELDS, ids=["whole", "rows", "steps", "length", "length_rows", "length_steps"]
)
def test_loss_is_a_mean_over_the_tokens_that_count(train, fields):
    task, _, params, extra = started()
    value, (_, metrics) = task.loss(params, extra, {**BATCH, **fields}, KEY, train=train)
    counted = counted_tokens(**fields)
    expected = (nats() * counted).sum() / counted.sum()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["loss"] == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["bits"] == pytest.approx(expected / math.log(2), rel=1e-5)
    assert {float(count) for _, count in metrics.values()} == {counted.sum()}
    predicted = np.asarray(task.predict(params, extra, BATCH["input"])).argmax(-1)
    correct = (predicted == np.asarray(BATCH["label"])) * counted
    assert float(metrics["accuracy"][0]) == correct.sum()


@each_cell
def test_predictions_are_the_softmax_of_the_logits(cell):
    task, _, params, extra = started(cell)
    p = np.asarray(task.predict(params, extra, BATCH["input"]))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    of_labels = np.take_along_axis(p, np.asarray(BATCH["label"])[..., None], -1)[..., 0]
    np.testing.assert_allclose(of_labels, np.exp(-nats(cell)), rtol=1e-4)


def test_the_probabilities_of_all_strings_sum_to_one():
    task, _, params, extra = started()
    strings = np.asarray(list(itertools.product(range(V), repeat=3)), np.int32)
    inputs = np.concatenate([np.full((len(strings), 1), 2, np.int32), strings[:, :-1]], 1)
    p = np.asarray(task.predict(params, extra, jnp.asarray(inputs)), np.float64)
    of_strings = np.prod([p[np.arange(len(strings)), t, strings[:, t]] for t in range(3)], 0)
    assert of_strings.sum() == pytest.approx(1, rel=1e-5)

    def loss(x, y):
        return task.loss(params, extra, {"input": x[None], "label": y[None]}, KEY, train=False)[0]

    values = np.asarray(jax.vmap(loss)(jnp.asarray(inputs), jnp.asarray(strings)), np.float64)
    np.testing.assert_allclose(np.exp(-3 * values), of_strings, rtol=1e-4)


@pytest.mark.parametrize(
    "fields",
    [{"mask": ROWS}, {"mask": jnp.ones((B, T)).at[2, 4].set(0)}, {"length": LENGTHS}],
    ids=["rows", "steps", "length"],
)
def test_a_label_out_of_range_is_nan_unless_it_does_not_count(fields):
    task, _, params, extra = started()
    loss_and_gradient = jax.jit(
        jax.value_and_grad(lambda p, batch: task.loss(p, extra, batch, KEY, train=True)[0])
    )
    expected = loss_and_gradient(params, {**BATCH, **fields})
    for label in (-1, V, 999):
        batch = {**BATCH, "label": BATCH["label"].at[2, 4].set(label)}
        assert np.isnan(task.loss(params, extra, batch, KEY, train=True)[0])
        result = loss_and_gradient(params, {**batch, **fields})
        jax.tree.map(np.testing.assert_array_equal, result, expected)


# The carry.


def halves():
    """Yields the first three steps of the batch and the other steps."""
    for part in (slice(3), slice(3, None)):
        yield {name: x[:, part] for name, x in BATCH.items()}


@each_cell
def test_two_carried_batches_are_one_longer_sequence(cell):
    task, _, params, extra = started(cell, carried=True)
    assert all(not x.any() and x.shape[0] == B for x in jax.tree.leaves(extra["carry"]))
    sums = []
    carry = None
    for half in halves():
        _, carry = compiled_resume(cell)(params, half["input"], carry)
        _, (extra, metrics) = task.loss(params, extra, half, KEY, train=True)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6), extra["carry"], carry
        )
        sums.append(float(metrics["loss"][0]))
    expected = nats(cell)
    assert sums == pytest.approx([expected[:, :3].sum(), expected[:, 3:].sum()], rel=1e-5)


def test_the_gradient_does_not_reach_back_beyond_a_window():
    task, _, params, extra = started(carried=True)
    first, second = halves()

    def loss_of_both(params):
        value, (updated, _) = task.loss(params, extra, first, KEY, train=True)
        return value + task.loss(params, updated, second, KEY, train=True)[0]

    gradient = jax.grad(lambda p, extra, batch: task.loss(p, extra, batch, KEY, train=True)[0])
    updated = task.loss(params, extra, first, KEY, train=True)[1][0]
    expected = jax.tree.map(
        jnp.add, gradient(params, extra, first), gradient(params, updated, second)
    )
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(assert_close, jax.jit(jax.grad(loss_of_both))(params), expected)


def test_the_carry_is_the_state_at_the_end_of_each_sequence():
    task, _, params, extra = started(carried=True)
    _, (updated, _) = task.loss(params, extra, {**BATCH, "length": LENGTHS}, KEY, train=True)
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    for b, length in enumerate(LENGTHS):
        sequence = BATCH["input"][b : b + 1, :length]
        _, expected = compiled_resume("gru")(params, sequence)
        carry = jax.tree.map(lambda x, b=b: x[b : b + 1], updated["carry"])
        jax.tree.map(assert_close, carry, expected)


def test_evaluation_starts_from_zeros_and_leaves_the_carry():
    task, _, params, extra = started(carried=True)
    _, (updated, _) = task.loss(params, extra, BATCH, KEY, train=True)
    value, (after, _) = task.loss(params, updated, BATCH, KEY, train=False)
    assert float(value) == pytest.approx(nats().mean(), rel=1e-5)
    assert state_sha256(after) == state_sha256(updated) != state_sha256(extra)
    two_rows = {name: x[:2] for name, x in BATCH.items()}
    value, (after, _) = task.loss(params, updated, two_rows, KEY, train=False)
    assert float(value) == pytest.approx(nats()[:2].mean(), rel=1e-5)
    assert state_sha256(after) == state_sha256(updated)
    expected = task.predict(params, {}, BATCH["input"])
    np.testing.assert_array_equal(task.predict(params, updated, BATCH["input"]), expected)
    texts = [task.generate(params, e, BATCH["input"], KEY, length=4) for e in (updated, {})]
    np.testing.assert_array_equal(*texts)


def test_a_batch_of_another_size_than_the_carry_is_refused():
    task, _, params, extra = started(carried=True)
    with pytest.raises(InputError) as caught:
        task.loss(params, extra, {name: x[:3] for name, x in BATCH.items()}, KEY, train=True)
    allowed = f"{B}, the batch size of the carry, which accumulate cannot divide"
    assert str(caught.value) == f"batch size: got 3, allowed: {allowed}"
    net = jaxdl.learner(task.init, jaxdl.accumulate(*task.updates(optax.sgd(0.1)), 3))
    state = jax.eval_shape(net.init, KEY, BATCH)
    with pytest.raises(InputError) as caught:
        jax.eval_shape(net.step, state, BATCH, KEY)
    assert str(caught.value) == f"batch size: got 2, allowed: {allowed}"


def text(rows: int = 22) -> Dataset:
    """Returns a set of random tokens in contiguous windows."""
    tokens = np.random.default_rng(1).integers(0, V, rows * T + 1).astype(np.int32)
    fields = {"input": tokens[:-1].reshape(rows, T), "label": tokens[1:].reshape(rows, T)}
    return Dataset(fields, "text", contiguous=True)


def test_a_run_carries_the_state_of_each_row_through_the_text():
    """Uses a learning rate of 0, so that the carry follows from the windows that a row has read."""
    task = started("lstm", carried=True)[0]
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.0)))
    data = text()
    state = train(net, data, key=KEY, steps=7, batch_size=4, strategy=ONE_DEVICE)
    read = np.stack(
        [np.concatenate([data["input"][(5 * b + t) % 22] for t in range(7)]) for b in range(4)]
    )
    _, carry = compiled_resume("lstm")(state.params, jnp.asarray(read))
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(assert_close, state.extra["carry"], carry)


@pytest.mark.slow
@pytest.mark.optimized
def test_a_carried_run_resumes_from_a_directory_bit_for_bit(tmp_path):
    task = started(carried=True)[0]
    net = jaxdl.learner(task.init, *task.updates(optax.adam(0.03)))
    data = text()
    common = {
        "key": KEY,
        "steps": 8,
        "batch_size": 4,
        "strategy": ONE_DEVICE,
        "log_every": 3,
        "save_every": 3,
        "validation": text(9),
    }
    uninterrupted = train(net, data, **common)
    for stop in (2, 6):
        part = train(net, data, store=Directory(tmp_path), stop_after=stop, **common)
        assert int(part.step) == stop
    resumed = train(net, data, store=Directory(tmp_path), **common)
    assert state_sha256(resumed) == state_sha256(uninterrupted)
    assert all(x.any() for x in jax.tree.leaves(resumed.extra["carry"]))


# Errors.


@pytest.mark.parametrize("body", [RNN("gru", 5, bidirectional=True), CNN1D((4,), pool=1)])
def test_a_body_that_is_not_causal_is_refused(body):
    allowed = "a causal body, whose outputs do not depend on later steps"
    with pytest.raises(InputError, match=f"allowed: {allowed}"):
        language(SequenceNet(OneHot(V), body, V))


def test_one_output_per_sequence_is_refused():
    task = language(SequenceNet(OneHot(V), RNN("gru", 5, return_sequences=False), V))
    # The batch has as many steps as sequences, because these shapes would broadcast.
    batch = {name: x[:, :B] for name, x in BATCH.items()}
    params, extra = task.init(KEY, batch)
    with pytest.raises(InputError, match=r"logits: got \(6, 4\), allowed: \[B, T, V\]"):
        task.loss(params, extra, batch, KEY, train=True)
