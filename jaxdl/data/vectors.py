"""Pretrained word vectors from files, in the formats of GloVe and word2vec."""

import gzip
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.files import check_amplification, decode_utf8, expand_path, open_maybe_gzip
from jaxdl.data.vocabulary import PADDING, Vocabulary
from jaxdl.errors import InputError

#: Largest finite float32.
MAX_FLOAT32 = float(np.finfo(np.float32).max)

#: Ends of the names of binary files.
BINARY = (".bin", ".bin.gz")

#: Largest number of values in a vector.
MAX_WIDTH = 4096

#: Largest number of bytes in a word of a binary file.
MAX_WORD_BYTES = 1000

#: Largest number of bytes in a line.
MAX_LINE_BYTES = 32 * MAX_WIDTH


def read_vectors(
    path: str | Path, vocabulary: Vocabulary
) -> tuple[Float[np.ndarray, "V D"], Bool[np.ndarray, " V"]]:
    """Reads the vectors of the words of a vocabulary.

    Each line of the file has the form `word v_1 ... v_D`. The file is read line by line, and only
    the vectors of the vocabulary are stored. The first line determines D. A word may contain
    spaces. The header `count D` of word2vec is skipped. If a word occurs twice, the first line is
    used.

    A file whose name ends in `.bin` or `.bin.gz` is binary: the header, then for each word the
    word, a space, and D numbers of 32 bits.

    Args:
      path: a UTF-8 file, which is decompressed if its name ends in `.gz`, or a binary file.
      vocabulary: the words to look up, in the same spelling and case.

    Returns:
      `(vectors, found)`. `vectors [V, D]` is float32, and 0 for padding and for words that are not
      in the file. `found [V]` is True for the words that are in the file.

    Raises:
      InputError: no such file; a line of another width, of more than 4096 numbers or with a value
        that is not a finite number (the message contains file and line); no word of the vocabulary
        in the file; vectors far larger than the file; a binary file that ends early, or another
        number of vectors than in the header of a text file.

    Example:
      >>> import tempfile
      >>> with tempfile.NamedTemporaryFile() as file:
      ...     _ = Path(file.name).write_text("the 0.5 1\\ncat -2 0\\n")
      ...     vectors, found = read_vectors(file.name, Vocabulary.build("cat dog", "word"))
      >>> vectors.tolist(), found.tolist()
      ([[0.0, 0.0], [0.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], [False, False, True, False])

    Source: Pennington, Socher, Manning 2014, GloVe; Mikolov et al. 2013, word2vec.
    """
    path = expand_path(path, "vectors")
    vectors = None
    found = np.zeros(len(vocabulary), bool)
    for word, numbers in records(path):
        if vectors is None:
            size = 4 * len(vocabulary) * len(numbers)
            remedy = "use a smaller vocabulary or a larger file"
            check_amplification(f"vectors of {path}", size, path.stat().st_size, remedy)
            vectors = np.zeros((len(vocabulary), len(numbers)), np.float32)
        row = vocabulary.index.get(unicodedata.normalize("NFC", word), PADDING)
        if row != PADDING and not found[row]:
            vectors[row] = numbers
            found[row] = True
    if vectors is None or not found[2:].any():
        raise InputError(
            "vectors",
            str(path),
            f"a file with at least one of the vocabulary's {len(vocabulary)} words",
        )
    return vectors, found


def records(path: Path) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
    """Yields word and vector of each entry of a file, with the same width in all of them.

    Args:
      path: a text file, or a binary one whose name ends in `.bin` or `.bin.gz`.

    Raises:
      InputError: contents that `read_vectors` refuses.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "vectors.bin"
      ...     _ = path.write_bytes(b"1 1\\ncat " + np.float32(0.5).tobytes())
      ...     [(word, vector.tolist()) for word, vector in records(path)]
      [('cat', [0.5])]
    """
    if path.name.endswith(BINARY):
        return _binary(path)
    return _lines(path)


def _binary(path: Path) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
    """Yields word and vector of each entry of a binary file of word2vec."""
    with open_maybe_gzip(path) as file:
        header = file.readline(100).split()
        if not _is_header(header) or not 0 < int(header[1]) <= MAX_WIDTH:
            allowed = f"a header 'count D' with D in [1, {MAX_WIDTH}]"
            raise InputError(str(path), b" ".join(header).decode(errors="replace")[:50], allowed)
        count = int(header[0])
        width = int(header[1])
        for i in range(count):
            source = f"{path}, word {i + 1} of {count}"
            word = _binary_word(file, source)
            numbers = file.read(4 * width)
            if len(numbers) < 4 * width:
                raise InputError(source, "the end of the file", "a complete file")
            vector = np.frombuffer(numbers, "<f4").astype(np.float64)
            if not np.isfinite(vector).all():
                raise InputError(source, "a number that is not finite", "finite numbers")
            yield word, vector


def _binary_word(file: IO[bytes] | gzip.GzipFile, source: str) -> str:
    """Returns the next word of a binary file, which ends with a space."""
    word = bytearray()
    while (byte := file.read(1)) != b" ":
        if not byte:
            raise InputError(source, "the end of the file", "a complete file")
        if len(word) > MAX_WORD_BYTES:
            raise InputError(source, f"a word of more than {MAX_WORD_BYTES} bytes", "a word")
        # Some programs end each vector with a line break, others do not.
        if byte != b"\n" or word:
            word += byte
    return decode_utf8(bytes(word), source)


def _lines(path: Path) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
    """Yields word and vector of each line, with the same width in all lines."""
    width = 0
    count = None
    number = 0
    with open_maybe_gzip(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            source = f"{path}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise InputError(
                    source, f"more than {MAX_LINE_BYTES} bytes", "a word and its numbers"
                )
            parts = line.rstrip(b" \r\n").split(b" ")
            if number == 1 and _is_header(parts):
                count = int(parts[0])
                width = int(parts[1])
                continue
            width = width or len(parts) - 1
            if width > MAX_WIDTH:
                raise InputError(source, f"{width} numbers", f"at most {MAX_WIDTH}")
            yield _parse(parts, width, source)
    # The header is a line, too.
    if count is not None and number - 1 != count:
        raise InputError(str(path), f"{number - 1} vectors", f"{count}, as in the file's header")


def _is_header(parts: list[bytes]) -> bool:
    """Returns True for the header `count D`."""
    return len(parts) == 2 and all(part.isdigit() and len(part) < 10 for part in parts)


def _parse(parts: list[bytes], width: int, source: str) -> tuple[str, Float[np.ndarray, " D"]]:
    """Returns word and vector of one line."""
    word = parts[: len(parts) - width]
    numbers = parts[len(parts) - width :]
    # A word may contain spaces. If its last part is a number, the line has one number too many.
    if width < 1 or len(parts) <= width or (len(word) > 1 and _floats(word[-1:]) is not None):
        raise InputError(
            source, f"{len(parts) - 1} numbers", f"a word and {width or 'more'} numbers"
        )
    vector = _floats(numbers)
    if vector is None:
        bad = next(number for number in numbers if _floats([number]) is None)
        raise InputError(source, bad.decode(errors="replace")[:50], "finite numbers after the word")
    return decode_utf8(b" ".join(word), source), vector


def _floats(parts: list[bytes]) -> Float[np.ndarray, " D"] | None:
    """Returns the numbers, or None if one of them is not a finite float32."""
    try:
        vector = np.fromiter(map(float, parts), np.float64, len(parts))
    except ValueError:
        return None
    if (np.abs(vector) <= MAX_FLOAT32).all():
        return vector
    return None
