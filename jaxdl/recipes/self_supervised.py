"""Learning without labels: turned images as a set, networks that share an encoder, pictures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl import plots
from jaxdl.augment import Augment, augment_batch
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least
from jaxdl.models import CNN, MLP, Autoencoder, ConvDecoder, Stage, UpStage
from jaxdl.plots.matrix import class_names
from jaxdl.rng import stream

#: Part of a network that a task without labels trains for all others.
ENCODER = "encoder"

#: Part of a network that is new for each task.
HEAD = "decoder"

#: The turns of an image in words, by their number.
TURNS = ("upright", "90° left", "upside down", "90° right")


def quarter_turns(data: Dataset) -> Dataset:
    """Returns each image of a set in its four turns, whose number is the label.

    The labels of the set are not used. Row 4 i + k is image i after k quarter turns to the left.

    Args:
      data: set of square images `input [N, S, S, C]`.

    Returns:
      A set of 4 N images with labels 0 to 3.

    Raises:
      InputError: images that are not square.

    Source: Gidaris, Singh, Komodakis 2018, Unsupervised representation learning by predicting image
    rotations.

    Example:
      >>> image = np.array([[0.0, 1.0], [2.0, 3.0]])[None, ..., None]
      >>> turned = quarter_turns(Dataset({"input": image}, "one"))
      >>> turned["input"][1, ..., 0].tolist(), turned["label"].tolist()
      ([[1.0, 3.0], [0.0, 2.0]], [0, 1, 2, 3])
    """
    images = np.asarray(data["input"])
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        shown = f"{data.name} {list(images.shape)}"
        raise InputError("data", shown, "square images [N, S, S, C], which can be turned")
    turned = np.stack([np.rot90(images, k, (1, 2)) for k in range(4)], 1)
    label = np.tile(np.arange(4, dtype=np.int32), len(images))
    arrays = {"input": turned.reshape(-1, *images.shape[1:]), "label": label}
    return dataclasses.replace(data, arrays=arrays, classes=4, class_names=TURNS)


def masked_side(share: float, shape: Sequence[int]) -> int:
    """Returns the side in pixels of a masked square, at least 1.

    Args:
      share: share of the smaller side of an image, in (0, 1).
      shape: shape of an image, `[H, W, C]`.

    Example:
      >>> masked_side(0.5, (28, 28, 1))
      14
    """
    return max(1, round(share * min(shape[:2])))


def encoder(features: int = 32, dtype: Any = None) -> CNN:
    """Returns the convolutional encoder that all networks of the comparison share.

    Args:
      features: kernels of the first convolution; the others have twice as many.
      dtype: dtype of the computation; None means the dtype of the input.

    Returns:
      A `CNN` from images `[B, H, W, C]` to maps `[B, H/4, W/4, 2 features]`.

    Example:
      >>> len(encoder().stages)
      3
    """
    at_least("features", features, 1)
    stages = (Stage(features), Stage(2 * features), Stage(2 * features, pool=None))
    return CNN(stages, outputs=None, norm="batch", dtype=dtype)


def classifier(encoder: CNN, outputs: int, hidden: Sequence[int] = ()) -> Autoencoder:
    """Returns a classifier of the encoder's maps, whose layers are in `encoder` and `decoder`.

    Args:
      encoder: the encoder.
      outputs: number of classes.
      hidden: widths of hidden layers; with none the classifier is linear in the maps.

    Returns:
      A module called as `model(images, train=bool) -> logits [B, outputs]`.

    Example:
      >>> classifier(encoder(), 10).decoder.outputs
      10
    """
    norm = "batch" if hidden else None
    return Autoencoder(encoder, MLP(tuple(hidden), outputs, norm=norm, dtype=encoder.dtype))


def painter(encoder: CNN, channels: int) -> Autoencoder:
    """Returns a network that paints images from the encoder's maps.

    Args:
      encoder: the encoder.
      channels: channels of the images, whose sides are multiples of 4.

    Returns:
      An `Autoencoder` whose outputs are logits of pixels.

    Example:
      >>> painter(encoder(), 1).decoder.stages[-1].features
      1
    """
    width = encoder.stages[0].features
    stages = (UpStage(width), UpStage(width), UpStage(channels, 3, 1))
    return Autoencoder(encoder, ConvDecoder(stages, dtype=encoder.dtype))


def shares(
    right: Float[np.ndarray, " N"], label: Int[np.ndarray, " N"], names: Sequence[str]
) -> dict[str, float]:
    """Returns the share of right answers for the images of each class that occurs.

    Args:
      right: `[N]`, share of right answers for each image, in [0, 1].
      label: `[N]`, classes of the images.
      names: name of each class. One without images is left out.

    Returns:
      The shares by the name of the class.

    Example:
      >>> shares(np.array([1.0, 0.0, 1.0]), np.array([0, 0, 2]), ["cat", "dog", "hen"])
      {'cat': 0.5, 'hen': 1.0}
    """
    return {names[k]: float(right[label == k].mean()) for k in np.unique(label)}


def hardest_of_each(
    right: Float[np.ndarray, " N"], label: Int[np.ndarray, " N"], classes: int
) -> list[int]:
    """Returns the row of the image with the fewest right answers, for each class that occurs.

    Example:
      >>> hardest_of_each(np.array([4, 2, 3]), np.array([1, 0, 1]), 3)
      [1, 2]
    """
    rows = [np.flatnonzero(label == k) for k in range(classes)]
    return [int(found[right[found].argmin()]) for found in rows if len(found)]


def draw_turns(test: Dataset, predicted: Int[np.ndarray, "N 4"], path: Path, title: str) -> Path:
    """Draws the hardest image of each class in its four turns, with the predicted turns below.

    Args:
      test: images with classes.
      predicted: predicted number of each turn of each image.
      path: path of the PNG file.
      title: words above the picture.

    Returns:
      The path.
    """
    images = np.asarray(test["input"])
    names = class_names(test.class_names, test.classes or 1)
    rows = {}
    captions = {}
    right = (predicted == np.arange(4)).sum(1)
    for i in hardest_of_each(right, np.asarray(test["label"]), len(names)):
        name = names[int(test["label"][i])]
        rows[name] = np.stack([np.rot90(images[i], k) for k in range(4)])
        captions[name] = [_answer(k, int(answer)) for k, answer in enumerate(predicted[i])]
    return plots.augmentation_rows(rows, path, title, captions)


def _answer(turn: int, predicted: int) -> str:
    """Returns a predicted turn in words."""
    if predicted == turn:
        return TURNS[turn]
    return f"wrong:\n{TURNS[predicted]}"


def draw_patches(
    test: Dataset,
    mask: Augment,
    paint: Callable[[Array], Float[Array, "B H W C"]],
    key: Key[Array, ""],
    path: Path,
    title: str,
) -> Path:
    """Draws an image of each class, the image with a masked square, and the network's painting.

    Args:
      test: images with classes.
      mask: the random mask.
      paint: function from masked images to whole ones.
      key: root key of the masks.
      path: path of the PNG file.
      title: words above the picture.

    Returns:
      The path.
    """
    names = class_names(test.class_names, test.classes or 1)
    label = np.asarray(test["label"])
    rows = [int(np.argmax(label == k)) for k in np.unique(label)]
    images = jnp.asarray(test["input"][np.array(rows)])
    masked = augment_batch(mask, stream(key, "sample"), images)
    painted = np.asarray(paint(masked))
    found: dict[str, Float[np.ndarray, "3 H W C"]] = {}
    for i, row in enumerate(rows):
        found[names[int(label[row])]] = np.stack([images[i], masked[i], painted[i]])
    captions: Mapping[str, Sequence[str]] = dict.fromkeys(found, ("image", "masked", "painted"))
    return plots.augmentation_rows(found, path, title, captions)
