"""Tests of vocabularies: ids of tokens, encoding, decoding and files."""

import collections
import dataclasses
import json
import sys
import unicodedata

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.files import decode_utf8, open_maybe_gzip
from jaxdl.data.vocabulary import SPECIAL, Vocabulary, check_ids, normalize
from jaxdl.errors import InputError
from tests.data import real

LETTERS = "aaaabbc dE.,'\n\r\té\u0301Ωß中🎬\u200d\ud800"


def random_text(seed, length=2000):
    return "".join(np.random.RandomState(seed).choice(list(LETTERS), length))


def by_hand(texts, kind, size, lower, min_count):
    """Returns the tokens of a vocabulary, ranked one at a time."""
    empty = Vocabulary(SPECIAL, kind, lower)
    count = {}
    for text in texts:
        for token in empty.split(text):
            count[token] = count.get(token, 0) + 1
    ranked = []
    while count:
        best = min(token for token in count if count[token] == max(count.values()))
        if count.pop(best) >= min_count:
            ranked.append(best)
        elif not ranked:
            break
    return (*SPECIAL, *ranked)[:size]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("size", "lower", "min_count"),
    [(None, False, 1), (5, True, 1), (None, True, 20), (3, False, 2)],
)
@pytest.mark.parametrize("kind", ["character", "word"])
def test_tokens_are_ranked_by_frequency(seed, kind, size, lower, min_count):
    texts = [random_text(seed + i, 300) for i in range(3)]
    min_count = min(min_count, {"character": 20, "word": 2}[kind])
    vocabulary = Vocabulary.build(iter(texts), kind, size, lower, min_count)
    expected = by_hand(texts, kind, size, lower, min_count)
    assert vocabulary.tokens == expected
    assert (vocabulary.kind, vocabulary.lower, len(vocabulary)) == (kind, lower, len(expected))


def test_one_text_and_its_lines_have_the_same_vocabulary():
    text = "one two\nthree two\n"
    assert Vocabulary.build(text, "word") == Vocabulary.build(
        text.splitlines(keepends=True), "word"
    )


def test_texts_are_not_held_in_memory():
    latest = collections.deque(maxlen=1)

    def texts():
        for i in range(1000):
            assert not latest or sys.getrefcount(latest[0]) <= 4
            latest.append(f"{i} words")
            yield latest[0]

    assert len(Vocabulary.build(texts(), "word")) == 1003


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("kind", ["character", "word"])
@pytest.mark.parametrize("seed", range(5))
def test_ids_are_positions(seed, kind, lower):
    vocabulary = Vocabulary.build(random_text(seed, 200), kind, 8, lower)
    text = random_text(seed + 10)
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    for i, token in zip(ids.tolist(), vocabulary.split(text), strict=True):
        if token in vocabulary.tokens:
            assert i == vocabulary.tokens.index(token)
        else:
            assert i == 1


@pytest.mark.parametrize("seed", range(5))
def test_decoding_restores_known_characters(seed):
    text = random_text(seed)
    for lower in (False, True):
        vocabulary = Vocabulary.build(text, lower=lower)
        assert vocabulary.decode(vocabulary.encode(text)) == normalize(text, lower)


def test_decoding_restores_known_words():
    text = "“Well,” he wrote, “it’s late—too late (again)!”\nAnd so it was."
    vocabulary = Vocabulary.build(text, "word")
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_characters_above_the_last_one_in_the_vocabulary_are_unknown():
    vocabulary = Vocabulary.build("abc")
    assert vocabulary.encode("a\U0010ffffd\0c").tolist() == [2, 1, 1, 1, 4]
    assert vocabulary.encode("").tolist() == []
    assert Vocabulary.build("abc", "word").encode("").tolist() == []


def test_decoding_omits_padding_and_shows_unknown_tokens():
    assert Vocabulary.build("ab").decode([2, 0, 1, 3, 0]) == "a<unk>b"
    assert Vocabulary.build("ab cd", "word").decode(jnp.array([2, 0, 1, 3])) == "ab <unk> cd"
    assert Vocabulary.build("ab").decode([]) == ""


def test_padding_is_never_the_id_of_a_text():
    for kind in ("character", "word"):
        assert not {0} & set(Vocabulary.build("<pad> <unk>", kind).encode("<pad> <unk>").tolist())


@pytest.mark.parametrize("lower", [False, True])
def test_normalization_is_idempotent(lower):
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    once = normalize(everything, lower)
    assert normalize(once, lower) == once
    assert unicodedata.is_normalized("NFC", once)
    assert normalize("a\r\nb\n\rc", lower) == "a\nb\n\rc"
    assert normalize("ÀE\u0301", lower) == {True: "àé", False: "ÀÉ"}[lower]
    # Canonically equivalent texts have the same normal form.
    assert normalize(unicodedata.normalize("NFD", everything), lower) == once


