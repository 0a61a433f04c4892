"""Comparison of two results of the same options, and of what is promised to be equal."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from jaxdl.errors import one_line
from jaxdl.runs.options import PLACEMENT

Level = Literal["bits", "data", "nothing"]
Differences = dict[str, tuple[Any, Any]]

#: Parts of a result that are compared; of the data only the hashes.
COMPARED = (
    "steps",
    "state_sha256",
    "metrics",
    "metrics_std",
    "members",
    "feature_classifier",
    "data",
)

#: Parts of the environment, and options, that only change the order of floating-point sums.
ROUNDING = {
    "device_count",
    "processes",
    "cpu_threads",
    "processor",
    "strategy",
    "cpu_devices",
    "deterministic",
}

#: Promise of each level, as `report` prints it.
PROMISE_TEXTS = {
    "bits": "the same bits",
    "data": "the same data and random numbers, but other rounding",
    "nothing": "nothing",
}


class Comparison(NamedTuple):
    """The comparison of a result with that of a second run (`jaxdl.reproduce`).

    Attributes:
      same: True if every hash and every number is bit-identical.
      promise_kept: True if everything that is promised is equal.
      level: what is promised to be equal: the `bits`; the `data` and random numbers; or `nothing`.
      reasons: reasons for a level below `bits`: what differs in the environment, by name, as
        `(old, new)`.
      differences: values that differ, by name, as `(old, new)`.
    """

    same: bool
    promise_kept: bool
    level: Level
    reasons: Differences
    differences: Differences


def compare_results(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """Compares two results and determines what is promised to be equal.

    Args:
      old: contents of a `result.json`.
      new: contents of another one, of a run with the same options.

    Returns:
      The comparison.

    Example:
      >>> environment = {"versions": {"jax": "0.10.2"}, "device_count": 1}
      >>> old = {"state_sha256": "a", "environment": environment}
      >>> comparison = compare_results(old, old | {"state_sha256": "b"})
      >>> comparison.level, comparison.promise_kept, comparison.differences
      ('bits', False, {'state_sha256': ('a', 'b')})
    """
    differences = _differences(values(old), values(new))
    reasons = _reasons(old, new, differences)
    level: Level = "bits"
    if reasons:
        causes = {
            name.removeprefix("classifier's ").removesuffix(" during the run") for name in reasons
        }
        level = "nothing"
        if causes <= ROUNDING:
            level = "data"
    other_data = any(name.startswith("data/") for name in differences)
    # With patience the losses decide when a run stops, so rounding may change the number of steps.
    other_steps = "steps" in differences and not old.get("config", {}).get("patience")
    broken = {
        "bits": bool(differences),
        "data": other_data or other_steps,
        "nothing": False,
    }
    return Comparison(not differences, not broken[level], level, reasons, differences)


def _reasons(
    old: Mapping[str, Any], new: Mapping[str, Any], differences: Differences
) -> Differences:
    """Returns the differences between two runs that explain other bits, by name."""
    environment = _numeric_environment(new["environment"])
    reasons = _differences(_numeric_environment(old["environment"]), environment)
    if "feature_classifier" in differences or "feature_classifier/sha256" in differences:
        changes = _differences(_classifier_environment(old), _classifier_environment(new))
        reasons |= {f"classifier's {name}": pair for name, pair in changes.items()}
    flags = str(new["environment"].get("xla_flags"))
    if new["environment"].get("platform") == "gpu" and "deterministic_ops=true" not in flags:
        reasons["--deterministic"] = ("missing", "missing")
    options = set(PLACEMENT)
    if environment.get("platform") != "cpu":
        options.remove("cpu_threads")
    for name, used in old.get("conversions", {}).items():
        if name in options | (environment.keys() - set(PLACEMENT)):
            reasons[f"{name} during the run"] = (used[-2], used[-1])
    return reasons


def values(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a result that are compared, by name.

    Example:
      >>> data = {"test": {"sha256": "a", "size": 9}}
      >>> values({"steps": 3, "metrics": {"test/loss": 0.5}, "data": data})
      {'steps': 3, 'metrics/test/loss': 0.5, 'data/test/sha256': 'a'}
    """
    leaves = flat({name: result[name] for name in COMPARED if name in result})
    ignored = [name for name in leaves if name.startswith("data/") and not name.endswith("/sha256")]
    ignored += [name for name in leaves if name.startswith("feature_classifier/environment/")]
    return {name: value for name, value in leaves.items() if name not in ignored}


