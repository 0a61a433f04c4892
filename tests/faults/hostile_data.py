"""Hostile texts, word vectors, reviews, vocabularies and caches, and hostile names of paths."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import Vocabulary, images, load, read_reviews, read_text, read_vectors
from jaxdl.data.cache import write_manifest
from tests.faults.hostile_npz import Row, header, header_text

WORDS = Vocabulary.build("the cat", "word")
DEEP = "[" * 100_000 + "]" * 100_000
ODD = "bad\n\x1b[2Jname\udcff.txt"


def vectors(path: Path) -> Any:
    """Reads the vectors of two words."""
    return read_vectors(path, WORDS)


def on_created(use: Callable[[Path], Any], create: Callable[[Path], Any], name="a.txt") -> Row:
    """Uses a path that `create` has created."""

    def row(here: Path) -> Callable[[], Any]:
        create(here / name)
        return lambda: use(here / name)

    return row


def on_file(use: Callable[[Path], Any], content: str | bytes, name: str = "a.txt") -> Row:
    """Uses a file with this content."""
    return on_created(use, lambda path: path.write_bytes(as_bytes(content)), name)


def as_bytes(content: str | bytes) -> bytes:
    """Encodes text; returns bytes unchanged."""
    if isinstance(content, bytes):
        return content
    return content.encode()


def link_to_zero(path: Path) -> None:
    """Creates a link to an endless file."""
    path.symlink_to("/dev/zero")


def bomb(path: Path) -> None:
    """Writes 1.3 GB of zeros, without a line break, compressed to 1.3 MB."""
    path.write_bytes(gzip.compress(bytes(2**24)) * 80)


def folder(change: Callable[[Path], Any]) -> Row:
    """Reads a valid folder of reviews after a change to it."""

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
    """Reads reviews of which one part is a link to a path outside."""

    def change(reviews: Path) -> None:
        path = reviews / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(reviews.parent.parent / "outside" / target)

    return folder(change)


def vocabulary(**changed: Any) -> Row:
    """Loads a vocabulary with changed values."""
    good = {"tokens": ["<pad>", "<unk>", "a"], "kind": "character", "lower": False}
    return on_file(Vocabulary.load, json.dumps(good | changed))


def cached(change: Callable[[Path], Any], with_manifest: bool = True) -> Row:
    """Reads a TFDS set after a change to its cache.

    Args:
      change: changes the directory of the cache; may return the metadata of the manifest.
      with_manifest: if True, a manifest with the right checksums is written after the change.
    """

    def row(here: Path) -> Callable[[], Any]:
        def child(name: str, source: str, new: Path) -> None:
            np.save(new / "train_input.npy", np.zeros((20, 4, 4, 1), np.uint8))
            np.save(new / "train_label.npy", np.arange(20, dtype=np.int32) % 2)
            metadata = change(new)
            if not isinstance(metadata, dict):
                metadata = {"classes": 2}
            if with_manifest:
                write_manifest(new, metadata)

        images.run_prepare = child
        return lambda: images.tfds_images("mnist", str(here / "sets"))

    return row


def on_name(use: Callable[[str], Any], name: str) -> Row:
    """Uses a name."""
    return lambda here: lambda: use(name)


NAMES = {
    "a NUL byte": "a\0b/c.npz",
    "300 characters": "a" * 300 + ".npz",
    "the home of an unknown user": "~no-such-user/x.npz",
}
USES: dict[str, Callable[[str], Any]] = {
    "a set": load,
    "a text": read_text,
    "vectors": lambda name: vectors(Path(name)),
    "reviews": read_reviews,
    "a vocabulary": Vocabulary.load,
}
SET_NAMES = (
    *("../../outside/precious.txt", "/etc/passwd", "..", "mnist/../../outside"),
    *("mnist:../1.0.0", "-rf", "a" * 300, ""),
)

REFUSED_NAMES: dict[str, Row] = {
    **{
        f"name: {kind} for {target}": on_name(use, name)
        for target, use in USES.items()
        for kind, name in NAMES.items()
    },
    **{f"name: the set {name[:30]!r}": on_name(load, name) for name in SET_NAMES},
}

REFUSED_TEXTS: dict[str, Row] = {
    "text: a pipe": on_created(read_text, os.mkfifo),
    "text: a pipe called .gz": on_created(read_text, os.mkfifo, "a.gz"),
    "text: a directory": on_created(read_text, Path.mkdir),
    "text: a link to /dev/zero": on_created(read_text, link_to_zero),
    "text: a link to itself": on_created(read_text, lambda path: path.symlink_to(path)),
    "text: a gzip bomb of 1.3 GB in 1.3 MB": on_created(read_text, bomb, "a.gz"),
    "text: bytes that are not UTF-8": on_file(read_text, bytes(range(256))),
    "text: a name with control characters": on_file(read_text, b"\xff", ODD),
}

REFUSED_VECTORS: dict[str, Row] = {
    "vectors: a pipe": on_created(vectors, os.mkfifo),
    "vectors: a link to /dev/zero": on_created(vectors, link_to_zero),
    "vectors: a line without end": on_created(vectors, bomb, "a.gz"),
    "vectors: a line of 60,000 numbers": on_file(vectors, "the" + " 1" * 60_000),
    "vectors: a header that declares a billion": on_file(vectors, "400000 999999999\nthe 1 2\n"),
    "vectors: numbers beyond float32": on_file(vectors, "the 1e39 1\n"),
    "vectors: a number of 100,000 digits": on_file(vectors, "the 1 " + "1" * 100_000),
}

REFUSED_REVIEWS: dict[str, Row] = {
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
    "reviews: a name with control characters": folder(
        lambda reviews: (reviews / "test/pos" / ODD).write_bytes(b"\xff")
    ),
}

REFUSED_VOCABULARIES: dict[str, Row] = {
    "vocabulary: a list": on_file(Vocabulary.load, "[]"),
    "vocabulary: 100,000 levels": on_file(Vocabulary.load, DEEP),
    "vocabulary: 100,000 levels of tokens": on_file(Vocabulary.load, f'{{"tokens": {DEEP}}}'),
    "vocabulary: 500 levels of tokens": on_file(
        Vocabulary.load, f'{{"tokens": {DEEP[:500]}{DEEP[-500:]}}}'
    ),
    "vocabulary: tokens of other types": vocabulary(tokens=["<pad>", "<unk>", 1, None]),
    "vocabulary: tokens that are an object": vocabulary(tokens={"<pad>": 0}),
    "vocabulary: huge integers": on_file(Vocabulary.load, '{"tokens": [' + "9" * 10_000 + "]}"),
    "vocabulary: another field": vocabulary(__class__="os.system"),
    "vocabulary: a kind that is a list": vocabulary(kind=["word"]),
    "vocabulary: lower that is a number": vocabulary(lower=1),
    "vocabulary: a pipe": on_created(Vocabulary.load, os.mkfifo),
    "vocabulary: a link to /dev/zero": on_created(Vocabulary.load, link_to_zero),
}

REFUSED_CACHES: dict[str, Row] = {
    "cache: no classes": cached(lambda new: {"name": "mnist"}),
    "cache: classes that are text": cached(lambda new: {"classes": "2"}),
    "cache: an array is missing": cached(lambda new: (new / "train_input.npy").unlink()),
    "cache: labels of another type": cached(
        lambda new: np.save(new / "train_label.npy", np.zeros(20))
    ),
    "cache: fewer labels": cached(
        lambda new: np.save(new / "train_label.npy", np.zeros(3, np.int32))
    ),
    "cache: a header that declares 4 TiB": cached(
        lambda new: (new / "train_input.npy").write_bytes(
            header(header_text("'|u1'", f"(20, {2**20}, {2**20}, 1)"))
        )
    ),
    "cache: a manifest of 100,000 levels": cached(
        lambda new: (new / "manifest.json").write_text(DEEP), with_manifest=False
    ),
    "cache: a manifest that is a list": cached(
        lambda new: (new / "manifest.json").write_text("[]"), with_manifest=False
    ),
    "cache: a manifest that is a pipe": cached(
        lambda new: os.mkfifo(new / "manifest.json"), with_manifest=False
    ),
}

REFUSED: dict[str, Row] = {
    **REFUSED_NAMES,
    **REFUSED_TEXTS,
    **REFUSED_VECTORS,
    **REFUSED_REVIEWS,
    **REFUSED_VOCABULARIES,
    **REFUSED_CACHES,
}

HARMLESS: dict[str, Row] = {
    "reviews: links that stay inside": folder(
        lambda reviews: (reviews / "test/neg/2.txt").symlink_to("1.txt")
    ),
    "cache: an unchanged cache": cached(lambda new: None),
}
