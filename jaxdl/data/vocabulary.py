"""Vocabularies, which map the characters or words of a text to ids and back."""

import dataclasses
import functools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data.files import expand_path, parse_json_object, read_bytes, write_atomically
from jaxdl.data.words import join_words, split_words
from jaxdl.errors import InputError, at_least, of_kind, one_of

#: The first two tokens of every vocabulary: padding, and tokens that are not in the vocabulary.
SPECIAL = ("<pad>", "<unk>")

#: Id of `<pad>`.
PADDING = 0

#: Id of `<unk>`.
UNKNOWN = 1


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids. The id of a token is its position.

    Attributes:
      tokens: `<pad>`, `<unk>`, then the characters or words, each once.
      kind: `character` or `word`.
      lower: if True, texts are converted to lower case first.

    Raises:
      InputError: tokens that are not strings, are repeated or are not of this kind; an unknown
        kind.

    Example:
      >>> letters = Vocabulary.build("banana")
      >>> letters.tokens, letters.encode("nab!").tolist(), letters.decode([3, 2, 4])
      (('<pad>', '<unk>', 'a', 'n', 'b'), [3, 2, 4, 1], 'nab')
    """

    tokens: tuple[str, ...] = dataclasses.field(repr=False)
    kind: Literal["character", "word"]
    lower: bool

    def __post_init__(self) -> None:
        of_kind("kind", self.kind, str, "character or word")
        one_of("kind", self.kind, ["character", "word"])
        of_kind("lower", self.lower, bool, "True or False")
        _check_tokens(self.tokens, self.kind)

    @classmethod
    def build(
        cls,
        text: str | Iterable[str],
        kind: Literal["character", "word"] = "character",
        size: int | None = None,
        lower: bool = False,
        min_count: int = 1,
    ) -> "Vocabulary":
        """Builds the vocabulary of a text, the most frequent tokens first.

        Tokens of equal frequency are sorted by code point.

        Args:
          text: a text, or an iterable of texts, which are read one at a time.
          kind: `character` or `word`.
          size: largest number of tokens, including the two special ones, at least 3. None means no
            limit.
          lower: if True, texts are converted to lower case first.
          min_count: tokens that occur less often are left out; at least 1.

        Raises:
          InputError: a text without a token, or an argument out of range.

        Example:
          >>> texts = ["The cat.", "The other cat"]
          >>> Vocabulary.build(texts, "word", lower=True, min_count=2).tokens
          ('<pad>', '<unk>', 'cat', 'the')
        """
        if size is not None:
            at_least("size", size, 3)
        at_least("min_count", min_count, 1)
        of_kind("text", text, Iterable, "a text or an iterable of texts")
        if isinstance(text, str):
            text = [text]
        empty = cls(SPECIAL, kind, lower)
        counts = Counter[str]()
        for part in text:
            counts.update(empty.split(part))
        if not counts:
            raise InputError("text", "no token", "a text that is not empty")
        ranked = sorted((-count, token) for token, count in counts.items() if count >= min_count)
        if not ranked:
            raise InputError(
                "min_count",
                min_count,
                f"at most {max(counts.values())}, the count of the most frequent token",
            )
        tokens = (*SPECIAL, *(token for _, token in ranked))
        return cls(tokens[:size], kind, lower)

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """The mapping from tokens to ids."""
        return {token: i for i, token in enumerate(self.tokens)}

    @functools.cached_property
    def _ids_by_code_point(self) -> Int[np.ndarray, " C"]:
        """The ids by code point, up to the last one in the vocabulary, then one `UNKNOWN`."""
        points = np.array([ord(token) for token in self.tokens[2:]], np.int64)
        table = np.full(points.max(initial=0) + 2, UNKNOWN, np.int32)
        table[points] = np.arange(2, len(self), dtype=np.int32)
        return table

    def __len__(self) -> int:
        return len(self.tokens)

    def split(self, text: str) -> list[str]:
        """Returns the tokens of a normalized text, whether or not they are in the vocabulary."""
        of_kind("text", text, str, "a string")
        normalized = normalize(text, self.lower)
        if self.kind == "character":
            return list(normalized)
        return split_words(normalized)

    def encode(self, text: str) -> Int[np.ndarray, " T"]:
        """Returns the ids of the tokens of a text.

        Args:
          text: any text; it may be empty.

        Returns:
          int32 `[T]`, 1 for tokens that are not in the vocabulary.
        """
        if self.kind == "word":
            ids = [self.index.get(token, UNKNOWN) for token in self.split(text)]
            return np.array(ids, np.int32)
        of_kind("text", text, str, "a string")
        encoded = normalize(text, self.lower).encode("utf-32-le", "surrogatepass")
        points = np.frombuffer(encoded, "<u4")
        table = self._ids_by_code_point
        return table[np.minimum(points, np.uint32(len(table) - 1))]

    def decode(self, ids: Int[np.ndarray, " T"]) -> str:
        """Returns the text of these ids, without padding.

        Args:
          ids: `[T]` integers in [0, size).

        Returns:
          The characters concatenated, or the words joined by `join_words`.

        Raises:
          InputError: an id out of range; the message contains the first one.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise InputError("ids shape", ids.shape, "[T]")
        check_ids(ids, len(self))
        tokens = [self.tokens[i] for i in ids.tolist() if i != PADDING]
        if self.kind == "character":
            return "".join(tokens)
        return join_words(tokens)

    def save(self, path: str | Path) -> None:
        """Writes a JSON file atomically, so that the file is complete or does not exist.

        Raises:
          InputError: a path that cannot be written.
        """
        path = Path(path)
        try:
            write_atomically(path, json.dumps(dataclasses.asdict(self)) + "\n")
        except OSError as error:
            raise InputError(
                "path", str(path), f"a file that can be written ({error.strerror})"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Reads a vocabulary from a file that `save` wrote.

        Raises:
          InputError: no such file, or a damaged file.
        """
        path = expand_path(path, "vocabulary")
        try:
            fields = parse_json_object(read_bytes(path))
            of_kind("tokens", fields["tokens"], list, "a list of strings")
            return cls(**{**fields, "tokens": tuple(fields["tokens"])})
        except FileNotFoundError:
            raise InputError("vocabulary", str(path), "a file that exists") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            allowed = f"a file that Vocabulary.save wrote ({type(error).__name__}: {error})"
            raise InputError("vocabulary", str(path), " ".join(allowed.split())[:300]) from None


def normalize(text: str, lower: bool = False) -> str:
    r"""Returns a text in Unicode normalization form C with `\n` as the line break.

    Args:
      text: any text.
      lower: if True, the text is converted to lower case first.

    Example:
      >>> normalize("Cafe\u0301\r\n", lower=True)
      'café\n'
    """
    if lower:
        text = text.lower()
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n")


def check_ids(ids: Int[np.ndarray, "..."], size: int, field: str = "ids") -> None:
    """Raises unless all ids are integers in [0, size).

    Example:
      >>> check_ids(np.array([[0, 1], [7, 2]]), 5)
      Traceback (most recent call last):
      jaxdl.errors.InputError: ids[1, 0]: got 7, allowed: an integer in [0, 5)
    """
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu" and ids.size:
        raise InputError(f"{field} dtype", ids.dtype.name, "integers")
    bad = (ids < 0) | (ids >= size)
    if bad.any():
        position = np.unravel_index(bad.argmax(), ids.shape)
        if position:
            field = f"{field}[{', '.join(str(int(i)) for i in position)}]"
        raise InputError(field, int(ids[position]), f"an integer in [0, {size})")


def _check_tokens(tokens: tuple[str, ...], kind: str) -> None:
    """Raises unless the tokens are different characters or words after the two special tokens."""
    of_kind("tokens", tokens, tuple, "a tuple of strings")
    for i, token in enumerate(tokens):
        of_kind(f"tokens[{i}]", token, str, "a string")
    if tokens[:2] != SPECIAL:
        raise InputError("tokens", tokens[:2], f"{SPECIAL[0]} and {SPECIAL[1]} first")
    for i, token in enumerate(tokens[2:], 2):
        if not token or (kind == "character" and len(token) > 1):
            raise InputError(f"tokens[{i}]", token, f"a {kind}")
    if len(set(tokens)) < len(tokens):
        token, times = Counter(tokens).most_common(1)[0]
        raise InputError("tokens", f"{token!r} {times} times", "each token once")
