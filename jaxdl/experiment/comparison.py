"""Two results of the same options, bit by bit, and what of them is promised to be the same."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from jaxdl.errors import one_line
from jaxdl.experiment.options import ELSEWHERE

Level = Literal["bits", "data", "nothing"]
Differences = dict[str, tuple[Any, Any]]

#: What is compared of a result; of the data their hashes.
COMPARED = ("steps", "state_sha256", "metrics", "metrics_std", "members", "judge", "data")

#: Of what bits depend on, what changes only how sums are added up.
MOVED = {
    *("device_count", "processes", "cpu_threads", "processor"),
    *("strategy on the way", "cpu_devices on the way", "cpu_threads on the way"),
}

PROMISES = {
    "bits": "the same bits: versions, kind and number of devices, processor and threads are the same",
    "data": "the same data and random numbers; sums are added up in another order: ",
    "nothing": "nothing: ",
}


class Reproduced(NamedTuple):
    """What came of a run that was run again (`jaxdl.reproduce`).

    Attributes:
      same: whether every hash and every number is the same, bit by bit.
      kept: whether what is promised came out.
      level: what is promised: the same `bits`; the same `data` and random numbers; or `nothing`.
      reasons: why no more than that: what the bits depend on and is not the same, by name, old and new.
      differences: what did not come out the same, by name, old and new.
    """

    same: bool
    kept: bool
    level: Level
    reasons: Differences
    differences: Differences


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> Reproduced:
    """What differs between two results, and which level of the contract applies.

    Args:
      old: what a `result.json` holds.
      new: another one, of a run with the same options.

    Example:
      >>> here = {"versions": {"jax": "0.10.2"}, "device_count": 1}
      >>> found = compared({"state_sha256": "a", "environment": here}, {"state_sha256": "b", "environment": here})
      >>> found.level, found.kept, found.differences
      ('bits', False, {'state_sha256': ('a', 'b')})
    """
    reasons, differences = _differences(_place(old), _place(new)), _differences(values(old), values(new))
    flags = str(new["environment"].get("xla_flags"))
    if new["environment"].get("platform") == "gpu" and "deterministic_ops=true" not in flags:
        reasons["--deterministic"] = "missing", "missing"
    for each in old.get("conversions", []):
        reasons |= {
            f"{name} on the way": (was, now) for name, (was, now) in each["options"].items() if name in ELSEWHERE
        }
    level: Level = "bits"
    if reasons:
        level = "data" if reasons.keys() <= MOVED else "nothing"
    broken = {
        "bits": bool(differences),
        "data": any(name == "steps" or name.startswith("data/") for name in differences),
        "nothing": False,
    }
    return Reproduced(not differences, not broken[level], level, reasons, differences)


def values(result: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a result, by name.

    Example:
      >>> values({"steps": 3, "metrics": {"test/loss": 0.5}, "data": {"test": {"sha256": "a", "size": 9}}})
      {'steps': 3, 'metrics/test/loss': 0.5, 'data/test/sha256': 'a'}
    """
    found = _flat({name: result[name] for name in COMPARED if name in result})
    return {name: value for name, value in found.items() if not name.startswith("data/") or name.endswith("/sha256")}


def report(old: Mapping[str, Any], new: Mapping[str, Any], found: Reproduced) -> str:
    """The values side by side, what is promised, and what came of it.

    Example:
      >>> result = {"steps": 3, "environment": {}}
      >>> print(report(result, result, compared(result, result)))
      value                old              new
      steps                3                3                the same
      promised: the same bits: versions, kind and number of devices, processor and threads are the same
      reproduced: all 1 values are the same
    """
    was, now = values(old), values(new)
    width = max(20, *(len(name) for name in [*was, *now]))
    lines = [f"{'value':<{width}} {'old':<16} new"]
    for name in [*was, *(name for name in now if name not in was)]:
        said = "DIFFERS" if name in found.differences else "the same"
        lines.append(f"{name:<{width}} {_short(was.get(name)):<16} {_short(now.get(name)):<16} {said}")
    why = ", ".join(f"{name} is {a} there and {b} here" for name, (a, b) in found.reasons.items())
    lines.append(f"promised: {PROMISES[found.level]}{why}")
    verdict = f"reproduced: all {len(was)} values are the same"
    if not found.same:
        count = f"{len(found.differences)} of {len(was)} values differ"
        verdict = f"as promised; {count}" if found.kept else f"NOT reproduced: {count}"
    return "\n".join(one_line(line) for line in [*lines, verdict])


def _place(result: Mapping[str, Any]) -> dict[str, Any]:
    """What bits depend on besides the program; how many devices a CPU was made into is the device count."""
    found = _flat(result["environment"])
    flags = str(found.get("xla_flags", "")).split()
    found["xla_flags"] = " ".join(sorted(flag for flag in flags if "host_platform_device_count" not in flag))
    unlike = {"versions/python", "cores"}
    if found.get("platform") != "cpu":
        unlike |= {"cpu_threads", "processor"}
    return {name: value for name, value in found.items() if name not in unlike}


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves of what JSON gives, by their paths."""
    if not isinstance(tree, dict | list):
        return {name: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {path: leaf for key, each in items for path, leaf in _flat(each, f"{name}/{key}".lstrip("/")).items()}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    names = [*old, *(name for name in new if name not in old)]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _short(value: Any) -> str:
    """A value in a column: hashes by their beginning."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)[:12]
