"""The kinds of fuzzed input: for each, valid inputs, a reader, and its share of all inputs."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Vocabulary, load, read_vectors
from jaxdl.recipes.feature_classifier import FeatureClassifierOptions
from jaxdl.runs.command_line import parsed
from jaxdl.runs.directory import check_data, check_out, claim, read_json, read_result
from jaxdl.runs.options import from_json, identity
from jaxdl.training.manifest import read_manifest, write_manifest
from jaxdl.training.writers import JsonLines, read_metrics
from tests.faults.hostile_runs import RESULT
from tests.runs.scripts import script

CONFIG = FeatureClassifierOptions().validate()
WORDS = Vocabulary.build("the cat", "word")
HASHES = {"train": "0" * 64, "validation": "1" * 64}

#: Content of the valid manifest, written by `manifest_good`.
MANIFEST: dict[str, Any] = {}


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
      name: name in the output.
      share: share of all inputs, relative to the other kinds.
      prepare: a function from an empty directory to valid inputs.
      use: a function that reads an input in that directory.
    """

    name: str
    share: float
    prepare: Callable[[Path], list[Any]]
    use: Callable[[Path, Any], Any]


def config_good(directory: Path) -> list[bytes]:
    claim(directory, CONFIG)
    return [(directory / "config.json").read_bytes(), json.dumps(identity(CONFIG)).encode()]


def config(directory: Path, content: bytes) -> None:
    (directory / "config.json").write_bytes(content)
    check_out(directory, CONFIG)
    claim(directory, CONFIG)


def classifier(directory: Path, content: bytes) -> None:
    (directory / "config.json").write_bytes(content)
    options = from_json(FeatureClassifierOptions, read_json(directory / "config.json"))
    if options is not None:
        options.validate()


def manifest_good(directory: Path) -> list[bytes]:
    (directory / "state").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (directory / "state" / name).write_bytes(name.encode() * 100)
    write_manifest(
        directory,
        {"params/w": "float32[4, 3]", "step": "int32[]"},
        [(1, 0.5), (2, float("nan")), (3, 0.25)],
        {"key": "fry 0 7", "batch_size": 4, "environment": {"versions": {"jax": "0.10"}}},
    )
    MANIFEST.update(_texts(read_manifest(directory)))
    return [(directory / "manifest.json").read_bytes()]


def manifest(directory: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    assert _texts(read_manifest(directory)) == MANIFEST, "accepted with changed content"


def _texts(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the values as text, because NaN does not equal itself."""
    return {name: repr(value) for name, value in body.items()}


def vocabulary_good(directory: Path) -> list[bytes]:
    for kind in ("character", "word"):
        Vocabulary.build("the cat sat on the mat; naïve", kind).save(directory / f"{kind}.json")
    return [path.read_bytes() for path in sorted(directory.glob("*.json"))]


def vocabulary(directory: Path, content: bytes) -> None:
    (directory / "a.json").write_bytes(content)
    loaded = Vocabulary.load(directory / "a.json")
    loaded.decode(loaded.encode("the cat"))


def npz_good(directory: Path) -> list[bytes]:
    x = np.random.RandomState(0).rand(12, 3).astype(np.float32)
    y = np.arange(12) % 2
    arrays = {"x": x, "y": y, "test_x": x[:2].astype(np.uint8), "test_y": y[:2]}
    packed = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", method) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.save(member, array)
        packed.append(whole.getvalue())
    return packed


def npz(directory: Path, content: bytes) -> None:
    (directory / "a.npz").write_bytes(content)
    load(directory / "a.npz")


def data_good(directory: Path) -> list[bytes]:
    return [json.dumps(HASHES, indent=1).encode()]


def data(directory: Path, content: bytes) -> None:
    (directory / "data.json").write_bytes(content)
    check_data(directory, HASHES)


def result_good(directory: Path) -> list[bytes]:
    return [json.dumps(RESULT, indent=1).encode()]


def result(directory: Path, content: bytes) -> None:
    from jaxdl.runs.card import print_result

    (directory / "result.json").write_bytes(content)
    print_result(read_result(directory / "result.json"), directory)


def metrics_good(directory: Path) -> list[bytes]:
    writer = JsonLines(directory / "a.jsonl")
    for step in range(5):
        writer.write(step, {"train/loss": 0.5 / (step + 1), "seconds/compile": float("nan")})
    writer.close()
    content = (directory / "a.jsonl").read_bytes()
    return [content, content.splitlines()[0]]


def metrics(directory: Path, content: bytes) -> None:
    (directory / "b.jsonl").write_bytes(content)
    for record in read_metrics(directory / "b.jsonl"):
        assert all(isinstance(value, float) or name == "step" for name, value in record.items())


def vectors_good(directory: Path) -> list[bytes]:
    return [
        b"the 0.5 1 -2e-3\ncat -2 0 1\nn 1 2 3\n",
        b"2 3\nthe 0.5 1 2\ncat 1 2 3\n",
        "naïve é 1 2\ncat 3 4\n".encode(),
    ]


def vectors(directory: Path, content: bytes) -> None:
    (directory / "a.txt").write_bytes(content)
    read_vectors(directory / "a.txt", WORDS)


def command_good(directory: Path) -> list[list[str]]:
    spaces = "--data moons --hidden 4 8 --epochs 0.5 --seed 3 --strategy single"
    equals = "--steps=10 --optimizer=adam --learning-rate=1e-3 --norm batch --smoke --out x"
    return [spaces.split(), equals.split()]


def command(directory: Path, words: list[str]) -> None:
    try:
        parsed(script("mlp").Config, words, "About.").validate()
    except SystemExit as stop:
        assert not stop.code, f"exit code {stop.code}"


KINDS = (
    Kind("config", 12, config_good, config),
    Kind("feature_classifier", 8, config_good, classifier),
    Kind("manifest", 20, manifest_good, manifest),
    Kind("vocabulary", 12, vocabulary_good, vocabulary),
    Kind("npz", 16, npz_good, npz),
    Kind("data", 10, data_good, data),
    Kind("result", 8, result_good, result),
    Kind("metrics", 8, metrics_good, metrics),
    Kind("vectors", 12, vectors_good, vectors),
    Kind("command", 0.3, command_good, command),
)
