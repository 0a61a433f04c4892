"""Files of predictions: tables, images and texts, and their form on a terminal."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int, Num

from jaxdl import plots
from jaxdl.data.files import expand_path, write_atomically
from jaxdl.data.sound import mu_law_inverse, write_wav
from jaxdl.errors import InputError, RunError, one_line
from jaxdl.plots.images import as_picture, unit_range

Form = Literal["rows", "images", "texts", "sounds"]

#: Endings of the files of each form.
ENDINGS: dict[Form, tuple[str, ...]] = {
    "rows": (".csv", ".json", ".npz"),
    "images": (".png", ".npz"),
    "texts": (".txt", ".json"),
    "sounds": (".wav", ".npz"),
}

#: Most probabilities that the terminal shows for an example.
SHOWN = 3


def checked_out(name: str | None, form: Form) -> Path | None:
    """Returns the path of an output, or None for the terminal.

    Args:
      name: path of a file. For images it may also be a folder, which need not exist if its name has
        no ending.
      form: form of the outputs.

    Raises:
      InputError: an ending that does not fit, images or sounds without a path, or a place that does
        not exist.

    Example:
      >>> checked_out("labels.xlsx", "rows")
      Traceback (most recent call last):
      jaxdl.errors.InputError: out: got 'labels.xlsx', allowed: a file that ends in .csv, .json, ...
    """
    allowed = f"a file that ends in {', '.join(ENDINGS[form])}"
    if form == "images":
        allowed += "; or a folder, which must exist if its name has a dot"
    if name is None:
        if form in ("images", "sounds"):
            raise InputError("out", None, f"--out with {allowed}")
        return None
    path = expand_path(name, "out")
    if form == "images" and is_folder(path):
        if path.exists() and not path.is_dir():
            raise InputError("out", name, f"{allowed}; this is a file")
    elif path.suffix not in ENDINGS[form]:
        raise InputError("out", name, allowed)
    if not path.parent.is_dir():
        raise InputError("out", name, "a file in a directory that exists")
    return path


def check_not_input(out: Path | None, inputs: Sequence[str]) -> None:
    """Raises InputError if the file of the predictions is one of the inputs.

    Example:
      >>> check_not_input(Path("digit.png"), ["./digit.png"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: out: got 'digit.png', allowed: another file; this is an input
    """
    if out is None or out.is_dir():
        return
    if os.path.realpath(out) in {os.path.realpath(os.path.expanduser(name)) for name in inputs}:
        raise InputError("out", str(out), "another file; this is an input")


def is_folder(path: Path) -> bool:
    """Returns True for a folder, and for a name without an ending.

    Example:
      >>> is_folder(Path("translated")), is_folder(Path("page.png"))
      (True, False)
    """
    return path.is_dir() or not path.suffix


def image_paths(names: Sequence[str], folder: Path) -> list[Path]:
    """Returns the PNG file for each input, with the name of the input and another ending.

    Inputs from several folders keep those folders.

    Args:
      names: paths of the inputs, or other texts.
      folder: folder of the files.

    Raises:
      InputError: two inputs with one name, or a file that would replace an input.

    Example:
      >>> paths = image_paths(["pets/cats/1.jpg", "pets/dogs/1.jpg"], Path("out"))
      >>> [path.as_posix() for path in paths]
      ['out/cats/1.png', 'out/dogs/1.png']
    """
    sources = [os.path.abspath(name) for name in names]
    shared = os.path.commonpath([os.path.dirname(source) for source in sources])
    paths = [folder / Path(os.path.relpath(each, shared)).with_suffix(".png") for each in sources]
    # Some file systems do not distinguish upper and lower case.
    seen: dict[str, str] = {}
    replaced = {os.path.realpath(source) for source in sources}
    for name, path in zip(names, paths, strict=True):
        key = str(path).casefold()
        if key in seen:
            got = f"{seen[key]} and {name}"
            raise InputError("inputs", got, f"one image for each name; both would be {path}")
        if os.path.realpath(path) in replaced:
            raise InputError("out", str(folder), f"another folder; {path} is an input")
        seen[key] = name
    return paths


def write_images(
    images: Num[np.ndarray, "N ..."], names: Sequence[str], out: Path | None, title: str
) -> None:
    """Writes a PNG file for each image, a page with all of them, or their numbers.

    Args:
      images: `[N, H, W, C]`, C 1 or 3. Floats outside [0, 1] are scaled to it, except in `.npz`.
      names: name of each image, for files in a folder.
      out: a folder, or a file that ends in `.png` or `.npz`.
      title: one line above the images of a page.

    Raises:
      RunError: a file that cannot be written.
    """
    assert out is not None
    if is_folder(out):
        _write_each(images, image_paths(names, out))
        print(out)
    elif out.suffix == ".npz":
        _write_arrays(out, output=images)
    else:
        with _errors_in_one_line(out):
            plots.image_grid(images, out, title=title)
        print(out)


def _write_each(images: np.ndarray, paths: Sequence[Path]) -> None:
    """Writes each image as a PNG file of 8 bits."""
    from PIL import Image

    for image, path in zip(images, paths, strict=True):
        # Each image alone, so that its file does not depend on the others.
        pixels = np.round(255 * unit_range(image)).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(as_picture(pixels)).save(content, "PNG")
        with _errors_in_one_line(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content.getvalue())


def write_rows(
    rows: Sequence[dict[str, Any]], outputs: Num[np.ndarray, "N ..."], out: Path | None
) -> None:
    """Writes predictions as CSV, JSON or arrays, or prints the most likely classes.

    Args:
      rows: one dictionary for each example, with `input`, its name.
      outputs: the same predictions as an array, for `.npz`.
      out: the file; None prints a line for each example.

    Raises:
      RunError: a file that cannot be written.

    Example:
      >>> row = {"input": "a.png", "label": "cat", "probability": 0.75, "p(cat)": 0.75}
      >>> write_rows([{**row, "p(dog)": 0.25}], np.array([[0.75, 0.25]]), None)
      a.png  cat  75.0 %  (dog 25.0 %)
    """
    if out is None:
        for row in rows:
            print("  ".join(one_line(each) for each in _shown(row)))
    elif out.suffix == ".npz":
        _write_arrays(out, output=outputs, input=np.array([row["input"] for row in rows]))
    elif out.suffix == ".csv":
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _write_text(out, stream.getvalue())
    else:
        _write_text(out, json.dumps(rows, indent=1) + "\n")


def _shown(row: dict[str, Any]) -> list[str]:
    """Returns the parts of a printed prediction: the name, the label, numbers, some classes."""
    texts = []
    classes = []
    for name, value in row.items():
        if name in ("input", "label"):
            texts.append(str(value) or "no class")
        elif name == "probability":
            texts.append(f"{100 * value:.1f} %")
        elif name.startswith("p("):
            classes.append((name[2:-1], value))
        elif name in ("nats", "bits_per_pixel"):
            texts.append(f"{value:.6g} {name.replace('_', ' ')}")
        elif not name.startswith("nats("):
            texts.append(f"{value:.6g}")
    classes.sort(key=lambda each: -each[1])
    # The label of one class is the most likely one, which is shown already.
    first = int("probability" in row)
    return texts + [f"({name} {100 * p:.1f} %)" for name, p in classes[first:SHOWN]]


def write_texts(texts: Sequence[str], continuations: Sequence[str], out: Path | None) -> None:
    """Writes or prints each text with its continuation.

    Args:
      texts: the beginnings.
      continuations: as many texts.
      out: a file that ends in `.txt` or `.json`; None prints a line for each text.

    Raises:
      RunError: a file that cannot be written.

    Example:
      >>> write_texts(["to be"], [" or not"], None)
      to be| or not
    """
    pairs = list(zip(texts, continuations, strict=True))
    joined = "\n".join(f"{text}|{more}" for text, more in pairs)
    if out is None:
        print(joined)
    elif out.suffix == ".json":
        rows = [{"input": text, "continuation": more} for text, more in pairs]
        _write_text(out, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        _write_text(out, joined + "\n")


def write_sound(ids: Int[np.ndarray, "N T"], levels: int, rate: int, out: Path) -> None:
    """Writes a generated sound as a `.wav` file, or the levels of several as arrays.

    Args:
      ids: levels of `jaxdl.data.mu_law`.
      levels: number of levels.
      rate: samples per second.
      out: a file that ends in `.wav` or `.npz`.

    Raises:
      InputError: a file that cannot be written.
    """
    if out.suffix == ".npz":
        _write_arrays(out, output=ids)
        return
    write_wav(out, mu_law_inverse(ids[0], levels), rate)
    print(out)


def _write_text(out: Path, text: str) -> None:
    with _errors_in_one_line(out):
        write_atomically(out, text)
    print(out)


def _write_arrays(out: Path, **arrays: np.ndarray) -> None:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with _errors_in_one_line(out):
        write_atomically(out, content.getvalue())
    print(out)


@contextlib.contextmanager
def _errors_in_one_line(out: Path) -> Iterator[None]:
    """Raises RunError in place of an error of the system."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}") from None
