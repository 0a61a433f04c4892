"""Hostile folders of images, tables and idx files."""

import gzip
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxdl.data import load
from tests.faults.hostile_npz import Row

IDX = {"train-images-idx3-ubyte": (20, 4, 4), "train-labels-idx1-ubyte": (20,)}
TABLE = "x,y,label\n" + "1,2,a\n3,4,b\n" * 5


def images(change: Callable[[Path], Any]) -> Row:
    """Loads a folder of images of two classes after a change to it."""

    def row(here: Path) -> Callable[[], Any]:
        random = np.random.RandomState(0)
        for name in ("cat", "dog"):
            (here / "photos" / name).mkdir(parents=True)
            for i in range(5):
                pixels = random.randint(0, 256, (4, 4)).astype(np.uint8)
                Image.fromarray(pixels).save(here / "photos" / name / f"{i}.png")
        outside = here.parent / "outside" / "pictures"
        shutil.copytree(here / "photos" / "cat", outside)
        change(here / "photos")
        return lambda: load(here / "photos", cache_dir=str(here / "cache"))

    return row


def png(path: Path, width: int, height: int, *chunks: tuple[bytes, bytes]) -> None:
    """Writes a grey PNG file with any size in its header, and further chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in [(b"IHDR", header), *chunks, (b"IEND", b"")]:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + checksum
    path.write_bytes(content)


def text_bomb(photos: Path) -> None:
    """Writes a PNG file whose comment is 64 MiB in 64 KiB."""
    comment = b"Comment\0\0" + zlib.compress(bytes(2**26))
    pixels = zlib.compress(bytes(5 * 4))
    png(photos / "cat" / "0.png", 4, 4, (b"zTXt", comment), (b"IDAT", pixels))


def linked(name: str, target: str) -> Row:
    """Loads images of which one path is a link."""

    def change(photos: Path) -> None:
        path = photos / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(photos.parent.parent / "outside" / target)

    return images(change)


def table(content: str | bytes, name: str = "a.csv", column: str = "") -> Row:
    """Loads a table with this content."""

    def row(here: Path) -> Callable[[], Any]:
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return lambda: load(f"{here / name}{column}")

    return row


def on_table(create: Callable[[Path], Any]) -> Row:
    """Loads a path called `.csv` that `create` has created."""

    def row(here: Path) -> Callable[[], Any]:
        create(here / "a.csv")
        return lambda: load(here / "a.csv")

    return row


def idx(change: Callable[[Path], Any]) -> Row:
    """Loads a folder of idx files after a change to it."""

    def row(here: Path) -> Callable[[], Any]:
        for name, shape in IDX.items():
            for part in ("train", "t10k"):
                header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
                content = bytes(i % 2 for i in range(int(np.prod(shape))))
                (here / name.replace("train", part)).write_bytes(header + content)
        change(here)
        return lambda: load(here)

    return row


def idx_file(content: bytes, ending: str = "") -> Row:
    """Loads idx files of which the training images have this content."""

    def change(here: Path) -> None:
        (here / "train-images-idx3-ubyte").unlink()
        (here / f"train-images-idx3-ubyte{ending}").write_bytes(content)

    return idx(change)


def to_pipe(name: str) -> Callable[[Path], None]:
    """Replaces a file by a pipe."""

    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


REFUSED: dict[str, Row] = {
    "images: a file that leads out": linked("cat/0.png", "pictures/0.png"),
    "images: a class that leads out": linked("cat", "pictures"),
    "images: a link to /dev/zero": linked("cat/0.png", "/dev/zero"),
    "images: a pipe": images(to_pipe("cat/0.png")),
    "images: a header that declares 10^10 pixels": images(
        lambda photos: png(photos / "cat/0.png", 10**5, 10**5)
    ),
    "images: a header that declares 64 MiB": images(
        lambda photos: png(photos / "cat/0.png", 2**13, 2**13)
    ),
    "images: a header that declares 2^31 columns": images(
        lambda photos: png(photos / "cat/0.png", 2**31 - 1, 1)
    ),
    "images: a comment of 64 MiB": images(text_bomb),
    "images: no pixels": images(lambda photos: png(photos / "cat/0.png", 4, 4)),
    "images: PostScript called .png": images(
        lambda photos: (photos / "cat/0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    ),
    "images: a name with control characters": images(
        lambda photos: (photos / "cat/bad\n\x1b[2J.png").write_bytes(b"\xff")
    ),
    "images: a class with control characters": images(
        lambda photos: (photos / "bad\n\x1b[2J").mkdir()
    ),
    "table: a pipe": on_table(os.mkfifo),
    "table: a directory": on_table(Path.mkdir),
    "table: a link to /dev/zero": on_table(lambda path: path.symlink_to("/dev/zero")),
    "table: a gzip bomb": table(gzip.compress(bytes(2**24)) * 80, "a.csv.gz"),
    "table: a cell of 200,000 characters": table(TABLE + "1,2," + "a" * 200_000 + "\n"),
    "table: an open quotation": table(TABLE + '"' + "1,2\n" * 100_000),
    "table: 100,000 columns": table("label," * 100_000 + "x\n" + "1," * 100_000 + "1\n"),
    "table: a number of 100,000 digits": table(TABLE + "1" * 100_000 + ",2,a\n"),
    "table: NUL bytes": table(TABLE + "\0,2,a\n"),
    "table: control characters": table(TABLE + "\x1b[2J,2,a\n"),
    "table: a column with control characters": table(TABLE, column=":\x1b[2J"),
    "idx: a pipe": idx(to_pipe("train-images-idx3-ubyte")),
    "idx: a header that declares 2^96 bytes": idx_file(bytes([0, 0, 8, 3]) + b"\xff" * 12),
    "idx: a header of 255 axes": idx_file(bytes([0, 0, 8, 255]) + bytes(1020)),
    "idx: a gzip bomb": idx_file(gzip.compress(bytes(2**24)) * 80, ".gz"),
}

HARMLESS: dict[str, Row] = {
    "images: an unchanged folder": images(lambda photos: None),
    "images: hidden links": images(lambda photos: (photos / ".hidden").symlink_to("/dev/zero")),
    "table: an unchanged table": table(TABLE),
    "table: formulas of a spreadsheet": table("x,label\n" + "=cmd|' /C calc'!A0,a\n1,b\n" * 5),
    "idx: unchanged files": idx(lambda here: None),
}
