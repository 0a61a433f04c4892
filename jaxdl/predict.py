"""Predictions of a trained network: `python -m jaxdl.predict RUN INPUTS`.

    python -m jaxdl.predict runs/mine digit.png another.png
    python -m jaxdl.predict runs/mine folder-of-images --out labels.csv
    python -m jaxdl.predict runs/mine table.csv --out predictions.json
    python -m jaxdl.predict runs/sentiment "a good film" "a bad film"
    python -m jaxdl.predict runs/text "the first words" --length 200
    python -m jaxdl.predict runs/vae digits.npz --out reconstructions.png
    python -m jaxdl.predict runs/pix2pix/adversarial folder-of-images --out translated
    python -m jaxdl.predict runs/pixelcnn folder-of-images --out nats.csv
    python -m jaxdl.predict runs/wavenet sound.wav --length 8000 --out more.wav
    python -m jaxdl.predict runs/gan --samples 64 --out samples.png
    python -m jaxdl.predict vgg16.pth photo.jpg

RUN is the directory of a finished run, or another one with its `model.json` and
`weights.safetensors`, or a weights file of another library. Inputs are raw: the preprocessing of
the training is applied. Outputs that are images become a PNG file for each input if `--out` is a
folder, or one page if it ends in `.png`.
"""

import argparse
import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl import rng
from jaxdl.applied import MAX_ROWS
from jaxdl.data.columns import encode_rows
from jaxdl.data.decoding import Form, decode, form_of
from jaxdl.data.files import expand_path
from jaxdl.data.raw import RawInputs, read_inputs
from jaxdl.data.sound import RATE, mu_law, read_wav
from jaxdl.errors import InputError, at_least
from jaxdl.export.networks import conditional_classes, exportable
from jaxdl.network import Network, load
from jaxdl.output import command
from jaxdl.prediction_files import Form as OutputForm
from jaxdl.prediction_files import (
    check_not_input,
    checked_out,
    image_paths,
    is_folder,
    write_images,
    write_rows,
    write_sound,
    write_texts,
)

#: Functions that the command applies to inputs; a network's first one of them is used.
APPLIED = ("nll", "predict", "reconstruct")


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
        help="images and folders of them, one .npz, .csv or .wav file, or texts and .txt files",
    )
    parser.add_argument(
        "--out", help="file of the predictions, or a folder for images; default: the terminal"
    )
    parser.add_argument("--member", type=int, default=0, help="index of the seed; default: 0")
    parser.add_argument("--batch-size", type=int, help="default: 500, or fewer large examples")
    parser.add_argument(
        "--resize",
        action="store_true",
        help="crop and scale images to the size of the training set",
    )
    parser.add_argument(
        "--samples", type=int, help="number of examples to generate, without inputs"
    )
    parser.add_argument(
        "--length", type=int, default=200, help="tokens or sound samples to generate; default: 200"
    )
    parser.add_argument(
        "--temperature", type=float, help="of texts, sounds and images by pixel; default: 1"
    )
    parser.add_argument("--seed", type=int, default=0, help="of generated examples; default: 0")
    return parser


def _run(options: argparse.Namespace) -> None:
    """Loads the network, and does what its task is for."""
    if options.batch_size is not None:
        at_least("batch_size", options.batch_size, 1)
    network = load(expand_path(options.run, "run"), member=options.member)
    use = _use(network, options.samples)
    form = _output_form(network, use)
    out = checked_out(options.out, form)
    more = _temperature(network, use, options.temperature)
    if use == "sample":
        _write_samples(network, options, form, out, more)
        return
    raw = read_inputs(options.inputs)
    check_not_input(out, [*options.inputs, *raw.names])
    if use == "generate":
        generate = functools.partial(network.generate, length=options.length, **more)
        key = rng.stream(rng.root(options.seed), "sample")
        if form == "texts":
            write_texts(raw.values, _continued(network, raw, generate, key), out)
        else:
            _continue_levels(network, raw, generate, key, out)
        return
    if form == "images" and out is not None and is_folder(out):
        image_paths(raw.names, out)
    outputs = _applied(network, use, raw, options)
    _write(network, use, form, raw.names, outputs, out)


