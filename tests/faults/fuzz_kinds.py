"""What is fuzzed: for each kind of input good ones, what reads them, and its share of all inputs."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxdl.data import Vocabulary, load, read_vectors
from jaxdl.experiment.directory import check_data, check_out, claim, read_json, read_result
from jaxdl.experiment.feature_classifier import FeatureClassifierOptions
from jaxdl.experiment.options import from_json, identity, parsed
from jaxdl.training.manifest import read_manifest, write_manifest
from jaxdl.training.writers import JsonLines, read_metrics
from tests.experiment.scripts import script
from tests.faults.hostile_runs import RESULT

CONFIG = FeatureClassifierOptions().validate()
WORDS = Vocabulary.of("the cat", "word")
MANIFEST: dict[str, Any] = {}


class Kind(NamedTuple):
    """A kind of input.

    Attributes:
      name: what it is called.
      share: of all inputs, relative to the others.
      prepare: from an empty directory to good inputs.
      use: reads an input in that directory.
    """

    name: str
    share: float
    prepare: Callable[[Path], list[Any]]
    use: Callable[[Path, Any], Any]


def config_good(place: Path) -> list[bytes]:
    claim(place, CONFIG)
    return [(place / "config.json").read_bytes(), json.dumps(identity(CONFIG)).encode()]


def config(place: Path, content: bytes) -> None:
    (place / "config.json").write_bytes(content)
    check_out(place, CONFIG)
    claim(place, CONFIG)


def classifier(place: Path, content: bytes) -> None:
    (place / "config.json").write_bytes(content)
    options = from_json(FeatureClassifierOptions, read_json(place / "config.json"))
    if options is not None:
        options.validate()


def manifest_good(place: Path) -> list[bytes]:
    (place / "state").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (place / "state" / name).write_bytes(name.encode() * 100)
    write_manifest(
        place,
        {"params/w": "float32[4, 3]", "step": "int32[]"},
        [(1, 0.5), (2, float("nan")), (3, 0.25)],
    )
    MANIFEST.update(_shown(read_manifest(place)))
    return [(place / "manifest.json").read_bytes()]


def manifest(place: Path, content: bytes) -> None:
    (place / "manifest.json").write_bytes(content)
    found = _shown(read_manifest(place))
    assert found == MANIFEST, "accepted with changed content"


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    """NaN equals nothing, not even itself."""
    return {name: repr(value) for name, value in body.items()}


def vocabulary_good(place: Path) -> list[bytes]:
    for kind in ("character", "word"):
        Vocabulary.of("the cat sat on the mat; naïve", kind).save(place / f"{kind}.json")
    return [path.read_bytes() for path in sorted(place.glob("*.json"))]


def vocabulary(place: Path, content: bytes) -> None:
    (place / "a.json").write_bytes(content)
    found = Vocabulary.load(place / "a.json")
    found.decode(found.encode("the cat"))


def npz_good(place: Path) -> list[bytes]:
    x = np.random.RandomState(0).rand(12, 3).astype(np.float32)
    y = np.arange(12) % 2
    packed = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", method) as archive:
            for name, array in {
                "x": x,
                "y": y,
                "test_x": x[:2].astype(np.uint8),
                "test_y": y[:2],
            }.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.save(member, array)
        packed.append(whole.getvalue())
    return packed


def npz(place: Path, content: bytes) -> None:
    (place / "a.npz").write_bytes(content)
    load(place / "a.npz")


def data_good(place: Path) -> list[bytes]:
    return [json.dumps({"train": "0" * 64, "validation": "1" * 64}, indent=1).encode()]


def data(place: Path, content: bytes) -> None:
    (place / "data.json").write_bytes(content)
    check_data(place, {"train": "0" * 64, "validation": "1" * 64})


def result_good(place: Path) -> list[bytes]:
    return [json.dumps(RESULT, indent=1).encode()]


def result(place: Path, content: bytes) -> None:
    from jaxdl.experiment.run import _print

    (place / "result.json").write_bytes(content)
    _print(read_result(place / "result.json"), place)


def metrics_good(place: Path) -> list[bytes]:
    writer = JsonLines(place / "a.jsonl")
    for step in range(5):
        writer.write(step, {"train/loss": 0.5 / (step + 1), "seconds/compile": float("nan")})
    writer.close()
    return [(place / "a.jsonl").read_bytes(), (place / "a.jsonl").read_bytes().splitlines()[0]]


def metrics(place: Path, content: bytes) -> None:
    (place / "b.jsonl").write_bytes(content)
    for record in read_metrics(place / "b.jsonl"):
        assert all(isinstance(value, float) or name == "step" for name, value in record.items())


def vectors_good(place: Path) -> list[bytes]:
    return [
        b"the 0.5 1 -2e-3\ncat -2 0 1\nn 1 2 3\n",
        b"2 3\nthe 0.5 1 2\ncat 1 2 3\n",
        "naïve é 1 2\ncat 3 4\n".encode(),
    ]


def vectors(place: Path, content: bytes) -> None:
    (place / "a.txt").write_bytes(content)
    read_vectors(place / "a.txt", WORDS)


def command_good(place: Path) -> list[list[str]]:
    return [
        [
            "--data",
            "moons",
            "--hidden",
            "4",
            "8",
            "--epochs",
            "0.5",
            "--seed",
            "3",
            "--strategy",
            "single",
        ],
        [
            "--steps=10",
            "--optimizer=adam",
            "--learning-rate=1e-3",
            "--norm",
            "batch",
            "--smoke",
            "--out",
            "x",
        ],
    ]


def command(place: Path, words: list[str]) -> None:
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
