"""Saves with random validation values: the right checkpoints must be kept after every save.

    python -m tests.faults.retention --trials 10000 --seed 0

The values contain NaN, infinity and ties, and some saves have no value.
"""

import math
import sys
from pathlib import Path

import numpy as np

from jaxdl.training.store import steps_to_keep
from tests.faults import command

SUMMARY = "sequences of saves kept the newest, the best finite and the last finite step"

Rng = np.random.Generator

#: By kind, a random validation value. There are few finite values, so that ties occur.
KINDS = {
    "finite": lambda rng: float(rng.integers(-3, 4)),
    "NaN": lambda rng: math.nan,
    "infinity": lambda rng: math.inf * float(rng.choice([-1, 1])),
    "ties": lambda rng: 0.0,
    "missing": lambda rng: None,
}


def trial(kind: str, rng: Rng, directory: Path) -> None:
    """Saves up to 30 steps; a third of the values have this kind, the others a random one."""
    last = int(rng.integers(1, 5))
    stored = {}
    seen = {}
    for step in np.cumsum(rng.integers(1, 4, size=rng.integers(1, 31))).tolist():
        value_kind = kind
        if rng.random() >= 1 / 3:
            value_kind = list(KINDS)[rng.integers(len(KINDS))]
        seen[step] = KINDS[value_kind](rng)
        stored[step] = seen[step]
        stored = {step: stored[step] for step in steps_to_keep(stored, last)}
        assert set(stored) == expected(seen, last), f"of {seen}, {sorted(stored)} were kept"


def expected(seen: dict[int, float | None], last: int) -> set[int]:
    """Returns the steps to keep, computed from all values."""
    best = last_finite = None
    for step, value in seen.items():
        if value is not None and math.isfinite(value):
            last_finite = step
            if best is None or value < seen[best]:
                best = step
    return {*list(seen)[-last:], best, last_finite} - {None}


if __name__ == "__main__":
    sys.exit(command.main("retention", SUMMARY, trial, KINDS, 10000))
