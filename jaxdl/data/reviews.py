"""Texts with a label each: from a folder per class or from a grammar, and as rows of ids."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.files import bounded, leads_out, opened, path_of, utf8
from jaxdl.data.review_grammar import generate_review
from jaxdl.data.vocabulary import PADDING, UNKNOWN, Vocabulary, check_ids
from jaxdl.errors import InputError, at_least, one_of

#: A folder of the IMDb archive whose reviews have no label.
UNLABELLED = "unsup"

#: So many opinions the grammar makes at most.
MOST = 100_000


class Reviews(NamedTuple):
    """Texts and what they say.

    Attributes:
      texts: N of them.
      labels: `[N]` int32, in [0, number of classes).
      classes: what the labels are called.
    """

    texts: list[str]
    labels: Int[np.ndarray, " N"]
    classes: tuple[str, ...]


def read_reviews(folder: str | Path) -> tuple[Reviews, Reviews]:
    r"""Labelled texts laid out as in the IMDb archive: a file each, `{train,test}/CLASS/*.txt`.

    Classes are numbered in the order of their names, so `neg` is 0 and `pos` 1; texts come in the order
    of classes and file names. `<br />` becomes the end of a line; a folder `unsup` is passed over.

    Args:
      folder: what holds `train` and `test`.

    Returns:
      `(train, test)`.

    Raises:
      InputError: a part, a class or the files of a class are missing (says which), a file is not UTF-8, or a link
        leads out of the folder.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as place:
      ...     for name in ["train/neg/1.txt", "train/pos/1.txt", "test/neg/1.txt", "test/pos/1.txt"]:
      ...         Path(place, name).parent.mkdir(parents=True)
      ...         _ = Path(place, name).write_text(f"A film.<br />{name[-9:-6]}!")
      ...     train, test = read_reviews(place)
      >>> train.classes, train.labels.tolist(), test.texts
      (('neg', 'pos'), [0, 1], ['A film.\nneg!', 'A film.\npos!'])

    Source: Maas et al. 2011, Learning word vectors for sentiment analysis (the archive).
    """
    folder = path_of(folder, "data")
    try:
        return _both(folder)
    except OSError as error:
        raise InputError(
            "data", str(folder), f"a folder that can be read ({error.strerror})"
        ) from None


def _both(folder: Path) -> tuple[Reviews, Reviews]:
    """The training and the test part."""
    parts = [folder / "train", folder / "test"]
    for part in parts:
        _stay(part, folder)
        if not part.is_dir():
            raise InputError(
                "data", str(folder), f"a folder with train and test; there is no {part.name}"
            )
    classes = sorted({name for part in parts for name in _classes(part)})
    if len(classes) < 2:
        raise InputError(
            "data",
            str(folder),
            f"a folder per class in train and test, at least two; found {classes}",
        )
    return _part(parts[0], classes), _part(parts[1], classes)


def _stay(path: Path, folder: Path) -> None:
    """Raises where a link shows files that the folder does not hold."""
    if leads_out(path, folder):
        raise InputError("data", str(path), f"a path that stays in {folder}; this link leads out")


def synthetic_reviews(seed: int = 0, count: int = 4000) -> tuple[Reviews, Reviews]:
    """Generated opinions about films, half of them good, in which the order of the words decides.

    A negation turns a word into its opposite, and after a contrast the second clause counts: "The plot
    was not dull at all.", "The film was gripping at first, but in the end the acting was awful." Which
    words occur says little: of a text with a contrast nothing, and one clause in three is negated.

    Args:
      seed: of the draw; the same seed gives the same texts always.
      count: how many texts, from 10 to 100,000.

    Returns:
      `(train, test)`, four fifths and one fifth, classes `neg` and `pos`; no text occurs twice.

    Raises:
      InputError: a count out of range.

    Example:
      >>> train, test = synthetic_reviews()
      >>> len(train.texts), len(test.texts), train.texts[4], train.classes[train.labels[4]]
      (3200, 800, 'The ending turned out to be shallow.', 'neg')
    """
    at_least("count", count, 10)
    if count > MOST:
        raise InputError("count", count, f"at most {MOST}")
    draw = np.random.RandomState(seed)
    texts = dict[str, int]()
    while len(texts) < count:
        label = len(texts) % 2
        texts.setdefault(generate_review(draw, good=label == 1), label)
    cut = 2 * round(0.4 * count)
    parts = [list(texts.items())[:cut], list(texts.items())[cut:]]
    train, test = (
        Reviews(
            [text for text, _ in part],
            np.array([label for _, label in part], np.int32),
            ("neg", "pos"),
        )
        for part in parts
    )
    return train, test


def encode_reviews(
    reviews: Reviews,
    vocabulary: Vocabulary,
    length: int,
    keep: Literal["first", "last"] = "last",
    name: str = "reviews",
) -> Dataset:
    """Texts as rows of ids, filled up with padding behind.

    Args:
      reviews: at least one text.
      vocabulary: of the training texts.
      length: T, at least 1; of a longer text only so many tokens are kept.
      keep: which ones, the `first` or the `last`.
      name: what the set is called in results.

    Returns:
      `input [N, T]` int32, `length [N]` int32 in [1, T], `label [N]` int32; a text without a token is one
      `<unk>`.

    Raises:
      InputError: labels that do not fit, or not one known token in all texts.

    Example:
      >>> reviews = Reviews(["a b c", ""], np.array([1, 0]), ("neg", "pos"))
      >>> data = encode_reviews(reviews, Vocabulary.of("a b c", "word"), 2)
      >>> data["input"].tolist(), data["length"].tolist()
      ([[3, 4], [1, 0]], [2, 1])
    """
    at_least("length", length, 1)
    one_of("keep", keep, ["first", "last"])
    check_ids(reviews.labels, len(reviews.classes), "label")
    rows = np.full((len(reviews.texts), length), PADDING, np.int32)
    lengths = np.empty(len(reviews.texts), np.int32)
    for i, text in enumerate(reviews.texts):
        ids = vocabulary.encode(text)
        kept = (ids[:length] if keep == "first" else ids[-length:]) if len(ids) else [UNKNOWN]
        rows[i, : len(kept)], lengths[i] = kept, len(kept)
    if not (rows > UNKNOWN).any():
        raise InputError(
            "texts",
            "no known word",
            f"texts with some of the vocabulary's {len(vocabulary)} tokens",
        )
    label = np.asarray(reviews.labels, np.int32)
    return Dataset({"input": rows, "length": lengths, "label": label}, name, len(reviews.classes))


def _classes(part: Path) -> list[str]:
    with os.scandir(part) as found:
        return [
            each.name
            for each in found
            if each.is_dir() and each.name[0] != "." and each.name != UNLABELLED
        ]


def _part(part: Path, classes: list[str]) -> Reviews:
    """All texts of the training or the test part."""
    texts: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        _stay(part / name, part.parent)
        if not (part / name).is_dir():
            raise InputError("data", str(part), f"a folder per class; there is no {name}")
        files = [
            file
            for file in sorted(os.listdir(part / name))
            if file.endswith(".txt") and file[0] != "."
        ]
        found = [_read(part / name / file, part.parent) for file in files]
        if not found:
            raise InputError("data", str(part / name), "a folder with .txt files; there are none")
        texts += found
        labels += [label] * len(found)
    return Reviews(texts, np.array(labels, np.int32), tuple(classes))


def _read(path: Path, folder: Path) -> str:
    _stay(path, folder)
    with opened(path) as file:
        return utf8(bounded(file), str(path)).replace("<br />", "\n")
