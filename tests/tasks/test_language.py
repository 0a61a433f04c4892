"""Language models: losses by NumPy, all strings together, the carry, and generation against a loop over `predict`."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import Update
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import TCN, Conv1DStack, OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.tasks import language
from jaxdl.training import Directory, Sharded, state_sha256, train
from tests.models.drawn import drawn
from tests.training.linear import KEY

V = 4
B = 6
T = 7
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, V, (B, T + 1)).astype(np.int32)
BATCH = {"input": jnp.asarray(IDS[:, :-1]), "label": jnp.asarray(IDS[:, 1:])}
ROWS = jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)
STEPS = jnp.asarray(RNG.integers(0, 2, (B, T)), jnp.float32)
LENGTHS = jnp.asarray([7, 1, 3, 7, 1, 3], jnp.int32)
both = pytest.mark.parametrize("cell", ["gru", "lstm"])
ONE = Sharded(jax.devices()[:1])


@functools.cache
def started(cell: str = "gru", carried: bool = False):
    """The task, compiled; its model; parameters far from small; `extra`."""
    model = SequenceNet(OneHot(V), RNN(cell, 5, 2 if cell == "lstm" else 1), V)
    task = language(model, carried=carried)
    params = jax.tree.map(lambda x: 2 * x, drawn(model, BATCH["input"])["params"])
    fast = task._replace(
        loss=jax.jit(task.loss, static_argnames="train"), predict=jax.jit(task.predict)
    )
    return fast, model, params, jax.jit(task.init)(KEY, BATCH)[1]


@functools.cache
def resumed(cell: str):
    """`resume` of the model, compiled."""
    model = started(cell)[1]
    return jax.jit(
        lambda p, x, c=None: model.apply({"params": p}, x, train=False, carry=c, method="resume")
    )


@functools.cache
def nats(cell: str = "gru") -> np.ndarray:
    """-log p of each label, float64 `[B, T]`."""
    logits = np.asarray(resumed(cell)(started(cell)[2], BATCH["input"])[0], np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -np.take_along_axis(log_p, np.asarray(BATCH["label"])[..., None], -1)[..., 0]


def counts(**fields) -> np.ndarray:
    """Which tokens count, by a loop."""
    here = np.ones((B, T))
    fields = jax.device_get(fields)
    for b, t in itertools.product(range(B), range(T)):
        if "mask" in fields:
            here[b, t] *= fields["mask"][b] if fields["mask"].ndim == 1 else fields["mask"][b, t]
        if "length" in fields:
            here[b, t] *= t < fields["length"][b]
    return here


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
    here = counts(**fields)
    expected = (nats() * here).sum() / here.sum()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["loss"] == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["bits"] == pytest.approx(expected / math.log(2), rel=1e-5)
    assert {float(count) for _, count in metrics.values()} == {here.sum()}
    chosen = np.asarray(task.predict(params, extra, BATCH["input"])).argmax(-1)
    assert float(metrics["accuracy"][0]) == ((chosen == np.asarray(BATCH["label"])) * here).sum()


@both
def test_predictions_are_the_softmax_of_the_answers(cell):
    task, _, params, extra = started(cell)
    p = np.asarray(task.predict(params, extra, BATCH["input"]))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    found = np.take_along_axis(p, np.asarray(BATCH["label"])[..., None], -1)[..., 0]
    np.testing.assert_allclose(found, np.exp(-nats(cell)), rtol=1e-4)


def test_the_probabilities_of_all_strings_sum_to_one():
    task, _, params, extra = started()
    strings = np.asarray(list(itertools.product(range(V), repeat=3)), np.int32)
    inputs = np.concatenate([np.full((len(strings), 1), 2, np.int32), strings[:, :-1]], 1)
    p = np.asarray(task.predict(params, extra, jnp.asarray(inputs)), np.float64)
    of_each = np.prod([p[np.arange(len(strings)), t, strings[:, t]] for t in range(3)], 0)
    assert of_each.sum() == pytest.approx(1, rel=1e-5)

    def loss(x, y):
        return task.loss(params, extra, {"input": x[None], "label": y[None]}, KEY, train=False)[0]

    each = np.asarray(jax.vmap(loss)(jnp.asarray(inputs), jnp.asarray(strings)), np.float64)
    np.testing.assert_allclose(np.exp(-3 * each), of_each, rtol=1e-4)


@pytest.mark.parametrize(
    "fields",
    [{"mask": ROWS}, {"mask": jnp.ones((B, T)).at[2, 4].set(0)}, {"length": LENGTHS}],
    ids=["rows", "steps", "length"],
)
def test_a_label_out_of_range_is_nan_unless_it_does_not_count(fields):
    task, _, params, extra = started()
    slope = jax.jit(
        jax.value_and_grad(lambda p, batch: task.loss(p, extra, batch, KEY, train=True)[0])
    )
    clean = slope(params, {**BATCH, **fields})
    for wrong in (-1, V, 999):
        spoiled = {**BATCH, "label": BATCH["label"].at[2, 4].set(wrong)}
        assert np.isnan(task.loss(params, extra, spoiled, KEY, train=True)[0])
        jax.tree.map(np.testing.assert_array_equal, slope(params, {**spoiled, **fields}), clean)


# The carry.


def halves(**fields):
    return (
        {name: x[:, part] for name, x in {**BATCH, **fields}.items()}
        for part in (slice(3), slice(3, None))
    )


@both
def test_two_carried_batches_are_one_longer_sequence(cell):
    task, _, params, extra = started(cell, carried=True)
    assert all(not x.any() and x.shape[0] == B for x in jax.tree.leaves(extra["carry"]))
    sums = []
    carry = None
    for half in halves():
        _, carry = resumed(cell)(params, half["input"], carry)
        _, (extra, metrics) = task.loss(params, extra, half, KEY, train=True)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6), extra["carry"], carry
        )
        sums.append(float(metrics["loss"][0]))
    each = nats(cell)
    assert sums == pytest.approx([each[:, :3].sum(), each[:, 3:].sum()], rel=1e-5)


def test_the_gradient_does_not_reach_back_beyond_a_window():
    task, _, params, extra = started(carried=True)
    first, second = halves()

    def two(params):
        one, (moved, _) = task.loss(params, extra, first, KEY, train=True)
        return one + task.loss(params, moved, second, KEY, train=True)[0]

    alone = jax.grad(lambda p, extra, batch: task.loss(p, extra, batch, KEY, train=True)[0])
    moved = task.loss(params, extra, first, KEY, train=True)[1][0]
    expected = jax.tree.map(jnp.add, alone(params, extra, first), alone(params, moved, second))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, jax.jit(jax.grad(two))(params), expected)


def test_the_carry_is_that_of_each_sequences_own_end():
    task, _, params, extra = started(carried=True)
    _, (moved, _) = task.loss(params, extra, {**BATCH, "length": LENGTHS}, KEY, train=True)
    for b, length in enumerate(LENGTHS):
        alone = BATCH["input"][b : b + 1, :length]
        _, carry = resumed("gru")(params, alone)
        mine = jax.tree.map(lambda x: x[b : b + 1], moved["carry"])
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), mine, carry
        )


def test_evaluation_starts_from_zeros_and_leaves_the_carry():
    task, _, params, extra = started(carried=True)
    _, (moved, _) = task.loss(params, extra, BATCH, KEY, train=True)
    value, (after, _) = task.loss(params, moved, BATCH, KEY, train=False)
    assert float(value) == pytest.approx(nats().mean(), rel=1e-5)
    assert state_sha256(after) == state_sha256(moved) != state_sha256(extra)
    few = {name: x[:2] for name, x in BATCH.items()}
    value, (after, _) = task.loss(params, moved, few, KEY, train=False)
    assert float(value) == pytest.approx(nats()[:2].mean(), rel=1e-5)
    assert state_sha256(after) == state_sha256(moved)
    plain = task.predict(params, {}, BATCH["input"])
    np.testing.assert_array_equal(task.predict(params, moved, BATCH["input"]), plain)
    texts = [task.generate(params, e, BATCH["input"], KEY, length=4) for e in (moved, {})]
    np.testing.assert_array_equal(*texts)


def test_a_batch_of_another_size_than_the_carry():
    task, _, params, extra = started(carried=True)
    with pytest.raises(InputError) as caught:
        task.loss(params, extra, {name: x[:3] for name, x in BATCH.items()}, KEY, train=True)
    allowed = f"{B}, the rows of the carry, so no accumulation over parts of a batch"
    assert str(caught.value) == f"batch size: got 3, allowed: {allowed}"
    parts = jaxdl.learner(task.init, jaxdl.accumulate(Update(task.loss, optax.sgd(0.1)), 3))
    state = jax.eval_shape(parts.init, KEY, BATCH)
    with pytest.raises(InputError) as caught:
        jax.eval_shape(parts.step, state, BATCH, KEY)
    assert str(caught.value) == f"batch size: got 2, allowed: {allowed}"


def text(rows: int = 22) -> Dataset:
    """Random tokens in windows that follow each other."""
    tokens = np.random.default_rng(1).integers(0, V, rows * T + 1).astype(np.int32)
    fields = {"input": tokens[:-1].reshape(rows, T), "label": tokens[1:].reshape(rows, T)}
    return Dataset(fields, "text", contiguous=True)


def test_a_run_carries_each_lane_through_the_text():
    """Without a learning rate the carry is that of the rows a lane has read, one after the other."""
    task = started("lstm", carried=True)[0]
    net = jaxdl.learner(task.init, Update(task.loss, optax.sgd(0.0)))
    data = text()
    state = train(net, data, key=KEY, steps=7, batch_size=4, strategy=ONE)
    read = np.stack(
        [np.concatenate([data["input"][(5 * b + t) % 22] for t in range(7)]) for b in range(4)]
    )
    _, carry = resumed("lstm")(state.params, jnp.asarray(read))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, state.extra["carry"], carry)


@pytest.mark.slow
def test_a_carried_run_goes_on_from_a_directory_bit_for_bit(tmp_path):
    task = started(carried=True)[0]
    net = jaxdl.learner(task.init, Update(task.loss, optax.adam(0.03)))
    data = text()
    common = {
        "key": KEY,
        "steps": 8,
        "batch_size": 4,
        "strategy": ONE,
        "log_every": 3,
        "save_every": 3,
        "validation": text(9),
    }
    whole = train(net, data, **common)
    for stop in (2, 6):
        part = train(net, data, store=Directory(tmp_path), stop_after=stop, **common)
        assert int(part.step) == stop
    last = train(net, data, store=Directory(tmp_path), **common)
    assert state_sha256(last) == state_sha256(whole)
    assert all(x.any() for x in jax.tree.leaves(last.extra["carry"]))


# Generation.

PROMPT = BATCH["input"][:, :3]


@both
def test_the_likeliest_is_a_loop_that_predicts_the_growing_text(cell):
    task, _, params, extra = started(cell)
    grown = np.asarray(PROMPT)
    for _ in range(5):
        p = np.asarray(task.predict(params, extra, jnp.asarray(grown)))[:, -1]
        grown = np.concatenate([grown, p.argmax(-1)[:, None].astype(np.int32)], 1)
    for filters in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}):
        found = task.generate(params, extra, PROMPT, KEY, length=5, **filters)
        np.testing.assert_array_equal(found, grown[:, 3:])
        assert found.dtype == jnp.int32


def test_texts_follow_the_key_and_the_number_of_the_sample():
    task, _, params, extra = started()
    texts = [
        task.generate(params, extra, PROMPT, jax.random.key(seed), length=12) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert (texts[0] != texts[2]).any()
    for few in (1, 4):
        alone = task.generate(params, extra, PROMPT[:few], jax.random.key(0), length=12)
        np.testing.assert_array_equal(alone, texts[0][:few])
    same = task.generate(params, extra, jnp.broadcast_to(PROMPT[:1], (20, 3)), KEY, length=12)
    assert len(set(map(tuple, np.asarray(same).tolist()))) > 15
    np.testing.assert_array_equal(
        texts[0][:, :5], task.generate(params, extra, PROMPT, jax.random.key(0), length=5)
    )


def chi_square(found: np.ndarray, p: np.ndarray) -> float:
    return float(((found - found.sum() * p) ** 2 / (found.sum() * p)).sum())


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_two_tokens_in_a_row_have_the_models_probabilities(temperature):
    task, _, params, extra = started("lstm")
    prompt = np.asarray(PROMPT[:1])
    longer = np.concatenate([np.repeat(prompt, V, 0), np.arange(V, dtype=np.int32)[:, None]], 1)
    p = np.asarray(task.predict(params, extra, jnp.asarray(longer)), np.float64) ** (
        1 / temperature
    )
    p /= p.sum(-1, keepdims=True)
    joint = p[0, 2][:, None] * p[:, 3]
    many = task.generate(
        params, extra, jnp.repeat(PROMPT[:1], 6000, 0), KEY, length=2, temperature=temperature
    )
    found = np.zeros((V, V))
    np.add.at(found, tuple(np.asarray(many).T), 1)
    assert chi_square(found, joint) < 45  # 15 degrees of freedom: above it with a chance of 1e-4


def test_over_many_keys_the_first_token_has_the_models_probabilities():
    task, _, params, extra = started()
    keys = jax.random.split(KEY, 3000)
    first = jax.vmap(lambda key: task.generate(params, extra, PROMPT[:2], key, length=1))(keys)[
        ..., 0
    ]
    p = np.asarray(task.predict(params, extra, PROMPT[:2]), np.float64)[:, -1]
    for b in range(2):
        assert (
            chi_square(np.bincount(first[:, b], minlength=V), p[b]) < 22
        )  # 3 degrees of freedom: 1e-4


def test_only_kept_tokens_are_drawn():
    task, _, params, extra = started()
    p = np.asarray(task.predict(params, extra, PROMPT[:1]), np.float64)[0, -1]
    order = np.argsort(-p)
    # Halfway between what the two likeliest have and what the first alone has.
    few = {"top_k": {"top_k": 2}, "top_p": {"top_p": float(p[order[0]] + p[order[1]] / 2)}}
    for filters in few.values():
        many = task.generate(
            params, extra, jnp.repeat(PROMPT[:1], 500, 0), KEY, length=1, **filters
        )
        assert set(np.asarray(many)[:, 0].tolist()) == set(order[:2].tolist())


@pytest.mark.parametrize(
    ("prompt", "changed", "line"),
    [
        (PROMPT, {"length": 0}, "length: got 0, allowed: at least 1"),
        (PROMPT, {"length": 2.0}, "length: got 2.0, allowed: an integer, at least 1"),
        (PROMPT[:, :0], {}, "prompt: got (6, 0), allowed: ids [B, P], at least one each"),
        (PROMPT[:0], {}, "prompt: got (0, 3), allowed: ids [B, P], at least one each"),
        (PROMPT[0], {}, "prompt: got (3,), allowed: ids [B, P], at least one each"),
        (PROMPT, {"temperature": -1.0}, "temperature: got -1.0, allowed: a number, at least 0"),
        (PROMPT, {"temperature": math.nan}, "temperature: got nan, allowed: a number, at least 0"),
        (PROMPT, {"top_k": -1}, "top_k: got -1, allowed: at least 0"),
        (PROMPT, {"top_k": 1.5}, "top_k: got 1.5, allowed: an integer, at least 0"),
        (PROMPT, {"top_p": 0.0}, "top_p: got 0.0, allowed: a number in (0, 1]"),
        (PROMPT, {"top_p": 1.1}, "top_p: got 1.1, allowed: a number in (0, 1]"),
        (PROMPT, {"top_p": math.nan}, "top_p: got nan, allowed: a number in (0, 1]"),
    ],
)
def test_what_cannot_be_generated(prompt, changed, line):
    task, _, params, extra = started()
    with pytest.raises(InputError) as caught:
        task.generate(params, extra, prompt, KEY, **{"length": 2, **changed})
    assert str(caught.value) == line


@pytest.mark.slow
def test_a_network_that_carries_nothing_reads_the_whole_text_again():
    model = SequenceNet(OneHot(V), TCN((6, 6), 2), V)
    task = language(model)
    params = jax.tree.map(lambda x: 2 * x, drawn(model, BATCH["input"])["params"])
    written = task.generate(params, {}, BATCH["input"][:2, :3], KEY, length=5, temperature=0.0)
    text = BATCH["input"][:2, :3]
    predict = jax.jit(task.predict)
    for _ in range(5):
        text = jnp.concatenate([text, predict(params, {}, text)[:, -1:].argmax(-1)], 1)
    np.testing.assert_array_equal(written, text[:, 3:])
    with pytest.raises(
        InputError, match="carried: got True, allowed: False, for a network that carries nothing"
    ):
        language(model, carried=True).init(KEY, BATCH)


@pytest.mark.parametrize("body", [RNN("gru", 5, bidirectional=True), Conv1DStack((4,), pool=1)])
def test_who_sees_later_steps_is_no_language_model(body):
    with pytest.raises(
        InputError, match="allowed: a body that sees no later step than the one it answers at"
    ):
        language(SequenceNet(OneHot(V), body, V))


def test_one_answer_per_sequence_is_refused():
    task = language(SequenceNet(OneHot(V), RNN("gru", 5, return_sequences=False), V))
    batch = {
        name: x[:, :B] for name, x in BATCH.items()
    }  # as many steps as sequences: shapes would broadcast
    params, extra = task.init(KEY, batch)
    with pytest.raises(InputError, match=r"logits: got \(6, 4\), allowed: \[B, T, V\]"):
        task.loss(params, extra, batch, KEY, train=True)


def test_some_ids_are_never_written_and_unknown_ones_end_a_text():
    task, _, params, extra = started()
    drawn = {"length": 40, "temperature": 2.0}
    assert set(np.unique(task.generate(params, extra, PROMPT, KEY, **drawn))) == set(range(V))
    assert set(np.unique(task.generate(params, extra, PROMPT, KEY, **drawn, never=(0, 2)))) == {
        1,
        3,
    }
    strange = np.array([[1, V], [1, 2]])
    found = np.asarray(task.generate(params, extra, strange, KEY, length=3))
    assert (found[0] == -1).all() and (found[1] >= 0).all()
