"""A result in words: on the terminal, and as the model card of a run (`README.md`)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import one_line
from jaxdl.weights import MODEL

#: Numbers below it have two digits in place of four decimals.
TINY = 1e-3

#: Kind of use that a hub offers for a task, by its name and the number of axes of an input.
PIPELINES = {
    ("classify", 1): "tabular-classification",
    ("classify", 3): "image-classification",
    ("gan", 3): "unconditional-image-generation",
    ("language", 1): "text-generation",
    ("reconstruct", 3): "image-feature-extraction",
    ("regress", 1): "tabular-regression",
    ("regress", 2): "time-series-forecasting",
    ("vae", 3): "unconditional-image-generation",
}


def print_result(result: Mapping[str, Any], out: Path) -> None:
    """Prints the metrics, times, warnings and figures of a result."""
    deviations = result.get("metrics_std", {})
    print()
    for name, value in result["metrics"].items():
        text = formatted(name, value)
        if name in deviations:
            text += f" ± {formatted(name, deviations[name])}"
        print(f"{one_line(name):<22} {text}")
    seconds = result["seconds"]
    rate = result["throughput"]["examples_per_second"]
    print(
        f"{'time':<22} {seconds['total']:.1f} s, {seconds['compile']:.1f} s until the first step; "
        f"{rate:,.0f} examples/s"
    )
    if result.get("flops_per_step"):
        millions = result["flops_per_step"] / 1e6
        print(f"{'operations':<22} {millions:,.1f} million in a step, of floating point")
    if (out / "profile").is_dir():
        print(f"{'trace':<22} {out / 'profile'}, for XProf and Perfetto")
    if result.get("learning_rate") is not None:
        print(f"{'last learning rate':<22} {result['learning_rate']:.3g}")
    memory = result.get("memory", {})
    used = memory.get("device_bytes") or memory.get("host_bytes")
    if used:
        where = "device" if memory.get("device_bytes") else "process"
        print(f"{'memory':<22} {used / 1e9:.2f} GB at most, of the {where}")
    for warning in result.get("warnings", []):
        print(f"{'warning':<22} {one_line(warning)}")
    for picture in sorted(out.glob("**/figures/*.*")):
        print(f"{'picture':<22} {picture}")
    if (out / MODEL).exists():
        print(f"{'network':<22} jaxdl.load({str(out)!r})")
    print(f"{'result':<22} {out / 'result.json'}")


def formatted(name: str, value: Any) -> str:
    """Returns a metric as text: accuracies in percent, others with four decimals.

    Example:
      >>> formatted("test/accuracy", 0.5), formatted("test/loss", 0.5)
      ('50.00 %', '0.5000')
    """
    if name.endswith("accuracy"):
        return f"{100 * float(value):.2f} %"
    return decimals(float(value))


def decimals(value: float) -> str:
    """Returns a number with four decimals, or two digits if it is tiny.

    Example:
      >>> decimals(0.5), decimals(0.0), decimals(-0.0000388)
      ('0.5000', '0.0000', '-3.9e-05')
    """
    if 0 < abs(value) < TINY:
        return f"{value:.2g}"
    return f"{value:.4f}"


def model_card(directory: str, result: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Returns the model card of a run in Markdown.

    Args:
      directory: directory of the run.
      result: its result, as in `result.json`.
      model: its description, as in `model.json`.

    Returns:
      A head in YAML, then the metrics, the data, the way to load the network, and the warnings.

    Example:
      >>> result = {"experiment": "mlp", "metrics": {"test/accuracy": 0.5}, "steps": 3, "seed": 0}
      >>> result |= {"data": {"train": {"name": "digits", "size": 9}}, "warnings": []}
      >>> card = model_card("runs/mlp", result, {"task": {"task": "classify"}, "fields": {}})
      >>> card.splitlines()[:2], "| test/accuracy | 0.5 |" in card
      (['---', 'library_name: "jaxdl"'], True)
    """
    experiment = result["experiment"]
    data = result["data"]
    name = data["train"]["name"]
    lines = [*_head(result, model), f"# {experiment} on {name}", ""]
    seeds = ", ".join(map(str, dict.fromkeys(result.get("seeds", [result["seed"]]))))
    folds = f", {result['folds']} folds" if "folds" in result else ""
    lines += [
        f"Trained with [jaxdl](https://github.com/jaxdl/jaxdl) for {result['steps']:,} steps, "
        f"seed {seeds}{folds}.",
        "",
        "| metric | value |",
        "|---|---|",
    ]
    deviations = result.get("metrics_std", {})
    for metric, value in result["metrics"].items():
        spread = f" ± {deviations[metric]:.4g}" if metric in deviations else ""
        lines.append(f"| {metric} | {value:.6g}{spread} |")
    lines += ["", "| set | name | examples |", "|---|---|---|"]
    for part, each in data.items():
        size = "simulated" if each["size"] == sys.maxsize else f"{each['size']:,}"
        lines.append(f"| {part} | {each['name']} | {size} |")
    lines += ["", "## Use", "", "```python", "import jaxdl", ""]
    lines += [f"network = jaxdl.load({directory!r})", "```", ""]
    lines += [
        "The two files `model.json` and `weights.safetensors` are enough. They contain no code; "
        "the preprocessing is part of them.",
    ]
    warnings = [f"- {warning}" for warning in result.get("warnings", [])]
    if warnings:
        lines += ["", "## Warnings of the training", "", *warnings]
    return "\n".join(lines) + "\n"


def _head(result: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Returns the head in YAML; its values are in JSON, which is valid YAML."""
    task = (model.get("task") or {}).get("task", "")
    shape = model["fields"].get("input", {}).get("shape", ())
    pipeline = PIPELINES.get((task, len(shape)))
    if "length" in model["fields"] and task == "classify":
        pipeline = "text-classification"
    name = result["data"]["train"]["name"]
    metrics = [
        {"type": metric.partition("/")[2] or metric, "name": metric, "value": value}
        for metric, value in result["metrics"].items()
        if isinstance(value, float) and value == value and abs(value) != float("inf")
    ]
    found = {
        "task": {"type": pipeline or task or "other"},
        "dataset": {"name": name, "type": name},
        "metrics": metrics,
    }
    head: dict[str, Any] = {"library_name": "jaxdl", "tags": ["jax", "flax", "jaxdl"]}
    if pipeline:
        head["pipeline_tag"] = pipeline
    head["model-index"] = [{"name": result["experiment"], "results": [found]}]
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in head.items()), "---", ""]
