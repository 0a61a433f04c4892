"""Tests of rows of words and of counts of pairs."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from jaxdl.data import Vocabulary, cooccurrences, word_rows
from jaxdl.errors import InputError


@pytest.mark.parametrize("window", [1, 3, 10])
def test_counts_equal_a_dictionary_loop_exactly(window):
    ids = np.random.default_rng(0).zipf(1.4, 500).clip(1, 40)
    words = ids[ids > 1].tolist()
    counts: Counter = Counter()
    for i, word in enumerate(words):
        for distance in range(1, min(window, len(words) - 1 - i) + 1):
            counts[word, words[i + distance]] += Fraction(1, distance)
            counts[words[i + distance], word] += Fraction(1, distance)
    found = cooccurrences(ids, window)
    pairs = [tuple(pair) for pair in found["input"].tolist()]
    assert pairs == sorted(counts)
    expected = np.array([float(counts[pair]) for pair in pairs], np.float32)
    np.testing.assert_array_equal(found["target"], expected)


def test_rows_hold_the_words_of_the_vocabulary_in_order():
    text = "b a b c b a d a b a"
    words = Vocabulary.build(text, "word", min_count=2)
    made = word_rows(words.encode(text), words, 3)
    joined = np.asarray(made.rows["input"]).reshape(-1)
    assert words.decode(joined) == "b a b b a a b a"
    assert made.counts.sum() == 8
    assert made.left_out == pytest.approx(0.2)
    assert made.rows.text.vocabulary == words


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cooccurrences(np.array([2, 3]), 21), "window: got 21"),
        (lambda: cooccurrences(np.array([2]), 3), "text: got '1 words', allowed: at least two"),
        (lambda: cooccurrences(np.array([], int), 3), "text: got '0 words'"),
        (lambda: word_rows(np.array([1, 1]), Vocabulary.build("a", "word")), "text: got '0 words'"),
        (lambda: word_rows(np.array([9]), Vocabulary.build("a", "word")), "ids.0.: got 9"),
    ],
)
def test_bad_values_are_errors_of_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
