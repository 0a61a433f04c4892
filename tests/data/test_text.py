"""Tests of running text: reading it, splitting off a test part, and windows of its tokens."""

import gzip
import re

import numpy as np
import pytest

from jaxdl.data.text import (
    contiguous_windows,
    read_text,
    split_text,
    text_evaluation_windows,
    text_sets,
    windows,
)
from jaxdl.data.vocabulary import Vocabulary
from jaxdl.errors import InputError
from tests.data import real


def tokens(length, seed=0):
    return np.random.RandomState(seed).randint(0, 50, length)


def test_english_is_always_available_and_english():
    text = read_text("english")
    assert len(text) > 300_000
    words = set(Vocabulary.build(text, "word", size=60, lower=True).tokens)
    assert {"the", "of", "is", "and", "a", "to", "in"} < words
    paragraphs = text.removesuffix("\n").split("\n\n")
    assert len(set(paragraphs)) == len(paragraphs)


def test_english_has_every_paragraph_of_the_manual():
    from pydoc_data.topics import topics

    assert all(isinstance(topic, str) for topic in topics.values())
    text = read_text("english")
    for topic in topics.values():
        for paragraph in topic.strip("\n").split("\n\n"):
            assert paragraph in text


def test_files_are_read_by_path(tmp_path, monkeypatch):
    content = "Zeile eins — “ja”\r\nand a second\n"
    (tmp_path / "a.txt").write_bytes(content.encode())
    (tmp_path / "bare").write_bytes(b"\xef\xbb\xbf" + content.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(content.encode()))
    for name in ("a.txt", "bare", "a.txt.gz"):
        assert read_text(tmp_path / name) == read_text(str(tmp_path / name)) == content
    monkeypatch.chdir(tmp_path)
    assert read_text("bare") == content
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_text("~/a.txt") == content


def test_bad_files_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(
        InputError, match=r"^data: got '.*empty.txt', allowed: a text that is not empty$"
    ):
        read_text(tmp_path / "empty.txt")
    (tmp_path / "bad.txt").write_bytes(b"fine\xe9")
    with pytest.raises(InputError, match=r"^.*bad.txt, byte 4: got '0xe9', allowed: UTF-8$"):
        read_text(tmp_path / "bad.txt")
    with pytest.raises(InputError, match=r"^data: got '.*none.txt', allowed: a file that exists$"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("englsh", " (did you mean 'english'?)"),
        ("tiny-shakespeare", " (did you mean 'tiny_shakespeare'?)"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_an_unknown_name_is_reported_with_the_nearest_one(name, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        read_text(name)
    assert str(raised.value) == (
        f"data: got {name!r}, allowed: english, tiny_shakespeare or a text file that exists{hint}"
    )


@pytest.mark.parametrize("fraction", [0.05, 0.1, 1 / 3, 0.5, 0.999])
@pytest.mark.parametrize("length", [1000, 1001, 12345])
def test_the_test_part_is_the_end(length, fraction):
    text = "".join(map(chr, np.random.RandomState(length).randint(32, 1000, length)))
    train, test = split_text(text, fraction)
    assert train + test == text
    assert len(test) == round(fraction * length)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction):
    with pytest.raises(
        InputError, match=rf"^fraction: got {fraction}, allowed: a number in \(0, 1\)$"
    ):
        split_text("text", fraction)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"test_fraction": 1}, "test_fraction"),
        ({"test_fraction": 0.001}, "test_fraction"),
        ({"validation": 0.999}, "validation"),
    ],
)
def test_an_error_names_the_fraction_that_the_caller_wrote(options, field):
    with pytest.raises(InputError, match=f"^{field}: got {options[field]}, allowed: "):
        text_sets(10 * "to be or not ", length=4, **options)


@pytest.mark.parametrize("stride", [0, 3])
def test_the_sets_of_a_text_are_windows_of_its_parts(stride):
    random = np.random.RandomState(0)
    text = "".join(random.choice(list("abcd \n"), 1000)) + "z"
    parts = text_sets(text, length=6, stride=stride, test_fraction=0.2, validation=0.25, name="t")
    assert parts.train == text[:601]
    assert "z" not in parts.vocabulary.tokens
    np.testing.assert_array_equal(parts.test_ids, parts.vocabulary.encode(text[-200:]))
    assert parts.test_ids[-1] == 1, "a letter of the test text only is unknown"
    for part, first, size in (("validation", 601, 200), ("test", 801, 200)):
        each = parts.sets[part]
        counted = each["label"][each["mask"] == 1]
        expected = parts.vocabulary.encode(text[first : first + size])
        np.testing.assert_array_equal(counted, expected[1:])
    ids = parts.vocabulary.encode(parts.train)
    rows = windows(ids, 6, stride) if stride else contiguous_windows(ids, 6)
    np.testing.assert_array_equal(parts.sets["train"]["input"], rows["input"])
    assert parts.sets["train"].contiguous == (stride == 0)


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction):
    with pytest.raises(InputError, match="leaves both parts of 4 characters non-empty"):
        split_text("text", fraction)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
