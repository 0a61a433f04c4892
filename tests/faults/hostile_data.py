"""Hostile texts, vectors, reviews, vocabularies and caches, and names where paths are asked for."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import Vocabulary, files, images, load, read_reviews, read_text, read_vectors
from jaxdl.data.cache import seal
from tests.faults.hostile_npz import Row, header, said

WORDS = Vocabulary.of("the cat", "word")
DEEP = "[" * 100_000 + "]" * 100_000
ODD = "bad\n\x1b[2Jname\udcff.txt"


def vectors(path: Path) -> Any:
    """Looks for two words."""
    return read_vectors(path, WORDS)


def made(use: Callable[[Path], Any], make: Callable[[Path], Any], name: str = "a.txt") -> Row:
    """Makes something and uses it."""

    def row(here: Path) -> Callable[[], Any]:
        make(here / name)
        return lambda: use(here / name)

    return row


def wrote(use: Callable[[Path], Any], content: str | bytes, name: str = "a.txt") -> Row:
    """Writes a file and uses it."""
    return made(
        use,
        lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode()),
        name,
    )


def zero(path: Path) -> None:
    """A link to what never ends."""
    path.symlink_to("/dev/zero")


def bomb(path: Path) -> None:
    """1.3 GB of zeros in 1.3 MB, and not one end of a line; refused long before its end."""
    files.LARGEST = 2**24
    path.write_bytes(gzip.compress(bytes(2**24)) * 80)


def folder(change: Callable[[Path], Any]) -> Row:
    """Reads a good folder of reviews that was changed."""

    def row(here: Path) -> Callable[[], Any]:
        for name in ("train/neg", "train/pos", "test/neg", "test/pos"):
            (here / "reviews" / name).mkdir(parents=True)
            (here / "reviews" / name / "1.txt").write_text("A film.")
        outside = here.parent / "outside" / "texts"
        shutil.copytree(here / "reviews" / "train", outside / "train")
        change(here / "reviews")
        return lambda: read_reviews(here / "reviews")

    return row


def link(name: str, target: str) -> Row:
    """Reads reviews of which a part is a link to a place outside."""

    def change(reviews: Path) -> None:
        path = reviews / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(reviews.parent.parent / "outside" / target)

    return folder(change)


def vocabulary(**changed: Any) -> Row:
    """Loads a vocabulary with other values."""
    good = {"tokens": ["<pad>", "<unk>", "a"], "kind": "character", "lower": False}
    return wrote(Vocabulary.load, json.dumps(good | changed))


def cached(change: Callable[[Path], Any], sealed: bool = True) -> Row:
    """Reads a set of TFDS whose cache was changed, with checksums that are right."""

    def row(here: Path) -> Callable[[], Any]:
        def child(name: str, source: str, new: Path) -> None:
            np.save(new / "train_input.npy", np.zeros((20, 4, 4, 1), np.uint8))
            np.save(new / "train_label.npy", np.arange(20, dtype=np.int32) % 2)
            about = change(new)
            if sealed:
                seal(new, about if isinstance(about, dict) else {"classes": 2})

        images._in_child = child
        return lambda: images.tfds_images("mnist", str(here / "sets"))

    return row


def name_of(use: Callable[[str], Any], name: str) -> Row:
    """Uses a name."""
    return lambda here: lambda: use(name)


NAMES = {
    "a NUL byte": "a\0b/c.npz",
    "300 characters": "a" * 300 + ".npz",
    "nobody's home": "~no-such-user/x.npz",
}
USES: dict[str, Callable[[str], Any]] = {
    "a set": load,
    "a text": read_text,
    "vectors": lambda name: vectors(Path(name)),
    "reviews": read_reviews,
    "a vocabulary": Vocabulary.load,
}
OUT = (
    "../../outside/precious.txt",
    "/etc/passwd",
    "..",
    "mnist/../../outside",
    "mnist:../1.0.0",
    "-rf",
    "a" * 300,
    "",
)

REFUSED: dict[str, Row] = {
    **{
        f"name: {kind} for {what}": name_of(use, name)
        for what, use in USES.items()
        for kind, name in NAMES.items()
    },
    **{f"name: the set {name[:30]!r}": name_of(load, name) for name in OUT},
    "text: a pipe": made(read_text, os.mkfifo),
    "text: a pipe called .gz": made(read_text, os.mkfifo, "a.gz"),
    "text: a directory": made(read_text, Path.mkdir),
    "text: a link to /dev/zero": made(read_text, zero),
    "text: a link to itself": made(read_text, lambda path: path.symlink_to(path)),
    "text: a bomb of 1.3 GB in 1.3 MB": made(read_text, bomb, "a.gz"),
    "text: bytes that are no text": wrote(read_text, bytes(range(256))),
    "text: a name of control characters": wrote(read_text, b"\xff", ODD),
    "vectors: a pipe": made(vectors, os.mkfifo),
    "vectors: a link to /dev/zero": made(vectors, zero),
    "vectors: a line without end": made(vectors, bomb, "a.gz"),
    "vectors: a line of 60,000 numbers": wrote(vectors, "the" + " 1" * 60_000),
    "vectors: a header that says a billion": wrote(vectors, "400000 999999999\nthe 1 2\n"),
    "vectors: numbers beyond float32": wrote(vectors, "the 1e39 1\n"),
    "vectors: a number of 100,000 digits": wrote(vectors, "the 1 " + "1" * 100_000),
    "reviews: a class that leads out": link("train/neg", "texts/train/neg"),
    "reviews: a part that leads out": link("train", "texts/train"),
    "reviews: a file that leads out": link("test/pos/1.txt", "precious.txt"),
    "reviews: a pipe": folder(lambda reviews: os.mkfifo(reviews / "train/neg/2.txt")),
    "reviews: a directory called .txt": folder(
        lambda reviews: (reviews / "train/neg/2.txt").mkdir()
    ),
    "reviews: a class that is a link to itself": folder(
        lambda reviews: (reviews / "train/x").symlink_to("x")
    ),
    "reviews: a name of control characters": folder(
        lambda reviews: (reviews / "test/pos" / ODD).write_bytes(b"\xff")
    ),
    "vocabulary: a list": wrote(Vocabulary.load, "[]"),
    "vocabulary: 100,000 levels": wrote(Vocabulary.load, DEEP),
    "vocabulary: 100,000 levels of tokens": wrote(Vocabulary.load, f'{{"tokens": {DEEP}}}'),
    "vocabulary: 500 levels of tokens": wrote(
        Vocabulary.load, f'{{"tokens": {DEEP[:500]}{DEEP[-500:]}}}'
    ),
    "vocabulary: tokens of other types": vocabulary(tokens=["<pad>", "<unk>", 1, None]),
    "vocabulary: tokens that are an object": vocabulary(tokens={"<pad>": 0}),
    "vocabulary: huge integers": wrote(Vocabulary.load, '{"tokens": [' + "9" * 10_000 + "]}"),
    "vocabulary: another field": vocabulary(__class__="os.system"),
    "vocabulary: a kind that is a list": vocabulary(kind=["word"]),
    "vocabulary: lower that is a number": vocabulary(lower=1),
    "vocabulary: a pipe": made(Vocabulary.load, os.mkfifo),
    "vocabulary: a link to /dev/zero": made(Vocabulary.load, zero),
    "cache: no classes": cached(lambda new: {"name": "mnist"}),
    "cache: classes that are text": cached(lambda new: {"classes": "2"}),
    "cache: an array is missing": cached(lambda new: (new / "train_input.npy").unlink()),
    "cache: labels of another type": cached(
        lambda new: np.save(new / "train_label.npy", np.zeros(20))
    ),
    "cache: fewer labels": cached(
        lambda new: np.save(new / "train_label.npy", np.zeros(3, np.int32))
    ),
    "cache: a header that says 4 TiB": cached(
        lambda new: (new / "train_input.npy").write_bytes(
            header(said("'|u1'", f"(20, {2**20}, {2**20}, 1)"))
        )
    ),
    "cache: a manifest of 100,000 levels": cached(
        lambda new: (new / "manifest.json").write_text(DEEP), sealed=False
    ),
    "cache: a manifest that is a list": cached(
        lambda new: (new / "manifest.json").write_text("[]"), sealed=False
    ),
    "cache: a manifest that is a pipe": cached(
        lambda new: os.mkfifo(new / "manifest.json"), sealed=False
    ),
}

HARMLESS: dict[str, Row] = {
    "reviews: links that stay inside": folder(
        lambda reviews: (reviews / "test/neg/2.txt").symlink_to("1.txt")
    ),
    "cache: as it is written": cached(lambda new: None),
}
