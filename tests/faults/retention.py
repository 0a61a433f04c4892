"""Random validations with NaN, infinity, ties and none at all: what has to be on disk after every save is.

python -m tests.faults.retention --trials 10000 --seed 0
"""

import math
import sys
from pathlib import Path

import numpy as np

from jaxdl.training.store import keep
from tests.faults import command

WHAT = (
    "sequences of saves, with the newest, the best finite and the last finite step there after each"
)

Rng = np.random.Generator

#: A value that may come at any save; the plain ones are few, so that there are ties.
KINDS = {
    "finite": lambda rng: float(rng.integers(-3, 4)),
    "NaN": lambda rng: math.nan,
    "infinity": lambda rng: math.inf * float(rng.choice([-1, 1])),
    "ties": lambda rng: 0.0,
    "missing": lambda rng: None,
}


def trial(kind: str, rng: Rng, place: Path) -> None:
    """Saves one after the other; a third of the values are of the kind, the others of any."""
    last = int(rng.integers(1, 5))
    there = {}
    seen = {}
    for step in np.cumsum(rng.integers(1, 4, size=rng.integers(1, 31))).tolist():
        this = kind if rng.random() < 1 / 3 else list(KINDS)[rng.integers(len(KINDS))]
        there[step] = seen[step] = KINDS[this](rng)
        there = {kept: there[kept] for kept in keep(there, last)}
        assert set(there) == expected(seen, last), f"{seen}: kept were {sorted(there)}"


def expected(seen: dict[int, float | None], last: int) -> set[int]:
    """By going through all values that there ever were."""
    best = last_finite = None
    for step, value in seen.items():
        if value is not None and math.isfinite(value):
            last_finite = step
            if best is None or value < seen[best]:
                best = step
    return {*list(seen)[-last:], best, last_finite} - {None}


if __name__ == "__main__":
    sys.exit(command.main("retention", WHAT, trial, KINDS, 10000))
