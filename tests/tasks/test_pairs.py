"""Tests of the random choices of word2vec: kept words, their places, and tables of negatives."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.tasks.pairs import BLOCK, capacity, keep_words, kept_probabilities, negative_table


def test_the_kept_share_is_the_formula():
    counts = np.array([0, 0, 50_000, 3_000, 100, 5])
    p = kept_probabilities(counts, 1e-3)
    f = counts / counts.sum()
    expected = [min(1, np.sqrt(1e-3 / x) + 1e-3 / x) for x in f[2:]]
    np.testing.assert_allclose(p[2:], expected, rtol=1e-6)
    assert p[:2].tolist() == [0, 0]
    text = np.repeat(np.arange(6), counts).astype(np.int32).reshape(1, -1)
    keep = jax.random.uniform(jax.random.key(0), text.shape) < jnp.asarray(p)[text]
    ids, _ = keep_words(jnp.asarray(text), keep, capacity(p, counts, text.size))
    found = np.bincount(np.asarray(ids)[np.asarray(ids) >= 0], minlength=6)
    error = np.sqrt(counts * p * (1 - p)) + 1e-9
    assert (abs(found - counts * p) <= 4 * error + 1e-6).all()
    assert kept_probabilities(counts, 0)[2:].tolist() == [1, 1, 1, 1]


def test_kept_words_stay_in_order_with_their_rows():
    random = np.random.default_rng(0)
    texts = random.integers(2, 99, (4, 31)).astype(np.int32)
    keep = random.random(texts.shape) < 0.4
    for places in (8, 128):
        ids, rows = keep_words(jnp.asarray(texts), jnp.asarray(keep), places)
        expected = texts[keep][:places]
        expected_rows = np.nonzero(keep)[0][:places]
        assert np.asarray(ids)[: len(expected)].tolist() == expected.tolist()
        assert np.asarray(rows)[: len(expected)].tolist() == expected_rows.tolist()
        assert (np.asarray(ids)[len(expected) :] == -1).all()


def test_places_are_whole_blocks_and_at_most_all_words():
    for words in (1, 31, 32, 1000, 5000):
        places = capacity(np.array([0, 0.5], np.float32), np.array([0, 7]), words)
        assert places % BLOCK == 0
        assert min(words, words / 2 + 6) <= places < words + BLOCK


def test_a_table_of_negatives_ends_at_the_largest_integer():
    counts = np.random.default_rng(1).integers(0, 10**6, 5000)
    table = negative_table(counts, 0.75).astype(np.int64)
    assert table[-1] == 2**31 - 1
    weights = np.diff(table, prepend=-1) / 2**31
    expected = counts**0.75 / (counts**0.75).sum()
    np.testing.assert_allclose(weights, expected, atol=1e-9)
