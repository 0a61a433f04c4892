"""Tests of labelled texts: from folders, from the grammar, and encoded as ids."""

import hashlib
import re
import shutil
import tarfile

import numpy as np
import pytest

from jaxdl.data.review_grammar import NEGATIVE, POSITIVE
from jaxdl.data.reviews import (
    Reviews,
    encode_reviews,
    load_reviews,
    read_reviews,
    synthetic_reviews,
)
from jaxdl.data.vocabulary import Vocabulary
from jaxdl.errors import InputError
from tests.data import real

NAMES = {
    "neg": ["10_1.txt", "2_3.txt"],
    "pos": ["0_9.txt", "1_10.txt", "2_7.txt"],
    "unsup": ["0_0.txt"],
}


@pytest.fixture
def folder(tmp_path):
    """A small archive, in which each text contains its own path."""
    for part in ("train", "test"):
        for name, files in NAMES.items():
            (tmp_path / part / name).mkdir(parents=True)
            for file in files:
                (tmp_path / part / name / file).write_text(
                    f"Un café,<br /><br />{part} {name} {file}", "utf-8"
                )
        (tmp_path / part / "labeledBow.feat").write_text("0 0:1")
        (tmp_path / part / "pos" / "notes.md").write_text("nothing")
    return tmp_path


def test_texts_are_ordered_by_class_and_file_name(folder):
    for part, reviews in zip(("train", "test"), read_reviews(str(folder)), strict=True):
        assert reviews.classes == ("neg", "pos")
        assert reviews.labels.dtype == np.int32
        assert reviews.labels.tolist() == [0, 0, 1, 1, 1]
        assert reviews.texts == [
            f"Un café,\n\n{part} {name} {file}" for name in ("neg", "pos") for file in NAMES[name]
        ]


def test_any_number_of_classes_with_any_names(folder):
    for part in ("train", "test"):
        (folder / part / "meh").mkdir()
        (folder / part / "meh" / "1.txt").write_text("")
    train, test = read_reviews(folder)
    assert train.classes == test.classes == ("meh", "neg", "pos")
    assert train.labels.tolist() == [0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("train", "a folder with train and test; there is no train"),
        ("test", "a folder with train and test; there is no test"),
        ("train/neg", "a folder per class; there is no neg"),
        ("test/pos", "a folder per class; there is no pos"),
    ],
)
def test_a_missing_folder_is_named_in_the_error(folder, missing, line):
    shutil.rmtree(folder / missing)
    with pytest.raises(InputError, match=f"^data: got '.*', allowed: {line}$"):
        read_reviews(folder)


def test_too_few_classes_and_empty_classes_are_refused(folder):
    for file in (folder / "test" / "neg").iterdir():
        file.unlink()
    with pytest.raises(
        InputError,
        match=r"^data: got '.*test/neg', allowed: a folder with .txt files; there are none$",
    ):
        read_reviews(folder)
    for part in ("train", "test"):
        shutil.rmtree(folder / part / "neg")
    with pytest.raises(InputError, match=r"at least two; found \['pos'\]$"):
        read_reviews(folder)
    with pytest.raises(InputError, match="there is no train"):
        read_reviews(folder / "nowhere")


def test_a_file_that_is_not_utf8_is_named_in_the_error(folder):
    (folder / "test" / "pos" / "1_10.txt").write_bytes(b"caf\xe9")
    with pytest.raises(
        InputError, match=r"^.*test/pos/1_10.txt, byte 3: got '0xe9', allowed: UTF-8$"
    ):
        read_reviews(folder)


#: Checksums of the texts of the training and the test part.
SHA256 = [
    "c5ae1e177d1c7284f18edf9215bf3931a5c6d6f28ebb08d575b05b324dd038ca",
    "62fa5aeadc280be07fc64c28f95e3d878387a50f11628d670533050e24b35ff3",
]


def is_positive(text):
    """Returns the sentiment of a review, read from the text without its templates.

    The last clause determines it: by its word, and by a negation before the word.
    """
    sentence = text.split(".")[0].lower()
    words = "|".join((*POSITIVE, *NEGATIVE))
    # A clause ends with the word that expresses the sentiment.
    clauses = re.findall(rf"(.*?)\b({words})\b", sentence)
    assert 1 <= len(clauses) <= 2, text
    before, word = clauses[-1]
    negated = re.search(r"\b(not|never|would say|far from|anything but)\b", before) is not None
    return (word in POSITIVE) != negated


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_the_sentiment_of_the_texts(seed):
    for part in synthetic_reviews(seed, 1000):
        assert [is_positive(text) for text in part.texts] == part.labels.tolist()


@pytest.mark.parametrize(
    ("count", "sizes"), [(4000, (3200, 800)), (10, (8, 2)), (13, (10, 3)), (1000, (800, 200))]
)
def test_half_of_the_texts_are_positive_and_no_text_is_in_both_parts(count, sizes):
    train, test = synthetic_reviews(count=count)
    assert (len(train.texts), len(test.texts)) == (len(train.labels), len(test.labels)) == sizes
    assert len({*train.texts, *test.texts}) == count
    for part in (train, test):
        assert part.classes == ("neg", "pos")
        assert part.labels.dtype == np.int32
        assert abs(2 * part.labels.sum() - len(part.labels)) <= 1


