"""Search for the first non-finite step: steps are repeated after an error, so none is slowed."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from jaxdl.core import State
from jaxdl.data.order import Window
from jaxdl.errors import NonFinite
from jaxdl.training.metric_logger import MetricLogger, check_finite
from jaxdl.training.program import Program

#: The number of steps that are repeated at most if no state is saved yet.
MAX_STEPS_FROM_START = 1000


@contextlib.contextmanager
def locate_nonfinite(
    saved_state: Callable[[int], State | None],
    windows_from: Callable[[int], Iterator[Window]],
    program: Program,
    key: Any,
    requested: Callable[[], bool],
) -> Iterator[None]:
    """Replaces a NonFinite error by one with the first non-finite step and its first leaf.

    The loss shows a non-finite gradient one step late, and the newest state is that of the end of
    a dispatch. So the steps since the saved state are repeated one at a time. After each of them
    the whole state is checked. If another error occurs meanwhile, the first error is raised.

    Args:
      saved_state: `saved_state(step)`, the state to start from for an error at this step; None if
        there is none.
      windows_from: `windows_from(step)`, the run's windows from a step on.
      program: the run's program.
      key: key of the run's steps.
      requested: returns True if a signal requested the end of the run; then the first error is
        raised, too.
    """
    try:
        yield
    except NonFinite as error:
        try:
            earlier = _replay(
                saved_state(error.step), error.step, windows_from, program, key, requested
            )
        except Exception as other:
            # For example, there is no memory for a second state, or the checkpoint was removed.
            error.add_note(f"the first non-finite step was not found: {other}")
            raise error from None
        raise (earlier or error) from None


def _replay(
    state: State | None,
    end: int,
    windows_from: Callable[[int], Iterator[Window]],
    program: Program,
    key: Any,
    requested: Callable[[], bool],
) -> NonFinite | None:
    """Repeats the steps up to `end`; returns the first NonFinite error, or None.

    A leaf that becomes finite again before the metrics are affected is not an error.
    """
    if state is None:
        return None
    logger = MetricLogger([], 0, 1, key.ndim)
    windows = windows_from(state.steps_done)
    window = None
    first_error = None
    for step in range(state.steps_done, end):
        if requested():
            return None
        if window is None or step == window.end:
            window = next(windows)
        state, metrics = program.run(state, window, key, 1)
        try:
            # The run itself has already warned about single runs.
            with warnings.catch_warnings(action="ignore"):
                logger.record((step + 1, 1, metrics), state)
        except NonFinite as error:
            return first_error or error
        try:
            check_finite(state, step + 1)
            first_error = None
        except NonFinite as error:
            first_error = first_error or error
    return first_error
