"""Texts in experiments: samples, word vectors, the linear baseline and predictions by word."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.core import learner
from jaxdl.data import Dataset, Reviews, Vocabulary
from jaxdl.errors import InputError
from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.recipes.texts import (
    best_and_worst,
    draw_best_and_worst,
    linear_text_accuracy,
    prefix_probabilities,
    text_sampler,
    word_embedding,
)
from jaxdl.rng import stream
from jaxdl.runs import Options, Run
from jaxdl.tasks import language
from tests.training.linear import KEY

WORDS = Vocabulary.build("to be or not", "word")


def test_a_sample_is_printed_and_written(tmp_path, capsys):
    vocabulary = Vocabulary.build("to be or not")
    model = SequenceNet(OneHot(len(vocabulary)), RNN("gru", 4), len(vocabulary))
    task = language(model)
    batch = {"input": jnp.ones((1, 3), jnp.int32), "label": jnp.ones((1, 3), jnp.int32)}
    state = learner(task.init, *task.updates(optax.sgd(0.1))).init(KEY, batch)
    run = Run(Options(), tmp_path, "name")
    text_sampler(run, task.generate, vocabulary, "to be", "or", length=7, temperature=0.5)(state)
    tokens = task.generate(
        state.params,
        state.extra,
        vocabulary.encode("or")[None],
        stream(run.key, "sample"),
        length=7,
        temperature=0.5,
        never=(0, 1),
    )
    continued = vocabulary.decode(np.asarray(tokens[0]))
    written = tmp_path / "samples" / "step-0000000.txt"
    assert written.read_text() == f"or|{continued}\n"
    assert f"step 0: sample after ...'or' ---\n{continued}\n" in capsys.readouterr().out
    text_sampler(run, task.generate, vocabulary, "to be", length=2)(state)
    assert written.read_text().startswith("to be|")


@pytest.mark.parametrize("prompt", ["be what", "", " "])
def test_a_prompt_of_unknown_tokens_is_refused(prompt, tmp_path):
    run = Run(Options(), tmp_path, "name")
    with pytest.raises(InputError, match="^prompt: got '.*', allowed: words that the training"):
        text_sampler(run, lambda: None, WORDS, "to be", prompt)


@pytest.mark.parametrize("frozen", [True, False])
def test_an_embedding_of_a_file(frozen, tmp_path, capsys):
    (tmp_path / "vectors.txt").write_text("be 1 2 3\nnot 4 5 6\n")
    layer = word_embedding(WORDS, 8, str(tmp_path / "vectors.txt"), frozen)
    assert capsys.readouterr().out.endswith("has 2 of 6 words\n")
    ids = WORDS.encode("be to not")[None]
    outputs, variables = layer.init_with_output(jax.random.key(0), ids, False)
    np.testing.assert_array_equal(outputs[0, [0, 2]], [[1, 2, 3], [4, 5, 6]])
    assert np.isfinite(outputs).all()
    assert layer.train_rows == ("unknown" if frozen else "all")
    assert jax.tree.leaves(variables)
    plain = word_embedding(WORDS, 8)
    assert plain.init_with_output(jax.random.key(0), ids, False)[0].shape == (1, 3, 8)


def test_the_linear_baseline_reads_pairs_of_words():
    """No single word determines the label."""
    texts = ["not bad", "not good", "bad", "good"]
    labels = np.array([1, 0, 0, 1], np.int32)
    train = Reviews(3 * texts, np.tile(labels, 3), ("neg", "pos"))
    assert linear_text_accuracy(train, Reviews(texts, labels, ("neg", "pos"))) == 1.0
    opposite = Reviews(texts, 1 - labels, ("neg", "pos"))
    assert linear_text_accuracy(train, opposite) == 0.0
    once = Reviews(["a", "b"], np.array([0, 1]), ("neg", "pos"))
    with pytest.raises(InputError, match="^baseline: got True, allowed: False, for texts without"):
        linear_text_accuracy(once, once)


def count_ones(inputs, lengths):
    """Returns the share of ones among the valid ids, as the probability of class 1."""
    valid = jnp.arange(inputs.shape[1])[None] < lengths[:, None]
    share = (valid & (inputs == 1)).sum(1) / lengths
    return jnp.stack([1 - share, share], 1)


def test_predictions_of_all_beginnings():
    ids = np.array([1, 0, 1, 1, 0, 0], np.int32)
    predictions = prefix_probabilities(count_ones, ids, 4)
    np.testing.assert_allclose(predictions[:, 1], [1, 1 / 2, 2 / 3, 3 / 4])


def test_the_best_and_the_worst_short_text():
    probability = np.array([0.9, 0.1, 0.5, 0.6, 0.4])
    assert best_and_worst(probability, np.array([9, 9, 2, 2, 2]), 5) == (3, 4)
    assert best_and_worst(probability, np.array([9, 9, 8, 8, 8]), 5) == (0, 1)


def test_both_texts_are_shown(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("jaxdl.recipes.texts.text_predictions", lambda *given: shown.append(given))
    ids = np.array([[1, 1, 2, 0], [2, 1, 0, 0], [2, 2, 2, 2]], np.int32)
    arrays = {"input": ids, "length": np.array([3, 2, 4]), "label": np.array([1, 0, 0])}
    probabilities = np.array([[0.1, 0.9], [0.3, 0.7], [1.0, 0.0]])
    test = Dataset(arrays, "texts", 2)
    classes = ("neg", "pos")
    draw_best_and_worst(
        count_ones, probabilities, test, WORDS, classes, lambda name: tmp_path / name
    )
    best, worst = shown
    assert best[0] == [WORDS.tokens[i] for i in (1, 1, 2)]
    np.testing.assert_allclose(best[1], [1, 1, 2 / 3])
    assert best[2:] == (classes, 1, tmp_path / "text-best")
    assert worst[0] == [WORDS.tokens[i] for i in (2, 1)]
    assert worst[3:] == (0, tmp_path / "text-worst")
