"""Texts for word vectors: rows of words, and counts of pairs of words that occur together."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.vocabulary import UNKNOWN, Vocabulary, check_ids
from jaxdl.errors import InputError, at_least, of_kind


class WordRows(NamedTuple):
    """A text in rows of words.

    Attributes:
      rows: a set with `input [N, L]` int32, 0 for padding at the end of the last row.
      counts: `[V]`, the number of times that each id occurs; 0 for the two special tokens.
      left_out: share of the words of the text that are not in the vocabulary.
    """

    rows: Dataset
    counts: Int[np.ndarray, " V"]
    left_out: float


def word_rows(
    ids: Int[np.ndarray, " T"], vocabulary: Vocabulary, length: int = 1000, name: str = "text"
) -> WordRows:
    """Cuts a text into rows of words, without those that are not in the vocabulary.

    Args:
      ids: `[T]`, the ids of the text, such as `vocabulary.encode(text)`.
      vocabulary: its words; with a `min_count`, rare words are left out.
      length: L, words of a row.
      name: name of the set in results.

    Returns:
      The rows, and the counts of the words.

    Raises:
      InputError: ids out of range, or a text with fewer than two words of the vocabulary.

    Example:
      >>> text = "a rose is a rose is a flower"
      >>> words = Vocabulary.build(text, "word", min_count=2)
      >>> made = word_rows(words.encode(text), words, length=4)
      >>> made.rows["input"].tolist(), made.counts.tolist(), made.left_out
      ([[2, 4, 3, 2], [4, 3, 2, 0]], [0, 0, 3, 2, 2], 0.125)
    """
    at_least("length", length, 1)
    of_kind("vocabulary", vocabulary, Vocabulary, "a jaxdl.data.Vocabulary")
    ids = np.asarray(ids)
    check_ids(ids, len(vocabulary))
    words = ids[ids > UNKNOWN].astype(np.int32)
    if len(words) < 2:
        allowed = f"a text with words of the vocabulary, which has {len(vocabulary) - 2}"
        raise InputError("text", f"{len(words)} words", allowed)
    padded = np.pad(words, (0, -len(words) % length)).reshape(-1, length)
    counts = np.bincount(words, minlength=len(vocabulary))
    # A single word is a text of one step.
    encoding = TextEncoding(vocabulary, 1, "all")
    rows = Dataset({"input": padded}, name, text=encoding)
    return WordRows(rows, counts, 1 - len(words) / len(ids))


def cooccurrences(
    ids: Int[np.ndarray, " T"], window: int = 10, name: str = "cooccurrences"
) -> Dataset:
    """Counts the pairs of words that occur together in a text, weighted by their distance.

        X_ij = sum over places s, t with id_s = i, id_t = j and 1 <= |s - t| <= W of 1 / |s - t|

    The sums are exact integers in units of the reciprocal of the least common multiple of 1 to W,
    and rounded once.

    Args:
      ids: `[T]`, the words of a text; ids up to 1 (padding and unknown words) are left out first.
      window: W, largest distance, in [1, 20].
      name: name of the set in results.

    Returns:
      A set with one row for each pair that occurs: `input [M, 2]` int32, sorted, and the count as
      `target [M]` float32. Both orders of a pair are rows.

    Raises:
      InputError: a window out of range, or a text without a pair.

    Source: Pennington, Socher, Manning 2014, GloVe.

    Example:
      >>> pairs = cooccurrences(np.array([2, 3, 4]), 2)
      >>> pairs["input"].tolist(), pairs["target"].tolist()
      ([[2, 3], [2, 4], [3, 2], [3, 4], [4, 2], [4, 3]], [1.0, 0.5, 1.0, 1.0, 0.5, 1.0])
    """
    at_least("window", window, 1)
    if window > 20:
        raise InputError("window", window, "an integer in [1, 20]")
    ids = np.asarray(ids)
    check_ids(ids, 2**31)
    words = ids[ids > UNKNOWN].astype(np.int64)
    unit = int(np.lcm.reduce(np.arange(1, window + 1)))
    size = int(words.max(initial=0)) + 1
    keys = np.zeros(0, np.int64)
    sums = np.zeros(0, np.int64)
    for distance in range(1, min(window, len(words) - 1) + 1):
        codes, counts = np.unique(words[:-distance] * size + words[distance:], return_counts=True)
        keys, sums = _added(keys, sums, codes, counts * (unit // distance))
    keys, sums = _added(keys, sums, keys % size * size + keys // size, sums)
    if not len(keys):
        raise InputError("text", f"{len(words)} words", "at least two words of the vocabulary")
    pairs = np.stack([keys // size, keys % size], 1).astype(np.int32)
    target = (sums / unit).astype(np.float32)
    return Dataset({"input": pairs, "target": target}, name)


def _added(
    keys: Int[np.ndarray, " M"],
    sums: Int[np.ndarray, " M"],
    more_keys: Int[np.ndarray, " N"],
    more: Int[np.ndarray, " N"],
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Returns the sums of two tables of keys and integers, sorted by key."""
    joined = np.concatenate([keys, more_keys])
    order = np.argsort(joined, kind="stable")
    joined = joined[order]
    values = np.concatenate([sums, more])[order]
    first = np.flatnonzero(np.append(True, joined[1:] != joined[:-1])[: len(joined)])
    if not len(joined):
        return joined, values
    return joined[first], np.add.reduceat(values, first)
