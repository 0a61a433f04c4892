"""Running text: where it comes from, and how it is cut into windows that a network reads."""

import difflib
import os
from pathlib import Path

import numpy as np
from jaxtyping import Int

from jaxdl.data.dataset import Dataset
from jaxdl.data.files import bounded, opened, path_of, utf8
from jaxdl.data.tfds_text import tfds_text
from jaxdl.data.vocabulary import check_ids
from jaxdl.errors import InputError, at_least

#: Texts that have a name.
NAMED = ("english", "tiny_shakespeare")


def read_text(name: str | Path, data_dir: str | None = None, cache_dir: str | None = None) -> str:
    """A text by its name or its file.

    Args:
      name: `english`, the reference of the language that Python brings with it, always there, not the same
        text in every version of Python; `tiny_shakespeare`, from TensorFlow Datasets; or the path of a
        UTF-8 file, packed if it ends in `.gz`.
      data_dir: where TFDS keeps prepared sets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      cache_dir: where decoded arrays are kept; None: $JAXDL_CACHE, else ~/.cache/jaxdl.

    Raises:
      InputError: a name that no text has, no such file, bytes that are not UTF-8, nothing but space.
      DataUnavailable: a text that is not here and cannot be had here; says which command gets it.

    Example:
      >>> read_text("english")[:22]
      'The "assert" statement'

    Source: Python Software Foundation, The Python Language Reference; Karpathy, "The Unreasonable
    Effectiveness of Recurrent Neural Networks", 2015.
    """
    said = os.fspath(name)
    if said == "english":
        return _english()
    text = tfds_text(said, data_dir, cache_dir) if said in NAMED else _from_file(said)
    if not text.strip():
        raise InputError("data", said, "a text that is not empty")
    return text


def split_text(text: str, fraction: float) -> tuple[str, str]:
    """Cuts the end of a text off as its test part.

    Args:
      text: any text.
      fraction: in (0, 1); the test part is the last `round(fraction * len(text))` characters.

    Returns:
      `(train, test)`, together the text.

    Raises:
      InputError: a fraction outside (0, 1), or one that leaves a part empty.

    Example:
      >>> split_text("to be or not", 0.25)
      ('to be or ', 'not')
    """
    if not 0 < fraction < 1:
        raise InputError("fraction", fraction, "a number in (0, 1)")
    count = round(fraction * len(text))
    if not 0 < count < len(text):
        raise InputError(
            "fraction",
            fraction,
            f"a share that leaves both parts of {len(text)} characters not empty",
        )
    return text[:-count], text[-count:]


def contiguous_windows(tokens: Int[np.ndarray, " L"], length: int, name: str = "text") -> Dataset:
    """Windows one after the other: each goes on where the one before it ended.

        input_i = tokens[i T : i T + T],    label_i = tokens[i T + 1 : i T + T + 1]

    Args:
      tokens: `[L]` ids; those behind the last whole window are left out.
      length: T, at least 1.
      name: what the set is called in results.

    Returns:
      `contiguous`, `input [N, T]` and `label [N, T]` int32, N = (L - 1) // T.

    Raises:
      InputError: a text shorter than one window, or tokens that are no ids.

    Example:
      >>> data = contiguous_windows(np.arange(8), 3)
      >>> data["input"].tolist(), data["label"].tolist()
      ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    tokens = _checked(tokens, length, length + 1)
    end = (len(tokens) - 1) // length * length
    rows = {
        "input": tokens[:end].reshape(-1, length),
        "label": tokens[1 : end + 1].reshape(-1, length),
    }
    return Dataset(rows, name, contiguous=True)


def windows(
    tokens: Int[np.ndarray, " L"], length: int = 40, stride: int = 3, name: str = "text"
) -> Dataset:
    """Windows that overlap, one beginning every `stride` tokens.

        input_i = tokens[i s : i s + T],    label_i = tokens[i s + 1 : i s + T + 1]

    What follows a whole window is `label[:, -1]`.

    Args:
      tokens: `[L]` ids.
      length: T, at least 1.
      stride: s, at least 1.
      name: what the set is called in results.

    Returns:
      `input [N, T]` and `label [N, T]` int32, N = (L - 1 - T) // s + 1.

    Raises:
      InputError: a text shorter than one window, or tokens that are no ids.

    Example:
      >>> windows(np.arange(9), 3, stride=2)["input"].tolist()
      [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    """
    at_least("stride", stride, 1)
    tokens = _checked(tokens, length, length + 1)
    # Views: each token is in memory once, not in T / s windows.
    rows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[::stride]
    return Dataset({"input": rows[:, :-1], "label": rows[:, 1:]}, name)


def text_evaluation_windows(
    tokens: Int[np.ndarray, " L"], length: int, context: int, name: str = "text"
) -> Dataset:
    """Windows for evaluation: every token but the first is predicted once, and not without its past.

    Each window begins `context` tokens before the end of the one before it, and only what that one did
    not predict counts; the last begins earlier, so that it is whole. Of a text shorter than a window
    there is one window of the whole text.

    Args:
      tokens: `[L]` ids, at least 2.
      length: T, at least 1.
      context: in [0, T), how many tokens before the current one a prediction sees at least, but for those
        of the first window.
      name: what the set is called in results.

    Returns:
      `input [N, T]` and `label [N, T]` int32, `mask [N, T]` float32, 1 where a prediction counts.

    Raises:
      InputError: fewer than two tokens, a context that is no part of a window, or tokens that are no ids.

    Example:
      >>> data = text_evaluation_windows(np.arange(7), 4, 2)
      >>> data["label"].tolist(), data["mask"].astype(int).tolist()
      ([[1, 2, 3, 4], [3, 4, 5, 6]], [[1, 1, 1, 1], [0, 0, 1, 1]])
    """
    tokens = _checked(tokens, length, 2)
    at_least("context", context, 0)
    if context >= length:
        raise InputError("context", context, f"less than the {length} tokens of a window")
    length = min(length, len(tokens) - 1)
    last = len(tokens) - 1 - length
    starts = np.append(np.arange(0, last, max(1, length - context)), last)
    rows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1)[starts]
    judged_before = np.append(0, starts[:-1] + length)
    mask = starts[:, None] + np.arange(length) >= judged_before[:, None]
    return Dataset(
        {"input": rows[:, :-1], "label": rows[:, 1:], "mask": mask.astype(np.float32)}, name
    )


def _english() -> str:
    """The topics of Python's help, paragraphs that stand in several of them once."""
    from pydoc_data.topics import topics

    paragraphs = "\n\n".join(topic.strip("\n") for _, topic in sorted(topics.items())).split("\n\n")
    # Else what the test part asks would stand in the training part.
    return "\n\n".join(dict.fromkeys(paragraphs)) + "\n"


def _from_file(name: str) -> str:
    path = path_of(name, "data")
    if not name or not (path.exists() or path.suffix or len(path.parts) > 1):
        near = difflib.get_close_matches(name, NAMED, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError("data", name, f"{', '.join(NAMED)} or a text file that exists{hint}")
    with opened(path) as file:
        return utf8(bounded(file), str(path))


def _checked(tokens: Int[np.ndarray, " L"], length: int, least: int) -> Int[np.ndarray, " L"]:
    """The tokens as int32, or an error that names both numbers."""
    at_least("length", length, 1)
    tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise InputError("tokens shape", tokens.shape, "[L]")
    if len(tokens) < least:
        raise InputError(
            "tokens", f"{len(tokens)} tokens", f"at least {least}, for windows of {length}"
        )
    check_ids(tokens, 2**31, "tokens")
    return tokens.astype(np.int32)