def report(old: Mapping[str, Any], new: Mapping[str, Any], comparison: Comparison) -> str:
    """Returns a table of the values, the promise and whether it was kept, as text.

    Example:
      >>> result = {"steps": 3, "environment": {}}
      >>> print(report(result, result, compare_results(result, result)))
      value                old              new
      steps                3                3                the same
      promised: the same bits (equal versions, kind and number of devices, processor and threads)
      reproduced: all 1 values are the same
    """
    old_values = values(old)
    new_values = values(new)
    names = [*old_values, *(name for name in new_values if name not in old_values)]
    width = max(20, *(len(name) for name in names))
    lines = [f"{'value':<{width}} {'old':<16} new"]
    for name in names:
        verdict = "the same"
        if name in comparison.differences:
            verdict = "DIFFERS"
        old_text = _short(old_values.get(name))
        new_text = _short(new_values.get(name))
        lines.append(f"{name:<{width}} {old_text:<16} {new_text:<16} {verdict}")
    causes = ["equal versions, kind and number of devices, processor and threads"]
    if comparison.reasons:
        causes = [
            f"{name}: old {_recorded(old_value)}, new {_recorded(new_value)}"
            for name, (old_value, new_value) in comparison.reasons.items()
        ]
    lines.append(f"promised: {PROMISE_TEXTS[comparison.level]} ({'; '.join(causes)})")
    count = f"{len(comparison.differences)} of {len(old_values)} values differ"
    if comparison.same:
        lines.append(f"reproduced: all {len(old_values)} values are the same")
    elif comparison.promise_kept:
        lines.append(f"as promised: {count}")
    else:
        lines.append(f"NOT reproduced: {count}")
    return "\n".join(one_line(line) for line in lines)


def _recorded(value: Any) -> Any:
    """Returns a value of an environment, or a text if it was not recorded."""
    if value is None:
        return "not recorded"
    return value


def _numeric_environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts of an environment that the bits of a result may depend on.

    The flag that divides a CPU into devices is left out, because the devices are counted.
    """
    parts = flat(environment)
    flags = str(parts.get("xla_flags", "")).split()
    parts["xla_flags"] = " ".join(
        sorted(flag for flag in flags if "host_platform_device_count" not in flag)
    )
    ignored = {"versions/python", "cores"}
    if parts.get("platform") != "cpu":
        ignored |= {"cpu_threads", "processor"}
    return {name: value for name, value in parts.items() if name not in ignored}


def _classifier_environment(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numeric environment in which a result's feature classifier was trained."""
    classifier = result.get("feature_classifier")
    if not isinstance(classifier, Mapping):
        return _numeric_environment({})
    return _numeric_environment(classifier.get("environment") or {})


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Returns the leaves of nested JSON values by their paths."""
    items: list[tuple[Any, Any]]
    if isinstance(tree, dict):
        items = list(tree.items())
    elif isinstance(tree, list):
        items = list(enumerate(tree))
    else:
        return {name: tree}
    return {
        path: leaf
        for key, each in items
        for path, leaf in flat(each, f"{name}/{key}".lstrip("/")).items()
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    """Returns the values that differ, by name, as `(old, new)`."""
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    }


def _short(value: Any) -> str:
    """Returns a value as it is shown in a column; hashes are cut."""
    if isinstance(value, float):
        return f"{value:.9g}"
    return str(value)[:12]
