"""Reading text files: unpacked if packed, strictly UTF-8, and whatever goes wrong is one line."""

import codecs
import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jaxdl.errors import InputError


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file to read bytes from, unpacked if its name ends in `.gz`.

    Args:
      path: the file.

    Raises:
      InputError: it is not there, cannot be read, or is no whole gzip file though it is called so.

    Example:
      >>> with opened(Path("nowhere.txt")) as file:
      ...     file.read()
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere.txt', allowed: a file that exists
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
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
        raise InputError(f"{where}, byte {error.start}", f"{content[error.start]:#04x}", "UTF-8") from None
