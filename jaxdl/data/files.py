"""Reading files safely: regular files only, up to a size limit, with errors in one line."""

import codecs
import contextlib
import errno
import gzip
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from jaxdl.errors import InputError

#: The most bytes that are read from one file, after decompression: 1 GiB.
MAX_BYTES = 2**30

#: The most bytes that are made from a file, however small it is: 16 MiB.
MAX_UNCHECKED_BYTES = 2**24

#: Beyond them, the most bytes that are made from one byte of a file.
MAX_AMPLIFICATION = 100

#: The most levels of nested lists and objects in a JSON file, so that recursive code cannot
#: overflow the stack.
MAX_DEPTH = 64


def expand_path(path: str | os.PathLike[str], field: str) -> Path:
    """Returns a path with `~` expanded to the home directory.

    Args:
      path: any string; the file need not exist.
      field: name of the argument in error messages.

    Raises:
      InputError: no file can have this path: it has a NUL byte, a name that is too long, a loop of
        links, or the home directory of an unknown user.

    Example:
      >>> expand_path("a" * 300, "out")
      Traceback (most recent call last):
      jaxdl.errors.InputError: out: got 'aaa...', allowed: a path (File name too long)
    """
    if "\0" in os.fspath(path):
        raise InputError(field, os.fspath(path), "a path without a null byte")
    try:
        expanded = Path(path).expanduser()
        expanded.stat()
    except (ValueError, RuntimeError) as error:
        raise InputError(field, os.fspath(path), f"a path ({error})") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InputError(field, os.fspath(path), f"a path ({error.strerror})") from None
    return expanded


def check_utf8(path: Path, field: str) -> None:
    """Raises InputError for a path that is not UTF-8, which Orbax and XLA cannot write to.

    Example:
      >>> check_utf8(Path("runs") / os.fsdecode(bytes([255])), "out")
      Traceback (most recent call last):
      jaxdl.errors.InputError: out: got 'runs/\\udcff', allowed: a path in UTF-8
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(field, str(path), "a path in UTF-8") from None


def write_atomically(path: Path, text: str | bytes) -> None:
    """Writes a file that is complete on the disk as soon as it has its name.

    Until then the name keeps its earlier contents, even if the power fails.

    Args:
      path: the file.
      text: its contents, a text or bytes.

    Raises:
      OSError: the file cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     write_atomically(Path(directory) / "x.json", "{}")
      ...     os.listdir(directory)
      ['x.json']
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    try:
        # A pipe or a link of this name, which another process made, is not opened.
        with open(partial, "xb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file, or the names in a directory, are on the disk."""
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):  # Windows opens no directories.
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems do not synchronize directories.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def escapes_root(path: Path, root: Path) -> bool:
    """Returns True if a path is a link to a target outside `root`."""
    if not path.is_symlink():
        return False
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def open_regular_file(path: Path) -> IO[bytes]:
    """Opens a regular file for reading bytes.

    Pipes and devices are refused, because reading them may never end.

    Raises:
      OSError: the path does not exist, is not a regular file, or cannot be read.
    """
    try:
        file = open(path, "rb", opener=_open_nonblocking)  # noqa: SIM115
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file")
    return file


def read_bytes(path: Path) -> bytes:
    """Returns all bytes of a regular file.

    Raises:
      OSError: as `open_regular_file`, or the file has more than `MAX_BYTES` bytes.
    """
    with open_regular_file(path) as file:
        return read_bounded(file)


def read_bounded(file: IO[bytes] | gzip.GzipFile) -> bytes:
    """Returns the rest of an open file, in parts, so that a large one is refused early.

    Raises:
      OSError: more than `MAX_BYTES` bytes, or more than `most_bytes` of a compressed file.
    """
    stored = os.fstat(file.fileno()).st_size
    most = MAX_BYTES
    if isinstance(file, gzip.GzipFile):
        most = min(most, most_bytes(stored))
    parts = []
    size = 0
    while part := file.read(2**20):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(errno.EFBIG, f"More than {most} bytes, from {stored}")
    return b"".join(parts)


def most_bytes(read: int) -> int:
    """Returns the most bytes that may be made from so many bytes of a file.

        most = MAX_UNCHECKED_BYTES + MAX_AMPLIFICATION * read

    Example:
      >>> most_bytes(1000)
      16877216
    """
    return MAX_UNCHECKED_BYTES + MAX_AMPLIFICATION * read


def check_amplification(field: str, made: int, read: int, remedy: str) -> None:
    """Raises if more bytes would be made from a file than `most_bytes` allows.

    A small file could otherwise exhaust the memory.

    Args:
      field: name of the value in error messages.
      made: bytes in memory.
      read: bytes in the file.
      remedy: action that avoids the error.

    Example:
      >>> check_amplification("x", 10**9, 1000, "store it uncompressed")
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got '1000000000 bytes from 1000', allowed: at most 16877216; ...
    """
    most = most_bytes(read)
    if made > most:
        raise InputError(field, f"{made} bytes from {read}", f"at most {most}; {remedy}")


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """Returns the object that a JSON text represents.

    Raises:
      ValueError: not JSON, not an object, or more than `MAX_DEPTH` levels of nesting.

    Example:
      >>> parse_json_object("[1]")
      Traceback (most recent call last):
      ValueError: not a JSON object
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _containers_in(parent)]
    if level:
        raise ValueError("nested too deeply")
    return value


@contextlib.contextmanager
def open_maybe_gzip(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Yields an open file to read bytes from, decompressed if its name ends in `.gz`.

    Args:
      path: the file.

    Raises:
      InputError: the file does not exist, is not a regular file, cannot be read, or is not a
        complete gzip file although its name ends in `.gz`.

    Example:
      >>> with open_maybe_gzip(Path("nowhere.txt")) as file:
      ...     file.read()
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere.txt', allowed: a file that exists
    """
    try:
        with open_regular_file(path) as file:
            if path.suffix != ".gz":
                yield file
                return
            with gzip.open(file) as decompressed:
                yield decompressed
    except FileNotFoundError:
        raise InputError("data", str(path), "a file that exists") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("data", str(path), f"a complete gzip file ({error})") from None
    except OSError as error:
        raise InputError("data", str(path), f"a file that can be read ({error.strerror})") from None


def decode_utf8(content: bytes, source: str) -> str:
    """Returns bytes as text, without a byte order mark at the beginning.

    Args:
      content: UTF-8.
      source: name of the source in error messages, usually a path.

    Raises:
      InputError: bytes that are not UTF-8; the message contains the offset.

    Example:
      >>> decode_utf8(bytes([72, 105, 255]), "mine.txt")
      Traceback (most recent call last):
      jaxdl.errors.InputError: mine.txt, byte 2: got '0xff', allowed: UTF-8
    """
    try:
        return content.decode().removeprefix(codecs.BOM_UTF8.decode())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source}, byte {error.start}", f"{content[error.start]:#04x}", "UTF-8"
        ) from None


def _containers_in(parent: dict[str, Any] | list[Any]) -> list[Any]:
    """Returns the lists and objects that are direct values of a list or an object."""
    values: Any = parent
    if isinstance(parent, dict):
        values = parent.values()
    return [value for value in values if isinstance(value, dict | list)]


def _open_nonblocking(path: str, flags: int) -> int:
    """Opens a file without blocking: opening a pipe would otherwise wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
