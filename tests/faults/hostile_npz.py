"""Hostile `.npz` files: pickled objects, zip bombs, member names that lead out, and damage."""

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import load

#: A function that prepares a directory and returns the action to test there.
Row = Callable[[Path], Callable[[], Any]]

X = np.zeros((20, 3), np.float32)
Y = np.arange(20) % 2


class Evil:
    """An object that creates a directory when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def npy(array: Any) -> bytes:
    """Returns an array as the bytes of a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text: str, content: bytes = b"", version: int = 1) -> bytes:
    """Returns a `.npy` file with any header and content."""
    layout = "<I"
    if version == 1:
        layout = "<H"
    size = struct.pack(layout, len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode("latin1") + b"\n" + content


def header_text(descr: str, shape: str) -> str:
    """Returns the text of a header."""
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Writes a zip file with any members and returns its path."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def loading(path: Path) -> Callable[[], Any]:
    """Returns an action that loads a file."""
    return lambda: load(path)


def with_x(x: bytes, **more: bytes) -> Row:
    """Loads a file whose member `x` consists of these bytes; `more` adds or replaces members."""
    members = {
        "x.npy": x,
        "y.npy": npy(Y),
        **{f"{name}.npy": content for name, content in more.items()},
    }
    return lambda here: loading(archive(here / "my.npz", members))


def patched(change: Callable[[bytearray, int], None]) -> Row:
    """Loads a valid file after a change to the entry of `x` in the archive's central directory."""

    def row(here: Path) -> Callable[[], Any]:
        path = archive(here / "my.npz", {"x.npy": npy(X), "y.npy": npy(Y)}, zipfile.ZIP_STORED)
        content = bytearray(path.read_bytes())
        change(content, content.index(b"PK\x01\x02"))
        path.write_bytes(content)
        return loading(path)

    return row


def put(content: bytearray, offset: int, layout: str, value: int) -> None:
    """Overwrites one number."""
    struct.pack_into(layout, content, offset, value)


def bomb(here: Path) -> Callable[[], Any]:
    """Loads an array of 128 MiB from a file of about a thousandth of that size."""
    zeros = bytes(2**24)
    with zipfile.ZipFile(here / "my.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("y.npy", npy(Y))
        with file.open("x.npy", "w", force_zip64=True) as member:
            member.write(header(header_text("'|u1'", f"(16, {2**23})")))
            for _ in range(8):
                member.write(zeros)
    return loading(here / "my.npz")


def special(create: Callable[[Path], Any]) -> Row:
    """Loads a path that `create` has created and that may not be a regular file."""

    def row(here: Path) -> Callable[[], Any]:
        create(here / "my.npz")
        return loading(here / "my.npz")

    return row


def load_alone(path: Path) -> None:
    """Loads a file and checks that no other file was created beside it."""
    train, test = load(path)
    assert len(train) + len(test) == 20
    assert list(path.parent.iterdir()) == [path]


def with_members(*names: str) -> Row:
    """Loads valid arrays from an archive with more members, which must stay in the archive."""

    def row(here: Path) -> Callable[[], Any]:
        members = {"x.npy": npy(X), "y.npy": npy(Y), **{name: npy(X) for name in names}}
        return lambda: load_alone(archive(here / "my.npz", members))

    return row


def repeated_member(here: Path) -> Callable[[], Any]:
    """Loads a file with two members of one name; the later one counts, as in other readers."""
    with zipfile.ZipFile(here / "my.npz", "w") as file:
        for content in (npy(np.array([Evil()] * 20)), npy(X)):
            file.writestr("x.npy", content)
        file.writestr("y.npy", npy(Y))
    return lambda: load_alone(here / "my.npz")


def polyglot(here: Path) -> Callable[[], Any]:
    """Loads a file that begins like a `.npy` file and ends like an archive."""
    content = archive(here / "a", {"x.npy": b""}).read_bytes()
    (here / "my.npz").write_bytes(header(header_text("'<f4'", f"({2**40},)")) + content)
    return loading(here / "my.npz")


CODE = header_text("__import__('os').mkdir('executed')", "(20, 3)")
HUGE = header_text("'<f4'", f"({2**40},)")

REFUSED: dict[str, Row] = {
    "npz: pickled objects as input": with_x(npy(np.array([Evil()] * 20))),
    "npz: pickled objects as labels": with_x(npy(X), y=npy(np.array([Evil()] * 20))),
    "npz: pickled objects of a structured dtype": with_x(
        npy(np.array([(1, Evil())] * 20, "i4, O"))
    ),
    "npz: a member that is a pickle": with_x(pickle.dumps(Evil())),
    "npz: a pickle": special(lambda path: path.write_bytes(pickle.dumps(Evil()))),
    "npz: an array before the archive": polyglot,
    "npz: a header that is code": with_x(header(CODE, bytes(240))),
    "npz: a header of 1000 brackets": with_x(header("(" * 1000)),
    "npz: a header of 100,000 brackets": with_x(header("[" * 100_000, version=2)),
    "npz: a header of another version": with_x(
        header(header_text("'<f4'", "(20, 3)"), bytes(240), version=3)
    ),
    "npz: a header that declares 4 TiB": with_x(header(HUGE, bytes(240))),
    "npz: a header that declares a size beyond 64 bits": with_x(
        header(header_text("'<f4'", f"({2**62}, 64)"), bytes(240))
    ),
    "npz: a header with a negative size": with_x(
        header(header_text("'<f4'", "(-20, -3)"), bytes(240))
    ),
    "npz: elements of no bytes": with_x(header(header_text("'|V0'", f"({2**60},)"))),
    "npz: elements of 2 GiB": with_x(header(header_text("'|V2147483647'", "(20,)"))),
    "npz: 70 axes": with_x(header(header_text("'<f4'", str((20, *[1] * 69))), bytes(80))),
    "npz: a zip bomb": bomb,
    "npz: a size that exceeds the file": patched(lambda c, at: put(c, at + 24, "<I", 2**32 - 2)),
    "npz: an offset behind the end": patched(lambda c, at: put(c, at + 42, "<I", 2**31)),
    "npz: encrypted": patched(lambda c, at: put(c, at + 8, "<H", 1)),
    "npz: an unknown compression method": patched(lambda c, at: put(c, at + 10, "<H", 99)),
    "npz: a wrong compression method": patched(lambda c, at: put(c, at + 10, "<H", 14)),
    "npz: labels for a billion classes": with_x(npy(X), y=npy(np.arange(20) * 10**8)),
    "npz: labels beyond 64 bits": with_x(npy(X), y=npy(np.full(20, 2**64 - 1, np.uint64))),
    "npz: a directory": special(Path.mkdir),
    "npz: a pipe": special(os.mkfifo),
    "npz: a link to /dev/zero": special(lambda path: path.symlink_to("/dev/zero")),
    "npz: a link to itself": special(lambda path: path.symlink_to(path)),
    "npz: members that lead out": with_members(
        "../../outside/x.npy", "../x.npy", "/tmp/x.npy", "a/../../x.npy"
    ),
    "npz: members with strange names": with_members(
        "a" * 300 + ".npy", "a\\..\\b.npy", "\x1b[2J.npy", "C:x.npy"
    ),
}

HARMLESS: dict[str, Row] = {
    "npz: a repeated member": repeated_member,
}
