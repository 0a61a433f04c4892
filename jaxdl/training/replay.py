"""Search for the first non-finite step: steps are repeated after an error, so none is slowed."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.core import State
from jaxdl.data.checks import unusable
from jaxdl.data.order import Window, Windows, gather
from jaxdl.errors import NonFinite
from jaxdl.metrics import read_rows
from jaxdl.training.metric_logger import MetricLogger, not_finite
from jaxdl.training.plan import Stop
from jaxdl.training.program import Program

#: The number of steps that are repeated at most if no state is saved yet.
MAX_STEPS_FROM_START = 1000


def locate_nonfinite(
    error: NonFinite,
    saved_state: Callable[[], State | None],
    windows: Windows,
    program: Program,
    key: Any,
    requested: Callable[[], bool],
) -> NonFinite:
    """Returns the error of the first non-finite step, with its first leaf.

    The loss shows a non-finite gradient one step late, and the newest state is that of the end of
    a dispatch. So the steps since the saved state are repeated one at a time. After each of them
    the whole state is checked. If another error occurs meanwhile, the given error is returned.

    Args:
      error: the error that a run found.
      saved_state: returns the state to start from; None if there is none.
      windows: the windows of the training set.
      program: the run's program.
      key: key of the run's steps.
      requested: returns True if a signal requested the end of the run; then the given error is
        returned, too.
    """
    try:
        earlier = _replay(saved_state(), error.step, windows, program, key, requested)
    except Exception as other:
        # For example, there is no memory for a second state, or the checkpoint was removed.
        error.add_note(f"the first non-finite step was not found: {other}")
        return error
    return earlier or error


def with_cause(
    error: NonFinite, windows: Windows, classes: int | None, program: Program, key: Any
) -> NonFinite:
    """Returns an error that begins with the value in the batch of its step that caused it.

    Args:
      error: the error of a step.
      windows: the windows of the training set.
      classes: number of classes of the set. None means that it is searched for.
      program: the run's program.
      key: key of the run's initial state.

    Returns:
      A new error, or the given one if the batch has no such value or is in another process.
    """
    step = error.step - 1
    if step < 0 or jax.process_count() > 1:
        return error
    window = windows.at(step)
    if classes is None:
        # There may be no memory for a second state.
        with contextlib.suppress(Exception):
            classes = _count_classes(window, step - window.first, program, key)
    # Several runs may read different rows.
    for rows in window.order[step - window.first].reshape(-1, window.order.shape[-1]):
        cause = unusable(jax.device_get(gather(window.arrays, rows)), classes)
        if cause:
            return NonFinite(error.step, f"{cause}; {error.what}")
    return error


def _count_classes(window: Window, i: int, program: Program, key: Any) -> int | None:
    """Returns the number of classes of a task if a label in batch i of a window exceeds it.

    The loss of such a label is NaN in every state. So the number is the largest one for which the
    loss is finite once all larger labels have been replaced.
    """
    label = window.arrays.get("label")
    if not isinstance(label, jax.Array) or not jnp.issubdtype(label.dtype, jnp.integer):
        return None
    state = program.init(key)

    def is_finite(largest: int) -> bool:
        arrays = {**window.arrays, "label": jnp.minimum(label, largest)}
        rows = program.evaluate(state, window._replace(arrays=arrays), key, i, i + 1)
        return all(
            np.isfinite(x).all() for x in jax.tree.leaves(read_rows(rows, 1, program.several))
        )

    low = 0
    high = int(label.max())
    if is_finite(high) or not is_finite(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if is_finite(middle):
            low = middle
        else:
            high = middle
    return low + 1


def _replay(
    state: State | None,
    end: int,
    windows: Windows,
    program: Program,
    key: Any,
    requested: Callable[[], bool],
) -> NonFinite | None:
    """Repeats the steps up to `end`; returns the first error, or None.

    A leaf that becomes finite again before the metrics are affected is not an error.
    """
    if state is None:
        return None
    logger = MetricLogger([], 0, program.several)
    first_error = None
    for step in range(state.steps_done, end):
        if requested():
            return None
        state, metrics = program.run(state, windows.at(step), key, 1)
        logger.add(Stop(step, step + 1, log=False, validate=False, wait=True, last=False), metrics)
        # The run itself has already warned about single runs.
        with warnings.catch_warnings(action="ignore"):
            error = logger.record(state)
        if error is not None:
            return first_error or error
        first_error = _continued(first_error, not_finite(state, step + 1))
    return first_error


def _continued(earlier: NonFinite | None, now: NonFinite | None) -> NonFinite | None:
    """Returns the first error of a row of steps with errors; None if there is none now."""
    if now is None:
        return None
    return earlier or now
