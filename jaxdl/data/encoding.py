"""Texts as rows of ids of equal length, the form in which networks read them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from jaxdl.data.vocabulary import PADDING, UNKNOWN, Vocabulary
from jaxdl.errors import InputError, at_least, of_kind, one_of


@dataclasses.dataclass(frozen=True)
class TextEncoding:
    """A function from texts to rows of ids, padded at the end.

    Attributes:
      vocabulary: tokens and their ids.
      length: T, at least 1; longer texts are truncated to T tokens.
      keep: the tokens of a truncated text that remain, the `first` or the `last` ones. With `all`
        a text has exactly T tokens, and all of them are in the vocabulary.

    Raises:
      InputError: a length below 1, or another `keep`.

    Example:
      >>> encoding = TextEncoding(Vocabulary.build("a b c", "word"), 2)
      >>> rows, lengths = encoding(["a b c", ""])
      >>> rows.tolist(), lengths.tolist()
      ([[3, 4], [1, 0]], [2, 1])
      >>> TextEncoding.from_json(encoding.to_json()) == encoding
      True
    """

    vocabulary: Vocabulary
    length: int
    keep: Literal["first", "last", "all"] = "last"

    def __post_init__(self) -> None:
        of_kind("vocabulary", self.vocabulary, Vocabulary, "a jaxdl.data.Vocabulary")
        at_least("length", self.length, 1)
        one_of("keep", self.keep, ["first", "last", "all"])

    def __call__(
        self, texts: Sequence[str]
    ) -> tuple[Int[np.ndarray, "N T"], Int[np.ndarray, " N"]]:
        """Returns rows of ids, int32 `[N, T]`, and their lengths, int32 `[N]` in [1, T].

        A text without tokens becomes one `<unk>`.

        Raises:
          InputError: with `keep="all"`, a text of another length or with an unknown token.
        """
        rows = np.full((len(texts), self.length), PADDING, np.int32)
        lengths = np.empty(len(texts), np.int32)
        for i, text in enumerate(texts):
            ids = self.vocabulary.encode(text)
            if self.keep == "all":
                self._check_all(text, ids)
            if len(ids) == 0:
                ids = np.array([UNKNOWN], np.int32)
            if self.keep == "first":
                ids = ids[: self.length]
            else:
                ids = ids[-self.length :]
            rows[i, : len(ids)] = ids
            lengths[i] = len(ids)
        return rows, lengths

    def _check_all(self, text: str, ids: Int[np.ndarray, " T"]) -> None:
        """Raises InputError unless a text has T tokens, all of them in the vocabulary."""
        if len(ids) == self.length and (ids > UNKNOWN).all():
            return
        known = len(self.vocabulary) - 2
        allowed = f"{self.length} of the {known:,} tokens of the vocabulary; leave the text out"
        raise InputError("text", text, allowed)

    def to_json(self) -> dict[str, Any]:
        """Returns the values for a JSON file."""
        fields = dataclasses.asdict(self.vocabulary)
        fields["tokens"] = list(fields["tokens"])
        return {**fields, "length": self.length, "keep": self.keep}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "TextEncoding":
        """Returns the encoding that `to_json` returned; raises InputError for other contents."""
        try:
            fields = dict(stored)
            length = fields.pop("length")
            keep = fields.pop("keep")
            of_kind("tokens", fields["tokens"], list, "a list of strings")
            vocabulary = Vocabulary(**{**fields, "tokens": tuple(fields["tokens"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("text encoding", str(error), "one that a run has written") from None
        return cls(vocabulary, length, keep)
