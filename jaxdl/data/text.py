"""Running text: reading it, splitting off a test part, and cutting tokens into windows."""

import dataclasses
import difflib
import os
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.encoding import TextEncoding
from jaxdl.data.files import (
    check_amplification,
    decode_utf8,
    expand_path,
    open_maybe_gzip,
    read_bounded,
)
from jaxdl.data.tfds_text import tfds_text
from jaxdl.data.vocabulary import Vocabulary, check_ids
from jaxdl.errors import InputError, at_least

#: Texts that can be read by name.
NAMES = ("english", "tiny_shakespeare")


def read_text(name: str | Path, data_dir: str | None = None, cache_dir: str | None = None) -> str:
    """Returns a text by its name, or from a file.

    The text `english` is the language reference that Python ships. It is always available, but
    differs between versions of Python. The text `tiny_shakespeare` comes from TensorFlow Datasets.

    Args:
      name: `english`, `tiny_shakespeare`, or the path of a UTF-8 file, which is decompressed if its
        name ends in `.gz`.
      data_dir: directory of the prepared TFDS sets. None means $TFDS_DATA_DIR, or
        ~/tensorflow_datasets if that is not set.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Raises:
      InputError: an unknown name, no such file, bytes that are not UTF-8, or only white space.
      DataUnavailable: the text is not prepared and cannot be prepared here; the message contains
        the command that prepares it.

    Example:
      >>> read_text("english")[:22]
      'The "assert" statement'

    Source: Python Software Foundation, The Python Language Reference; Karpathy, "The Unreasonable
    Effectiveness of Recurrent Neural Networks", 2015.
    """
    name = os.fspath(name)
    if name == "english":
        return _english()
    if name in NAMES:
        text = tfds_text(name, data_dir, cache_dir)
    else:
        text = _read_file(name)
    if not text.strip():
        raise InputError("data", name, "a text that is not empty")
    return text


def split_text(text: str, fraction: float, field: str = "fraction") -> tuple[str, str]:
    """Splits a text into a training part and a test part, which is the end of the text.

    The test part has `round(fraction * len(text))` characters.

    Args:
      text: any text.
      fraction: fraction of the characters in the test part, in (0, 1).
      field: name of the fraction in error messages.

    Returns:
      `(train, test)`, which concatenated are the text.

    Raises:
      InputError: a fraction outside (0, 1), or a fraction that leaves a part empty.

    Example:
      >>> split_text("to be or not", 0.25)
      ('to be or ', 'not')
    """
    if not 0 < fraction < 1:
        raise InputError(field, fraction, "a number in (0, 1)")
    count = round(fraction * len(text))
    if not 0 < count < len(text):
        raise InputError(
            field,
            fraction,
            f"a fraction that leaves both parts of {len(text)} characters non-empty",
        )
    return text[:-count], text[-count:]


