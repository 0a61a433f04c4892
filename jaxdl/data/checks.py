"""Checks of a data set on the host, before any program is compiled."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxdl.data.arrays import check_finite, values_that_count
from jaxdl.data.dataset import Dataset, check_lengths
from jaxdl.data.mapped_array import blocks
from jaxdl.data.source import Paired
from jaxdl.errors import InputError, at_least

#: Numbers of channels by which the layout of images is recognized from their shape.
CHANNELS = (1, 3)

#: Largest value of images in [0, 1], with a margin because resizing may overshoot.
MAX_UNIT_PIXEL = 1.5


def check_classification(data: Dataset, classes: int | None = None) -> None:
    """Raises unless a classifier can be trained on the set.

    All values are checked in blocks, so that a set on disk is never in memory as a whole.

    Args:
      data: a set with integer labels `label [N]` and floating-point `input`. That is images
        `[N, H, W, C]` in [0, 1] or standardized, or vectors `[N, D]`. A set with a field
        `length [N]` may have any sequences `[N, T, ...]`.
      classes: the number of classes; labels must be in [0, classes). None means `data.classes`.

    Raises:
      InputError: a missing field; labels that are not integers, not `[N]` or out of range; inputs
        that are neither images nor vectors, have their channels first, are pixels in 0..255, or
        are not finite. The message contains the first bad row.

    Example:
      >>> mine = Dataset({"input": np.zeros((3, 2)), "label": np.array([0, 1, 9])}, "mine")
      >>> check_classification(mine, 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label[2]: got 9, allowed: an integer in [0, 2)
    """
    if classes is None:
        classes = data.classes
    check_labels(data["label"], classes)
    check_lengths(data)
    if "length" in data.arrays:
        check_numbers(data)
        return
    _check_layout(data["input"])
    _check_pixels(data["input"])


def check_numbers(data: Any, name: str = "data") -> None:
    """Raises for the first floating-point number of a set that counts and is not finite.

    Values do not count where the `mask` of the set is 0, nor behind the `length` of a sequence.
    A set is read once; another `Source` is not checked, except for the two sets of `paired`.

    Args:
      data: a set, or another source.
      name: its name for the message.

    Raises:
      InputError: a value that is NaN or infinite, with its field and row.

    Example:
      >>> check_numbers(Dataset({"input": [[1.0], [np.nan]], "mask": [1.0, 0.0]}, "mine"))
      >>> check_numbers(Dataset({"input": [[1.0], [np.nan]]}, "mine"), "validation")
      Traceback (most recent call last):
      jaxdl.errors.InputError: validation input[1]: got nan, allowed: finite numbers
    """
    if isinstance(data, Paired):
        check_numbers(data.a, f"{name} a")
        check_numbers(data.b, f"{name} b")
    # A set never changes, so it is read once.
    if not isinstance(data, Dataset) or "is_finite" in vars(data):
        return
    prefix = ""
    if name != "data":
        prefix = f"{name} "
    for field, array in data.arrays.items():
        check_finite(prefix + field, array, partial(values_that_count, data.arrays, field))
    vars(data)["is_finite"] = True


def unusable(batch: Mapping[str, Any], classes: int | None = None) -> str:
    """Names the first value of a batch that no model can use.

    These are NaN and infinities, labels that are no class, and lengths outside of the sequence.
    Values do not count where the `mask` is 0, nor behind the `length` of a sequence.

    Args:
      batch: fields `[B, ...]`.
      classes: number of classes of `label`. None means that only negative labels are found.

    Returns:
      A text, which is empty if all values can be used.

    Example:
      >>> unusable({"input": np.ones((2, 3), np.float32), "label": np.array([0, 12])}, classes=10)
      'label[1] of the batch is 12, not a class in [0, 10)'
    """
    for name, field in batch.items():
        x = np.asarray(field)
        wanted = ""
        bad = np.zeros(x.shape, bool)
        if jnp.issubdtype(x.dtype, jnp.inexact):
            bad = ~np.isfinite(x.astype(np.result_type(x.dtype, np.float32)))
        elif name == "label" and jnp.issubdtype(x.dtype, jnp.integer):
            bad = (x < 0) | (x >= (classes or np.inf))
            wanted = "not a class"
            if classes:
                wanted += f" in [0, {classes})"
        elif name == "length" and np.ndim(batch.get("input", 0)) > 1:
            steps = batch["input"].shape[1]
            bad = (x < 1) | (x > steps)
            wanted = f"not in [1, {steps}]"
        bad &= values_that_count(batch, name)
        if bad.any():
            return _describe_bad(name, x, bad, wanted)
    return ""


def check_labels(label: Int[np.ndarray, " N"], classes: int | None) -> None:
    """Raises unless labels are integers `[N]` in [0, classes), or non-negative without classes.

    Example:
      >>> check_labels(np.array([0, 3]), 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label[1]: got 3, allowed: an integer in [0, 2)
    """
    if label.ndim != 1:
        raise InputError(
            "label shape", label.shape, f"[N], one integer per example{_column(label)}"
        )
    if label.dtype.kind not in "iu":
        allowed = "integers, the class of each example"
        whole = label == np.floor(label)
        if not whole.all():
            row = int(whole.argmin())
            raise InputError(f"label[{row}]", label[row].item(), allowed)
        allowed += ", such as y.astype('int32')"
        raise InputError("label dtype", label.dtype.name, allowed)
    bad = label < 0
    allowed = "a non-negative integer"
    if classes is not None:
        at_least("classes", classes, 2)
        bad = bad | (label >= classes)
        allowed = f"an integer in [0, {classes})"
    if bad.any():
        row = int(bad.argmax())
        raise InputError(f"label[{row}]", int(label[row]), allowed)


def _column(label: Shaped[np.ndarray, "N ..."]) -> str:
    """Returns the code that makes labels `[N]` from a column or from one-hot rows."""
    if label.ndim != 2:
        return ""
    if label.shape[1] == 1:
        return ", such as y[:, 0]"
    return ", such as y.argmax(1)"


def _check_layout(images: Shaped[np.ndarray, "N ..."]) -> None:
    """Raises unless shape and dtype are those of images `[N, H, W, C]` or vectors `[N, D]`."""
    shape = images.shape
    if images.ndim == 3:
        raise InputError(
            "input shape",
            shape,
            "[N, H, W, C], for grey images x[..., None]; sequences need a field `length`",
        )
    if images.ndim not in (2, 4) or 0 in shape:
        raise InputError("input shape", shape, "images [N, H, W, C] or vectors [N, D]")
    if images.ndim == 4 and _has_channels_first(shape):
        raise InputError(
            "input shape", shape, "[N, H, W, C], channels last; use x.transpose(0, 2, 3, 1)"
        )
    if images.dtype == np.uint8:
        raise InputError("input dtype", "uint8", "float32 in [0, 1]; divide the pixels by 255")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError("input dtype", images.dtype.name, "a floating-point dtype such as float32")


def _has_channels_first(shape: tuple[int, ...]) -> bool:
    """Returns True if the shape of images looks like `[N, C, H, W]`."""
    return shape[1] in CHANNELS and shape[3] not in CHANNELS and shape[1] < min(shape[2], shape[3])


def _check_pixels(images: Float[np.ndarray, "N ..."]) -> None:
    """Raises for values that are not finite, and for images with pixels in 0..255.

    Such pixels are recognized by their range: no negative value, and a maximum above 1.5 and up to
    255. They also are whole numbers, or their maximum exceeds 100.
    """
    low = np.inf
    high = -np.inf
    whole = True
    check_finite("input", images)
    for _, block in blocks(images):
        low = min(low, float(block.min()))
        high = max(high, float(block.max()))
        whole = whole and bool((block == np.floor(block)).all())
    pixels = low >= 0 and MAX_UNIT_PIXEL < high <= 255 and (whole or high > 100)
    if images.ndim == 4 and pixels:
        raise InputError(
            "input", f"values from {low:g} to {high:g}", "pixels in [0, 1], or standardized"
        )


def _describe_bad(name: str, x: np.ndarray, bad: np.ndarray, wanted: str) -> str:
    """Returns the first bad value with its row, and the number of other rows that have some."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
    value = x[rows[0]][bad[rows[0]]].flat[0]
    text = f"{name}[{rows[0]}] of the batch is {value}"
    if x.ndim > 1:
        text = f"{name}[{rows[0]}] of the batch contains {value}"
    if wanted:
        text += f", {wanted}"
    if len(rows) > 1:
        text += f" (one of {len(rows)} such rows)"
    return text
