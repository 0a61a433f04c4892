"""Text as numbers and back: the characters or the words of a text, numbered by how often they occur."""

import contextlib
import dataclasses
import functools
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data.files import content, json_object, path_of
from jaxdl.data.words import join_words, split_words
from jaxdl.errors import InputError, at_least, of_kind, one_of

#: The first two tokens of every vocabulary: what fills rows up, and what the vocabulary does not have.
SPECIAL = ("<pad>", "<unk>")

#: Their ids.
PADDING = 0
UNKNOWN = 1


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Tokens and their ids: a token's id is its position.

    Attributes:
      tokens: `<pad>`, `<unk>`, then the characters or words, each once.
      kind: `character` or `word`.
      lower: whether texts are put into lower case first.

    Raises:
      InputError: tokens that are no strings, repeated, or not of this kind; an unknown kind.

    Example:
      >>> letters = Vocabulary.of("banana")
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
    def of(
        cls,
        text: str | Iterable[str],
        kind: Literal["character", "word"] = "character",
        size: int | None = None,
        lower: bool = False,
        least: int = 1,
    ) -> "Vocabulary":
        """The vocabulary of a text, the most frequent tokens first, of equally frequent ones the lower code point.

        Args:
          text: a text, or several, which are looked at one after the other and not kept.
          kind: `character` or `word`.
          size: how many tokens at most, the two special ones included, at least 3; None: all.
          lower: whether texts are put into lower case first.
          least: a token that occurs less often is left out, at least 1.

        Raises:
          InputError: a text without a token, or an argument out of range.

        Example:
          >>> Vocabulary.of(["The cat.", "The other cat"], "word", lower=True, least=2).tokens
          ('<pad>', '<unk>', 'cat', 'the')
        """
        if size is not None:
            at_least("size", size, 3)
        at_least("least", least, 1)
        of_kind("text", text, Iterable, "a text or several")
        empty = cls(SPECIAL, kind, lower)
        counts = Counter[str]()
        for one in [text] if isinstance(text, str) else text:
            counts.update(empty.split(one))
        if not counts:
            raise InputError("text", "no token", "a text that is not empty")
        ranked = sorted((-count, token) for token, count in counts.items() if count >= least)
        if not ranked:
            raise InputError(
                "least",
                least,
                f"at most {max(counts.values())}, how often the most frequent token occurs",
            )
        return cls(
            (*SPECIAL, *(token for _, token in ranked[: None if size is None else size - 2])),
            kind,
            lower,
        )

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """`{token: id}`."""
        return {token: i for i, token in enumerate(self.tokens)}

    @functools.cached_property
    def _by_code_point(self) -> Int[np.ndarray, " C"]:
        """The id of every character up to the last one known; behind it an entry for those beyond."""
        points = np.array([ord(token) for token in self.tokens[2:]], np.int64)
        table = np.full(points.max(initial=0) + 2, UNKNOWN, np.int32)
        table[points] = np.arange(2, len(self), dtype=np.int32)
        return table

    def __len__(self) -> int:
        return len(self.tokens)

    def split(self, text: str) -> list[str]:
        """The tokens of a text, known or not, as `normalize` and, of words, `split_words` give them."""
        of_kind("text", text, str, "a string")
        plain = normalize(text, self.lower)
        return list(plain) if self.kind == "character" else split_words(plain)

    def encode(self, text: str) -> Int[np.ndarray, " T"]:
        """The ids of a text's tokens.

        Args:
          text: any text, the empty one too.

        Returns:
          int32 `[T]`, 1 for what the vocabulary does not have.
        """
        if self.kind == "word":
            return np.array(
                [self.index.get(token, UNKNOWN) for token in self.split(text)], np.int32
            )
        of_kind("text", text, str, "a string")
        points = np.frombuffer(
            normalize(text, self.lower).encode("utf-32-le", "surrogatepass"), "<u4"
        )
        table = self._by_code_point
        return table[np.minimum(points, np.uint32(len(table) - 1))]

    def decode(self, ids: Int[np.ndarray, " T"]) -> str:
        """The text that ids stand for, padding left out.

        Args:
          ids: `[T]` integers in [0, size).

        Returns:
          The characters one after the other, or the words as `join_words` sets them.

        Raises:
          InputError: an id out of range; names the first one.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise InputError("ids shape", ids.shape, "[T]")
        check_ids(ids, len(self))
        tokens = [self.tokens[i] for i in ids.tolist() if i != PADDING]
        return "".join(tokens) if self.kind == "character" else join_words(tokens)

    def save(self, path: str | Path) -> None:
        """Writes a JSON file in one piece: it is there whole or not at all.

        Raises:
          InputError: it cannot be written there.
        """
        path = Path(path)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(dataclasses.asdict(self)) + "\n")
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise InputError(
                "path", str(path), f"a file that can be written ({error.strerror})"
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Reads what `save` wrote.

        Raises:
          InputError: no such file, or one that is damaged.
        """
        path = path_of(path, "vocabulary")
        try:
            found = json_object(content(path))
            of_kind("tokens", found["tokens"], list, "a list of strings")
            return cls(**{**found, "tokens": tuple(found["tokens"])})
        except FileNotFoundError:
            raise InputError("vocabulary", str(path), "a file that exists") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"a file that Vocabulary.save wrote ({type(error).__name__}: {error})"
            raise InputError("vocabulary", str(path), " ".join(reason.split())[:300]) from None


def normalize(text: str, lower: bool = False) -> str:
    r"""One form for texts that look the same: NFC, and `\n` at the end of lines; in lower case if wanted.

    Example:
      >>> normalize("Cafe\u0301\r\n", lower=True)
      'café\n'
    """
    return unicodedata.normalize("NFC", text.lower() if lower else text).replace("\r\n", "\n")


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
        place = np.unravel_index(bad.argmax(), ids.shape)
        where = ", ".join(str(int(i)) for i in place)
        raise InputError(
            f"{field}[{where}]" if place else field, int(ids[place]), f"an integer in [0, {size})"
        )


def _check_tokens(tokens: tuple[str, ...], kind: str) -> None:
    of_kind("tokens", tokens, tuple, "a tuple of strings")
    for i, token in enumerate(tokens):
        of_kind(f"tokens[{i}]", token, str, "a string")
    if tokens[:2] != SPECIAL:
        raise InputError("tokens", tokens[:2], f"{SPECIAL[0]} and {SPECIAL[1]} first")
    for i, token in enumerate(tokens[2:], 2):
        if not token or (kind == "character" and len(token) > 1):
            raise InputError(
                f"tokens[{i}]", token, "a character" if kind == "character" else "a word"
            )
    if len(set(tokens)) < len(tokens):
        token, times = Counter(tokens).most_common(1)[0]
        raise InputError("tokens", f"{token!r} {times} times", "every token once")
