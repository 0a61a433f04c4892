"""Word vectors with their words: files, similarity, nearest neighbours and analogies."""

import dataclasses
import functools
import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.files import expand_path, write_atomically
from jaxdl.data.vectors import BINARY, MAX_WIDTH, records
from jaxdl.errors import InputError, at_least, of_kind, one_of

#: Formats of files: text with and without a header, and binary.
FORMATS = ("word2vec", "glove", "binary")


@dataclasses.dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors.

    Attributes:
      words: V different words, the most frequent ones first.
      array: `[V, D]` float32.

    Raises:
      InputError: repeated words, an array that does not fit them, or numbers that are not finite.

    Example:
      >>> array = np.array([[2, 0, 0], [2, 1, 0], [0, 0, 1], [0, 1, 1]], np.float32)
      >>> vectors = WordVectors(("man", "king", "woman", "queen"), array)
      >>> round(vectors.similarity("man", "king"), 3)
      0.894
      >>> [word for word, _ in vectors.nearest("queen", 1)]
      ['woman']
      >>> [word for word, _ in vectors.analogy("man", "king", "woman", 1)]
      ['queen']
    """

    words: tuple[str, ...] = dataclasses.field(repr=False)
    array: Float[np.ndarray, "V D"] = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        of_kind("words", self.words, tuple, "a tuple of words")
        array = np.asarray(self.array)
        shape = [len(self.words), "D"]
        if array.ndim != 2 or len(array) != len(self.words) or array.dtype.kind != "f":
            raise InputError("array", f"{array.dtype.name}{list(array.shape)}", f"floats {shape}")
        if len(self.index) < len(self.words):
            raise InputError("words", f"{len(self.words) - len(self.index)} again", "each one once")
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        finite = np.isfinite(array).all(1)
        if not finite.all():
            word = self.words[int(finite.argmin())]
            raise InputError(f"vector of {word!r}", "a number that is not finite", "finite float32")
        object.__setattr__(self, "array", array)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.index

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """The mapping from words to rows."""
        return {word: i for i, word in enumerate(self.words)}

    @functools.cached_property
    def unit(self) -> Float[np.ndarray, "V D"]:
        """The vectors divided by their lengths; a vector of zeros stays as it is."""
        length = np.linalg.norm(self.array, axis=1, keepdims=True)
        return self.array / np.where(length > 0, length, 1)

    def rows(self, words: Iterable[str]) -> Int[np.ndarray, " N"]:
        """Returns the rows of words.

        Raises:
          InputError: a word that has no vector.
        """
        found = []
        for word in words:
            if word not in self.index:
                raise InputError("word", word, f"one of the {len(self)} words with a vector")
            found.append(self.index[word])
        return np.array(found, np.int64)

    def similarity(self, a: str, b: str) -> float:
        """Returns the cosine of the angle between the vectors of two words, in [-1, 1]."""
        first, second = self.unit[self.rows([a, b])]
        return float(first @ second)

    def nearest(
        self, word: str | Float[np.ndarray, " D"], count: int = 10, without: Iterable[str] = ()
    ) -> list[tuple[str, float]]:
        """Returns the words whose vectors have the largest cosine with a vector.

        Args:
          word: a word, which is left out of the answer, or a vector.
          count: number of words.
          without: further words to leave out, which need no vector.

        Returns:
          Words with their cosines, in descending order.
        """
        at_least("count", count, 1)
        left_out = set(without)
        if isinstance(word, str):
            left_out.add(word)
            word = self.unit[self.rows([word])[0]]
        left_out &= self.index.keys()
        target = np.asarray(word, np.float32)
        if target.shape != self.array.shape[1:]:
            raise InputError("vector shape", target.shape, f"[{self.array.shape[1]}]")
        cosines = self.unit @ (target / max(float(np.linalg.norm(target)), 1e-30))
        cosines[self.rows(left_out)] = -np.inf
        order = np.argsort(-cosines, kind="stable")[: min(count, len(self) - len(left_out))]
        return [(self.words[i], float(cosines[i])) for i in order]

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[tuple[str, float]]:
        """Returns the words d for which "a is to b as c is to d" holds best.

            d = argmax cos(v_d, v_b - v_a + v_c),   v of length 1, d none of a, b, c

        Source: Mikolov, Yih, Zweig 2013, Linguistic regularities in continuous space word
        representations.
        """
        first, second, third = self.unit[self.rows([a, b, c])]
        return self.nearest(second - first + third, count, without=(a, b, c))

    def write(
        self,
        path: str | os.PathLike[str],
        form: Literal["word2vec", "glove", "binary"] = "word2vec",
    ) -> None:
        """Writes the vectors into a file that other programs read, completely or not at all.

        Args:
          path: the file. A binary one must end in `.bin` or `.bin.gz`, by which it is recognised,
            and a text in neither. A file that ends in `.gz` is compressed.
          form: word2vec, text with a header; glove, text without one; or binary, of word2vec.

        Raises:
          InputError: an empty word or one with a white space, a name of the other kind, or a path
            that cannot be written.
        """
        one_of("form", form, FORMATS)
        path = Path(path).expanduser()
        ends = " or ".join(BINARY)
        if form == "binary" and not path.name.endswith(BINARY):
            raise InputError("path", str(path), f"a name that ends in {ends}, for the binary form")
        if form != "binary" and path.name.endswith(BINARY):
            raise InputError("path", str(path), f"a name without {ends}, for the form {form}")
        bad = [word for word in self.words if not word or word.split() != [word]]
        if bad:
            raise InputError("words", bad[0], "words without white space")
        head = f"{len(self)} {self.array.shape[1]}\n".encode()
        if form == "glove":
            head = b""
        if form == "binary":
            parts = [
                word.encode() + b" " + row.astype("<f4").tobytes() + b"\n"
                for word, row in zip(self.words, self.array, strict=True)
            ]
        else:
            # Nine digits give back the same float32.
            parts = [
                f"{word} {' '.join(f'{x:.9g}' for x in row)}\n".encode()
                for word, row in zip(self.words, self.array.tolist(), strict=True)
            ]
        content = b"".join([head, *parts])
        if path.suffix == ".gz":
            content = gzip.compress(content, mtime=0)
        try:
            write_atomically(path, content)
        except OSError as error:
            raise InputError("path", str(path), f"a file to write ({error.strerror})") from None


def read_word_vectors(path: str | os.PathLike[str], most: int | None = None) -> WordVectors:
    """Reads all vectors of a file, in the format of word2vec or GloVe.

    If a word occurs twice, the first vector is used.

    Args:
      path: a UTF-8 file of lines `word v_1 ... v_D`, with or without the header `count D`, or a
        binary file of word2vec, whose name ends in `.bin`. Either may end in `.gz`.
      most: number of words to read from the start of the file; None means all.

    Returns:
      The words in the order of the file.

    Raises:
      InputError: no such file, no words, a vector of another width, a number that is not finite, or
        a file with another number of vectors than in its header. The message has the place.

    Example:
      >>> import tempfile
      >>> vectors = WordVectors(("a", "b"), np.array([[1, 2], [3, 4]], np.float32))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     vectors.write(Path(directory) / "v.bin", "binary")
      ...     read_word_vectors(Path(directory) / "v.bin").array.tolist()
      [[1.0, 2.0], [3.0, 4.0]]
    """
    if most is not None:
        at_least("most", most, 1)
    path = expand_path(path, "vectors")
    found: dict[str, np.ndarray] = {}
    for word, vector in records(path):
        if word not in found:
            found[word] = vector.astype(np.float32)
        if most is not None and len(found) >= most:
            break
    if not found:
        raise InputError("vectors", str(path), f"a file with words and at most {MAX_WIDTH} numbers")
    return WordVectors(tuple(found), np.stack(list(found.values())))
