"""Labelled texts: from folders, from the grammar, and as rows of ids."""

import hashlib
import re
import shutil
import tarfile

import numpy as np
import pytest

from jaxdl.data.review_grammar import BLAME, PRAISE
from jaxdl.data.reviews import Reviews, encode_reviews, read_reviews, synthetic_reviews
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
    """A small archive: each text says where it stands."""
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


def test_texts_in_the_order_of_classes_and_names(folder):
    for part, reviews in zip(("train", "test"), read_reviews(str(folder)), strict=True):
        assert reviews.classes == ("neg", "pos")
        assert reviews.labels.dtype == np.int32
        assert reviews.labels.tolist() == [0, 0, 1, 1, 1]
        assert reviews.texts == [
            f"Un café,\n\n{part} {name} {file}" for name in ("neg", "pos") for file in NAMES[name]
        ]


def test_more_classes_under_any_names(folder):
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
def test_what_is_missing_is_named(folder, missing, line):
    shutil.rmtree(folder / missing)
    with pytest.raises(InputError, match=f"^data: got '.*', allowed: {line}$"):
        read_reviews(folder)


def test_too_few_classes_and_empty_ones(folder):
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


def test_bytes_that_are_not_utf8_name_the_file(folder):
    (folder / "test" / "pos" / "1_10.txt").write_bytes(b"caf\xe9")
    with pytest.raises(
        InputError, match=r"^.*test/pos/1_10.txt, byte 3: got '0xe9', allowed: UTF-8$"
    ):
        read_reviews(folder)


#: Of the training and the test part.
SHA256 = [
    "c5ae1e177d1c7284f18edf9215bf3931a5c6d6f28ebb08d575b05b324dd038ca",
    "62fa5aeadc280be07fc64c28f95e3d878387a50f11628d670533050e24b35ff3",
]


def judge(text):
    """What an opinion says, read without the grammar: the last clause that judges, and whether it is negated."""
    sentence = text.split(".")[0].lower()
    words = "|".join((*PRAISE, *BLAME))
    # A clause ends with the word that judges; a second one behind it is the one that counts.
    clauses = re.findall(rf"(.*?)\b({words})\b", sentence)
    assert 1 <= len(clauses) <= 2, text
    before, word = clauses[-1]
    negated = re.search(r"\b(not|never|nobody|far from|anything but)\b", before) is not None
    return (word in PRAISE) != negated


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_what_the_opinions_say(seed):
    for part in synthetic_reviews(seed, 1000):
        assert [judge(text) for text in part.texts] == part.labels.tolist()


@pytest.mark.parametrize(
    ("count", "sizes"), [(4000, (3200, 800)), (10, (8, 2)), (13, (10, 3)), (1000, (800, 200))]
)
def test_halves_are_good_and_no_text_is_in_both_parts(count, sizes):
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


def test_a_bag_of_words_does_not_do():
    from sklearn.linear_model import LogisticRegression

    train, test = synthetic_reviews()
    vocabulary = Vocabulary.of(train.texts, "word", lower=True)

    def bags(part):
        return np.stack(
            [np.bincount(vocabulary.encode(text), minlength=len(vocabulary)) for text in part.texts]
        )

    model = LogisticRegression(max_iter=2000).fit(bags(train), train.labels)
    assert model.score(bags(test), test.labels) < 0.7


def test_the_same_bytes_everywhere():
    digests = [
        hashlib.sha256("\n".join(part.texts).encode()).hexdigest() for part in synthetic_reviews()
    ]
    assert digests == SHA256


def test_opinions_differ():
    train, _ = synthetic_reviews()
    vocabulary = Vocabulary.of(train.texts, "word", lower=True)
    lengths = [len(vocabulary.split(text)) for text in train.texts]
    assert len(vocabulary) > 90
    assert (min(lengths), max(lengths)) >= (5, 25)
    assert all(re.fullmatch(r"[A-Z][^.]*\.( [A-Z][^.]*\.)?", text) for text in train.texts)


@pytest.mark.parametrize("count", [9, 100_001, 50.0])
def test_counts_out_of_range(count):
    with pytest.raises(InputError, match=f"^count: got {count}, allowed: "):
        synthetic_reviews(count=count)


REVIEWS = Reviews(
    ["the cat sat on the mat", "", "what ?", "the mat"], np.array([1, 0, 0, 1]), ("neg", "pos")
)
VOCABULARY = Vocabulary.of("the the the cat sat on a mat", "word")


@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize("length", [1, 2, 5, 6, 9])
def test_rows_are_the_texts_and_padding(length, keep):
    data = encode_reviews(REVIEWS, VOCABULARY, length, keep)
    assert data["input"].shape == (4, length)
    assert {data[field].dtype for field in ("input", "length", "label")} == {np.dtype(np.int32)}
    assert data["label"].tolist() == [1, 0, 0, 1]
    assert (data.classes, data.name) == (2, "reviews")
    for row, size, text in zip(data["input"], data["length"], REVIEWS.texts, strict=True):
        ids = VOCABULARY.encode(text).tolist() or [1]
        kept = ids[:length] if keep == "first" else ids[max(0, len(ids) - length) :]
        assert row.tolist() == kept + [0] * (length - len(kept))
        assert size == len(kept)


def test_texts_that_cannot_be_used():
    with pytest.raises(
        InputError,
        match=r"^texts: got 'no known word', allowed: texts with some of the vocabulary's 9 ",
    ):
        encode_reviews(REVIEWS, Vocabulary.of("not one of them is in here", "word"), 3)
    with pytest.raises(InputError, match="^texts: got 'no known word'"):
        encode_reviews(Reviews([], np.zeros(0, np.int32), ("neg", "pos")), VOCABULARY, 3)
    with pytest.raises(InputError, match=r"^label\[0\]: got 1, allowed: an integer in \[0, 1\)$"):
        encode_reviews(REVIEWS._replace(classes=("neg",)), VOCABULARY, 3)
    with pytest.raises(InputError, match="label rows: got 3, allowed: 4"):
        encode_reviews(REVIEWS._replace(labels=np.array([0, 1, 0])), VOCABULARY, 3)
    with pytest.raises(InputError, match="keep: got 'lst', allowed: first, last"):
        encode_reviews(REVIEWS, VOCABULARY, 3, "lst")
    with pytest.raises(InputError, match="length: got 0, allowed: at least 1"):
        encode_reviews(REVIEWS, VOCABULARY, 0)


@pytest.mark.slow
@real.needs(real.IMDB)
def test_the_real_imdb(tmp_path):
    with tarfile.open(real.IMDB) as archive:
        # Python 3.11 has the filter from its fourth release on.
        archive.extractall(
            tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
    train, test = read_reviews(tmp_path / "aclImdb")
    for part in (train, test):
        # The counts that are published for it.
        assert np.bincount(part.labels).tolist() == [12_500, 12_500]
        assert not any("<br />" in text for text in part.texts)
    vocabulary = Vocabulary.of(train.texts, "word", 10_000, lower=True)
    data = encode_reviews(test, vocabulary, 200)
    assert data["input"].shape == (25_000, 200)
    assert (data["input"] == 1).mean() < 0.1