def contiguous_windows(tokens: Int[np.ndarray, " L"], length: int, name: str = "text") -> Dataset:
    """Returns consecutive windows: each continues where the previous one ends.

        input_i = tokens[i T : i T + T],    label_i = tokens[i T + 1 : i T + T + 1]

    Args:
      tokens: `[L]` ids; those after the last whole window are left out.
      length: T, at least 1.
      name: name of the set in results.

    Returns:
      A contiguous set with `input [N, T]` and `label [N, T]` int32, N = (L - 1) // T.

    Raises:
      InputError: a text shorter than one window, or tokens that are not ids.

    Example:
      >>> data = contiguous_windows(np.arange(8), 3)
      >>> data["input"].tolist(), data["label"].tolist()
      ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    tokens = _checked_tokens(tokens, length, length + 1)
    end = (len(tokens) - 1) // length * length
    rows = {
        "input": tokens[:end].reshape(-1, length),
        "label": tokens[1 : end + 1].reshape(-1, length),
    }
    return Dataset(rows, name, contiguous=True)


def windows(
    tokens: Int[np.ndarray, " L"], length: int = 40, stride: int = 3, name: str = "text"
) -> Dataset:
    """Returns overlapping windows, of which one begins every `stride` tokens.

        input_i = tokens[i s : i s + T],    label_i = tokens[i s + 1 : i s + T + 1]

    The token that follows a whole window is `label[:, -1]`.

    Args:
      tokens: `[L]` ids.
      length: T, at least 1.
      stride: s, at least 1.
      name: name of the set in results.

    Returns:
      A set with `input [N, T]` and `label [N, T]` int32, N = (L - 1 - T) // s + 1.

    Raises:
      InputError: a text shorter than one window, tokens that are not ids, or windows that are far
        larger than the text.

    Example:
      >>> windows(np.arange(9), 3, stride=2)["input"].tolist()
      [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    """
    at_least("stride", stride, 1)
    tokens = _checked_tokens(tokens, length, length + 1)
    made = 4 * length * ((len(tokens) - 1 - length) // stride + 1)
    check_amplification("windows", made, 4 * len(tokens), "use a larger stride or shorter windows")
    # The set copies the rows, so each token is in memory up to 2 T / s times.
    rows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[::stride]
    return Dataset({"input": rows[:, :-1], "label": rows[:, 1:]}, name)


def text_evaluation_windows(
    tokens: Int[np.ndarray, " L"], length: int, context: int, name: str = "text"
) -> Dataset:
    """Returns overlapping windows in which each token but the first is predicted once.

    Each window begins `context` tokens before the end of the previous one. Its mask is 0 for the
    tokens that an earlier window predicts. The last window begins earlier, so that it is whole. A
    text shorter than a window becomes one window.

    Args:
      tokens: `[L]` ids, at least 2.
      length: T, at least 1.
      context: overlap of consecutive windows, in [0, T). Except in the first window, a prediction
        that counts depends on at least this many tokens before the current one.
      name: name of the set in results.

    Returns:
      A set with `input [N, T]` and `label [N, T]` int32, and `mask [N, T]` float32, which is 1 for
      predictions that count.

    Raises:
      InputError: fewer than two tokens, a context of a whole window or more, or tokens that are not
        ids.

    Example:
      >>> data = text_evaluation_windows(np.arange(7), 4, 2)
      >>> data["label"].tolist(), data["mask"].astype(int).tolist()
      ([[1, 2, 3, 4], [3, 4, 5, 6]], [[1, 1, 1, 1], [0, 0, 1, 1]])
    """
    tokens = _checked_tokens(tokens, length, 2)
    at_least("context", context, 0)
    if context >= length:
        raise InputError("context", context, f"less than the {length} tokens of a window")
    length = min(length, len(tokens) - 1)
    last = len(tokens) - 1 - length
    starts = np.append(np.arange(0, last, max(1, length - context)), last)
    rows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[starts]
    evaluated_before = np.append(0, starts[:-1] + length)
    mask = starts[:, None] + np.arange(length) >= evaluated_before[:, None]
    return Dataset(
        {"input": rows[:, :-1], "label": rows[:, 1:], "mask": mask.astype(np.float32)}, name
    )


class TextSets(NamedTuple):
    """A text in parts, encoded.

    Attributes:
      sets: windows by part: `train`, `test` and, if requested, `validation`.
      vocabulary: the vocabulary of the training text.
      train: the training text.
      test_ids: `[L]`, the ids of the test text.
    """

    sets: dict[str, Dataset]
    vocabulary: Vocabulary
    train: str
    test_ids: Int[np.ndarray, " L"]


def text_sets(
    text: str,
    by: Literal["character", "word"] = "character",
    vocabulary: int | None = None,
    lower: bool = False,
    *,
    length: int,
    stride: int = 0,
    test_fraction: float = 0.1,
    validation: float = 0.0,
    name: str = "text",
) -> TextSets:
    """Splits a text, builds the vocabulary of its first part and cuts all parts into windows.

    The test text is the end of the text, and the validation text precedes it. Their windows are
    those of `text_evaluation_windows`: 8 T tokens long, with a context of 4 T tokens.

    Args:
      text: any text.
      by: unit of text that is one token.
      vocabulary: largest size of the vocabulary. None means no limit.
      lower: if True, the text is converted to lower case.
      length: T, steps of a training window.
      stride: tokens between the starts of two training windows (`windows`). 0 means contiguous
        windows.
      test_fraction: fraction of the text in the test part, in (0, 1).
      validation: fraction of the remaining text in the validation part; 0 means none.
      name: name of the sets in results.

    Returns:
      The parts of the text.

    Raises:
      InputError: a fraction that leaves a part empty, or a part that is shorter than a window.

    Example:
      >>> parts = text_sets(30 * "to be or not ", length=8, validation=0.2)
      >>> {part: each["input"].shape for part, each in parts.sets.items()}
      {'test': (1, 38), 'validation': (2, 64), 'train': (35, 8)}
    """
    train, test = split_text(text, test_fraction, "test_fraction")
    words = Vocabulary.build(train, by, size=vocabulary, lower=lower)
    texts = {"test": test}
    if validation:
        train, texts["validation"] = split_text(train, validation, "validation")
    ids = {part: words.encode(each) for part, each in texts.items()}
    context = 4 * length
    sets = {
        part: text_evaluation_windows(tokens, 2 * context, context, name)
        for part, tokens in ids.items()
    }
    if stride:
        sets["train"] = windows(words.encode(train), length, stride, name)
    else:
        sets["train"] = contiguous_windows(words.encode(train), length, name)
    encoding = TextEncoding(words, length)
    sets = {part: dataclasses.replace(each, text=encoding) for part, each in sets.items()}
    return TextSets(sets, words, train, ids["test"])


def _english() -> str:
    """Returns the topics of Python's help, with each paragraph once."""
    from pydoc_data.topics import topics

    whole = "\n\n".join(topic.strip("\n") for _, topic in sorted(topics.items()))
    # A repeated paragraph could be in the training part and in the test part.
    paragraphs = dict.fromkeys(whole.split("\n\n"))
    return "\n\n".join(paragraphs) + "\n"


def _read_file(name: str) -> str:
    """Returns the text of a file; raises with a hint if `name` is a misspelled name of a text."""
    path = expand_path(name, "data")
    if not name or not (path.exists() or path.suffix or len(path.parts) > 1):
        hint = ""
        for nearest in difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5):
            hint = f" (did you mean {nearest!r}?)"
        raise InputError("data", name, f"{', '.join(NAMES)} or a text file that exists{hint}")
    with open_maybe_gzip(path) as file:
        return decode_utf8(read_bounded(file), str(path))


def _checked_tokens(
    tokens: Int[np.ndarray, " L"], length: int, smallest: int
) -> Int[np.ndarray, " L"]:
    """Returns the tokens as int32; raises unless they are at least `smallest` ids."""
    at_least("length", length, 1)
    tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise InputError("tokens shape", tokens.shape, "[L]")
    if len(tokens) < smallest:
        raise InputError(
            "tokens", f"{len(tokens)} tokens", f"at least {smallest}, for windows of {length}"
        )
    check_ids(tokens, 2**31, "tokens")
    return tokens.astype(np.int32)
