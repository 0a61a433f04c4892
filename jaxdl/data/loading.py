"""Loading a set by name: embedded, from TensorFlow Datasets, or from a file or folder."""

import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import expand_path
from jaxdl.data.fruits import curved_fruits, fruits
from jaxdl.data.idx import has_idx_files, load_idx
from jaxdl.data.image_folder import load_image_folder
from jaxdl.data.images import KNOWN, tfds_images, unknown_name_error
from jaxdl.data.npz import load_npz
from jaxdl.data.tables import PATTERN, load_table
from jaxdl.errors import InputError

#: A name that ends in a colon and a size of images.
_SIZED = re.compile(r"(.+):(\d{1,9})")


def load(
    name: str | Path, data_dir: str | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set with this name.

    The test set does not depend on any seed.

    Args:
      name: one of these:

        - `digits`, `photos`, `moons`, `spirals`, `fruits` or `curved_fruits`, which need no files;
        - an image classification set of TFDS (`mnist`, `fashion_mnist`, `emnist/letters`,
          `cifar10`);
        - a path that ends in `.npz` (`jaxdl.data.npz.load_npz`);
        - a path that ends in `.csv` or `.tsv`, perhaps with `.gz` (`jaxdl.data.tables.load_table`).
          `table.csv:price` predicts the column `price`, and `table.csv:price,rent` two of them;
        - a folder of images (`jaxdl.data.image_folder.load_image_folder`). `folder:64` crops and
          scales them to 64 x 64 pixels;
        - a folder with the idx files of MNIST (`jaxdl.data.idx.load_idx`).

        A folder whose name is that of a set is written as a path, such as `./mnist`.
      data_dir: directory of the prepared TFDS sets. None means $TFDS_DATA_DIR, or
        ~/tensorflow_datasets if that is not set.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Returns:
      `(train, test)`. `input` is float32, images `[N, H, W, C]` in [0, 1] or vectors `[N, D]`.
      `label [N]` is int32 in [0, classes). Images in a folder without classes have no label, and a
      table of real numbers has `target [N, K]`.

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
    if text in EMBEDDED:
        return EMBEDDED[text]()
    path, argument = file_of(text)
    if path is None:
        return tfds_images(text, data_dir, cache_dir)
    if text.endswith(".npz"):
        return load_npz(text)
    if PATTERN.fullmatch(text):
        return load_table(path, argument)
    if not path.is_dir():
        raise InputError("data", text, "a folder, or a .npz or .csv file, that exists")
    if has_idx_files(path):
        return load_idx(path)
    size = None
    if argument:
        size = int(argument)
    return load_image_folder(path, size, cache_dir)


def file_of(name: str) -> tuple[Path | None, str]:
    """Returns the file or folder that `load` reads for a name, and the text after its colon.

    Args:
      name: see `load`.

    Returns:
      The path and the text. The path is None for an embedded set and for one of TFDS.

    Example:
      >>> file_of("mine.npz"), file_of("mnist")
      ((PosixPath('mine.npz'), ''), (None, ''))
    """
    if name in EMBEDDED or name in KNOWN or not name:
        return None, ""
    if name.endswith(".npz"):
        return expand_path(name, "data"), ""
    table = PATTERN.fullmatch(name)
    if table:
        return expand_path(table[1], "data"), table[2] or ""
    sized = _SIZED.fullmatch(name)
    if expand_path(name, "data").is_dir():
        return expand_path(name, "data"), ""
    if sized and expand_path(sized[1], "data").is_dir():
        return expand_path(sized[1], "data"), sized[2]
    # These are no names of sets.
    if name.startswith(("/", "./", "../", "~")):
        return expand_path(name, "data"), ""
    return None, ""


def digits() -> tuple[Dataset, Dataset]:
    """Returns 1,797 handwritten digits: grey images of 8x8 pixels, 10 classes.

    Returns:
      `(train, test)`, with `input [N, 8, 8, 1]` float32 in [0, 1] and `label [N]` int32. One
      example in five of each class is in the test set.

    Example:
      >>> train, test = digits()
      >>> train["input"].shape, len(test)
      ((1438, 8, 8, 1), 359)

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998; its test part, as scikit-learn ships it.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / 16).astype(np.float32)[..., None]
    return holdout(Dataset({"input": images, "label": bunch.target.astype(np.int32)}, "digits", 10))


def photos() -> tuple[Dataset, Dataset]:
    """Returns 2,400 crops of two photographs: color images of 32x32 pixels, 2 classes.

    The photographs show a temple and a flower. Crops of the test set come from the right quarter of
    each photograph, and crops of the training set from the rest. The photographs are JPEG files, so
    the rounding of a pixel may depend on the decoder.

    Returns:
      `(train, test)`, with `input [N, 32, 32, 3]` float32 in [0, 1] and `label [N]` int32: 0 for
      the temple, 1 for the flower.

    Example:
      >>> train, test = photos()
      >>> train["input"].shape, len(test)
      ((2000, 32, 32, 3), 400)

    Source: the sample images of scikit-learn, by courtesy of their authors CC-BY.
    """
    from sklearn.datasets import load_sample_images

    random = np.random.RandomState(0)
    side = 32
    # At half the resolution, a crop shows a recognizable part of the photograph.
    halves = [
        photo[:426].reshape(213, 2, 320, 2, 3).mean((1, 3)) / 255
        for photo in load_sample_images().images
    ]

    def crops(first: int, last: int, count: int) -> Dataset:
        """Returns `count` crops per photograph from the columns `first` to `last`."""
        images = []
        for half in halves:
            tops = random.randint(0, half.shape[0] - side + 1, count)
            lefts = random.randint(first, last - side + 1, count)
            images += [half[y : y + side, x : x + side] for y, x in zip(tops, lefts, strict=True)]
        label = np.repeat(np.arange(2, dtype=np.int32), count)
        arrays = {"input": np.stack(images).astype(np.float32), "label": label}
        return Dataset(arrays, "photos", 2, class_names=("temple", "flower"))

    return crops(0, 240, 1000), crops(240, 320, 200)


def moons() -> tuple[Dataset, Dataset]:
    """Returns 2,000 points on two interleaved half circles in the plane, 2 classes.

        class 0: (cos t, sin t) + 0.15 e        class 1: (1 - cos t, 1/2 - sin t) + 0.15 e

    Here t is uniform in [0, pi] and e standard normal.

    Returns:
      `(train, test)`, with `input [N, 2]` float32 and `label [N]` int32. One example in five of
      each class is in the test set.

    Example:
      >>> train, test = moons()
      >>> train["input"].shape, len(test)
      ((1600, 2), 400)
    """
    random = np.random.RandomState(0)
    t = random.uniform(0, np.pi, (2, 1000))
    upper = np.stack([np.cos(t[0]), np.sin(t[0])], -1)
    lower = np.stack([1 - np.cos(t[1]), 0.5 - np.sin(t[1])], -1)
    points = np.concatenate([upper, lower])
    points = points + 0.15 * random.standard_normal(points.shape)
    return _points("moons", points, np.arange(2000) // 1000)


def spirals() -> tuple[Dataset, Dataset]:
    """Returns 3,000 points on three interleaved spiral arms in the plane, 3 classes.

        class k: r (cos a, sin a),    a = 2 pi k / 3 + 4 r + 0.2 e

    Here r is uniform in [0, 1] and e standard normal. Each arm turns by 4 radians.

    Returns:
      `(train, test)`, with `input [N, 2]` float32 and `label [N]` int32. One example in five of
      each class is in the test set.

    Example:
      >>> train, test = spirals()
      >>> train["input"].shape, len(test)
      ((2400, 2), 600)

    Source: after the spirals in Karpathy, "CS231n: Neural Networks Case Study", Stanford, 2015.
    """
    random = np.random.RandomState(0)
    label = np.arange(3000) // 1000
    radius = random.uniform(0, 1, 3000)
    angle = 2 * np.pi * label / 3 + 4 * radius + 0.2 * random.standard_normal(3000)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    return _points("spirals", points, label)


def _points(
    name: str, points: Float[np.ndarray, "N 2"], label: Int[np.ndarray, " N"]
) -> tuple[Dataset, Dataset]:
    """Returns a training and a test set of points with the classes that occur in `label`."""
    arrays = {"input": points.astype(np.float32), "label": label.astype(np.int32)}
    return holdout(Dataset(arrays, name, int(label.max()) + 1))


#: The sets that need no files and no network, with the same bytes everywhere.
EMBEDDED = {
    "digits": digits,
    "moons": moons,
    "photos": photos,
    "spirals": spirals,
    "fruits": fruits,
    "curved_fruits": curved_fruits,
}
