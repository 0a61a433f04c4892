"""A directory like that of a finished run, written without training."""

import json

import numpy as np
from PIL import Image


def write_run(directory, rng, steps=20, metric="train/loss", **options):
    """Writes a run with random metrics and pictures; returns its directory.

    Args:
      directory: the directory to make.
      rng: a generator of NumPy.
      steps: last step; there is a record every 5 steps.
      metric: name of the metric besides the validation.
      **options: options of the run.
    """
    for name in ("figures", "samples"):
        (directory / name).mkdir(parents=True)
    records = [
        {"step": step, metric: rng.random(), "validation/loss": rng.random(), "train/loss/0": 0.5}
        for step in range(5, steps + 1, 5)
    ]
    text = "\n".join(map(json.dumps, records))
    (directory / "metrics.jsonl").write_text(text + "\n")
    (directory / "config.json").write_text(json.dumps({"seed": 0} | options))
    for name in ("figures/curves", "figures/confusion", "figures/mistakes"):
        write_picture(directory / f"{name}.png", rng)
    for step in (10, 20):
        write_picture(directory / f"samples/step-{step:07d}.png", rng)
    write_result(directory, {"test/accuracy": rng.random(), "test/loss": rng.random()}, steps)
    return directory


def write_picture(path, rng):
    """Writes a small random picture."""
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)


def write_result(directory, metrics, steps=20, **parts):
    """Writes a `result.json` with given metrics."""
    result = {"experiment": "mlp", "seed": 0, "steps": steps, "metrics": metrics, "warnings": []}
    result |= {"seconds": {"total": 1.0, "compile": 0.5}, "throughput": {"examples_per_second": 1}}
    result |= {"environment": {"platform": "cpu", "versions": {"jax": "0"}}}
    result["data"] = {"train": {"name": "digits", "sha256": "ab", "size": 9}}
    (directory / "result.json").write_text(json.dumps(result | parts))
