"""Files of a trained network for other programs: `python -m jaxdl.export RUN`.

    python -m jaxdl.export runs/mine
    python -m jaxdl.export runs/mine --to onnx --function predict --out served

It writes one file for each function of the network and each form:

- `.stablehlo`: a program for CPU, CUDA and TPU, which JAX runs without jaxdl;
- `.onnx`: a graph for onnxruntime, in Python, in a browser or elsewhere;
- `weights.safetensors`: the arrays by name.

The functions take raw inputs, because the scaling of the training set is a part of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxdl.data.files import expand_path
from jaxdl.errors import RunError
from jaxdl.export.networks import exportable
from jaxdl.export.onnx import to_onnx
from jaxdl.export.stablehlo import to_stablehlo
from jaxdl.network import load
from jaxdl.output import command
from jaxdl.weights import WEIGHTS, write_weights

#: The forms that can be written, and the functions that make them.
FORMS: dict[str, Callable[..., bytes]] = {"stablehlo": to_stablehlo, "onnx": to_onnx}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jaxdl.export`; returns its exit code, 2 for an error in one line."""
    options = _parser().parse_args(arguments)
    return command(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m jaxdl.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", help="directory of a finished run, or a weights file")
    parser.add_argument(
        "--to",
        nargs="+",
        default=[*FORMS, "safetensors"],
        choices=[*FORMS, "safetensors"],
        help="forms to write; default: all",
    )
    parser.add_argument("--function", help="name of the only function; default: all of the network")
    parser.add_argument("--out", help="directory of the files; default: RUN/export, or FILE-export")
    parser.add_argument("--member", type=int, default=0, help="index of the seed; default: 0")
    return parser


def _run(options: argparse.Namespace) -> None:
    """Writes the files and prints their names."""
    run = expand_path(options.run, "run")
    network = load(run, member=options.member)
    functions = exportable(network, options.function)
    out = run / "export"
    if not run.is_dir():
        out = run.with_name(f"{run.stem}-export")
    if options.out is not None:
        out = expand_path(options.out, "out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} cannot be made: {error.strerror}") from None
    for form in options.to:
        if form == "safetensors":
            write_weights(out, network.variables, network.steps, None)
            print(out / WEIGHTS)
            continue
        for name, (function, examples) in functions.items():
            _write(out / f"{name}.{form}", FORMS[form](function, *examples))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None
    print(path)


if __name__ == "__main__":
    sys.exit(main())