@pytest.mark.parametrize(
    ("length", "window"), [(101, 10), (100, 10), (99, 1), (11, 10), (57, 7), (2, 1)]
)
def test_contiguous_windows_continue_where_the_previous_ones_end(length, window, dtype):
    text = tokens(length).astype(dtype)
    data = contiguous_windows(text, window, "mine")
    rows = [text[i * window : (i + 1) * window] for i in range((length - 1) // window)]
    labels = [text[i * window + 1 : (i + 1) * window + 1] for i in range((length - 1) // window)]
    np.testing.assert_array_equal(data["input"], rows)
    np.testing.assert_array_equal(data["label"], labels)
    assert (data["input"].dtype, data["label"].dtype, data.name) == (np.int32, np.int32, "mine")
    assert data.contiguous
    np.testing.assert_array_equal(data["input"].ravel(), text[: data["input"].size])
    assert data.take(np.arange(1)).size == 1


@pytest.mark.parametrize(
    ("length", "window", "stride"), [(100, 40, 3), (41, 40, 3), (100, 7, 1), (50, 5, 12), (9, 1, 2)]
)
def test_windows_begin_every_stride(length, window, stride):
    text = tokens(length)
    data = windows(text, window, stride)
    starts = [s for s in range(0, length, stride) if s + window < length]
    np.testing.assert_array_equal(data["input"], [text[s : s + window] for s in starts])
    np.testing.assert_array_equal(data["label"], [text[s + 1 : s + window + 1] for s in starts])
    # The target of a network that reads whole windows.
    np.testing.assert_array_equal(data["label"][:, -1], [text[s + window] for s in starts])
    assert (data["input"].dtype, data["label"].dtype) == (np.int32, np.int32)
    assert not data.contiguous


@pytest.mark.parametrize("seed", range(40))
def test_every_token_but_the_first_is_evaluated_once(seed):
    random = np.random.RandomState(seed)
    length = random.randint(2, 80)
    window = random.randint(1, 20)
    context = random.randint(0, window)
    # All tokens differ, so each one determines its position.
    text = random.permutation(length)
    position = np.argsort(text)
    data = text_evaluation_windows(text, window, context)
    width = min(window, length - 1)
    assert data["input"].shape == data["label"].shape == data["mask"].shape == (data.size, width)
    assert data["mask"].dtype == np.float32
    counted = data["mask"] == 1
    assert (counted | (data["mask"] == 0)).all()
    assert sorted(position[data["label"][counted]]) == list(range(1, length))
    for i in range(data.size):
        np.testing.assert_array_equal(np.diff(position[data["input"][i]]), 1)
        np.testing.assert_array_equal(position[data["label"][i]], position[data["input"][i]] + 1)
        if i:
            assert np.flatnonzero(counted[i])[0] >= context
    # No smaller number of windows is possible.
    assert data.size == 1 + -(-max(0, length - 1 - width) // (window - context))


def test_a_text_that_is_too_short_is_reported_with_both_lengths():
    for make in (contiguous_windows, windows):
        with pytest.raises(
            InputError, match=r"^tokens: got '40 tokens', allowed: at least 41, for windows of 40$"
        ):
            make(tokens(40), 40)
    with pytest.raises(
        InputError, match=r"^tokens: got '1 tokens', allowed: at least 2, for windows of 40$"
    ):
        text_evaluation_windows(tokens(1), 40, 10)


@pytest.mark.parametrize(
    "make",
    [contiguous_windows, windows, lambda text, length: text_evaluation_windows(text, length, 0)],
)
def test_bad_tokens_are_refused(make):
    with pytest.raises(InputError, match=r"^length: got 0, allowed: at least 1$"):
        make(tokens(10), 0)
    with pytest.raises(InputError, match=r"^tokens shape: got \(5, 2\), allowed: \[L\]$"):
        make(tokens(10).reshape(5, 2), 2)
    with pytest.raises(InputError, match=r"^tokens dtype: got 'float64', allowed: integers$"):
        make(np.zeros(10), 2)
    with pytest.raises(InputError, match=r"^tokens\[3\]: got -1, allowed: "):
        make(np.array([0, 1, 2, -1, -5, 3]), 2)


def test_a_bad_stride_or_context_is_refused():
    with pytest.raises(InputError, match=r"^stride: got 0, allowed: at least 1$"):
        windows(tokens(100), 40, 0)
    for context in (-1, 10, 2.5):
        with pytest.raises(InputError, match=rf"^context: got {context}, allowed: "):
            text_evaluation_windows(tokens(100), 10, context)


def test_windows_far_larger_than_the_text_are_refused():
    tokens = np.zeros(50_000, int)
    with pytest.raises(InputError, match="^windows: got '196000000 bytes from 200000', allowed: "):
        windows(tokens, 1000, 1)
    assert len(windows(tokens, 40, 1)) == 49_960


def test_windows_are_copies_of_the_callers_tokens():
    text = tokens(100).astype(np.int32)
    sets = contiguous_windows(text, 10), windows(text, 10), text_evaluation_windows(text, 10, 5)
    before = [data.sha256 for data in sets]
    text[:] = 0
    again = (
        contiguous_windows(tokens(100), 10),
        windows(tokens(100), 10),
        text_evaluation_windows(tokens(100), 10, 5),
    )
    assert [data.sha256 for data in again] == before
    for data in sets:
        np.testing.assert_array_equal(data["input"][0], tokens(100)[:10])


@real.needs(real.SHERLOCK)
def test_a_whole_book():
    text = read_text(real.SHERLOCK)
    train, test = split_text(text, 0.1)
    vocabulary = Vocabulary.build(train)
    ids = vocabulary.encode(test)
    data = text_evaluation_windows(ids, 256, 128)
    assert data["mask"].sum() == len(ids) - 1
    assert (
        vocabulary.decode(contiguous_windows(vocabulary.encode(train), 100)["input"].ravel())
        in train
    )
    assert windows(vocabulary.encode(train))["input"].shape == ((len(train) - 41) // 3 + 1, 40)


@real.needs(real.SHAKESPEARE)
def test_shakespeare_from_a_gzip_file():
    text = read_text(real.SHAKESPEARE)
    # These numbers are published for the text.
    assert len(text) == 1_115_394
    assert len(set(text)) == 65
    assert re.match(r"First Citizen:\nBefore we proceed any further", text)
