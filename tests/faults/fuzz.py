"""Reads mutated files and command lines: each must be accepted or refused with a `JaxdlError`.

    python -m tests.faults.fuzz --inputs 100000 --seed 0

Inputs are valid ones with bits flipped and with parts deleted, repeated or mixed. In JSON files,
values are also replaced with values of other types. A manifest that is accepted must have its
original content. Any other outcome is printed with its input and gives exit code 1.
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
    inputs: int, seed: int, log: Callable[[str], None] = lambda line: None
) -> tuple[int, list[str]]:
    """Tries inputs of all kinds.

    Args:
      inputs: number of inputs.
      seed: seed of the mutations.
      log: a function that receives one line per kind, with counts.

    Returns:
      The number of inputs with an expected outcome, and a description of each other input.
    """
    wrong: list[str] = []
    shares = sum(kind.share for kind in KINDS)
    counts = [round(inputs * kind.share / shares) for kind in KINDS]
    counts[0] += inputs - sum(counts)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, count in zip(KINDS, counts, strict=True):
            began = time.monotonic()
            rng = random.Random(f"{kind.name} {seed}")
            directory = Path(folder) / kind.name.replace(" ", "-")
            directory.mkdir()
            good = kind.prepare(directory)
            outcomes = Counter(_outcome(kind, good, directory, rng, wrong) for _ in range(count))
            text = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
            log(f"{kind.name:<16} {count:>7} in {time.monotonic() - began:5.1f} s: {text}")
    return inputs - len(wrong), wrong


def _outcome(
    kind: Kind, good: list[Any], directory: Path, rng: random.Random, wrong: list[str]
) -> str:
    """Uses one mutated input; returns the outcome and extends `wrong` if it is not expected."""
    if isinstance(good[0], list):
        value: Any = mutated_arguments(rng, good)
    else:
        value = mutated(rng, good)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            kind.use(directory, value)
    except JaxdlError as error:
        if str(error).isprintable():
            return "refused"
        problem = f"the message is not one line: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        return "accepted"
    wrong.append(f"{kind.name}: {problem[:300]!r} for {value[:2000]!r}")
    return "WRONG"


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--inputs", type=int, default=100_000, help="number of inputs; default: 100000"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations; default: 0")
    args = parser.parse_args()
    good, wrong = fuzz(args.inputs, args.seed, lambda line: print(line, flush=True))
    for line in wrong[:20]:
        print(line)
    print(f"fuzz: {good}/{args.inputs} inputs accepted or refused with a JaxdlError")
    return int(good < args.inputs)


if __name__ == "__main__":
    sys.exit(main())
