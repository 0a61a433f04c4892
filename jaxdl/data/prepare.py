"""Prepares a set of TensorFlow Datasets, in a process of its own because preparing imports TensorFlow.

    python -m jaxdl.data.prepare mnist --data-dir DIR
    python -m jaxdl.data.prepare tiny_shakespeare --data-dir DIR --text

Reading what is prepared needs no TensorFlow; with `--out` the decoded arrays go into that folder, for
the cache.
"""

import argparse
import contextlib
import importlib.util
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data.cache import seal
from jaxdl.data.images import UNAVAILABLE, UNKNOWN, how_to_get, unknown
from jaxdl.errors import DataUnavailable, InputError

#: Images decoded at a time.
BLOCK = 512


def prepare(name: str, data_dir: str, out: Path | None = None, text: bool = False) -> None:
    """Prepares a set as array_record files if it is not prepared yet, and decodes it.

    Args:
      name: `set`, `set/config`, either with `:version` behind.
      data_dir: where TFDS keeps prepared sets.
      out: an empty folder for the decoded arrays; None: prepare only.
      text: whether it is to be a set of texts; else one of images.

    Raises:
      InputError: TFDS has no such set.
      DataUnavailable: it cannot be prepared here, or holds no images of one size with one label, or
        (if `text`) not just texts.
    """
    how = how_to_get(name, data_dir) + " --text" * text
    try:
        builder = _builder(name, data_dir)
        decode = _text(builder, name) if text else _images(builder, name)
        if not builder.is_prepared():
            _prepare(builder, name, data_dir, how)
        if out is not None:
            decode(out)
    except (DataUnavailable, InputError):
        raise
    except Exception as error:
        # Downloads, decoders and TFDS itself fail in too many ways to list them.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataUnavailable(
            f"{name}: could not be had ({reason}); where there is a network, run: {how}"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    said = __doc__.splitlines()[0]
    parser = argparse.ArgumentParser(
        prog="python -m jaxdl.data.prepare", description=said, allow_abbrev=False
    )
    parser.add_argument(
        "name", help="an image classification set of TFDS (mnist, emnist/letters), or a text"
    )
    parser.add_argument(
        "--data-dir", default=os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
    )
    parser.add_argument("--out", type=Path, help="an empty folder for the decoded arrays")
    parser.add_argument(
        "--text", action="store_true", help="a set of texts (tiny_shakespeare), not of images"
    )
    options = parser.parse_args(arguments)
    data_dir = (
        options.data_dir if "://" in options.data_dir else os.path.expanduser(options.data_dir)
    )
    try:
        # What TFDS prints is for people; stdout is for the process that asked.
        with contextlib.redirect_stdout(sys.stderr):
            prepare(options.name, data_dir, options.out, options.text)
    except (InputError, DataUnavailable) as error:
        print(f"{error}", file=sys.stdout if options.out else sys.stderr)
        return UNKNOWN if isinstance(error, InputError) else UNAVAILABLE
    except KeyboardInterrupt:
        return 130
    if options.out is None:
        print(f"{options.name} is prepared in {data_dir}")
    return 0


def _builder(name: str, data_dir: str) -> Any:
    """The builder that TFDS's own code has under this name: a class named in the files is never looked up."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import absl.logging
    import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    path, _, version = name.partition(":")
    base, _, config = path.partition("/")
    try:
        known = tfds.builder_cls(base)
    except (tfds.core.DatasetNotFoundError, ValueError):
        raise unknown(name) from None
    try:
        return known(
            data_dir=data_dir,
            config=config or None,
            version=version or None,
            file_format="array_record",
        )
    except (ValueError, AssertionError):
        if config and config not in known.builder_configs:
            raise unknown(name) from None
        raise


def _prepare(builder: Any, name: str, data_dir: str, how: str) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        needs = "preparing needs TensorFlow and a network; where they are, run"
        raise DataUnavailable(f"{name}: not prepared in {data_dir}, and {needs}: {how}")
    builder.download_and_prepare()


def _images(builder: Any, name: str) -> Callable[[Path], None]:
    """What decodes a set of images, if it is one."""
    fields = _fields(builder, name)
    return lambda out: _decode(builder, name, fields, out)


def _decode(builder: Any, name: str, fields: tuple[str, str, int], out: Path) -> None:
    """Writes `train_input.npy`, `train_label.npy` and, if there is one, the same of the test part."""
    image, label, classes = fields
    splits = builder.info.splits
    if "train" not in splits:
        raise DataUnavailable(f"{name}: has no training part, only {', '.join(sorted(splits))}")
    test = next((part for part in ("test", "validation") if part in splits), None)
    for part, split in [("train", "train"), ("test", test)]:
        if split is None:
            continue
        source = builder.as_data_source(split)
        shape = (len(source), *builder.info.features[image].shape)
        images = np.lib.format.open_memmap(
            out / f"{part}_input.npy", mode="w+", dtype=np.uint8, shape=shape
        )
        labels = np.empty(len(source), np.int32)
        for first in range(0, len(source), BLOCK):
            rows = range(first, min(first + BLOCK, len(source)))
            block = source.__getitems__(list(rows))
            images[first : rows.stop] = [row[image] for row in block]
            labels[first : rows.stop] = [row[label] for row in block]
        images.flush()
        np.save(out / f"{part}_label.npy", labels)
    seal(out, {"name": name, "classes": classes, "version": str(builder.version)})


def _fields(builder: Any, name: str) -> tuple[str, str, int]:
    """What the image and the label are called, and how many classes there are."""
    from tensorflow_datasets import features

    image, label = builder.info.supervised_keys or ("image", "label")
    known = builder.info.features
    pixels, named = (
        known[key] if isinstance(key, str) and key in known else None for key in (image, label)
    )
    if not isinstance(pixels, features.Image) or not isinstance(named, features.ClassLabel):
        raise DataUnavailable(f"{name}: not a set of images with one label each")
    if None in pixels.shape or pixels.np_dtype != np.uint8:
        raise DataUnavailable(
            f"{name}: images are {pixels.np_dtype} {pixels.shape}, not uint8 of one size"
        )
    return image, label, named.num_classes


def _text(builder: Any, name: str) -> Callable[[Path], None]:
    """What decodes a set of texts: writes `text.npy`, the bytes of all parts, the training part first."""
    from tensorflow_datasets import features

    known = builder.info.features
    if set(known) != {"text"} or not isinstance(known["text"], features.Text):
        raise DataUnavailable(f"{name}: not a set of texts and nothing else")

    def decode(out: Path) -> None:
        parts = [part for part in ("train", "validation", "test") if part in builder.info.splits]
        texts = [row["text"] for part in parts for row in builder.as_data_source(part)]
        np.save(out / "text.npy", np.frombuffer(b"".join(texts), np.uint8))
        seal(out, {"name": name, "version": str(builder.version)})

    return decode


if __name__ == "__main__":
    sys.exit(main())
