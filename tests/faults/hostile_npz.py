"""Hostile `.npz` files: objects, bombs, names that lead out, damage."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import load, npz

#: Prepares a directory and gives what is to be done there.
Row = Callable[[Path], Callable[[], Any]]

X = np.zeros((20, 3), np.float32)
Y = np.arange(20) % 2


class Evil:
    """What leaves a file behind where it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def npy(array: Any) -> bytes:
    """An array as a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text: str, content: bytes = b"", version: int = 1) -> bytes:
    """A `.npy` file with any header."""
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode("latin1") + b"\n" + content


def said(descr: str, shape: str) -> str:
    """The text of a header."""
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip file with any members."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def loading(path: Path) -> Callable[[], Any]:
    """Loads a file."""
    return lambda: load(path)


def of(x: bytes, **more: bytes) -> Row:
    """Loads a file whose input is these bytes."""
    members = {
        "x.npy": x,
        "y.npy": npy(Y),
        **{f"{name}.npy": content for name, content in more.items()},
    }
    return lambda here: loading(archive(here / "my.npz", members))


def patched(change: Callable[[bytearray, int], None]) -> Row:
    """Loads a good file whose entry of the directory for x was changed."""

    def row(here: Path) -> Callable[[], Any]:
        path = archive(here / "my.npz", {"x.npy": npy(X), "y.npy": npy(Y)}, zipfile.ZIP_STORED)
        content = bytearray(path.read_bytes())
        change(content, content.index(b"PK\x01\x02"))
        path.write_bytes(content)
        return loading(path)

    return row


def put(content: bytearray, place: int, layout: str, value: int) -> None:
    """Overwrites one number."""
    struct.pack_into(layout, content, place, value)


def bomb(here: Path) -> Callable[[], Any]:
    """An array of a hundred times what may be had for nothing, in a file of a thousandth."""
    npz.FREE = 2**20
    zeros = bytes(2**24)
    with zipfile.ZipFile(here / "my.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("y.npy", npy(Y))
        with file.open("x.npy", "w", force_zip64=True) as member:
            member.write(header(said("'|u1'", f"(16, {2**23})")))
            for _ in range(8):
                member.write(zeros)
    return loading(here / "my.npz")


def special(make: Callable[[Path], Any]) -> Row:
    """Loads something that is no file."""

    def row(here: Path) -> Callable[[], Any]:
        make(here / "my.npz")
        return loading(here / "my.npz")

    return row


def alone(path: Path) -> None:
    """Loads a file, which stays the only one."""
    train, test = load(path)
    assert len(train) + len(test) == 20
    assert list(path.parent.iterdir()) == [path]


def named(*names: str) -> Row:
    """Loads good arrays beside members with these names, all of which stay in the archive."""

    def row(here: Path) -> Callable[[], Any]:
        members = {"x.npy": npy(X), "y.npy": npy(Y), **{name: npy(X) for name in names}}
        return lambda: alone(archive(here / "my.npz", members))

    return row


def twice(here: Path) -> Callable[[], Any]:
    """Two members of one name: the later one counts, as for every reader of archives."""
    with zipfile.ZipFile(here / "my.npz", "w") as file:
        for content in (npy(np.array([Evil()] * 20)), npy(X)):
            file.writestr("x.npy", content)
        file.writestr("y.npy", npy(Y))
    return lambda: alone(here / "my.npz")


def polyglot(here: Path) -> Callable[[], Any]:
    """A file that is an array for who looks at its beginning, and an archive for who looks at its end."""
    content = archive(here / "a", {"x.npy": b""}).read_bytes()
    (here / "my.npz").write_bytes(header(said("'<f4'", f"({2**40},)")) + content)
    return loading(here / "my.npz")


CODE = said("__import__('os').mkdir('executed')", "(20, 3)")

REFUSED: dict[str, Row] = {
    "npz: pickled objects as input": of(npy(np.array([Evil()] * 20))),
    "npz: pickled objects as labels": of(npy(X), y=npy(np.array([Evil()] * 20))),
    "npz: pickled objects of a structured dtype": of(npy(np.array([(1, Evil())] * 20, "i4, O"))),
    "npz: a member that is a pickle": of(pickle.dumps(Evil())),
    "npz: a pickle": special(lambda path: path.write_bytes(pickle.dumps(Evil()))),
    "npz: an array before the archive": polyglot,
    "npz: a header that is code": of(header(CODE, bytes(240))),
    "npz: a header of 1000 brackets": of(header("(" * 1000)),
    "npz: a header of 100,000 brackets": of(header("[" * 100_000, version=2)),
    "npz: a header of another version": of(header(said("'<f4'", "(20, 3)"), bytes(240), version=3)),
    "npz: a header that says 4 TiB": of(header(said("'<f4'", f"({2**40},)"), bytes(240))),
    "npz: a header whose size is beyond 64 bits": of(
        header(said("'<f4'", f"({2**62}, 64)"), bytes(240))
    ),
    "npz: a header with a negative size": of(header(said("'<f4'", "(-20, -3)"), bytes(240))),
    "npz: elements of no bytes": of(header(said("'|V0'", f"({2**60},)"))),
    "npz: elements of 2 GiB": of(header(said("'|V2147483647'", "(20,)"))),
    "npz: 70 axes": of(header(said("'<f4'", str((20, *[1] * 69))), bytes(80))),
    "npz: a bomb": bomb,
    "npz: a size that the file cannot hold": patched(
        lambda c, at: put(c, at + 24, "<I", 2**32 - 2)
    ),
    "npz: an offset behind the end": patched(lambda c, at: put(c, at + 42, "<I", 2**31)),
    "npz: encrypted": patched(lambda c, at: put(c, at + 8, "<H", 1)),
    "npz: packed in an unknown way": patched(lambda c, at: put(c, at + 10, "<H", 99)),
    "npz: packed in another way than it says": patched(lambda c, at: put(c, at + 10, "<H", 14)),
    "npz: labels for a billion classes": of(npy(X), y=npy(np.arange(20) * 10**8)),
    "npz: labels beyond 64 bits": of(npy(X), y=npy(np.full(20, 2**64 - 1, np.uint64))),
    "npz: a directory": special(Path.mkdir),
    "npz: a pipe": special(os.mkfifo),
    "npz: a link to /dev/zero": special(lambda path: path.symlink_to("/dev/zero")),
    "npz: a link to itself": special(lambda path: path.symlink_to(path)),
}

HARMLESS: dict[str, Row] = {
    "npz: members that lead out": named(
        "../../outside/x.npy", "../x.npy", "/tmp/x.npy", "a/../../x.npy"
    ),
    "npz: members of strange names": named(
        "a" * 300 + ".npy", "a\\..\\b.npy", "\x1b[2J.npy", "C:x.npy"
    ),
    "npz: a member twice": twice,
}
