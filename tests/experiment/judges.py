"""A judge of the digits for tests: trained for a moment, once in a process."""

import functools
import tempfile
from pathlib import Path

from jaxdl.experiment.judge import Judging, train_judge

_PLACE = tempfile.TemporaryDirectory()


@functools.cache
def judge() -> Path:
    """Its directory."""
    out = Path(_PLACE.name) / "judge"
    train_judge(Judging(steps=60, batch_size=64, save_every=60, out=str(out)).checked())
    return out
