"""Pretrained word vectors from text files, in the formats of GloVe and word2vec."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.files import check_amplification, decode_utf8, expand_path, open_maybe_gzip
from jaxdl.data.vocabulary import PADDING, Vocabulary
from jaxdl.errors import InputError

#: Largest finite float32.
MAX_FLOAT32 = float(np.finfo(np.float32).max)

#: Largest number of values in a vector.
MAX_WIDTH = 4096

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

    Args:
      path: a UTF-8 file, which is decompressed if its name ends in `.gz`.
      vocabulary: the words to look up, in the same spelling and case.

    Returns:
      `(vectors, found)`. `vectors [V, D]` is float32, and 0 for padding and for words that are not
      in the file. `found [V]` is True for the words that are in the file.

    Raises:
      InputError: no such file; a line of another width, of more than 4096 numbers or with a value
        that is not a finite number (the message contains file and line); no word of the vocabulary
        in the file; vectors far larger than the file.

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
    for word, numbers in _lines(path):
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


def _lines(path: Path) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
    """Yields word and vector of each line, with the same width in all lines."""
    width = 0
    with open_maybe_gzip(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            source = f"{path}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise InputError(
                    source, f"more than {MAX_LINE_BYTES} bytes", "a word and its numbers"
                )
            parts = line.rstrip(b" \r\n").split(b" ")
            if number == 1 and _is_header(parts):
                width = int(parts[1])
                continue
            width = width or len(parts) - 1
            if width > MAX_WIDTH:
                raise InputError(source, f"{width} numbers", f"at most {MAX_WIDTH}")
            yield _parse(parts, width, source)


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
