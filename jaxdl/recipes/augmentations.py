"""Augmentations of an experiment: their option, texts that suit images, and pictures."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl import plots
from jaxdl.augment import Augment, Augmentation, Mix, clipped, parse
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, in_range
from jaxdl.runs.options import RunOptions

#: Text of a comparison without augmentation.
NONE = "none"

#: Name of label smoothing in the text of a comparison.
SMOOTHING = "label_smoothing"


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """Option of the experiments that train a classifier of images."""

    augment: str | None = None
    """Random changes of the training images, such as rotate=15,shift=2.
    Names: rotate, shift, scale, shear, flip, crop, elastic, brightness, contrast, noise,
    salt_and_pepper, cutout, mixup, cutmix. shift alone moves by whole pixels. A label must survive:
    digits do not survive rotate=180 or flip=0.5. See jaxdl.augment.parse."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        self.changes()

    def changes(self, shape: tuple[int, ...] | None = None) -> Augmentation:
        """Returns the augmentations of the option.

        Args:
          shape: shape of an image, with which the numbers are compared. None checks the text alone.

        Raises:
          InputError: a text that `jaxdl.augment.parse` refuses.
        """
        return parse(self.augment, shape)


@dataclasses.dataclass(frozen=True)
class PixelAugmentOptions(AugmentOptions):
    """Option of the experiments whose images must have pixels in [0, 1]."""

    augment: str | None = None
    """Random changes of the training images, such as rotate=15,shift=2, clipped to [0, 1].
    They come before noise, binarization or an attack. Names: rotate, shift, scale, shear, flip,
    crop, elastic, brightness, contrast, noise, salt_and_pepper, cutout. shift alone moves by whole
    pixels. See jaxdl.augment.parse."""

    def changes(self, shape: tuple[int, ...] | None = None) -> Augmentation:
        change = without_mixture(self.augment, shape)
        if change is None:
            return Augmentation()
        return Augmentation(clipped(change))


def without_mixture(
    text: str | None, shape: tuple[int, ...] | None = None, probability: float = 1.0
) -> Augment | None:
    """Returns the change that a text names; the arguments are those of `jaxdl.augment.parse`.

    Raises:
      InputError: a mixture of two examples, or a text that `parse` refuses.

    Example:
      >>> without_mixture("flip=0.5").made_by
      ('random_flip', (0.5, 'horizontal'))
    """
    augment, mix = parse(text, shape, probability)
    if mix is not None:
        raise InputError("augment", text, "neither mixup nor cutmix in this experiment")
    return augment


def usual_texts(side: int) -> tuple[str, ...]:
    """Returns the augmentations that are compared by default for digits of a size.

    Args:
      side: smaller side of the images in pixels.

    Example:
      >>> usual_texts(28)[:3]
      ('none', 'shift=2', 'rotate=10,shift=1.8,scale=1.1,shear=5')
    """
    shift = max(1, round(side / 14))
    return (
        NONE,
        f"shift={shift}",
        f"rotate=10,shift={side / 16:.2g},scale=1.1,shear=5",
        f"cutout={max(1, round(0.3 * side))}",
        "mixup=0.4",
        "cutmix=1",
        f"{SMOOTHING}=0.1",
    )


def all_texts(side: int) -> tuple[str, ...]:
    """Returns one text for each augmentation, with numbers that an eye can see.

    Args:
      side: smaller side of the images in pixels.

    Example:
      >>> len(all_texts(28))
      15
    """
    shift = max(1, round(side / 9))
    return (
        f"shift={shift}",
        "rotate=30",
        "scale=1.4",
        "shear=30",
        f"rotate=15,shift={side / 9:.1g},scale=1.2,shear=10",
        f"elastic={side / 20:.2g}",
        f"crop={shift}",
        "flip=0.5",
        "brightness=0.4",
        "contrast=0.8",
        "noise=0.2",
        "salt_and_pepper=0.2",
        f"cutout={max(1, round(0.35 * side))}",
        "mixup=1",
        "cutmix=1",
    )


def draw_augmentations(
    data: Dataset,
    key: Key[Array, ""],
    path: Path,
    texts: Sequence[str] | None = None,
    count: int = 7,
) -> Path:
    """Draws an image of a set, and random changes of it by each augmentation.

    Args:
      data: set of images with classes.
      key: key of the changes.
      path: path of the PNG file.
      texts: augmentations as `jaxdl.augment.parse` reads them; None means one of each kind.
      count: number of changes of an image.

    Returns:
      The path.
    """
    images = np.asarray(data["input"])
    label = np.asarray(data["label"])
    texts = texts or all_texts(min(images.shape[1:3]))
    rows = {}
    captions = {}
    for i, text in enumerate(texts):
        row_key = jax.random.fold_in(key, i)
        original = images[i % len(images)]
        augment, mix = parse(text, original.shape)
        if mix is None:
            assert augment is not None
            keys = jax.random.split(row_key, count)
            changed = np.asarray(jax.vmap(augment, (0, None))(keys, original))
            rows[text] = np.concatenate([original[None], changed])
            continue
        partners = np.flatnonzero(label != label[i % len(images)])[:count]
        mixed, words = _mixtures(mix, row_key, images, label, i % len(images), partners)
        rows[text] = np.concatenate([original[None], mixed])
        captions[text] = ["", *words]
    title = (
        f"Augmentations of {data.name}: the original in a frame, then {count} random changes of it"
    )
    return plots.augmentation_rows(rows, path, title, captions)


def _mixtures(
    mix: Mix,
    key: Key[Array, ""],
    images: Float[np.ndarray, "N H W C"],
    label: Int[np.ndarray, " N"],
    row: int,
    partners: Int[np.ndarray, " M"],
) -> tuple[Float[np.ndarray, "M H W C"], list[str]]:
    """Returns an image mixed with each of its partners, and the mixed labels in words."""
    mixed = []
    words = []
    for i, partner in enumerate(partners):
        # In a batch of two each example is the partner of the other one.
        both = np.array([row, partner])
        batch = {"input": images[both], "label": label[both]}
        inputs, other, lam = mix(jax.random.fold_in(key, i), jax.tree.map(jnp.asarray, batch))
        mixed.append(np.asarray(inputs[0]))
        words.append(f"{lam[0]:.2f} · {label[row]}\n+ {1 - lam[0]:.2f} · {other[0]}")
    return np.stack(mixed), words


def smoothing_of(variant: str) -> tuple[str | None, float]:
    """Returns the augmentation of a variant and its label smoothing.

    Args:
      variant: `none`, `label_smoothing=NUMBER`, or a text for `jaxdl.augment.parse`.

    Raises:
      InputError: a text that is none of these.

    Example:
      >>> smoothing_of("label_smoothing=0.1"), smoothing_of("shift=2")
      ((None, 0.1), ('shift=2', 0.0))
    """
    name, _, number = variant.partition("=")
    if variant == NONE:
        return None, 0.0
    if name != SMOOTHING:
        parse(variant)
        return variant, 0.0
    try:
        smoothing = float(number)
    except ValueError:
        raise InputError("variants", variant, f"a number, such as {SMOOTHING}=0.1") from None
    in_range(SMOOTHING, smoothing, 0, 1)
    return None, smoothing
