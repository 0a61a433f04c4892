"""Mutated files and command lines: each input ends well or in an error of ours.

    python -m tests.faults.fuzz --inputs 100000 --seed 0

Inputs are good ones with bits flipped, cut, doubled and mixed, and JSON with values of other types in it. Of a
manifest that is accepted, nothing may have changed. Exit code 1 and the input, if any ends otherwise.
"""

import argparse
import contextlib
import io
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxdl.errors import JaxdlError
from tests.faults.fuzz_kinds import KINDS, Kind
from tests.faults.mutations import mutated, mutated_arguments


def fuzz(
    inputs: int, seed: int, say: Callable[[str], None] = lambda line: None
) -> tuple[int, list[str]]:
    """Tries inputs of all kinds.

    Args:
      inputs: how many in all.
      seed: of the mutations.
      say: is told the counts of every kind.

    Returns:
      How many ended well or in an error of ours, and what is wrong with the others.
    """
    wrong: list[str] = []
    shares = sum(kind.share for kind in KINDS)
    counts = [round(inputs * kind.share / shares) for kind in KINDS]
    counts[0] += inputs - sum(counts)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, count in zip(KINDS, counts, strict=True):
            began = time.monotonic()
            draw = random.Random(f"{kind.name} {seed}")
            place = Path(folder) / kind.name.replace(" ", "-")
            place.mkdir()
            good = kind.prepare(place)
            ends = Counter(_end(kind, good, place, draw, wrong) for _ in range(count))
            told = ", ".join(f"{number} {end}" for end, number in sorted(ends.items()))
            say(f"{kind.name:<16} {count:>7} in {time.monotonic() - began:5.1f} s: {told}")
    return inputs - len(wrong), wrong


def _end(kind: Kind, good: list[Any], place: Path, draw: random.Random, wrong: list[str]) -> str:
    """How one input ended."""
    change = mutated_arguments if isinstance(good[0], list) else mutated
    value = change(draw, good)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            kind.use(place, value)
    except JaxdlError as error:
        if str(error).isprintable():
            return "refused"
        said = f"not one line: {error}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        said = f"{type(error).__name__}: {error}"
    else:
        return "accepted"
    wrong.append(f"{kind.name}: {said[:300]!r} of {value[:2000]!r}")
    return "WRONG"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    read = parser.parse_args()
    good, wrong = fuzz(read.inputs, read.seed, lambda line: print(line, flush=True))
    for line in wrong[:20]:
        print(line)
    print(f"fuzz: {good}/{read.inputs} ended well or in an error of ours")
    return int(good < read.inputs)


if __name__ == "__main__":
    sys.exit(main())
