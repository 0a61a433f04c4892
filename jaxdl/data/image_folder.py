"""Sets of images in a folder: a folder for each class, or images without classes."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt

from jaxdl.data.cache import cache_root, load_or_build, write_manifest
from jaxdl.data.dataset import Dataset, holdout
from jaxdl.data.decoding import Form, decode, form_of
from jaxdl.data.files import check_utf8
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError

#: Endings of the files that are read, in upper or lower case.
ENDINGS = (".png", ".jpg", ".jpeg")

#: Endings of images in other formats, which are refused. Files of any other ending are ignored.
OTHER_IMAGES = (".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".avif", ".jp2", ".ppm", ".pgm")

#: Names of the folder of the test set.
TEST = ("test", "val", "validation")

#: Largest side of scaled images.
MAX_SIDE = 4096

#: Version of the decoding, so that another one does not read the arrays of this one.
VERSION = 1


class Part(NamedTuple):
    """The files of the training or the test set.

    Attributes:
      files: the paths, class after class, sorted by name with numbers in their order.
      names: the class of each file; None if the images have no classes.
    """

    files: list[Path]
    names: list[str] | None


def load_image_folder(
    folder: Path, size: int | None = None, cache_dir: str | None = None
) -> tuple[Dataset, Dataset]:
    """Returns the training and the test set of a folder of images.

    There are four layouts. In the first two the folder of an image is its class:

        folder/{train,test}/class/image.png        folder/class/image.png
        folder/{train,test}/image.png              folder/image.png

    The folder `test` may be called `val` or `validation`. Without it, one image in five (of each
    class) becomes the test set, the same images every time. Hidden files are ignored, and so are
    files that are no images. Links are refused.

    If all images are grey there is one channel, and three if any has colours. See
    `jaxdl.data.decoding.decode` for transparency, orientation and images of 16 bits. The first call
    decodes the files into the cache. Later calls read the cache, unless the name, the size or the
    time of a file has changed.

    Args:
      folder: the folder.
      size: if not None, images are cropped to a centred square and scaled to `size x size` pixels.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Returns:
      `(train, test)`, with `input [N, H, W, C]` float32 in [0, 1] (a `MappedArray` above 2 GiB).
      With classes there is `label [N]` int32, and the names of the folders are `class_names`.

    Raises:
      InputError: no images, images of different sizes without `size`, a damaged file, a link, or
        another layout.

    Example:
      >>> load_image_folder(Path("nowhere"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere', allowed: a folder that can be read (No such ...
    """
    if size is not None and not 1 <= size <= MAX_SIDE:
        raise InputError("size", size, f"an integer in [1, {MAX_SIDE}], the side in pixels")
    parts = find_images(folder)
    name = folder.resolve().name
    key = _key(folder, parts, size)
    entry = cache_root(cache_dir) / "folders" / f"{key}"
    arrays, _ = load_or_build(entry, lambda new: _build(new, folder, parts, size))
    for part, (files, _) in parts.items():
        pixels = arrays.get(part)
        is_whole = pixels is not None and pixels.ndim == 4 and len(pixels) == len(files)
        if pixels is None or not is_whole or pixels.dtype not in (np.uint8, np.uint16):
            raise InputError("cache_dir", str(entry), "a cache of this version; remove the folder")
    classes = sorted_names(set(parts["train"].names or ()))
    sets = [_dataset(arrays[part], parts[part], name, classes) for part in parts]
    if len(sets) == 1:
        return holdout(sets[0])
    train, test = sets
    return train, test


def _dataset(
    pixels: UInt[np.ndarray, "N H W C"], part: Part, name: str, classes: Sequence[str]
) -> Dataset:
    """Returns the set of a part."""
    images = MappedArray(pixels).rescale(0, np.iinfo(pixels.dtype).max)
    fields: dict[str, np.ndarray | MappedArray] = {"input": images}
    # The division is no scaling of the set; a preprocessing divides pixels itself.
    if part.names is None:
        return Dataset(fields, name)
    number = {each: i for i, each in enumerate(classes)}
    fields["label"] = np.array([number[each] for each in part.names], np.int32)
    names = tuple(classes)
    return Dataset(fields, name, len(names), class_names=names)


def find_images(folder: Path) -> dict[str, Part]:
    """Returns the files of a folder of images: the part `train` and perhaps `test`.

    Args:
      folder: see `load_image_folder`.

    Raises:
      InputError: another layout, a link, or an image in another format.
    """
    folders, images = _entries(folder)
    if "train" not in folders or not set(folders) <= {"train", *TEST} or images:
        return {"train": _find_part(folder)}
    parts = {"train": _find_part(folder / "train")}
    others = [each for each in folders if each != "train"]
    if len(others) > 1:
        allowed = "train and test; the option --validation takes a part of the training set"
        raise InputError("data", f"{folder} with {folders}", allowed)
    for other in others:
        parts["test"] = _find_part(folder / other, 1)
        _check_classes(folder / other, parts["train"], parts["test"])
    return parts


def _check_classes(folder: Path, train: Part, test: Part) -> None:
    """Raises unless the classes of the test set are those of the training set, or some of them."""
    if (train.names is None) != (test.names is None):
        raise InputError("data", str(folder), "folders of classes as in train, or in neither")
    unknown = sorted_names(set(test.names or ()) - set(train.names or ()))
    if unknown:
        raise InputError("data", f"{folder} with {unknown}", "classes that are in train, too")


def _find_part(folder: Path, least: int = 2) -> Part:
    """Returns the files of a folder of images, or of a folder of at least `least` classes."""
    folders, images = _entries(folder)
    if folders and images:
        given = f"{folder} with {images[0]!r} beside the folder {folders[0]!r}"
        raise InputError("data", given, "images in the folder of their class, or no folders")
    if images:
        return Part([folder / image for image in images], None)
    if len(folders) < least:
        allowed = "two or more folders of classes, or .png, .jpg or .jpeg files"
        raise InputError("data", f"{folder} with the folders {folders}", allowed)
    files: list[Path] = []
    names: list[str] = []
    for name in folders:
        check_utf8(folder / name, "data")
        below, images = _entries(folder / name)
        if below or not images:
            allowed = f"{', '.join(ENDINGS)} files only"
            given = f"{folder / name} with {len(images)} images and the folders {below[:5]}"
            raise InputError("data", given, f"a folder of a class, with {allowed}")
        files += [folder / name / image for image in images]
        names += [name] * len(images)
    return Part(files, names)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of the images in a folder, sorted."""
    folders = []
    images = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__MACOSX")):
                    continue
                ending = os.path.splitext(entry.name)[1].lower()
                if entry.is_symlink():
                    allowed = "folders and files without links; copy the files"
                    raise InputError("data", f"the link {entry.path}", allowed)
                if entry.is_dir():
                    folders.append(entry.name)
                elif ending in ENDINGS and entry.is_file():
                    images.append(entry.name)
                elif ending in (*ENDINGS, *OTHER_IMAGES):
                    allowed = f"{', '.join(ENDINGS)} files; convert or remove it"
                    raise InputError("data", entry.path, allowed)
    except OSError as error:
        allowed = f"a folder that can be read ({error.strerror})"
        raise InputError("data", str(folder), allowed) from None
    return sorted_names(folders), sorted_names(images)


def sorted_names(names: Sequence[str] | set[str]) -> list[str]:
    """Returns names sorted, with the numbers in them in the order of their values.

    Example:
      >>> sorted_names(["image10", "image9", "10", "9"])
      ['9', '10', 'image9', 'image10']
    """

    def key(name: str) -> tuple[list[tuple[int, int, str]], str]:
        parts = re.split("([0-9]+)", name)
        # Texts are at even places and numbers at odd ones.
        values = [(i % 2, int(part) if i % 2 else 0, part) for i, part in enumerate(parts)]
        return values, name

    return sorted(names, key=key)


def _key(folder: Path, parts: dict[str, Part], size: int | None) -> str:
    """Returns the name of the cache entry, which depends on all that decides the arrays."""
    states = []
    for part, (files, _) in parts.items():
        for file in files:
            state = os.lstat(file)
            name = str(file.relative_to(folder))
            states.append([part, name, state.st_size, state.st_mtime_ns])
    resolved = str(folder.resolve())
    text = json.dumps([VERSION, resolved, size, states])
    short = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name)[:50]
    return f"{short}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _build(new: Path, folder: Path, parts: dict[str, Part], size: int | None) -> None:
    """Decodes all images into one array per part."""
    count = sum(len(part.files) for part in parts.values())
    print(f"reading {count:,} images from {folder} into the cache ...", file=sys.stderr, flush=True)
    form = _common_form([file for part in parts.values() for file in part.files], folder, size)
    dtype = np.dtype(f"u{form.bits // 8}")
    for part, (files, _) in parts.items():
        shape = (len(files), form.height, form.width, form.channels)
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        # A file that is written in order gives an error on a full disk; a mapped one ends the
        # process.
        with open(new / f"{part}.npy", "wb") as array:
            np.lib.format.write_array_header_1_0(array, header)
            for file in files:
                array.write(decode(file, form, size is not None).tobytes())
    write_manifest(new, {"images": count})


def _common_form(files: Sequence[Path], folder: Path, size: int | None) -> Form:
    """Returns the form of all images of a set; raises if their sizes differ and `size` is None."""
    first = form_of(files[0])
    channels = first.channels
    bits = first.bits
    for file in files[1:]:
        form = form_of(file)
        if size is None and form[:2] != first[:2]:
            given = f"{files[0].name} of {first.height} x {first.width} and {file.name} of "
            given += f"{form.height} x {form.width} pixels"
            allowed = f"one size; write {f'{folder}:64'!r} to crop and scale all to 64 x 64"
            raise InputError("data", given, allowed)
        channels = max(channels, form.channels)
        bits = max(bits, form.bits)
    # Pillow decodes colours to 8 bits.
    if channels == 3:
        bits = 8
    return Form(size or first.height, size or first.width, channels, bits)
