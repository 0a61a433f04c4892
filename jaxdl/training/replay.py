"""Since which step something is not finite: found out afterwards, so that no step pays for it."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from jaxdl.core import State
from jaxdl.data.order import Window
from jaxdl.errors import NonFinite
from jaxdl.training.metric_logger import MetricLogger, check_finite
from jaxdl.training.program import Program

#: Where nothing is saved yet, so many steps are done again from the start.
FROM_THE_START = 1000


@contextlib.contextmanager
def locate_nonfinite(
    begin: Callable[[int], State | None],
    windows: Callable[[int], Iterator[Window]],
    program: Program,
    key: Any,
    told: Callable[[], bool],
) -> Iterator[None]:
    """Has a `NonFinite` from inside name the step where it began, and the first leaf that it is in there.

    A loss tells of a gradient one step late, and the state that is at hand is that of the dispatch's end. So the steps
    are done once more from the state that was saved last, one at a time, and after each the whole state is looked at.
    The error stays as it is if anything else comes up on the way.

    Args:
      begin: `begin(step)`, the state to go on from for an error at this step; None: there is none.
      windows: the run's windows from a step on.
      program: the run's.
      key: of the run's steps.
      told: whether the run is told to end; then the error stays as it is, too.
    """
    try:
        yield
    except NonFinite as error:
        try:
            earlier = _again(begin(error.step), error.step, windows, program, key, told)
        except (
            Exception
        ) as other:  # too little memory for a second state, a checkpoint that is gone
            error.add_note(f"the step where it began was not found: {other}")
            raise error from None
        raise (earlier or error) from None


def _again(
    state: State | None,
    end: int,
    windows: Callable,
    program: Program,
    key: Any,
    told: Callable[[], bool],
) -> NonFinite | None:
    """What the steps up to `end` run into; a leaf that is finite again before anything came of it was in order."""
    if state is None:
        return None
    logger = MetricLogger([], 0, 1, key.ndim)
    coming = windows(state.steps_done)
    window = None
    found = None
    for step in range(state.steps_done, end):
        if told():
            return None
        if window is None or step == window.last:
            window = next(coming)
        state, metrics = program.run(state, window, key, 1)
        try:
            with warnings.catch_warnings(
                action="ignore"
            ):  # of single runs, which have warned already
                logger.record((step + 1, 1, metrics), state)
        except NonFinite as error:
            return found or error
        try:
            check_finite(state, step + 1)
            found = None
        except NonFinite as error:
            found = found or error
    return found
