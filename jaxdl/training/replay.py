"""Since which step something is not finite: found out afterwards, so that no step pays for it."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from jaxdl.core import State
from jaxdl.data.order import Window
from jaxdl.errors import NonFinite
from jaxdl.training.journal import Journal, check_finite
from jaxdl.training.program import Program


@contextlib.contextmanager
def located(
    begin: Callable[[], State | None],
    windows: Callable[[int], Iterator[Window]],
    program: Program,
    key: Any,
    told: Callable[[], bool],
) -> Iterator[None]:
    """Has a `NonFinite` from inside name the step where it began, and the first leaf that it is in there.

    A loss tells of a gradient one step late, and the state that is at hand is that of the dispatch's end. So the steps
    are done once more from the state that was saved last, one at a time, and after each the whole state is looked at.

    Args:
      begin: the state to go on from; None: there is none, and the error stays as it is.
      windows: the run's windows from a step on.
      program: the run's.
      key: of the run's steps.
      told: whether the run is told to end; then the error stays as it is, too.
    """
    try:
        yield
    except NonFinite as error:
        state = begin()
        if state is None:
            raise
        journal, coming, window = Journal([], 0, 1, key.ndim), windows(state.done), None
        for step in range(state.done, error.step):
            if told():
                break
            if window is None or step == window.last:
                window = next(coming)
            try:
                state, found = program.run(state, window, key, 1)
                with warnings.catch_warnings(action="ignore"):  # of single runs, which have warned already
                    journal.take((step + 1, 1, found), state)
                check_finite(state, step + 1)
            except NonFinite as earlier:
                raise earlier from None
        raise
