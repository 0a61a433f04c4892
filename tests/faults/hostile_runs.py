"""Hostile run directories, and names given on the command line."""

import dataclasses
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxdl.data.cache import cache_root
from jaxdl.experiment import launch, read_array
from jaxdl.experiment.directory import check_data, claim
from jaxdl.experiment.feature_classifier import FeatureClassifierOptions
from jaxdl.experiment.options import identity
from jaxdl.plots import pictures_gif
from jaxdl.training.writers import read_metrics
from tests.experiment.scripts import script
from tests.faults.hostile_data import DEEP, ODD, made, name_of, wrote, zero
from tests.faults.hostile_npz import Evil, Row, header, npy, said

MLP = ["--data", "moons", "--hidden", "4", "--smoke"]

#: What a classifier's run writes, as far as it is read again.
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


def told(*arguments: str, name: str = "mlp") -> None:
    """An experiment's command."""
    launch(script(name).main, script(name).Config, list(arguments))


def option(name: str, value: str) -> Row:
    """A run with a hostile value of an option."""
    return lambda here: lambda: told(*MLP, name, value)


def run(change: Callable[[Path], Any]) -> Row:
    """Goes on with a run whose directory was changed."""

    def row(here: Path) -> Callable[[], Any]:
        config = dataclasses.replace(
            script("mlp").Config(), data="moons", hidden=(4,), smoke=True
        ).validate()
        claim(here / "run", config)
        change(here / "run")
        return lambda: told(*MLP, "--out", str(here / "run"))

    return row


def file(name: str, content: str | bytes | Callable[[Path], Any]) -> Row:
    """Goes on with a run in which a file is another one."""

    def change(out: Path) -> None:
        (out / name).unlink(missing_ok=True)
        if callable(content):
            content(out / name)
        else:
            (out / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return run(change)


def result(**changed: Any) -> Row:
    """Shows the result of a finished run with other values."""
    return file("result.json", json.dumps(RESULT | changed))


def outside(name: str, target: str) -> Row:
    """Goes on with a run in which a link leads out."""
    return run(lambda out: (out / name).symlink_to(out.parent.parent / "outside" / target))


def classifier(options: dict[str, Any], **changed: Any) -> Row:
    """Draws with a classifier whose directory was changed."""

    def row(here: Path) -> Callable[[], Any]:
        (here / "feature_classifier").mkdir()
        (here / "feature_classifier" / "config.json").write_text(
            json.dumps(identity(FeatureClassifierOptions().validate()) | options)
        )
        (here / "feature_classifier" / "result.json").write_text(json.dumps(RESULT | changed))
        return lambda: told(
            "--feature-classifier", str(here / "feature_classifier"), "--smoke", name="dcgan"
        )

    return row


def data(content: str) -> Row:
    """Compares a run's data with a hostile file."""
    return wrote(lambda path: check_data(path.parent, {"train": "0" * 64}), content, "data.json")


def large_png(path: Path) -> None:
    """A picture of a hundred bytes that says it has four billion pixels."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", 65_535, 65_535, 8, 2, 0, 0, 0)
    content = [chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(content))


def gif(path: Path) -> Any:
    """Joins pictures."""
    return pictures_gif([path], path.with_suffix(".gif"))


LONG = "a" * 300
NUL = "a\0b"
HOME = "~no-such-user/x"
OPTIONS = {
    "--data": ("../../x", "/etc/passwd", NUL, LONG, "..", HOME + ".npz", LONG + ".npz", ODD),
    "--out": (NUL, LONG, HOME, "/dev/null/run"),
    "--cache-dir": (NUL, LONG, HOME),
}

REFUSED: dict[str, Row] = {
    **{
        f"{name} {value[:20]!r}": option(name, value)
        for name, values in OPTIONS.items()
        for value in values
    },
    **{
        f"--feature-classifier {value[:20]!r}": name_of(
            lambda value: told("--feature-classifier", value, name="dcgan"), value
        )
        for value in (NUL, LONG, HOME, "/etc", "/dev/zero")
    },
    "--cache-dir: a link to itself": made(
        lambda path: cache_root(str(path)), lambda path: path.symlink_to(path)
    ),
    "--out: a link to itself": made(
        lambda path: told(*MLP, "--out", str(path)), lambda path: path.symlink_to(path)
    ),
    "config: a list": file("config.json", "[]"),
    "config: a number": file("config.json", "7"),
    "config: 100,000 levels": file("config.json", DEEP),
    "config: 500 levels of a field": file("config.json", f'{{"seed": {DEEP[:500]}{DEEP[-500:]}}}'),
    "config: huge integers": file("config.json", '{"seed": ' + "9" * 4000 + "}"),
    "config: integers that are too large to be read": file(
        "config.json", '{"seed": ' + "9" * 10_000 + "}"
    ),
    "config: not UTF-8": file("config.json", b"\xff\xfe{}"),
    "config: control characters": file("config.json", '{"\\u001b[2J\\n\\ud800": "\\u001b"}'),
    "config: a pipe": file("config.json", os.mkfifo),
    "config: a directory": file("config.json", Path.mkdir),
    "config: a link to /dev/zero": file("config.json", zero),
    "run: metrics that lead out": outside("metrics.jsonl", "precious.txt"),
    "run: checkpoints that lead out": outside("checkpoints", "."),
    "run: figures that lead out": outside("figures", "."),
    "run: a half-written file that leads out": outside("data.json.partial", "new.json"),
    "run: a link to /": run(lambda out: (out / "samples").symlink_to("/")),
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
    "samples: a picture of four billion pixels": made(gif, large_png, "step-1.png"),
    "samples: a picture of another format": wrote(gif, b"GIF89a" + bytes(100), "step-1.png"),
    "samples: a pickled array": wrote(read_array, npy([Evil()]), "back.npy"),
    "samples: an array that says 4 TiB": wrote(
        read_array, header(said("'<f4'", f"({2**40},)"), bytes(8)), "back.npy"
    ),
    "samples: an array with a header of brackets": wrote(
        read_array, header("(" * 5000), "back.npy"
    ),
}

LINES = (
    *(
        '{"step": 1, "train/loss": 0.5}',
        "[]",
        "7",
        "null",
        '"text"',
        "{}",
        '{"step": null}',
        '{"step": "x"}',
        DEEP,
    ),
    *(
        '{"step": 1e400}',
        '{"step": -1}',
        '{"step": 1' + "0" * 4000 + "}",
        '{"step": 2, "a": [1]}',
        "\0" * 100,
    ),
    *('{"step": 2, "a": {}}', '{"step": 2, "a": 1' + "0" * 400 + "}", '{"a": 1}', '{"step": NaN}'),
)


def lines(path: Path) -> None:
    """Reads the one record that is one."""
    assert read_metrics(path) == [{"step": 1, "train/loss": 0.5}]


HARMLESS: dict[str, Row] = {
    "metrics: lines that are no records": wrote(lines, "\n".join(LINES).encode() + b"\n\xff\xfe"),
    "result: warnings and names of control characters": result(
        warnings=["\x1b[2J\ud800", ["a"]], metrics={"\ud800\x1b[2J": "NaN"}
    ),
}
