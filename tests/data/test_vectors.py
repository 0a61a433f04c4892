"""Tests of pretrained word vectors from text files."""

import gzip

import numpy as np
import pytest

from jaxdl.data.files import most_bytes
from jaxdl.data.vectors import read_vectors
from jaxdl.data.vocabulary import Vocabulary
from jaxdl.errors import InputError

WORDS = ["the", "cat", "don't", "élan", "中", "1", ".", "hat", "zzz"]
VOCABULARY = Vocabulary.build("cat hat don't élan 中 1 . dog", "word")
VECTORS = np.random.RandomState(0).normal(size=(len(WORDS), 5)).astype(np.float32)


def lines(words=WORDS, vectors=VECTORS):
    return [
        f"{word} {' '.join(repr(float(x)) for x in vector)}"
        for word, vector in zip(words, vectors, strict=True)
    ]


@pytest.fixture
def written(tmp_path):
    """A function that writes lines or bytes to a file and returns its path."""

    def write(content, name="vectors.txt"):
        if isinstance(content, list):
            content = ("\n".join(content) + "\n").encode()
        if name.endswith(".gz"):
            content = gzip.compress(content)
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize("head", [[], [f"{len(WORDS)} 5"]])
def test_each_row_is_the_vector_of_its_word(written, name, head):
    vectors, found = read_vectors(written(head + lines(), name), VOCABULARY)
    assert vectors.shape == (len(VOCABULARY), 5)
    assert (vectors.dtype, found.dtype) == (np.float32, bool)
    for row, token in enumerate(VOCABULARY.tokens):
        assert found[row] == (token in WORDS)
        expected = np.zeros(5)
        if token in WORDS:
            expected = VECTORS[WORDS.index(token)]
        np.testing.assert_array_equal(vectors[row], expected)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
def test_line_endings_and_trailing_spaces_are_ignored(written, end):
    vectors, found = read_vectors(
        written(end.join(line.encode() for line in lines()) + end), VOCABULARY
    )
    np.testing.assert_array_equal(vectors[VOCABULARY.index["hat"]], VECTORS[WORDS.index("hat")])
    assert found.sum() == 7


def test_words_may_contain_spaces_and_occur_twice(written):
    words = ["the", ". . .", "cat", "at name@domain.com", "hat", "cat"]
    vectors, found = read_vectors(written(lines(words, VECTORS[:6])), VOCABULARY)
    np.testing.assert_array_equal(vectors[VOCABULARY.index["cat"]], VECTORS[2])
    assert {VOCABULARY.tokens[i] for i in np.flatnonzero(found)} == {"cat", "hat"}


def test_letters_with_combining_marks_are_normalized(written):
    _, found = read_vectors(written(lines(["e\u0301lan"], VECTORS[:1])), VOCABULARY)
    assert found[VOCABULARY.index["élan"]]


def test_unknown_may_have_a_vector_and_padding_never_has_one(written):
    vectors, found = read_vectors(
        written(lines(["<pad>", "<unk>", "cat"], VECTORS[:3])), VOCABULARY
    )
    assert found[:2].tolist() == [False, True]
    np.testing.assert_array_equal(vectors[:2], [np.zeros(5), VECTORS[1]])


@pytest.mark.parametrize("bad", ["x", "nan", "inf", "-inf", "1e39", "", "0,5"])
@pytest.mark.parametrize("word", ["cat", "nobody"])
def test_a_bad_number_is_reported_with_its_line(written, bad, word):
    content = [*lines()[:3], f"{word} 1 2 {bad} 4 5", *lines()[4:]]
    with pytest.raises(
        InputError,
        match=rf"^.*vectors.txt, line 4: got '{bad}', allowed: finite numbers after the word$",
    ):
        read_vectors(written(content), VOCABULARY)


@pytest.mark.parametrize(
    ("line", "count"), [("cat 1 2 3 4", 4), ("cat 1 2 3 4 5 6", 6), ("cat", 0), ("", 0)]
)
@pytest.mark.parametrize("head", [[], ["9 5"]])
def test_another_width_is_refused(written, line, count, head):
    content = [*head, *lines()[:2], line]
    message = rf"^.*, line {len(content)}: got '{count} numbers', allowed: a word and 5 numbers$"
    with pytest.raises(InputError, match=message):
        read_vectors(written(content), VOCABULARY)


def test_a_header_with_another_width_is_refused(written):
    with pytest.raises(
        InputError, match=r"^.*, line 2: got '5 numbers', allowed: a word and 7 numbers$"
    ):
        read_vectors(written(["9 7", *lines()]), VOCABULARY)


def test_bad_files_are_refused(written, tmp_path):
    with pytest.raises(InputError, match="a file that exists"):
        read_vectors(tmp_path / "none", VOCABULARY)
    with pytest.raises(InputError, match="a complete gzip file"):
        (tmp_path / "cut.gz").write_bytes(gzip.compress(b"cat 1 2\n" * 999)[:-9])
        read_vectors(tmp_path / "cut.gz", VOCABULARY)
    with pytest.raises(InputError, match=r"line 2, byte 1: got '0xe9', allowed: UTF-8"):
        read_vectors(written(b"cat 1 2\nh\xe9 1 2\n"), VOCABULARY)
    with pytest.raises(InputError, match="got '0 vectors', allowed: 9, as in the file's header"):
        read_vectors(written(b"9 5\n"), VOCABULARY)
    for content in (b"", b"nobody 1 2\n", b"<unk> 1 2\n"):
        with pytest.raises(
            InputError, match=r"^vectors: got '.*', allowed: a file with at least one of the voc"
        ):
            read_vectors(written(content), VOCABULARY)
    with pytest.raises(
        InputError, match="line 1: got '0 numbers', allowed: a word and more numbers"
    ):
        read_vectors(written(b"cat\n"), VOCABULARY)


def test_vectors_far_larger_than_their_file_are_refused(written):
    """A line of zeros would otherwise make 4096 numbers for each word."""
    vocabulary = Vocabulary.build(" ".join(f"w{i}" for i in range(2000)), "word")
    path = written(["w1" + 4096 * " 0"])
    with pytest.raises(InputError) as raised:
        read_vectors(path, vocabulary)
    made = 4 * len(vocabulary) * 4096
    read = path.stat().st_size
    assert f"got '{made} bytes from {read}', allowed: at most {most_bytes(read)};" in str(
        raised.value
    )
