"""Two results of the same options, bit by bit, and what of them is promised to be the same."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from jaxdl.errors import one_line
from jaxdl.experiment.options import ELSEWHERE

Level = Literal["bits", "data", "nothing"]
Differences = dict[str, tuple[Any, Any]]

#: What is compared of a result; of the data their hashes.
COMPARED = (
    "steps",
    "state_sha256",
    "metrics",
    "metrics_std",
    "members",
    "feature_classifier",
    "data",
)

#: Of what bits depend on, what changes only how sums are added up.
MOVED = {
    "device_count",
    "processes",
    "cpu_threads",
    "processor",
    "strategy",
    "cpu_devices",
    "deterministic",
}

PROMISES = {
    "bits": "the same bits: versions, kind and number of devices, processor and threads are the same",
    "data": "the same data and random numbers; sums are added up in another order: ",
    "nothing": "nothing: ",
}


class Comparison(NamedTuple):
    """What came of a run that was run again (`jaxdl.reproduce`).

    Attributes:
      same: whether every hash and every number is the same, bit by bit.
      kept: whether what is promised came out.
      level: what is promised: the same `bits`; the same `data` and random numbers; or `nothing`.
      reasons: why no more than that: what the bits depend on and is not the same, by name, old and new.
      differences: what did not come out the same, by name, old and new.
    """

    same: bool
    promise_kept: bool
    level: Level
    reasons: Differences
    differences: Differences


def compare_results(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    """What differs between two results, and which level of the contract applies.

    Args:
      old: what a `result.json` holds.
      new: another one, of a run with the same options.

    Example:
      >>> here = {"versions": {"jax": "0.10.2"}, "device_count": 1}
      >>> found = compare_results({"state_sha256": "a", "environment": here}, {"state_sha256": "b", "environment": here})
      >>> found.level, found.promise_kept, found.differences
      ('bits', False, {'state_sha256': ('a', 'b')})
    """
    there = _place(old["environment"])
    here = _place(new["environment"])
    reasons = _differences(there, here)
    differences = _differences(values(old), values(new))
    if "feature_classifier" in differences or "feature_classifier/sha256" in differences:
        classifiers = _differences(
            *(_place(_judge(each).get("environment") or {}) for each in (old, new))
        )
        reasons |= {f"classifier's {name}": pair for name, pair in classifiers.items()}
    flags = str(new["environment"].get("xla_flags"))
    if new["environment"].get("platform") == "gpu" and "deterministic_ops=true" not in flags:
        reasons["--deterministic"] = "missing", "missing"
    for each in old.get("conversions", []):
        matters = [
            name for name in ELSEWHERE if name != "cpu_threads" or here.get("platform") == "cpu"
        ]
        reasons |= {
            f"{name} on the way": tuple(pair)
            for name, pair in each["options"].items()
            if name in matters
        }
    level: Level = "bits"
    if reasons:
        causes = {
            name.removeprefix("classifier's ").removesuffix(" on the way") for name in reasons
        }
        level = "data" if causes <= MOVED else "nothing"
    broken = {
        "bits": bool(differences),
        # With patience it is the losses that end a run.
        "data": any(name.startswith("data/") for name in differences)
        or ("steps" in differences and not old.get("config", {}).get("patience")),
        "nothing": False,
    }
    return Comparison(not differences, not broken[level], level, reasons, differences)


def values(result: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of a result, by name.

    Example:
      >>> values({"steps": 3, "metrics": {"test/loss": 0.5}, "data": {"test": {"sha256": "a", "size": 9}}})
      {'steps': 3, 'metrics/test/loss': 0.5, 'data/test/sha256': 'a'}
    """
    found = _flat({name: result[name] for name in COMPARED if name in result})
    unlike = [name for name in found if name.startswith("data/") and not name.endswith("/sha256")]
    unlike += [name for name in found if name.startswith("feature_classifier/environment/")]
    return {name: value for name, value in found.items() if name not in unlike}


def report(old: Mapping[str, Any], new: Mapping[str, Any], found: Comparison) -> str:
    """The values side by side, what is promised, and what came of it.

    Example:
      >>> result = {"steps": 3, "environment": {}}
      >>> print(report(result, result, compare_results(result, result)))
      value                old              new
      steps                3                3                the same
      promised: the same bits: versions, kind and number of devices, processor and threads are the same
      reproduced: all 1 values are the same
    """
    was = values(old)
    now = values(new)
    width = max(20, *(len(name) for name in [*was, *now]))
    lines = [f"{'value':<{width}} {'old':<16} new"]
    for name in [*was, *(name for name in now if name not in was)]:
        said = "DIFFERS" if name in found.differences else "the same"
        lines.append(
            f"{name:<{width}} {_short(was.get(name)):<16} {_short(now.get(name)):<16} {said}"
        )
    pairs = {
        name: ["not recorded" if x is None else x for x in pair]
        for name, pair in found.reasons.items()
    }
    why = ", ".join(f"{name} is {a} there and {b} here" for name, (a, b) in pairs.items())
    lines.append(f"promised: {PROMISES[found.level]}{why}")
    verdict = f"reproduced: all {len(was)} values are the same"
    if not found.same:
        count = f"{len(found.differences)} of {len(was)} values differ"
        verdict = f"as promised; {count}" if found.promise_kept else f"NOT reproduced: {count}"
    return "\n".join(one_line(line) for line in [*lines, verdict])


def _place(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What bits depend on besides the program; how many devices a CPU was made into is the device count."""
    found = _flat(environment)
    flags = str(found.get("xla_flags", "")).split()
    found["xla_flags"] = " ".join(
        sorted(flag for flag in flags if "host_platform_device_count" not in flag)
    )
    unlike = {"versions/python", "cores"}
    if found.get("platform") != "cpu":
        unlike |= {"cpu_threads", "processor"}
    return {name: value for name, value in found.items() if name not in unlike}


def _judge(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a result says of its classifier."""
    found = result.get("feature_classifier")
    return found if isinstance(found, Mapping) else {}


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves of what JSON gives, by their paths."""
    if not isinstance(tree, dict | list):
        return {name: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {
        path: leaf
        for key, each in items
        for path, leaf in _flat(each, f"{name}/{key}".lstrip("/")).items()
    }


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Differences:
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    }


def _short(value: Any) -> str:
    """A value in a column: hashes by their beginning."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)[:12]
