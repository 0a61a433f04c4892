"""Hostile run directories, and hostile values of command-line options."""

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxdl.data.cache import cache_root
from jaxdl.plots import pictures_gif
from jaxdl.recipes.feature_classifier import FeatureClassifierOptions
from jaxdl.runs import launch, read_array, with_options
from jaxdl.runs.directory import check_data, claim
from jaxdl.runs.options import identity
from jaxdl.training.writers import read_metrics
from tests.faults.hostile_data import (
    DEEP,
    ODD,
    as_bytes,
    link_to_zero,
    on_created,
    on_file,
    on_name,
)
from tests.faults.hostile_npz import Evil, Row, header, header_text, npy
from tests.runs.scripts import script

MLP = ["--data", "moons", "--hidden", "4", "--smoke"]

#: The entries of a classifier's result that are read again.
RESULT = {
    "experiment": "feature_classifier",
    "metrics": {"test/accuracy": 0.9},
    "state_sha256": "0" * 64,
    "data": {
        part: {"name": "digits", "sha256": "0" * 64, "size": 20} for part in ("train", "test")
    },
    "seconds": {"total": 1.0, "compile": 0.5},
    "throughput": {"examples_per_second": 100.0},
    "warnings": [],
}


def start(*arguments: str, name: str = "mlp") -> None:
    """Starts an experiment in this process."""
    launch(script(name).main, script(name).Config, list(arguments))


def option(name: str, value: str) -> Row:
    """Starts a run with a hostile value of an option."""
    return lambda here: lambda: start(*MLP, name, value)


def resumed(change: Callable[[Path], Any]) -> Row:
    """Resumes a run after a change to its directory."""

    def row(here: Path) -> Callable[[], Any]:
        config = with_options(
            script("mlp").Config(), data="moons", hidden=(4,), smoke=True
        ).validate()
        claim(here / "run", config)
        change(here / "run")
        return lambda: start(*MLP, "--out", str(here / "run"))

    return row


def file(name: str, content: str | bytes | Callable[[Path], Any]) -> Row:
    """Resumes a run in which a file is replaced with other content."""

    def change(out: Path) -> None:
        (out / name).unlink(missing_ok=True)
        if callable(content):
            content(out / name)
        else:
            (out / name).write_bytes(as_bytes(content))

    return resumed(change)


def result(**changed: Any) -> Row:
    """Resumes a finished run whose result has changed values."""
    return file("result.json", json.dumps(RESULT | changed))


def link_outside(name: str, target: str) -> Row:
    """Resumes a run in which a link leads out of its directory."""
    return resumed(lambda out: (out / name).symlink_to(out.parent.parent / "outside" / target))


def classifier(options: dict[str, Any], **changed: Any) -> Row:
    """Trains a DCGAN with a feature classifier whose directory has changed values."""

    def row(here: Path) -> Callable[[], Any]:
        directory = here / "feature_classifier"
        directory.mkdir()
        (directory / "config.json").write_text(
            json.dumps(identity(FeatureClassifierOptions().validate()) | options)
        )
        (directory / "result.json").write_text(json.dumps(RESULT | changed))
        return lambda: start("--feature-classifier", str(directory), "--smoke", name="dcgan")

    return row


def data(content: str) -> Row:
    """Compares the data of a run with a hostile file."""
    return on_file(lambda path: check_data(path.parent, {"train": "0" * 64}), content, "data.json")


