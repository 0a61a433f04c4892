"""Predictions of a trained network: `python -m jaxdl.predict RUN INPUTS`.

    python -m jaxdl.predict runs/mine digit.png another.png
    python -m jaxdl.predict runs/mine folder-of-images --out labels.csv
    python -m jaxdl.predict runs/mine table.csv --out predictions.json
    python -m jaxdl.predict runs/sentiment "a good film" "a bad film"
    python -m jaxdl.predict runs/text "the first words" --length 200
    python -m jaxdl.predict runs/vae digits.npz --out reconstructions.png
    python -m jaxdl.predict runs/gan --samples 64 --out samples.png
    python -m jaxdl.predict vgg16.pth photo.jpg

RUN is the directory of a finished run, or another one with its `model.json` and
`weights.safetensors`, or a weights file of another library. Inputs are raw: the preprocessing of
the training is applied.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl import plots, rng
from jaxdl.applied import MAX_ROWS
from jaxdl.data.columns import encode_rows
from jaxdl.data.decoding import Form, decode, form_of
from jaxdl.data.files import expand_path, write_atomically
from jaxdl.data.raw import RawInputs, read_inputs
from jaxdl.errors import InputError, RunError, at_least, one_line
from jaxdl.export.networks import conditional_classes
from jaxdl.network import Network, load
from jaxdl.output import command

#: Endings of the files that `--out` may name.
ENDINGS = {
    "predict": (".csv", ".json", ".npz"),
    "reconstruct": (".png", ".npz"),
    "sample": (".png", ".npz"),
    "generate": (".txt", ".json"),
}

#: Most probabilities that the terminal shows for an example.
SHOWN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jaxdl.predict`; returns its exit code, 2 for an error in one line."""
    options = _parser().parse_args(arguments)
    return command(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m jaxdl.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", help="directory of a finished run, or a weights file")
    parser.add_argument(
        "inputs",
        nargs="*",
        help="images and folders of them, one .npz or .csv file, or texts and .txt files",
    )
    parser.add_argument("--out", help="file of the predictions; default: the terminal")
    parser.add_argument("--member", type=int, default=0, help="index of the seed; default: 0")
    parser.add_argument("--batch-size", type=int, help="default: 500, or fewer large examples")
    parser.add_argument(
        "--resize",
        action="store_true",
        help="crop and scale images to the size of the training set",
    )
    parser.add_argument("--samples", type=int, help="number of images to generate, without inputs")
    parser.add_argument("--length", type=int, default=200, help="tokens to generate; default: 200")
    parser.add_argument("--temperature", type=float, default=1.0, help="of texts; default: 1")
    parser.add_argument("--seed", type=int, default=0, help="of generated examples; default: 0")
    return parser


def _run(options: argparse.Namespace) -> None:
    """Loads the network, and does what its task is for."""
    if options.batch_size is not None:
        at_least("batch_size", options.batch_size, 1)
    network = load(expand_path(options.run, "run"), member=options.member)
    use = _use(network, options.samples)
    out = None
    if options.out is not None:
        out = _checked_out(options.out, use)
    if use == "sample":
        at_least("samples", options.samples, 1)
        if options.inputs:
            raise InputError("samples", options.samples, "no --samples, or no inputs")
        _write_samples(network, options, out)
        return
    raw = read_inputs(options.inputs)
    if use == "generate":
        _write_texts(raw, _continued(network, raw, options), out)
        return
    outputs = _applied(network, use, raw, options)
    if use == "reconstruct":
        _write_images(outputs, out, f"{len(outputs)} reconstructions")
        return
    _write_rows(_rows(network, raw.names, outputs), outputs, out)


def _write_samples(network: Network, options: argparse.Namespace, out: Path | None) -> None:
    """Generates images and writes them; a conditional network shows its classes in turn."""
    title = f"{options.samples} generated images"
    labels = []
    classes = conditional_classes(network)
    if classes is not None:
        labels = [np.arange(options.samples, dtype=np.int32) % classes]
        title += f", of the {classes} classes in turn"
    images = network.sample(rng.root(options.seed), options.samples, *labels)
    _write_images(np.asarray(images), out, title)


def _use(network: Network, samples: int | None) -> str:
    """Returns the function of a network that the command calls."""
    names = network.task.functions
    if samples is not None:
        if "sample" not in names:
            raise InputError("samples", samples, "no --samples: this network generates nothing")
        return "sample"
    if network.task.name == "language":
        return "generate"
    for name in ("predict", "reconstruct"):
        if name in names:
            return name
    raise InputError("samples", None, "--samples N: this network generates examples only")


def _checked_out(name: str, use: str) -> Path:
    """Returns the path of the output; raises unless its ending fits."""
    path = expand_path(name, "out")
    if path.suffix not in ENDINGS[use]:
        raise InputError("out", name, f"a file that ends in {', '.join(ENDINGS[use])}")
    if not path.parent.is_dir():
        raise InputError("out", name, "a file in a directory that exists")
    return path


def _applied(network: Network, use: str, raw: RawInputs, options: argparse.Namespace) -> np.ndarray:
    """Returns the outputs for all inputs, in parts, with progress on a terminal."""
    function = getattr(network, use)
    if raw.kind == "texts" and network.preprocessing.text is None:
        allowed = f"{_wanted(network)}; this network reads no texts"
        raise InputError("inputs", raw.values[0][:80], allowed)
    if raw.kind == "rows":
        raw = _encoded_rows(network, raw)
    parts = []
    done = 0
    for part in _parts(network, raw, options):
        parts.append(np.asarray(function(part, batch_size=options.batch_size)))
        done += len(parts[-1])
        if sys.stderr.isatty() and len(raw.names) > len(parts[0]):
            print(f"\r{done:,} of {len(raw.names):,}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and len(parts) > 1:
        print(file=sys.stderr)
    outputs = np.concatenate(parts)
    bad = ~np.isfinite(outputs).reshape(len(outputs), -1).all(1)
    if bad.any():
        allowed = "inputs like those of the training set, and a network whose training had no NaN"
        raise InputError(f"output of {raw.names[bad.argmax()]}", "nan or infinite", allowed)
    return outputs


def _encoded_rows(network: Network, raw: RawInputs) -> RawInputs:
    """Returns the rows of a table as an array; errors have the line of the file."""
    columns = network.preprocessing.columns
    if columns is None:
        raise InputError("inputs", "a table", _wanted(network))
    values = encode_rows(columns, raw.values, raw.names)
    return raw._replace(kind="array", values=values)


def _wanted(network: Network) -> str:
    """Returns the inputs that a network takes, in words."""
    shape = list(network.fields["input"].shape)
    if network.preprocessing.columns is not None:
        names = ", ".join(each.name for each in network.preprocessing.columns)
        return f"a .csv file with the columns {names}"
    if network.preprocessing.crop is not None:
        return "photographs, or a .npz file"
    if len(shape) == 3 and shape[-1] in (1, 3):
        return f"images of {shape[0]} x {shape[1]} pixels, or a .npz file"
    return f"a .npz file with an array [N, {', '.join(map(str, shape))}]"


def _parts(network: Network, raw: RawInputs, options: argparse.Namespace) -> Iterator[Any]:
    """Yields the inputs in parts, so that a large folder of images needs little memory."""
    size = 4 * (options.batch_size or MAX_ROWS)
    for first in range(0, len(raw.names), size):
        part = raw.values[first : first + size]
        if raw.kind == "images":
            part = _images(network, part, options.resize)
        yield part


def _images(network: Network, paths: Sequence[Path], resize: bool) -> np.ndarray:
    """Returns the pixels of images; photographs are cropped one by one, which needs less memory."""
    crop = network.preprocessing.crop
    if crop is None:
        form = _form(network)
        return np.stack([decode(path, form, resize) for path in paths])
    images = []
    for path in paths:
        height, width, *_ = form_of(path)
        images.append(crop([decode(path, Form(height, width, channels=3, bits=8))])[0])
    return np.stack(images)


def _form(network: Network) -> Form:
    """Returns the form of the images that a network reads."""
    shape = network.fields["input"].shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise InputError("inputs", "images", f"{_wanted(network)}; it reads no images")
    # 8 bits become 16 without another rounding: 257 v / 65535 = v / 255.
    return Form(shape[0], shape[1], shape[2], bits=16)


def _rows(network: Network, names: Sequence[str], outputs: np.ndarray) -> list[dict[str, Any]]:
    """Returns one dictionary for each example: its name, and what was predicted."""
    if network.task.name != "classify":
        flat = outputs.reshape(len(outputs), -1)
        columns = [f"output_{i}" for i in range(flat.shape[1])]
        if len(columns) == 1:
            columns = ["output"]
        return [
            {"input": name, **dict(zip(columns, row, strict=True))}
            for name, row in zip(names, flat.tolist(), strict=True)
        ]
    classes = network.classes or tuple(map(str, range(outputs.shape[-1])))
    if len(classes) != outputs.shape[-1]:
        raise InputError("class_names", len(classes), f"{outputs.shape[-1]}, as many as outputs")
    rows = []
    for name, probabilities in zip(names, outputs.tolist(), strict=True):
        best = int(np.argmax(probabilities))
        row = {"input": name, "label": classes[best], "probability": probabilities[best]}
        if network.task.arguments.get("multi_label"):
            named = [c for c, p in zip(classes, probabilities, strict=True) if p > 0.5]
            row = {"input": name, "label": " ".join(named)}
        rows.append(row | {f"p({c})": p for c, p in zip(classes, probabilities, strict=True)})
    return rows


def _write_rows(rows: list[dict[str, Any]], outputs: np.ndarray, out: Path | None) -> None:
    """Writes predictions as CSV, JSON or arrays, or prints the most likely classes."""
    if out is None:
        for row in rows:
            shown = list(row.items())
            if "label" in row:
                # The label of one class is the most likely one, which is shown already.
                first = int("probability" in row)
                places = 2 + first
                others = sorted(shown[places:], key=lambda each: -each[1])
                shown = shown[:places] + others[first:SHOWN]
            print("  ".join(one_line(_shown(*each)) for each in shown))
        return
    if out.suffix == ".npz":
        _write_arrays(out, output=outputs, input=np.array([row["input"] for row in rows]))
        return
    text = json.dumps(rows, indent=1) + "\n"
    if out.suffix == ".csv":
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    _write_text(out, text)


def _shown(name: str, value: Any) -> str:
    """Returns one part of a printed prediction."""
    if name in ("input", "label"):
        return str(value) or "no class"
    if name.startswith("p"):
        number = f"{100 * value:.1f} %"
        return number if name == "probability" else f"({name[2:-1]} {number})"
    return f"{value:.6g}"


def _write_images(images: np.ndarray, out: Path | None, title: str) -> None:
    """Writes a grid of images, or their numbers."""
    if out is None:
        raise InputError("out", None, "--out with a file that ends in .png or .npz")
    if out.suffix == ".npz":
        _write_arrays(out, output=images)
    else:
        if images.ndim != 4:
            raise InputError("out", out.name, "a file that ends in .npz; these are no images")
        plots.image_grid(images, out, title=title)
    print(out)


def _continued(network: Network, raw: RawInputs, options: argparse.Namespace) -> list[str]:
    """Returns the continuation of each text."""
    encoding = network.preprocessing.text
    if encoding is None or raw.kind != "texts":
        allowed = "texts, for a language model that a run has trained"
        raise InputError("inputs", raw.kind, allowed)
    key = rng.stream(rng.root(options.seed), "sample")
    vocabulary = encoding.vocabulary
    texts = []
    for i, text in enumerate(raw.values):
        ids = vocabulary.encode(text)
        if not len(ids):
            raise InputError(raw.names[i], text, f"at least one {vocabulary.kind}")
        tokens = network.generate(
            ids[None],
            jax.random.fold_in(key, i),
            length=options.length,
            temperature=options.temperature,
            never=(0, 1),
        )
        texts.append(vocabulary.decode(np.asarray(tokens[0])))
    return texts


def _write_texts(raw: RawInputs, texts: list[str], out: Path | None) -> None:
    """Writes or prints each text with its continuation."""
    joined = [f"{text}|{more}" for text, more in zip(raw.values, texts, strict=True)]
    if out is None:
        print("\n".join(joined))
    elif out.suffix == ".json":
        rows = [
            {"input": text, "continuation": more}
            for text, more in zip(raw.values, texts, strict=True)
        ]
        _write_text(out, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        _write_text(out, "\n".join(joined) + "\n")


def _write_text(out: Path, text: str) -> None:
    try:
        write_atomically(out, text)
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}") from None
    print(out)


def _write_arrays(out: Path, **arrays: np.ndarray) -> None:
    try:
        np.savez(out, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise RunError(f"{out} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