def test_the_same_seed_gives_the_same_texts():
    first = synthetic_reviews(1, 100)
    second = synthetic_reviews(1, 100)
    other = synthetic_reviews(2, 100)
    assert [part.texts for part in first] == [part.texts for part in second]
    assert not set(first[0].texts) & set(other[0].texts)


def test_a_bag_of_words_is_not_sufficient():
    from sklearn.linear_model import LogisticRegression

    train, test = synthetic_reviews()
    vocabulary = Vocabulary.build(train.texts, "word", lower=True)

    def bags(part):
        return np.stack(
            [np.bincount(vocabulary.encode(text), minlength=len(vocabulary)) for text in part.texts]
        )

    model = LogisticRegression(max_iter=2000).fit(bags(train), train.labels)
    assert model.score(bags(test), test.labels) < 0.7


def test_the_texts_of_the_default_seed_have_not_changed():
    digests = [
        hashlib.sha256("\n".join(part.texts).encode()).hexdigest() for part in synthetic_reviews()
    ]
    assert digests == SHA256


def test_texts_have_different_words_and_lengths():
    train, _ = synthetic_reviews()
    vocabulary = Vocabulary.build(train.texts, "word", lower=True)
    lengths = [len(vocabulary.split(text)) for text in train.texts]
    assert len(vocabulary) > 90
    assert (min(lengths), max(lengths)) >= (5, 25)
    assert all(re.fullmatch(r"[A-Z][^.]*\.( [A-Z][^.]*\.)?", text) for text in train.texts)


@pytest.mark.parametrize("count", [9, 100_001, 50.0])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(InputError, match=f"^count: got {count}, allowed: "):
        synthetic_reviews(count=count)


REVIEWS = Reviews(
    ["the cat sat on the mat", "", "what ?", "the mat"], np.array([1, 0, 0, 1]), ("neg", "pos")
)
VOCABULARY = Vocabulary.build("the the the cat sat on a mat", "word")


@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize("length", [1, 2, 5, 6, 9])
def test_rows_are_the_ids_of_the_texts_and_padding(length, keep):
    data = encode_reviews(REVIEWS, VOCABULARY, length, keep)
    assert data["input"].shape == (4, length)
    assert {data[field].dtype for field in ("input", "length", "label")} == {np.dtype(np.int32)}
    assert data["label"].tolist() == [1, 0, 0, 1]
    assert (data.classes, data.name) == (2, "reviews")
    for row, size, text in zip(data["input"], data["length"], REVIEWS.texts, strict=True):
        ids = VOCABULARY.encode(text).tolist() or [1]
        truncated = {"first": ids[:length], "last": ids[max(0, len(ids) - length) :]}[keep]
        assert row.tolist() == truncated + [0] * (length - len(truncated))
        assert size == len(truncated)


def test_texts_and_arguments_that_cannot_be_encoded():
    with pytest.raises(
        InputError,
        match=r"^texts: got 'no known word', allowed: texts with at least one of the vocab.* 9 tok",
    ):
        encode_reviews(REVIEWS, Vocabulary.build("not one of them is in here", "word"), 3)
    with pytest.raises(InputError, match="^texts: got 'no known word'"):
        encode_reviews(Reviews([], np.zeros(0, np.int32), ("neg", "pos")), VOCABULARY, 3)
    with pytest.raises(InputError, match=r"^label\[0\]: got 1, allowed: an integer in \[0, 1\)$"):
        encode_reviews(REVIEWS._replace(classes=("neg",)), VOCABULARY, 3)
    with pytest.raises(InputError, match="label rows: got 3, allowed: 4"):
        encode_reviews(REVIEWS._replace(labels=np.array([0, 1, 0])), VOCABULARY, 3)
    with pytest.raises(InputError, match="keep: got 'lst', allowed: all, first, last"):
        encode_reviews(REVIEWS, VOCABULARY, 3, "lst")
    with pytest.raises(InputError, match="length: got 0, allowed: at least 1"):
        encode_reviews(REVIEWS, VOCABULARY, 0)


@pytest.mark.slow
@real.needs(real.IMDB)
def test_the_real_imdb(tmp_path):
    arguments = {}
    # Python 3.11 has the filter since 3.11.4.
    if hasattr(tarfile, "data_filter"):
        arguments["filter"] = "data"
    with tarfile.open(real.IMDB) as archive:
        archive.extractall(tmp_path, **arguments)
    train, test = read_reviews(tmp_path / "aclImdb")
    for part in (train, test):
        # These counts are published for IMDb.
        assert np.bincount(part.labels).tolist() == [12_500, 12_500]
        assert not any("<br />" in text for text in part.texts)
    vocabulary = Vocabulary.build(train.texts, "word", 10_000, lower=True)
    data = encode_reviews(test, vocabulary, 200)
    assert data["input"].shape == (25_000, 200)
    assert (data["input"] == 1).mean() < 0.1


def test_reviews_have_two_classes(tmp_path):
    assert load_reviews("grammar")[0].texts == synthetic_reviews()[0].texts
    for part in ("train", "test"):
        for name in ("a", "b", "c"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.txt").write_text("text")
    with pytest.raises(InputError, match="allowed: texts of two classes, not of 3$"):
        load_reviews(tmp_path)
    for part in ("train", "test"):
        shutil.rmtree(tmp_path / part / "c")
    assert load_reviews(str(tmp_path))[0].classes == ("a", "b")
