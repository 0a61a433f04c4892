"""Random choices of word2vec on the device: kept words, windows, and negatives."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, of_kind

#: Centres in a block. The products of a block with its contexts are one matrix product, in which a
#: band counts. A larger block computes more products that do not count.
BLOCK = 32

#: Values that a random integer of the negatives has.
RANGE = 2**31


class Centres(NamedTuple):
    """The kept words of a batch of texts in blocks, each with the words around it.

    Attributes:
      ids: `[N, S]`, the kept words in their order; 0 for padding.
      contexts: `[N, S + 2 W]`, the words of each block with W more on both sides.
      pairs: `[N, S, S + 2 W]`, 1 where a word is in the window of a centre, else 0.
    """

    ids: Int[Array, "N S"]
    contexts: Int[Array, "N T"]
    pairs: Float[Array, "N S T"]


def checked_counts(counts: np.ndarray) -> Int[np.ndarray, " V"]:
    """Returns the counts of words; raises InputError for others.

    Args:
      counts: `[V]`, number of times that each id occurs in the text, 0 for padding.

    Example:
      >>> checked_counts(np.zeros(4, int))
      Traceback (most recent call last):
      jaxdl.errors.InputError: counts: got '0 words', allowed: at least two with a count above 0
    """
    of_kind("counts", counts, np.ndarray, "an array [V] of integers, such as np.bincount(ids)")
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        got = f"{counts.dtype.name}{list(counts.shape)}"
        raise InputError("counts", got, "an array [V] of integers, such as np.bincount(ids)")
    if (counts < 0).any() or counts.sum() >= RANGE:
        raise InputError("counts", "numbers out of range", f"integers with a sum in [0, {RANGE})")
    known = int((counts > 0).sum())
    if known < 2:
        raise InputError("counts", f"{known} words", "at least two with a count above 0")
    return counts.astype(np.int64)


def kept_probabilities(counts: Int[np.ndarray, " V"], threshold: float) -> Float[np.ndarray, " V"]:
    """Returns the probability with which subsampling keeps each occurrence of a word.

        p = min(1, sqrt(t / f) + t / f),   f = count / sum of counts

    Args:
      counts: `[V]`.
      threshold: t, the frequency below which all occurrences are kept; 0 keeps all words.

    Returns:
      float32 `[V]` in [0, 1], 0 for ids that do not occur.

    Source: Mikolov's program word2vec; its paper has p = sqrt(t / f).

    Example:
      >>> [round(p, 3) for p in kept_probabilities(np.array([0, 1, 99]), 0.01).tolist()]
      [0.0, 1.0, 0.111]
    """
    known = counts > 0
    if threshold == 0:
        return known.astype(np.float32)
    ratio = threshold * counts.sum() / np.maximum(counts, 1)
    return np.where(known, np.minimum(1.0, np.sqrt(ratio) + ratio), 0.0).astype(np.float32)


def negative_table(counts: Int[np.ndarray, " V"], power: float) -> Int[np.ndarray, " V"]:
    """Returns the table from which `sample_negatives` takes words, in proportion to count^power.

        table_i = round(2^31 sum_{j <= i} count_j^power / sum_j count_j^power) - 1

    Args:
      counts: `[V]`.
      power: exponent of the counts, 0.75 in word2vec.

    Returns:
      int32 `[V]`, ascending, 2^31 - 1 at the end.

    Example:
      >>> negative_table(np.array([0, 1, 1]), 0.75).tolist()
      [-1, 1073741823, 2147483647]
    """
    weights = np.where(counts > 0, counts.astype(np.float64) ** power, 0.0)
    share = np.cumsum(weights)
    return (np.rint(share / share[-1] * RANGE) - 1).astype(np.int32)


def sample_negatives(table: Int[Array, " V"], key: Key[Array, ""], count: int) -> Int[Array, " K"]:
    """Returns `count` random words in proportion to the weights of a `negative_table`.

    Example:
      >>> table = jnp.asarray(negative_table(np.array([0, 0, 5, 0]), 1.0))
      >>> sample_negatives(table, jax.random.key(0), 3).tolist()
      [2, 2, 2]
    """
    numbers = (jax.random.bits(key, (count,), jnp.uint32) >> 1).astype(jnp.int32)
    return jnp.searchsorted(table, numbers).astype(jnp.int32)


def capacity(
    probabilities: Float[np.ndarray, " V"], counts: Int[np.ndarray, " V"], words: int
) -> int:
    """Returns the number of places for the kept words among `words` words of a text.

    It is 15 % and six standard deviations above the mean, and at most `words`, in whole blocks.

    Example:
      >>> capacity(np.array([0, 1.0], np.float32), np.array([0, 9]), 100)
      128
    """
    share = float((probabilities * counts).sum() / counts.sum())
    mean = share * words
    most = min(words, 1.15 * mean + 6 * math.sqrt(mean) + 1)
    return BLOCK * math.ceil(most / BLOCK)


def keep_words(
    texts: Int[Array, "B L"], keep: Bool[Array, "B L"], places: int
) -> tuple[Int[Array, " P"], Int[Array, " P"]]:
    """Moves the kept words of several texts next to each other.

    Args:
      texts: ids, a row for each text.
      keep: True for the words to keep.
      places: P, number of places; kept words after the first P are left out.

    Returns:
      Ids and rows of the kept words in their order; both are -1 in places without a word.

    Example:
      >>> texts = jnp.array([[5, 6, 7], [8, 9, 5]])
      >>> ids, rows = keep_words(texts, texts % 2 == 1, 5)
      >>> ids.tolist(), rows.tolist()
      ([5, 7, 9, 5, -1], [0, 0, 1, 1, -1])
    """
    flat = keep.reshape(-1)
    place = jnp.where(flat, jnp.cumsum(flat, dtype=jnp.int32) - 1, places)
    # One place more takes all words that are left out.
    place = jnp.minimum(place, places)
    rows = jnp.broadcast_to(jnp.arange(len(texts), dtype=jnp.int32)[:, None], texts.shape)
    empty = jnp.full(places + 1, -1, jnp.int32)
    ids = empty.at[place].set(texts.reshape(-1).astype(jnp.int32))
    return ids[:places], empty.at[place].set(rows.reshape(-1))[:places]


def in_blocks(
    ids: Int[Array, " P"], rows: Int[Array, " P"], reach: Int[Array, " P"], window: int
) -> Centres:
    """Returns words in blocks, each with the words around it.

    Args:
      ids: P words, -1 in places without a word. P is a multiple of the block, 32.
      rows: the text of each word; windows end with their text.
      reach: size of the window of each centre on both sides, in [1, window].
      window: W, the largest size.

    Returns:
      The blocks.

    Example:
      >>> words = jnp.where(jnp.arange(32) < 3, jnp.arange(32) + 5, -1)
      >>> centres = in_blocks(words, jnp.zeros(32, int), jnp.ones(32, int), 1)
      >>> centres.pairs.shape, int(centres.pairs.sum())
      ((1, 32, 34), 4)
    """
    blocks = len(ids) // BLOCK
    width = BLOCK + 2 * window
    around = np.arange(blocks)[:, None] * BLOCK + np.arange(width)
    # The distance of a centre to itself is out of every window.
    distance = abs(np.arange(width)[None] - window - np.arange(BLOCK)[:, None])
    distance = np.where(distance == 0, width, distance).astype(np.int32)
    places = jnp.pad(ids, window, constant_values=-1)[around]
    texts = jnp.pad(rows, window, constant_values=-1)[around]
    centres = ids.reshape(blocks, BLOCK)
    pairs = (distance[None] <= reach.reshape(blocks, BLOCK, 1)) & (places[:, None] >= 0)
    pairs &= (centres[:, :, None] >= 0) & (texts[:, None] == rows.reshape(blocks, BLOCK, 1))
    counts = jnp.asarray(pairs).astype(jnp.float32)
    return Centres(jnp.maximum(centres, 0), jnp.maximum(places, 0), counts)
