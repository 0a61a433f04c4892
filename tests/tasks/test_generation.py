"""Generation of texts: against a loop over `predict`, and the frequencies of tokens."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import OneHot, SequenceNet, tcn
from jaxdl.tasks import language
from tests.models.random_variables import random_variables
from tests.tasks.tiny_language import BATCH, V, each_cell, started
from tests.training.linear import KEY

PROMPT = BATCH["input"][:, :3]


@each_cell
def test_greedy_generation_equals_a_loop_that_predicts_the_growing_text(cell):
    task, _, params, extra = started(cell)
    text = np.asarray(PROMPT)
    for _ in range(5):
        p = np.asarray(task.predict(params, extra, jnp.asarray(text)))[:, -1]
        text = np.concatenate([text, p.argmax(-1)[:, None].astype(np.int32)], 1)
    for filters in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}):
        tokens = task.generate(params, extra, PROMPT, KEY, length=5, **filters)
        np.testing.assert_array_equal(tokens, text[:, 3:])
        assert tokens.dtype == jnp.int32


def test_texts_follow_the_key_and_the_number_of_the_sample():
    task, _, params, extra = started()
    texts = [
        task.generate(params, extra, PROMPT, jax.random.key(seed), length=12) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert (texts[0] != texts[2]).any()
    for rows in (1, 4):
        alone = task.generate(params, extra, PROMPT[:rows], jax.random.key(0), length=12)
        np.testing.assert_array_equal(alone, texts[0][:rows])
    same_prompt = jnp.broadcast_to(PROMPT[:1], (20, 3))
    samples = task.generate(params, extra, same_prompt, KEY, length=12)
    assert len(set(map(tuple, np.asarray(samples).tolist()))) > 15
    np.testing.assert_array_equal(
        texts[0][:, :5], task.generate(params, extra, PROMPT, jax.random.key(0), length=5)
    )


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    expected = counts.sum() * p
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_two_tokens_in_a_row_have_the_models_probabilities(temperature):
    task, _, params, extra = started("lstm")
    prompt = np.asarray(PROMPT[:1])
    next_tokens = np.arange(V, dtype=np.int32)[:, None]
    extended = np.concatenate([np.repeat(prompt, V, 0), next_tokens], 1)
    p = np.asarray(task.predict(params, extra, jnp.asarray(extended)), np.float64)
    p **= 1 / temperature
    p /= p.sum(-1, keepdims=True)
    joint = p[0, 2][:, None] * p[:, 3]
    tokens = task.generate(
        params, extra, jnp.repeat(PROMPT[:1], 6000, 0), KEY, length=2, temperature=temperature
    )
    counts = np.zeros((V, V))
    np.add.at(counts, tuple(np.asarray(tokens).T), 1)
    # The value is larger with a probability of 1e-4, for 15 degrees of freedom.
    assert chi_square(counts, joint) < 45


def test_over_many_keys_the_first_token_has_the_models_probabilities():
    task, _, params, extra = started()
    keys = jax.random.split(KEY, 3000)
    tokens = jax.vmap(lambda key: task.generate(params, extra, PROMPT[:2], key, length=1))(keys)
    first = tokens[..., 0]
    p = np.asarray(task.predict(params, extra, PROMPT[:2]), np.float64)[:, -1]
    for b in range(2):
        # The value is larger with a probability of 1e-4, for 3 degrees of freedom.
        assert chi_square(np.bincount(first[:, b], minlength=V), p[b]) < 22


def test_excluded_tokens_are_never_generated():
    task, _, params, extra = started()
    p = np.asarray(task.predict(params, extra, PROMPT[:1]), np.float64)[0, -1]
    order = np.argsort(-p)
    # This top_p is between the probability of the likeliest token and that of the first two.
    top_p = float(p[order[0]] + p[order[1]] / 2)
    for filters in ({"top_k": 2}, {"top_p": top_p}):
        tokens = task.generate(
            params, extra, jnp.repeat(PROMPT[:1], 500, 0), KEY, length=1, **filters
        )
        assert set(np.asarray(tokens)[:, 0].tolist()) == set(order[:2].tolist())


@pytest.mark.parametrize(
    ("prompt", "changed", "line"),
    [
        (PROMPT, {"length": 0}, "length: got 0, allowed: at least 1"),
        (PROMPT, {"length": 2.0}, "length: got 2.0, allowed: an integer, at least 1"),
        (PROMPT[:, :0], {}, "prompt: got (6, 0), allowed: ids [B, P], B and P at least 1"),
        (PROMPT[:0], {}, "prompt: got (0, 3), allowed: ids [B, P], B and P at least 1"),
        (PROMPT[0], {}, "prompt: got (3,), allowed: ids [B, P], B and P at least 1"),
        (PROMPT, {"temperature": -1.0}, "temperature: got -1.0, allowed: a number, at least 0"),
        (PROMPT, {"temperature": math.nan}, "temperature: got nan, allowed: a number, at least 0"),
        (PROMPT, {"top_k": -1}, "top_k: got -1, allowed: at least 0"),
        (PROMPT, {"top_k": 1.5}, "top_k: got 1.5, allowed: an integer, at least 0"),
        (PROMPT, {"top_p": 0.0}, "top_p: got 0.0, allowed: a number in (0, 1]"),
        (PROMPT, {"top_p": 1.1}, "top_p: got 1.1, allowed: a number in (0, 1]"),
        (PROMPT, {"top_p": math.nan}, "top_p: got nan, allowed: a number in (0, 1]"),
    ],
)
def test_bad_arguments_are_refused(prompt, changed, line):
    task, _, params, extra = started()
    with pytest.raises(InputError) as caught:
        task.generate(params, extra, prompt, KEY, **{"length": 2, **changed})
    assert str(caught.value) == line


@pytest.mark.slow
def test_a_model_without_a_recurrent_state_processes_the_whole_text_again():
    model = SequenceNet(OneHot(V), tcn((6, 6), 2), V)
    task = language(model)
    params = jax.tree.map(lambda x: 2 * x, random_variables(model, BATCH["input"])["params"])
    text = PROMPT[:2]
    tokens = task.generate(params, {}, text, KEY, length=5, temperature=0.0)
    predict = jax.jit(task.predict)
    for _ in range(5):
        text = jnp.concatenate([text, predict(params, {}, text)[:, -1:].argmax(-1)], 1)
    np.testing.assert_array_equal(tokens, text[:, 3:])
    allowed = "False, for a model without a recurrent state"
    with pytest.raises(InputError, match=f"carried: got True, allowed: {allowed}"):
        language(model, carried=True).init(KEY, BATCH)


def test_excluded_ids_are_never_generated():
    task, _, params, extra = started()
    options = {"length": 40, "temperature": 2.0}
    tokens = task.generate(params, extra, PROMPT, KEY, **options)
    assert set(np.unique(tokens)) == set(range(V))
    tokens = task.generate(params, extra, PROMPT, KEY, **options, never=(0, 2))
    assert set(np.unique(tokens)) == {1, 3}


def test_unknown_ids_end_a_text():
    task, _, params, extra = started()
    prompt = np.array([[1, V], [1, 2]])
    tokens = np.asarray(task.generate(params, extra, prompt, KEY, length=3))
    assert (tokens[0] == -1).all()
    assert (tokens[1] >= 0).all()
