"""Image classification sets of TensorFlow Datasets, without TensorFlow in this process.

A child process (`jaxdl.data.prepare`) reads a prepared set once and writes the decoded arrays into
the cache.
"""

import difflib
import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.cache import Arrays, cache_root, load_or_build
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import expand_path
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import DataUnavailable, InputError

#: Sets that are known to work, for hints about misspelled names. Any other name is passed to TFDS
#: as well.
KNOWN = (
    "mnist",
    "fashion_mnist",
    "kmnist",
    "mnist_corrupted",
    "emnist",
    "emnist/balanced",
    "emnist/byclass",
    "emnist/bymerge",
    "emnist/digits",
    "emnist/letters",
    "emnist/mnist",
    "cifar10",
    "cifar100",
    "svhn_cropped",
    "stl10",
    "eurosat",
    "rock_paper_scissors",
    "horses_or_humans",
    "cmaterdb",
    "omniglot",
    "smallnorb",
    "patch_camelyon",
    "colorectal_histology",
    "deep_weeds",
    "resisc45",
    "binary_alpha_digits",
    "beans",
    "quickdraw_bitmap",
    "imagenet_resized",
    "pneumonia_mnist",
)

#: Exit code of the child process if TFDS has no set with this name.
UNKNOWN = 2

#: Exit code of the child process if the set is not available on this machine.
UNAVAILABLE = 3

_NAME = re.compile(r"[A-Za-z]\w*(/[\w.-]*\w)?(:\d+\.\d+\.\d+)?", re.ASCII)


def tfds_images(
    name: str, data_dir: str | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of an image classification set of TFDS.

    The test set is the split `test`, or `validation` if there is no `test`. Without either, one
    example in five of each class becomes the test set, the same examples every time. The first call
    takes seconds to minutes. Later calls read the cache, which has an entry for each name and
    `data_dir` and is verified on every call.

    Args:
      name: `set` or `set/config`, either optionally followed by `:version`.
      data_dir: directory of the prepared TFDS sets. None means $TFDS_DATA_DIR, or
        ~/tensorflow_datasets if that is not set.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Returns:
      `(train, test)`, with `input [N, H, W, C]` float32 in [0, 1] (a `MappedArray` above 2 GiB)
      and `label [N]` int32 in [0, classes). The names of the classes are those of TFDS.

    Raises:
      InputError: a malformed name, a name that TFDS does not have, or a cache that cannot be
        written.
      DataUnavailable: the set is not prepared and cannot be prepared here; the message contains
        the command that prepares it.

    Example:
      >>> tfds_images("../secrets")
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got '../secrets', allowed: digits, photos, ...
    """
    if len(name) > 100 or not _NAME.fullmatch(name):
        raise unknown_name_error(name)
    source = absolute_path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    tag = hashlib.sha256(source.encode()).hexdigest()[:8]
    folder = cache_root(cache_dir) / "tfds" / f"{name.replace('/', '@').replace(':', '=')}-{tag}"
    arrays, metadata = load_or_build(folder, lambda new: run_prepare(name, source, new))

    if not _are_images(arrays, metadata):
        raise InputError("cache_dir", str(folder), "a cache of this version; remove the folder")

    def part(split: str) -> Dataset:
        pixels = MappedArray(arrays[f"{split}_input"]).rescale(0, 255)
        label = arrays[f"{split}_label"].astype(np.int32)
        # Entries of earlier versions have no names.
        names = metadata.get("class_names")
        arrays_of_part: dict[str, Any] = {"input": pixels, "label": label}
        return Dataset(arrays_of_part, name, metadata["classes"], class_names=names)

    train = part("train")
    if "test_label" in arrays:
        return train, part("test")
    return holdout(train)


def _are_images(arrays: Arrays, metadata: dict[str, Any]) -> bool:
    """Returns True if a cache has the contents that `jaxdl.data.prepare` writes."""
    if not isinstance(metadata.get("classes"), int):
        return False
    for part in {"train", *(name.partition("_")[0] for name in arrays)}:
        images = arrays.get(f"{part}_input")
        labels = arrays.get(f"{part}_label")
        if images is None or labels is None:
            return False
        if images.dtype != np.uint8 or images.ndim != 4:
            return False
        if labels.dtype != np.int32 or labels.ndim != 1:
            return False
    return True


def unknown_name_error(name: str) -> InputError:
    """Returns the error for an unknown name, with the nearest known name as a hint."""
    known = ("digits", "photos", "moons", "spirals", "fruits", "curved_fruits", *KNOWN)
    hint = ""
    for nearest in difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        hint = f" (did you mean {nearest!r}?)"
    return InputError(
        "data",
        name,
        "digits, photos, moons, spirals, fruits, curved_fruits, an image classification set of "
        f"TFDS, a .npz or .csv file, or a folder of images{hint}",
    )


def prepare_command(name: str, data_dir: str) -> str:
    """Returns the shell command that prepares a set on a machine with a network.

    Example:
      >>> prepare_command("cifar10", "/data")
      "pip install 'jaxdl[tfds]' && python -m jaxdl.data.prepare cifar10 --data-dir /data"
    """
    return (
        f"pip install 'jaxdl[tfds]' && python -m jaxdl.data.prepare {shlex.quote(name)}"
        f" --data-dir {shlex.quote(data_dir)}"
    )


def run_prepare(name: str, source: str, folder: Path, text: bool = False) -> None:
    """Runs `jaxdl.data.prepare` in a child process, which writes the decoded arrays.

    Args:
      name: name of the set.
      source: directory of the prepared TFDS sets.
      folder: an empty folder for the decoded arrays.
      text: if True, the set must contain texts; otherwise images.

    Raises:
      InputError: TFDS has no image set with this name.
      DataUnavailable: the set cannot be read; the message is that of the child process, or its exit
        code.
    """
    print(f"reading {name} from {source} into the cache ...", file=sys.stderr, flush=True)
    command = [
        sys.executable,
        "-m",
        "jaxdl.data.prepare",
        name,
        "--data-dir",
        source,
        "--out",
        str(folder),
    ]
    if text:
        command.append("--text")
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    # The error for an unknown name lists the image sets, so it does not fit a text.
    if done.returncode == UNKNOWN and not text:
        raise unknown_name_error(name)
    if done.returncode == UNAVAILABLE:
        raise DataUnavailable(done.stdout.strip())
    if done.returncode:
        raise DataUnavailable(
            f"{name}: the process that reads it exited with code {done.returncode}"
        )


def absolute_path(path: str) -> str:
    """Returns an absolute path for the child process; an address like gs://bucket is unchanged."""
    if "://" in path and "\0" not in path:
        return path
    return str(expand_path(path, "data_dir").resolve())