def large_png(path: Path) -> None:
    """Writes a picture of about a hundred bytes that declares four billion pixels."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)
    content = [chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(content))


def gif(path: Path) -> Any:
    """Joins pictures to an animation."""
    return pictures_gif([path], path.with_suffix(".gif"))


LONG = "a" * 300
NUL = "a\0b"
HOME = "~no-such-user/x"
OPTIONS = {
    "--data": ("../../x", "/etc/passwd", NUL, LONG, "..", HOME + ".npz", LONG + ".npz", ODD),
    "--out": (NUL, LONG, HOME, "/dev/null/run"),
    "--cache-dir": (NUL, LONG, HOME),
}

REFUSED_OPTIONS: dict[str, Row] = {
    **{
        f"{name} {value[:20]!r}": option(name, value)
        for name, values in OPTIONS.items()
        for value in values
    },
    **{
        f"--feature-classifier {value[:20]!r}": on_name(
            lambda value: start("--feature-classifier", value, name="dcgan"), value
        )
        for value in (NUL, LONG, HOME, "/etc", "/dev/zero")
    },
    "--cache-dir: a link to itself": on_created(
        lambda path: cache_root(str(path)), lambda path: path.symlink_to(path)
    ),
    "--out: a link to itself": on_created(
        lambda path: start(*MLP, "--out", str(path)), lambda path: path.symlink_to(path)
    ),
}

REFUSED_RUNS: dict[str, Row] = {
    "config: a list": file("config.json", "[]"),
    "config: a number": file("config.json", "7"),
    "config: 100,000 levels": file("config.json", DEEP),
    "config: 500 levels of a field": file("config.json", f'{{"seed": {DEEP[:500]}{DEEP[-500:]}}}'),
    "config: huge integers": file("config.json", '{"seed": ' + "9" * 4000 + "}"),
    "config: integers that Python refuses to parse": file(
        "config.json", '{"seed": ' + "9" * 10_000 + "}"
    ),
    "config: not UTF-8": file("config.json", b"\xff\xfe{}"),
    "config: control characters": file("config.json", '{"\\u001b[2J\\n\\ud800": "\\u001b"}'),
    "config: a pipe": file("config.json", os.mkfifo),
    "config: a directory": file("config.json", Path.mkdir),
    "config: a link to /dev/zero": file("config.json", link_to_zero),
    "run: metrics that lead out": link_outside("metrics.jsonl", "precious.txt"),
    "run: checkpoints that lead out": link_outside("checkpoints", "."),
    "run: figures that lead out": link_outside("figures", "."),
    "run: a half-written file that leads out": link_outside("data.json.partial", "new.json"),
    "run: a link to /": resumed(lambda out: (out / "samples").symlink_to("/")),
    "result: a list": file("result.json", "[]"),
    "result: 100,000 levels": file("result.json", DEEP),
    "result: metrics that are a list": result(metrics=[]),
    "result: metrics that are text": result(metrics={"test/loss": "high"}),
    "result: metrics beyond floats": result(metrics={"test/loss": 10**400}),
    "result: no seconds": result(seconds={}),
    "result: seconds that are null": result(seconds=None),
    "result: data that are text": result(data={"train": "mine"}),
    "result: warnings that are a number": result(warnings=7),
    "result: a pipe": file("result.json", os.mkfifo),
    "data: a list": data("[]"),
    "data: numbers": data('{"train": 7}'),
    "data: lists": data('{"train": [[[]]], "more": null}'),
    "data: 100,000 levels": data(DEEP),
}

REFUSED_CLASSIFIERS: dict[str, Row] = {
    "classifier: an option of another type": classifier({"batch_size": "many"}),
    "classifier: an option that is null": classifier({"learning_rate": None}),
    "classifier: an option that is a list": classifier({"optimizer": ["adam"]}),
    "classifier: an unknown option": classifier({"__class__": "os.system"}),
    "classifier: an option out of range": classifier({"batch_size": -1}),
    "classifier: no accuracy": classifier({}, metrics={}),
    "classifier: no training set": classifier({}, data={}),
    "classifier: a hash that is a number": classifier(
        {}, data={"train": {"name": 1, "sha256": 2, "size": 3}}
    ),
    "classifier: of other data": classifier({}),
}

REFUSED_SAMPLES: dict[str, Row] = {
    "samples: a picture of four billion pixels": on_created(gif, large_png, "step-1.png"),
    "samples: a picture of another format": on_file(gif, b"GIF89a" + bytes(100), "step-1.png"),
    "samples: a pickled array": on_file(read_array, npy([Evil()]), "back.npy"),
    "samples: an array that declares 4 TiB": on_file(
        read_array, header(header_text("'<f4'", f"({2**40},)"), bytes(8)), "back.npy"
    ),
    "samples: an array with a header of brackets": on_file(
        read_array, header("(" * 5000), "back.npy"
    ),
}

REFUSED: dict[str, Row] = {
    **REFUSED_OPTIONS,
    **REFUSED_RUNS,
    **REFUSED_CLASSIFIERS,
    **REFUSED_SAMPLES,
}

#: Lines of a log, of which only the first one is a valid record.
LINES = (
    '{"step": 1, "train/loss": 0.5}',
    *("[]", "7", "null", '"text"', "{}"),
    *('{"step": null}', '{"step": "x"}', DEEP, '{"step": 1e400}', '{"step": -1}'),
    *('{"step": 1' + "0" * 4000 + "}", '{"step": 2, "a": [1]}', "\0" * 100),
    *('{"step": 2, "a": {}}', '{"step": 2, "a": 1' + "0" * 400 + "}", '{"a": 1}', '{"step": NaN}'),
)


def read_lines(path: Path) -> None:
    """Reads a log and checks that exactly the valid record is returned."""
    assert read_metrics(path) == [{"step": 1, "train/loss": 0.5}]


HARMLESS: dict[str, Row] = {
    "metrics: lines that are not records": on_file(
        read_lines, "\n".join(LINES).encode() + b"\n\xff\xfe"
    ),
    "result: warnings and names with control characters": result(
        warnings=["\x1b[2J\ud800", ["a"]], metrics={"\ud800\x1b[2J": "NaN"}
    ),
}
