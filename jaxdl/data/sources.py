"""Classification sets by name: embedded, from TensorFlow Datasets, or from a file."""

import os
from pathlib import Path

from jaxdl.data.dataset import Dataset
from jaxdl.data.embedded import digits, moons, photos, spirals
from jaxdl.data.images import tfds_images, unknown
from jaxdl.data.npz import load_npz

EMBEDDED = {"digits": digits, "moons": moons, "photos": photos, "spirals": spirals}


def load(
    name: str | Path, data_dir: str | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """The training and the test set called `name`; the test set is the same for every seed.

    Args:
      name: `digits`, `photos`, `moons` or `spirals`, which are always there; a path ending in `.npz`; or any
        image classification set of TFDS (`mnist`, `fashion_mnist`, `emnist/letters`, `cifar10`).
      data_dir: where TFDS keeps prepared sets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      cache_dir: where decoded arrays are kept; None: $JAXDL_CACHE, else ~/.cache/jaxdl.

    Returns:
      `(train, test)`: `input` float32, images `[N, H, W, C]` in [0, 1] or points `[N, 2]`, and
      `label [N]` int32 in [0, classes).

    Raises:
      InputError: a name that no set has, a bad file.
      DataUnavailable: a set that is not here and cannot be had here; says which command gets it.

    Example:
      >>> train, test = load("digits")
      >>> train["input"].shape, train["label"].dtype, train.classes
      ((1438, 8, 8, 1), dtype('int32'), 10)
    """
    text = os.fspath(name)
    if "\0" in text:
        raise unknown(text)
    if text.endswith(".npz"):
        return load_npz(text)
    if text in EMBEDDED:
        return EMBEDDED[text]()
    return tfds_images(text, data_dir, cache_dir)
