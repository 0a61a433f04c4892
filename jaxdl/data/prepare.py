"""A command that prepares a set of TensorFlow Datasets; only this process imports TensorFlow.

    python -m jaxdl.data.prepare mnist --data-dir DIR
    python -m jaxdl.data.prepare tiny_shakespeare --data-dir DIR --text

Reading a prepared set does not need TensorFlow. With `--out` the decoded arrays are written into
that folder, for the cache.
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

from jaxdl.data.cache import write_manifest
from jaxdl.data.images import UNAVAILABLE, UNKNOWN, prepare_command, unknown_name_error
from jaxdl.errors import DataUnavailable, InputError

#: Number of images that are decoded at a time.
BLOCK = 512


def prepare(name: str, data_dir: str, out: Path | None = None, text: bool = False) -> None:
    """Prepares a set as array_record files if it is not prepared yet, and decodes it.

    Args:
      name: `set` or `set/config`, either optionally followed by `:version`.
      data_dir: directory of the prepared TFDS sets.
      out: an empty folder for the decoded arrays. None means that nothing is decoded.
      text: if True, the set must contain texts; otherwise images.

    Raises:
      InputError: TFDS has no such set.
      DataUnavailable: the set cannot be prepared here, or its contents do not fit. Images must
        have one size and one label each; a set of texts must contain only texts.
    """
    command = prepare_command(name, data_dir)
    if text:
        command += " --text"
    try:
        builder = _builder(name, data_dir)
        if text:
            decode = _text_decoder(builder, name)
        else:
            decode = _image_decoder(builder, name)
        if not builder.is_prepared():
            _prepare(builder, name, data_dir, command)
        if out is not None:
            decode(out)
    except (DataUnavailable, InputError):
        raise
    except Exception as error:
        # Downloads, decoders and TFDS raise too many kinds of exceptions to list them.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataUnavailable(
            f"{name}: could not be prepared ({reason}); on a machine with a network, run: {command}"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxdl.data.prepare",
        description=__doc__.splitlines()[0],
        allow_abbrev=False,
    )
    parser.add_argument(
        "name",
        help="an image classification set of TFDS (mnist, emnist/letters), or with --text a set of"
        " texts",
    )
    parser.add_argument(
        "--data-dir",
        default=os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"),
        help="directory of the prepared sets (default: $TFDS_DATA_DIR or ~/tensorflow_datasets)",
    )
    parser.add_argument("--out", type=Path, help="an empty folder for the decoded arrays")
    parser.add_argument(
        "--text", action="store_true", help="prepare a set of texts (tiny_shakespeare)"
    )
    options = parser.parse_args(arguments)
    data_dir = options.data_dir
    if "://" not in data_dir:
        data_dir = os.path.expanduser(data_dir)
    try:
        # The output of TFDS is for the user; stdout is for the parent process.
        with contextlib.redirect_stdout(sys.stderr):
            prepare(options.name, data_dir, options.out, options.text)
    except (InputError, DataUnavailable) as error:
        print(f"{error}", file=sys.stdout if options.out else sys.stderr)
        if isinstance(error, InputError):
            return UNKNOWN
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 130
    if options.out is None:
        print(f"{options.name} is prepared in {data_dir}")
    return 0


def _builder(name: str, data_dir: str) -> Any:
    """Returns the builder that is registered in TFDS under this name.

    Class names in the files of a set are never looked up.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import absl.logging
    import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    path, _, version = name.partition(":")
    base, _, config = path.partition("/")
    try:
        builder_class = tfds.builder_cls(base)
    except (tfds.core.DatasetNotFoundError, ValueError):
        raise unknown_name_error(name) from None
    try:
        return builder_class(
            data_dir=data_dir,
            config=config or None,
            version=version or None,
            file_format="array_record",
        )
    except (ValueError, AssertionError):
        if config and config not in builder_class.builder_configs:
            raise unknown_name_error(name) from None
        raise


def _prepare(builder: Any, name: str, data_dir: str, command: str) -> None:
    """Downloads and prepares the set; raises DataUnavailable without TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise DataUnavailable(
            f"{name}: not prepared in {data_dir};"
            f" on a machine with TensorFlow and a network, run: {command}"
        )
    builder.download_and_prepare()


def _image_decoder(builder: Any, name: str) -> Callable[[Path], None]:
    """Returns a function that decodes a set of images; raises DataUnavailable for other sets."""
    fields = _image_fields(builder, name)
    return lambda out: _decode_images(builder, name, fields, out)


def _decode_images(builder: Any, name: str, fields: tuple[str, str, list[str]], out: Path) -> None:
    """Writes `train_input.npy`, `train_label.npy`, and the same for the test part if there is one.

    Args:
      builder: the builder of the set.
      name: name of the set.
      fields: what `_image_fields` returns.
      out: the folder to write to.
    """
    image, label, names = fields
    splits = builder.info.splits
    if "train" not in splits:
        raise DataUnavailable(f"{name}: has no split train, only {', '.join(sorted(splits))}")
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
    metadata = {"name": name, "classes": len(names), "class_names": names}
    write_manifest(out, {**metadata, "version": str(builder.version)})


def _image_fields(builder: Any, name: str) -> tuple[str, str, list[str]]:
    """Returns the keys of image and label, and the names of the classes."""
    from tensorflow_datasets import features

    image_key, label_key = builder.info.supervised_keys or ("image", "label")
    image = _feature(builder, image_key)
    label = _feature(builder, label_key)
    if not isinstance(image, features.Image) or not isinstance(label, features.ClassLabel):
        raise DataUnavailable(f"{name}: not a set of images with one label each")
    if None in image.shape or image.np_dtype != np.uint8:
        raise DataUnavailable(
            f"{name}: images are {image.np_dtype} {image.shape}, not uint8 of one size"
        )
    return image_key, label_key, list(label.names)


def _feature(builder: Any, key: Any) -> Any:
    """Returns the feature with this key; None if there is none, or if the key is nested."""
    features = builder.info.features
    if isinstance(key, str) and key in features:
        return features[key]
    return None


def _text_decoder(builder: Any, name: str) -> Callable[[Path], None]:
    """Returns a function that writes `text.npy`; raises DataUnavailable unless all data is text.

    The file holds the bytes of all parts: training, validation and test, in this order.
    """
    from tensorflow_datasets import features

    known = builder.info.features
    if set(known) != {"text"} or not isinstance(known["text"], features.Text):
        raise DataUnavailable(f"{name}: not a set that contains only texts")

    def decode(out: Path) -> None:
        parts = [part for part in ("train", "validation", "test") if part in builder.info.splits]
        texts = [row["text"] for part in parts for row in builder.as_data_source(part)]
        np.save(out / "text.npy", np.frombuffer(b"".join(texts), np.uint8))
        write_manifest(out, {"name": name, "version": str(builder.version)})

    return decode


if __name__ == "__main__":
    sys.exit(main())
