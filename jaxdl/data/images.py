"""Any image classification set of TensorFlow Datasets, by its name, without TensorFlow in this process.

A child process (`jaxdl.data.prepare`) reads the prepared set once; what it decoded stays in the cache.
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

from jaxdl.data.cache import Arrays, cache_root, cached
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.files import path_of
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import DataUnavailable, InputError

#: Sets that are known to work, to answer a misspelt name; any other name is handed to TFDS all the same.
KNOWN = (
    *(
        "mnist",
        "fashion_mnist",
        "kmnist",
        "mnist_corrupted",
        "emnist",
        "emnist/balanced",
        "emnist/byclass",
    ),
    *(
        "emnist/bymerge",
        "emnist/digits",
        "emnist/letters",
        "emnist/mnist",
        "cifar10",
        "cifar100",
        "svhn_cropped",
    ),
    *(
        "stl10",
        "eurosat",
        "rock_paper_scissors",
        "horses_or_humans",
        "cmaterdb",
        "omniglot",
        "smallnorb",
    ),
    *(
        "patch_camelyon",
        "colorectal_histology",
        "deep_weeds",
        "resisc45",
        "binary_alpha_digits",
        "beans",
    ),
    *("quickdraw_bitmap", "imagenet_resized", "pneumonia_mnist"),
)

#: What the child exits with: TFDS has no such set; the set cannot be had here.
UNKNOWN = 2
UNAVAILABLE = 3

_NAME = re.compile(r"[A-Za-z]\w*(/[\w.-]*\w)?(:\d+\.\d+\.\d+)?", re.ASCII)


def tfds_images(
    name: str, data_dir: str | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """The training and the test set of an image classification set of TFDS.

    Where a set has no test part its `validation` part is used, else one example in five of each
    class, always the same. The first call takes seconds to minutes; later ones read the cache,
    which is one of a name and a `data_dir`, and is verified every time.

    Args:
      name: `set`, `set/config`, either with `:version` behind.
      data_dir: where TFDS keeps prepared sets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      cache_dir: where decoded arrays are kept; None: $JAXDL_CACHE, else ~/.cache/jaxdl.

    Returns:
      `(train, test)`, `input [N, H, W, C]` float32 in [0, 1] (a `MappedArray` above 2 GiB), `label [N]`
      int32 in [0, classes).

    Raises:
      InputError: a name that TFDS does not have, or that is none; a cache that cannot be written.
      DataUnavailable: not prepared here and not to be had; says which command to run.

    Example:
      >>> tfds_images("../secrets")
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got '../secrets', allowed: digits, photos, ...
    """
    if len(name) > 100 or not _NAME.fullmatch(name):
        raise unknown(name)
    source = _absolute(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    tag = hashlib.sha256(source.encode()).hexdigest()[:8]
    folder = cache_root(cache_dir) / "tfds" / f"{name.replace('/', '@').replace(':', '=')}-{tag}"
    arrays, about = cached(folder, lambda new: _in_child(name, source, new))

    if not _are_images(arrays, about):
        raise InputError("cache_dir", str(folder), "what this version writes there; remove it")

    def part(split: str) -> Dataset:
        pixels = MappedArray(arrays[f"{split}_input"]).then(0, 255)
        label = arrays[f"{split}_label"].astype(np.int32)
        return Dataset({"input": pixels, "label": label}, name, about["classes"])

    train = part("train")
    return (train, part("test")) if "test_label" in arrays else holdout(train)


def _are_images(arrays: Arrays, about: dict[str, Any]) -> bool:
    """Whether a cache holds what `jaxdl.data.prepare` writes."""
    parts = {"train", *(name.partition("_")[0] for name in arrays)}
    pairs = [(arrays.get(f"{part}_input"), arrays.get(f"{part}_label")) for part in parts]
    return isinstance(about.get("classes"), int) and all(
        x is not None
        and y is not None
        and (x.dtype, x.ndim) == (np.uint8, 4)
        and (y.dtype, y.ndim) == (np.int32, 1)
        for x, y in pairs
    )


def unknown(name: str) -> InputError:
    """What to raise for a name that no set has, with the nearest known one."""
    near = difflib.get_close_matches(
        name, ("digits", "photos", "moons", "spirals", *KNOWN), n=1, cutoff=0.5
    )
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return InputError(
        "data",
        name,
        f"digits, photos, moons, spirals, a .npz file or an image classification set of TFDS{hint}",
    )


def how_to_get(name: str, data_dir: str) -> str:
    """The command that prepares a set where there is a network.

    Example:
      >>> how_to_get("cifar10", "/data")
      "pip install -e '.[tfds]' && python -m jaxdl.data.prepare cifar10 --data-dir /data"
    """
    return (
        f"pip install -e '.[tfds]' && python -m jaxdl.data.prepare {shlex.quote(name)}"
        f" --data-dir {shlex.quote(data_dir)}"
    )


def _in_child(name: str, source: str, folder: Path) -> None:
    """Has the child write the decoded arrays into the folder."""
    print(f"reading {name} from {source}, once ...", file=sys.stderr, flush=True)
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
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if done.returncode == UNKNOWN:
        raise unknown(name)
    if done.returncode == UNAVAILABLE:
        raise DataUnavailable(done.stdout.strip())
    if done.returncode:
        raise DataUnavailable(
            f"{name}: the process that reads it ended with code {done.returncode}"
        )


def _absolute(path: str) -> str:
    """A path that means the same in the child; an address such as gs://bucket as it is."""
    return path if "://" in path and "\0" not in path else str(path_of(path, "data_dir").resolve())