def _temperature(network: Network, use: str, temperature: float | None) -> dict[str, float]:
    """Returns the temperature as an argument of the function, or nothing if it is not given."""
    if temperature is None:
        return {}
    if "temperature" not in inspect.signature(network.task.functions[use]).parameters:
        allowed = f"no --temperature; {use} of this network has none"
        raise InputError("temperature", temperature, allowed)
    return {"temperature": temperature}


def _write_samples(
    network: Network,
    options: argparse.Namespace,
    form: OutputForm,
    out: Path | None,
    more: dict[str, float],
) -> None:
    """Generates examples and writes them; a conditional network shows its classes in turn."""
    count = options.samples
    at_least("samples", count, 1)
    if options.inputs:
        raise InputError("samples", count, "no --samples, or no inputs")
    labels = []
    classes = conditional_classes(network)
    if classes is not None:
        labels = [np.arange(count, dtype=np.int32) % classes]
    examples = np.asarray(network.sample(rng.root(options.seed), count, *labels, **more))
    title = f"{count} generated images"
    if classes is not None:
        title += f", of the {classes} classes in turn"
    _write(network, "sample", form, [f"sample {i}" for i in range(count)], examples, out, title)


def _write(
    network: Network,
    use: str,
    form: OutputForm,
    names: Sequence[str],
    outputs: np.ndarray,
    out: Path | None,
    title: str | None = None,
) -> None:
    """Writes outputs as images or as rows."""
    if form == "images":
        write_images(outputs, names, out, title or f"{len(outputs)} output images")
    else:
        write_rows(_rows(network, use, names, outputs), outputs, out)


def _use(network: Network, samples: int | None) -> str:
    """Returns the function of a network that the command calls."""
    names = network.task.functions
    if samples is not None:
        if "sample" not in names:
            raise InputError("samples", samples, "no --samples: this network generates nothing")
        return "sample"
    if network.task.name == "language":
        return "generate"
    for name in APPLIED:
        if name in names:
            return name
    raise InputError("samples", None, "--samples N: this network generates examples only")


def _output_form(network: Network, use: str) -> OutputForm:
    """Returns the form of the outputs: images are known by the shape of an example."""
    if use == "generate":
        return "texts" if network.preprocessing.text else "sounds"
    if network.task.name == "classify" or use == "nll":
        return "rows"
    if use == "predict":
        function, examples = exportable(network, use)[use]
        shape = jax.eval_shape(function, *examples).shape[1:]
    else:
        shape = network.fields["input"].shape
    if len(shape) == 3 and shape[-1] in (1, 3):
        return "images"
    return "rows"


