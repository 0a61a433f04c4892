"""Tests of splitting texts into words and signs, and of joining them again."""

import re
import unicodedata

import numpy as np
import pytest

from jaxdl.data.files import decode_utf8, open_maybe_gzip
from jaxdl.data.words import CLOSING, JOINING, OPENING, join_words, split_words
from tests.data import real


def by_hand(text):
    """Returns the tokens of a text by a loop over its characters."""

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
def test_a_text_is_split_into_these_tokens(text, tokens):
    assert split_words(text) == tokens == by_hand(text)


LETTERS = "ab1’'’' \n.\u0301é-_“\"”(/ि,"


@pytest.mark.parametrize("seed", range(5))
def test_random_texts_are_split_as_by_hand(seed):
    random = np.random.RandomState(seed)
    for length in random.randint(0, 30, 200):
        text = "".join(random.choice(list(LETTERS), length))
        tokens = split_words(text)
        assert tokens == by_hand(text)
        # Only spaces are lost.
        assert "".join(tokens) == re.sub(r"[^\S\n]", "", text)


@pytest.mark.parametrize("seed", range(5))
def test_joined_tokens_are_split_into_the_same_tokens(seed):
    random = np.random.RandomState(seed)
    for length in random.randint(0, 30, 200):
        tokens = split_words("".join(random.choice(list(LETTERS), length)))
        assert split_words(join_words(tokens)) == tokens


@pytest.mark.parametrize(
    "text",
    [
        "“Well,” wrote he (at last): “it’s 1/2 past 10!”",
        "She asked: \"Who is 'it'?\"",
        "A well-known man—an observer—came.\n\nNo one knew [1] him; “why?”",
        "¿Qué? ¡No! «Oui», 50% for £5.",
        'He wrote "yes" and "no".',
    ],
)
def test_joining_restores_the_spacing_of_printed_text(text):
    # An opening apostrophe cannot be distinguished from a closing one.
    assert join_words(split_words(text)) == text.replace(" 'it'", "' it'")


def test_signs_have_the_right_spaces_around_them():
    assert not (CLOSING & OPENING | CLOSING & JOINING | OPENING & JOINING)
    assert join_words(["a", "b"]) == "a b"
    assert [join_words(["a", sign, "b"]) for sign in ".(-"] == ["a. b", "a (b", "a-b"]
    assert join_words([]) == ""
    assert join_words(['"', "a", "\n", '"', "b", '"']) == '"a\n"b"'


@real.needs(real.SHERLOCK)
def test_joining_restores_the_spacing_of_a_book():
    with open_maybe_gzip(real.SHERLOCK) as file:
        text = decode_utf8(file.read(), "sherlock")
    tokens = split_words(text)
    assert {"Holmes", "don’t", "Bohemia", "“"} < set(tokens)
    joined = join_words(tokens)
    assert split_words(joined) == tokens
    lines = zip(text.split("\n"), joined.split("\n"), strict=True)
    assert np.mean([a.split() == b.split() for a, b in lines]) > 0.97
