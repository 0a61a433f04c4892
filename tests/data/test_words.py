"""Words and signs: where they are cut, and how they are set again."""

import re
import unicodedata

import numpy as np
import pytest

from jaxdl.data.files import opened, utf8
from jaxdl.data.words import CLOSING, JOINING, OPENING, join_words, split_words
from tests.data import real


def by_hand(text):
    """The rule, one character after the other."""

    def mark(i):
        return i < len(text) and unicodedata.category(text[i])[0] == "M"

    def letter(i):
        return i < len(text) and text[i].isalnum()

    tokens = []
    i = 0
    while i < len(text):
        end = i + 1
        if letter(i):
            while (
                letter(end)
                or mark(end)
                or (end < len(text) and text[end] in "'’" and letter(end + 1))
            ):
                end += 1
        if text[i] == "\n" or not text[i].isspace():
            tokens.append(text[i:end])
        i = end
    return tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't 'stop'", ["Don't", "'", "stop", "'"]),
        ("rock’n’roll, o'clock'", ["rock’n’roll", ",", "o'clock", "'"]),
        ("a''b", ["a", "'", "'", "b"]),
        ("wait...  what?!", ["wait", ".", ".", ".", "what", "?", "!"]),
        ("3.14 _x_ B2B", ["3", ".", "14", "_", "x", "_", "B2B"]),
        ("one\n\n two\t\u00a0three", ["one", "\n", "\n", "two", "three"]),
        ("Straße élan Ωμέγα дом 東京", ["Straße", "élan", "Ωμέγα", "дом", "東京"]),
        ("हिन्दी में, cafe\u0301", ["हिन्दी", "में", ",", "cafe\u0301"]),
        ("🎬👍", ["🎬", "👍"]),
        (" ", []),
        ("", []),
    ],
)
def test_where_words_are_cut(text, tokens):
    assert split_words(text) == tokens == by_hand(text)


LETTERS = "ab1’'’' \n.\u0301é-_“\"”(/ि,"


@pytest.mark.parametrize("seed", range(5))
def test_words_of_random_texts_are_those_of_the_rule(seed):
    draw = np.random.RandomState(seed)
    for length in draw.randint(0, 30, 200):
        text = "".join(draw.choice(list(LETTERS), length))
        tokens = split_words(text)
        assert tokens == by_hand(text)
        # Nothing but spaces is lost.
        assert "".join(tokens) == re.sub(r"[^\S\n]", "", text)


@pytest.mark.parametrize("seed", range(5))
def test_a_text_that_is_set_again_has_the_same_words(seed):
    draw = np.random.RandomState(seed)
    for length in draw.randint(0, 30, 200):
        tokens = split_words("".join(draw.choice(list(LETTERS), length)))
        assert split_words(join_words(tokens)) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "“Well,” said he (at last): “it’s 1/2 past 10!”",
        "She asked: \"Who is 'it'?\"",
        "A well-known man—an observer—came.\n\nNo one knew [1] him; “why?”",
        "¿Qué? ¡No! «Oui», 50% for £5.",
        'He said "yes" and "no".',
    ],
)
def test_printed_text_comes_back_as_it_was(text):
    # An apostrophe that opens is the one sign that cannot be told from one that closes.
    assert join_words(split_words(text)) == text.replace(" 'it'", "' it'")


def test_every_sign_keeps_its_distance():
    assert not (CLOSING & OPENING | CLOSING & JOINING | OPENING & JOINING)
    assert join_words(["a", "b"]) == "a b"
    assert [join_words(["a", sign, "b"]) for sign in ".(-"] == ["a. b", "a (b", "a-b"]
    assert join_words([]) == ""
    assert join_words(['"', "a", "\n", '"', "b", '"']) == '"a\n"b"'


@real.needs(real.SHERLOCK)
def test_the_spacing_of_a_book():
    with opened(real.SHERLOCK) as file:
        text = utf8(file.read(), "sherlock")
    tokens = split_words(text)
    assert {"Holmes", "don’t", "Bohemia", "“"} < set(tokens)
    again = join_words(tokens)
    assert split_words(again) == tokens
    lines = [
        (a.split(), b.split()) for a, b in zip(text.split("\n"), again.split("\n"), strict=True)
    ]
    assert np.mean([a == b for a, b in lines]) > 0.97
