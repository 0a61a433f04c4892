"""Reading files: plain ones only, of a bounded size, and whatever goes wrong is one line."""

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

#: What is read in one piece is at most so large, unpacked. 1 GiB.
LARGEST = 2**30

#: Lists and objects inside of each other in a JSON file, so that nobody who looks at them runs out of stack.
DEEPEST = 64


def path_of(said: str | os.PathLike[str], field: str) -> Path:
    """A path as the user means it, `~` being a home.

    Args:
      said: any string; nothing needs to be there.
      field: what an error calls it.

    Raises:
      InputError: nothing can be there: a NUL byte, a name that is too long, links in a circle, nobody's home.

    Example:
      >>> path_of("a" * 300, "out")
      Traceback (most recent call last):
      jaxdl.errors.InputError: out: got 'aaa...', allowed: a path (File name too long)
    """
    try:
        path = Path(said).expanduser()
        path.stat()
    except (ValueError, RuntimeError) as error:
        raise InputError(field, os.fspath(said), f"a path ({error})") from None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InputError(field, os.fspath(said), f"a path ({error.strerror})") from None
    return path


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is a link to something that is not below `root`."""
    return path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(root)
    )


def plain(path: Path) -> IO[bytes]:
    """Opens a file to read bytes from, if it is one: a pipe or a device could be read forever.

    Raises:
      OSError: it is not there, is something else, or cannot be read.
    """
    try:
        file = open(path, "rb", opener=_vectorized)  # noqa: SIM115
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "Not a regular file")
    return file


def content(path: Path) -> bytes:
    """All bytes of a plain file.

    Raises:
      OSError: as `plain` does, or there are more than `LARGEST`.
    """
    with plain(path) as file:
        return bounded(file)


def bounded(file: IO[bytes] | gzip.GzipFile) -> bytes:
    """The rest of an open file; raises OSError beyond `LARGEST` bytes, before it has read many more."""
    parts = []
    size = 0
    while part := file.read(2**20):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise OSError(errno.EFBIG, f"More than {LARGEST} bytes")
    return b"".join(parts)


def json_object(text: str | bytes) -> dict[str, Any]:
    """What a JSON text says, if that is an object with `DEEPEST` levels at most.

    Raises:
      ValueError: it is not.

    Example:
      >>> json_object("[1]")
      Traceback (most recent call last):
      ValueError: not a JSON object
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    if level:
        raise ValueError("nested too deeply")
    return found


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file to read bytes from, unpacked if its name ends in `.gz`.

    Args:
      path: the file.

    Raises:
      InputError: it is not there, is no plain file, cannot be read, or is no whole gzip file though it is called so.

    Example:
      >>> with opened(Path("nowhere.txt")) as file:
      ...     file.read()
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere.txt', allowed: a file that exists
    """
    try:
        with plain(path) as file:
            if path.suffix != ".gz":
                yield file
                return
            with gzip.open(file) as unpacked:
                yield unpacked
    except FileNotFoundError:
        raise InputError("data", str(path), "a file that exists") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("data", str(path), f"a gzip file that unpacks whole ({error})") from None
    except OSError as error:
        raise InputError("data", str(path), f"a file that can be read ({error.strerror})") from None


def utf8(content: bytes, where: str) -> str:
    """Bytes as text, a byte order mark at their beginning left out.

    Args:
      content: UTF-8.
      where: what an error calls the source, a path as a rule.

    Raises:
      InputError: bytes that are not UTF-8; says at which offset.

    Example:
      >>> utf8(bytes([72, 105, 255]), "mine.txt")
      Traceback (most recent call last):
      jaxdl.errors.InputError: mine.txt, byte 2: got '0xff', allowed: UTF-8
    """
    try:
        return content.decode().removeprefix(codecs.BOM_UTF8.decode())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}, byte {error.start}", f"{content[error.start]:#04x}", "UTF-8"
        ) from None


def _vectorized(path: str, flags: int) -> int:
    """Opening a pipe would wait for somebody to write into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