def _applied(network: Network, use: str, raw: RawInputs, options: argparse.Namespace) -> np.ndarray:
    """Returns the outputs for all inputs, in parts, with progress on a terminal."""
    if raw.kind == "texts" and network.preprocessing.text is None:
        allowed = f"{_wanted(network)}; this network reads no texts"
        raise InputError("inputs", raw.values[0][:80], allowed)
    if raw.kind == "sounds":
        allowed = f"{_wanted(network)}; this network reads no sounds"
        raise InputError("inputs", raw.names[0], allowed)
    if raw.kind == "rows":
        raw = _encoded_rows(network, raw)
    parts = []
    done = 0
    for part in _parts(network, raw, options):
        parts.append(_outputs(network, use, part, options.batch_size))
        done += len(parts[-1])
        if sys.stderr.isatty() and len(raw.names) > len(parts[0]):
            print(f"\r{done:,} of {len(raw.names):,}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and len(parts) > 1:
        print(file=sys.stderr)
    outputs = np.concatenate(parts)
    _check_finite(np.isfinite(outputs).reshape(len(outputs), -1).all(1), raw.names)
    return outputs


def _check_finite(finite: np.ndarray, names: Sequence[str]) -> None:
    """Raises InputError for the first input whose outputs are not finite."""
    if not finite.all():
        allowed = "inputs in the range of the training set, such as pixels in [0, 1], and a "
        allowed += "network whose training had no NaN"
        raise InputError(f"output of {names[int(finite.argmin())]}", "nan or infinite", allowed)


def _outputs(network: Network, use: str, inputs: Any, batch_size: int | None) -> np.ndarray:
    """Returns the outputs for some inputs; likelihoods are those of each class, if it has some."""
    function = getattr(network, use)
    classes = conditional_classes(network)
    if use != "nll" or classes is None:
        return np.asarray(function(inputs, batch_size=batch_size))
    labels = [np.full(len(inputs), i, np.int32) for i in range(classes)]
    return np.stack([function(inputs, each, batch_size=batch_size) for each in labels], 1)


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


def _rows(
    network: Network, use: str, names: Sequence[str], outputs: np.ndarray
) -> list[dict[str, Any]]:
    """Returns one dictionary for each example: its name, and what was predicted."""
    if use == "nll":
        return _likelihood_rows(network, names, outputs)
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


def _likelihood_rows(
    network: Network, names: Sequence[str], outputs: np.ndarray
) -> list[dict[str, Any]]:
    """Returns -log p of each image, and the class under which a conditional network's is least."""
    per_pixel = 1 / (math.prod(network.fields["input"].shape) * math.log(2))
    if outputs.ndim == 1:
        return [
            {"input": name, "nats": nats, "bits_per_pixel": nats * per_pixel}
            for name, nats in zip(names, outputs.tolist(), strict=True)
        ]
    classes = network.classes or tuple(map(str, range(outputs.shape[1])))
    rows = []
    for name, nats in zip(names, outputs.tolist(), strict=True):
        best = int(np.argmin(nats))
        row = {"input": name, "label": classes[best], "nats": nats[best]}
        row["bits_per_pixel"] = nats[best] * per_pixel
        rows.append(row | {f"nats({c})": n for c, n in zip(classes, nats, strict=True)})
    return rows


def _continued(
    network: Network, raw: RawInputs, generate: Callable[..., Any], key: jax.Array
) -> list[str]:
    """Returns the continuation of each text."""
    encoding = network.preprocessing.text
    if encoding is None or raw.kind != "texts":
        raise InputError("inputs", raw.kind, "texts, which this language model continues")
    vocabulary = encoding.vocabulary
    texts = []
    for i, text in enumerate(raw.values):
        ids = vocabulary.encode(text)
        if not len(ids):
            raise InputError(raw.names[i], text, f"at least one {vocabulary.kind}")
        tokens = generate(ids[None], jax.random.fold_in(key, i), never=(0, 1))
        texts.append(vocabulary.decode(np.asarray(tokens[0])))
    return texts


def _continue_levels(
    network: Network, raw: RawInputs, generate: Callable[..., Any], key: jax.Array, out: Path | None
) -> None:
    """Continues the last samples of a sound, or sequences of ids, and writes what follows."""
    function, examples = exportable(network, "predict")["predict"]
    levels = jax.eval_shape(function, *examples).shape[-1]
    rate = RATE
    assert out is not None
    if raw.kind == "sounds" and len(raw.names) == 1:
        samples, rate = read_wav(raw.values[0])
        ids = mu_law(samples, levels)[None, -network.fields["input"].shape[0] :]
    elif raw.kind == "array" and out.suffix == ".npz":
        ids = raw.values
    else:
        allowed = "one .wav file, or a .npz file of ids [N, T] with an --out that ends in .npz"
        raise InputError("inputs", raw.kind, allowed)
    if ids.dtype.kind not in "iu" or not ids.size or ids.min() < 0 or ids.max() >= levels:
        got = f"{ids.dtype} {list(ids.shape)} up to {ids.max(initial=0)}"
        raise InputError("inputs", got, f"at least one id in [0, {levels})")
    made = np.asarray(generate(ids, key))
    # Outputs that are not finite have the id -1.
    _check_finite(np.asarray((made >= 0).all(1)), raw.names)
    write_sound(made, levels, rate, out)


if __name__ == "__main__":
    sys.exit(main())
