"""Tests of the generated text: the same for each seed, and with all words of its tests."""

from collections import Counter

import pytest

from jaxdl.data.tales import COUNTRIES, PEOPLE, tales, tales_tests
from jaxdl.errors import InputError


def test_a_seed_gives_one_text():
    text = tales(50, 3)
    assert text == tales(50, 3) != tales(50, 4)
    assert tales(20, 3) == "".join(text.splitlines(keepends=True)[:20])
    assert text.count("\n") == 50 and text == text.lower()
    assert "{" not in text


def test_words_of_the_tests_are_frequent_in_the_text():
    pairs, questions = tales_tests()
    counts = Counter(tales().split())
    words = {word for pair in pairs for word in pair[:2]}
    words |= {word for question in questions for word in question[:4]}
    assert words > {word for place in COUNTRIES for word in place}
    assert min(counts[word] for word in words) > 100


def test_a_question_has_its_answer_in_the_same_row():
    pairs, questions = tales_tests()
    rows = [*COUNTRIES, *PEOPLE]
    owner = {word: i for i, row in enumerate(rows) for word in row}
    for a, b, c, d, _ in questions:
        assert owner[a] == owner[b] != owner[c] == owner[d]
    assert len(set(questions)) == len(questions) == 3 * 12 * 11
    assert {pair.score for pair in pairs} == {0, 1, 2, 3}
    for a, b, score in pairs:
        assert (owner[a] == owner[b]) == (score == 2)


def test_a_text_without_sentences_is_refused():
    with pytest.raises(InputError, match="sentences: got 0, allowed: at least 1"):
        tales(0)
