"""Tests of the recipes of word vectors: rows of pairs, a resumed run, tests without known words."""

import json
import types

import numpy as np
import pytest

import jaxdl
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.recipes.word_options import WordOptions, WordRunOptions
from jaxdl.recipes.words import load_text, pair_rows, principal_directions, word_vectors
from jaxdl.runs import launch
from jaxdl.tasks.pairs import kept_probabilities
from tests.runs.scripts import script


def text_of(words: list[int]) -> Dataset:
    """Returns a text of ids as a set of one row."""
    return Dataset({"input": np.array([words], np.int32)}, "text")


def test_rows_of_pairs_have_each_pair_once():
    words = np.random.default_rng(0).integers(2, 12, 500)
    counted = jaxdl.data.cooccurrences(words, 3)
    expected = dict(zip(map(tuple, counted["input"].tolist()), counted["target"], strict=True))
    rows = pair_rows(text_of(words.tolist()), 3)
    pairs = rows["input"].reshape(-1, 2)
    target = rows["target"].reshape(-1)
    real = target > 0
    assert rows["input"].shape == (len(rows), *rows["target"].shape[1:], 2)
    assert dict(zip(map(tuple, pairs[real].tolist()), target[real], strict=True)) == expected
    assert real.sum() == len(expected) and (pairs[~real] == 0).all()


def test_words_are_left_out_of_pairs_by_their_probability():
    words = np.random.default_rng(0).integers(2, 4, 40_000)
    kept = np.array([0, 0, 0.25, 1], np.float32)
    rows = pair_rows(text_of(words.tolist()), 1, kept)
    found = {
        tuple(pair): count
        for pair, count in zip(
            rows["input"].reshape(-1, 2).tolist(), rows["target"].reshape(-1), strict=True
        )
    }
    # Of what is left, one word of five is a 2, and both orders of a pair are counted.
    total = sum(found.values())
    assert total == pytest.approx(2 * 0.625 * len(words), rel=0.02)
    for pair, share in {(2, 2): 0.04, (2, 3): 0.16, (3, 3): 0.64}.items():
        assert found[pair] / total == pytest.approx(share, rel=0.1)


def test_default_shares_of_the_methods():
    counts = np.array([0, 0, 900, 100])
    for method, name, threshold in (
        ("skip_gram", "other", 3e-5),
        ("glove", "other", 1e-4),
        ("glove", "tales", 0.01),
    ):
        found = WordOptions(method=method).kept(counts, name)
        np.testing.assert_array_equal(found, kept_probabilities(counts, threshold))
    found = WordOptions(subsample=0.5).kept(counts, "tales")
    np.testing.assert_array_equal(found, kept_probabilities(counts, 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "glove", "negatives": 3}, "negatives: got 3, allowed: no value, since glove"),
        ({"method": "cbow", "most": 3.0}, "most: got 3.0, allowed: no value, since cbow"),
        ({"min_count": 0}, "min_count: got 0"),
        ({"window": 0}, "window: got 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        WordOptions(**options).validate(WordRunOptions())


def test_a_text_without_frequent_words(tmp_path):
    # Signs are no words, even if they are frequent.
    (tmp_path / "text.txt").write_text("each , word , once , each , ! , each")
    with pytest.raises(InputError, match="words that occur 5 times; or less --min-count"):
        load_text(str(tmp_path / "text.txt"), WordOptions(), None)
    with pytest.raises(InputError, match="min_count: got 6, allowed: at most 5"):
        load_text(str(tmp_path / "text.txt"), WordOptions(min_count=6), None)
    text = load_text(str(tmp_path / "text.txt"), WordOptions(min_count=1), None)
    assert set(text.vocabulary.tokens[2:]) == {"each", "word", "once"}
    assert text.total == 5 and not text.similarities


def test_directions_of_largest_variance_equal_those_of_the_covariance():
    x = np.random.default_rng(0).normal(size=(30, 5)) * [1, 4, 2, 0.1, 3]
    _, vectors = np.linalg.eigh(np.cov(x.T))
    found = principal_directions(x)
    np.testing.assert_allclose(abs(found), abs(vectors[:, [-1, -2]].T), atol=1e-8)


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("method", ["skip_gram", "glove"])
def test_a_resumed_run_ends_with_the_same_bits(method, tmp_path):
    module = script("word2vec")
    words = ["--smoke", "--method", method, "--batch-size", "4"]
    hashes = []
    for name, stop in (("whole", False), ("parts", True)):
        out = ["--out", str(tmp_path / name)]
        if stop:
            launch(module.main, module.Config, [*words, *out, "--stop-after", "10"])
        launch(module.main, module.Config, [*words, *out])
        hashes.append(json.loads((tmp_path / name / "result.json").read_text())["state_sha256"])
    assert hashes[0] == hashes[1]
    network = jaxdl.load(tmp_path / "parts")
    found = word_vectors(network)
    first, second = found.words[:2]
    expected = found.array[:2]
    np.testing.assert_allclose(network.predict([first, second])[:, 0], expected, atol=1e-6)
    for text in ("xyzzy", f"{first} {second}", ""):
        with pytest.raises(InputError, match="allowed: 1 of the .* tokens of the vocabulary"):
            network.predict(text)


def test_vectors_of_a_network_without_words():
    network = types.SimpleNamespace(
        preprocessing=types.SimpleNamespace(text=None),
        model=None,
        task=types.SimpleNamespace(name="classify"),
    )
    with pytest.raises(InputError, match="network: got 'classify'"):
        word_vectors(network)