@pytest.mark.parametrize(
    "vocabulary",
    [Vocabulary.build(LETTERS), Vocabulary.build("It’s “it” \n 中", "word", lower=True)],
)
def test_a_loaded_vocabulary_equals_the_saved_one(tmp_path, vocabulary):
    path = tmp_path / "vocabulary.json"
    for _ in range(2):
        vocabulary.save(path)
        assert Vocabulary.load(str(path)) == vocabulary
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSONDecodeError"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "UnicodeDecodeError"),
        (b"{}", "KeyError"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"tokens": null}', "tokens"),
        (b'{"tokens": "<pad><unk>", "kind": "word", "lower": false}', "a list of strings"),
        (
            b'{"tokens": ["<pad>", "<unk>", 5], "kind": "word", "lower": false}',
            r"tokens\[2\]: got 5",
        ),
        (b'{"tokens": ["<pad>", "a"], "kind": "word", "lower": false}', "<pad> and <unk> first"),
        (
            b'{"tokens": ["<pad>", "<unk>", "a", "b", "b"], "kind": "word", "lower": false}',
            "'b' 2 times",
        ),
        (
            b'{"tokens": ["<pad>", "<unk>", "ab"], "kind": "character", "lower": false}',
            "a character",
        ),
        (b'{"tokens": ["<pad>", "<unk>", ""], "kind": "word", "lower": false}', "a word"),
        (b'{"tokens": ["<pad>", "<unk>"], "kind": "wrd", "lower": false}', "did you mean 'word'"),
        (b'{"tokens": ["<pad>", "<unk>"], "kind": ["word"], "lower": false}', "character or word"),
        (b'{"tokens": ["<pad>", "<unk>"], "kind": "word", "lower": 1}', "True or False"),
        (b'{"tokens": ["<pad>", "<unk>"], "kind": "word"}', "lower"),
        (b'{"tokens": ["<pad>", "<unk>"], "kind": "word", "lower": true, "more": 1}', "more"),
    ],
)
def test_a_damaged_file_is_an_error_of_one_line(tmp_path, content, reason):
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=rf"^vocabulary: got '.*', allowed: a file that Vocab.*{reason}.*$"
    ) as raised:
        Vocabulary.load(path)
    assert "\n" not in str(raised.value)


def test_missing_files_and_files_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="a file that exists"):
        Vocabulary.load(tmp_path / "none.json")
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "a.json", tmp_path / "file" / "a.json"):
        with pytest.raises(
            InputError, match=r"^path: got '.*a.json', allowed: a file that can be written \(.*\)$"
        ):
            Vocabulary.build("ab").save(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="a file that can be written"):
        Vocabulary.build("ab").save(tmp_path / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("",), "text: got 'no token', allowed: a text that is not empty"),
        ((" \t", "word"), "text: got 'no token', allowed: a text that is not empty"),
        (([],), "text: got 'no token', allowed: a text that is not empty"),
        ((b"abc",), "text: got 97, allowed: a string"),
        ((3,), "text: got 3, allowed: a text or an iterable of texts"),
        (("ab", "word", 2), "size: got 2, allowed: at least 3"),
        (("ab", "word", 2.5), "size: got 2.5, allowed: an integer, at least 3"),
        (("ab", "letter"), "kind: got 'letter', allowed: character, word"),
        (("ab", "word", None, False, 0), "min_count: got 0, allowed: at least 1"),
        (
            ("abb", "character", None, False, 3),
            "min_count: got 3, allowed: at most 2, the count of the most frequent token",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, line):
    with pytest.raises(InputError) as raised:
        Vocabulary.build(*arguments)
    assert str(raised.value).startswith(line)


def test_bad_texts_and_ids_are_refused():
    for kind in ("character", "word"):
        vocabulary = Vocabulary.build("abc", kind)
        with pytest.raises(InputError, match="text: got <class 'list'>, allowed: a string"):
            vocabulary.encode(["a"])
        with pytest.raises(InputError, match=r"ids\[2\]: got 9, allowed: an integer in \[0, "):
            vocabulary.decode([0, 1, 9, -1])
        with pytest.raises(InputError, match=r"ids shape: got \(1, 1\), allowed: \[T\]"):
            vocabulary.decode([[0]])


@pytest.mark.parametrize("shape", [(), (7,), (3, 4), (2, 3, 4)])
def test_the_first_bad_id_is_named(shape):
    random = np.random.RandomState(0)
    for _ in range(20):
        ids = random.randint(-1, 12, shape)
        bad = [position for position in np.ndindex(shape) if not 0 <= ids[position] < 10]
        if not bad:
            check_ids(ids, 10)
            continue
        field = "token"
        if shape:
            field = f"token[{', '.join(map(str, bad[0]))}]"
        with pytest.raises(InputError) as raised:
            check_ids(ids, 10, "token")
        assert str(raised.value) == f"{field}: got {ids[bad[0]]}, allowed: an integer in [0, 10)"


@pytest.mark.parametrize("ids", [np.zeros(2), np.zeros(2, bool), np.array(["a"]), np.array([None])])
def test_ids_that_are_not_integers_are_refused(ids):
    with pytest.raises(InputError, match=f"ids dtype: got '{ids.dtype.name}', allowed: integers"):
        check_ids(ids, 2)


def test_vocabularies_are_frozen_and_compared_by_value():
    first = Vocabulary.build("aab")
    second = Vocabulary.build("aaab")
    first.encode("a")
    assert first == second
    assert hash(first) == hash(second)
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.lower = True
    assert "tokens" not in repr(first)


@real.needs(real.SHERLOCK)
@pytest.mark.parametrize(
    ("kind", "lower"), [("character", False), ("character", True), ("word", True)]
)
def test_a_whole_book(kind, lower, tmp_path):
    with open_maybe_gzip(real.SHERLOCK) as file:
        text = decode_utf8(file.read(), "sherlock")
    vocabulary = Vocabulary.build(text, kind, lower=lower)
    ids = vocabulary.encode(text)
    assert ids.min() >= 2
    counts = np.bincount(ids, minlength=len(vocabulary))[2:]
    assert (np.diff(counts) <= 0).all()
    assert counts.min() >= 1
    tokens = vocabulary.split(text)
    assert [vocabulary.tokens[i] for i in ids] == tokens
    if kind == "character":
        assert vocabulary.decode(ids) == normalize(text, lower)
        assert tokens == list(normalize(text, lower))
    vocabulary.save(tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text())["kind"] == kind
