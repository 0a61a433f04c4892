"""Loading a classification set by name: embedded, from TensorFlow Datasets, or from a file."""

import os
from pathlib import Path

from jaxdl.data.dataset import Dataset
from jaxdl.data.embedded import digits, moons, photos, spirals
from jaxdl.data.images import tfds_images, unknown_name_error
from jaxdl.data.npz import load_npz

EMBEDDED = {"digits": digits, "moons": moons, "photos": photos, "spirals": spirals}


def load(
    name: str | Path, data_dir: str | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set with this name.

    The test set does not depend on any seed.

    Args:
      name: `digits`, `photos`, `moons` or `spirals`, which need no files; a path that ends in
        `.npz`; or an image classification set of TFDS (`mnist`, `fashion_mnist`, `emnist/letters`,
        `cifar10`).
      data_dir: directory of the prepared TFDS sets. None means $TFDS_DATA_DIR, or
        ~/tensorflow_datasets if that is not set.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Returns:
      `(train, test)`. `input` is float32, images `[N, H, W, C]` in [0, 1] or points `[N, 2]`.
      `label [N]` is int32 in [0, classes).

    Raises:
      InputError: an unknown name, or a bad file.
      DataUnavailable: the set is not on this machine and cannot be prepared here; the message
        contains the command that prepares it.

    Example:
      >>> train, test = load("digits")
      >>> train["input"].shape, train["label"].dtype, train.classes
      ((1438, 8, 8, 1), dtype('int32'), 10)
    """
    text = os.fspath(name)
    if "\0" in text:
        raise unknown_name_error(text)
    if text.endswith(".npz"):
        return load_npz(text)
    if text in EMBEDDED:
        return EMBEDDED[text]()
    return tfds_images(text, data_dir, cache_dir)
