"""Word vectors that others trained, from their text files."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.data.files import opened, path_of, utf8
from jaxdl.data.vocabulary import PADDING, Vocabulary
from jaxdl.errors import InputError

#: The largest number that float32 holds.
LARGEST = float(np.finfo(np.float32).max)

#: Numbers of a vector, and bytes of a line, at most.
WIDEST = 4096
LONGEST = 32 * WIDEST


def read_vectors(
    path: str | Path, vocabulary: Vocabulary
) -> tuple[Float[np.ndarray, "V D"], Bool[np.ndarray, " V"]]:
    """The vectors of a vocabulary's words, from a file with a line `word v_1 ... v_D` for each word it has.

    The file is read line by line, and only rows of the vocabulary are kept. D is what the first line
    has; a word may contain spaces. A header `count D`, as word2vec writes it, is passed over. Of a word
    that occurs twice the first line counts.

    Args:
      path: UTF-8, packed if it ends in `.gz`.
      vocabulary: the words to look for, as they are written in it.

    Returns:
      `(vectors, found)`: float32 `[V, D]`, 0 for a word that the file does not have and for padding, and
      which words it has.

    Raises:
      InputError: no such file, a line of another width or of more than 4096 numbers, something that is no finite
        number (names file and line), or not one word of the vocabulary in the file.

    Example:
      >>> import tempfile
      >>> with tempfile.NamedTemporaryFile() as file:
      ...     _ = Path(file.name).write_text("the 0.5 1\\ncat -2 0\\n")
      ...     vectors, found = read_vectors(file.name, Vocabulary.of("cat dog", "word"))
      >>> vectors.tolist(), found.tolist()
      ([[0.0, 0.0], [0.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], [False, False, True, False])

    Source: Pennington, Socher, Manning 2014, GloVe; Mikolov et al. 2013, word2vec.
    """
    path = path_of(path, "vectors")
    vectors = None
    found = np.zeros(len(vocabulary), bool)
    for word, numbers in _lines(path):
        if vectors is None:
            vectors = np.zeros((len(vocabulary), len(numbers)), np.float32)
        row = vocabulary.index.get(unicodedata.normalize("NFC", word), PADDING)
        if row != PADDING and not found[row]:
            vectors[row], found[row] = numbers, True
    if vectors is None or not found[2:].any():
        raise InputError(
            "vectors",
            str(path),
            f"a file with at least one of the vocabulary's {len(vocabulary)} words",
        )
    return vectors, found


def _lines(path: Path) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
    """Word and vector of every line, all of one width."""
    width = 0
    with opened(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
            if len(line) > LONGEST:
                raise InputError(
                    f"{path}, line {number}", f"more than {LONGEST} bytes", "a word and its numbers"
                )
            parts = line.rstrip(b" \r\n").split(b" ")
            if (
                number == 1
                and len(parts) == 2
                and all(part.isdigit() and len(part) < 10 for part in parts)
            ):
                width = int(parts[1])
                continue
            width = width or len(parts) - 1
            if width > WIDEST:
                raise InputError(f"{path}, line {number}", f"{width} numbers", f"at most {WIDEST}")
            yield _parsed(parts, width, f"{path}, line {number}")


def _parsed(parts: list[bytes], width: int, where: str) -> tuple[str, Float[np.ndarray, " D"]]:
    word = parts[: len(parts) - width]
    numbers = parts[len(parts) - width :]
    # A word may contain spaces, but does not end in a number of its own: that is one number too many.
    if width < 1 or len(parts) <= width or (len(word) > 1 and _floats(word[-1:]) is not None):
        raise InputError(
            where, f"{len(parts) - 1} numbers", f"a word and {width or 'more'} numbers"
        )
    vector = _floats(numbers)
    if vector is None:
        bad = next(each for each in numbers if _floats([each]) is None)
        raise InputError(where, bad.decode(errors="replace")[:50], "finite numbers behind the word")
    return utf8(b" ".join(word), where), vector


def _floats(parts: list[bytes]) -> Float[np.ndarray, " D"] | None:
    """The numbers, or None if one is none that float32 holds."""
    try:
        vector = np.fromiter(map(float, parts), np.float64, len(parts))
    except ValueError:
        return None
    return vector if (np.abs(vector) <= LARGEST).all() else None
