"""Checked training steps: slow, but errors name the step and the line of code."""

import traceback
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
from jax.experimental import checkify

from jaxdl.core import Learner, State, Sweep
from jaxdl.data.checks import unusable
from jaxdl.data.order import Window, gather
from jaxdl.errors import CheckFailed, NonFinite
from jaxdl.metrics import stack_rows
from jaxdl.training.program import Program


def checked_program(learner: Learner | Sweep, plain: Program) -> Program:
    """Returns a program that checks every step (see `jaxdl.training.strategies.Checked`).

    Args:
      learner: the learner.
      plain: its program without checks, which initializes the state.
    """
    step, evaluate_batch = _checkified(learner)

    def run(state: State, window: Window, key: Any, k: int) -> tuple[State, Any]:
        metrics = []
        for _ in range(k):
            batch = gather(window.arrays, window.order[state.steps_done - window.first])
            number = state.steps_done + 1
            _check_batch(batch, number)
            # Reuse of a key is an error within one call only, so each call gets its own copy.
            checked(evaluate_batch, number, state, batch, jax.random.clone(key))
            state, step_metrics = checked(step, number, state, batch, jax.random.clone(key))
            metrics.append(step_metrics)
        return state, stack_rows(metrics)

    def evaluate(state: State, window: Window, key: Any, start: int, end: int) -> Any:
        metrics = []
        for i in range(start, end):
            batch_key = jax.random.fold_in(key, window.first + i)
            batch = gather(window.arrays, window.order[i])
            metrics.append(checked(evaluate_batch, state.steps_done, state, batch, batch_key))
        return stack_rows(metrics)

    return Program(plain.abstract, plain.init, run, evaluate, in_flight=1, several=False)


@lru_cache(maxsize=32)
def _checkified(learner: Learner) -> tuple[Callable, Callable]:
    """Returns the compiled `step` and `evaluate` of a learner, with checks added."""
    step = checkify.checkify(learner.step, checkify.user_checks | checkify.nan_checks)
    every = jax.jit(checkify.checkify(learner.evaluate, checkify.user_checks | checkify.index_checks))
    users = jax.jit(checkify.checkify(learner.evaluate, checkify.user_checks))

    def evaluate(*args: Any) -> Any:
        try:
            return every(*args)
        except IndexError:
            # checkify cannot trace the index check of a scatter under vmap.
            return users(*args)

    return jax.jit(step), evaluate


def _check_batch(batch: Any, step: int) -> None:
    """Raises NonFinite if a field of the batch is not finite, with its row."""
    cause = unusable(jax.device_get(batch))
    if cause:
        raise NonFinite(step, cause)


def checked(function: Callable, step: int, *args: Any) -> Any:
    """Calls a checkified function and returns its result.

    Args:
      function: the function, which returns `(error, result)`.
      step: number of the step, for error messages.
      *args: arguments of the function.

    Raises:
      NonFinite: an operation produced a NaN.
      CheckFailed: an index out of bounds, a key used twice, or a failed check in the user's code.
    """
    try:
        with jax.debug_key_reuse(True):
            error, result = function(*args)
    except jax.errors.KeyReuseError as reuse:
        frames = traceback.extract_tb(getattr(reuse.__cause__, "__traceback__", None))
        lines = [(frame.filename, frame.lineno, frame.name) for frame in reversed(frames)]
        message = _located("a key is used twice", lines)
    else:
        failure = error.get_exception()
        if failure is None:
            return result
        traced = getattr(getattr(failure, "traceback_info", None), "frames", ())
        lines = [(frame.file_name, frame.line_num, frame.function_name) for frame in traced]
        message = _located(str(failure), lines)
    if message.startswith("nan "):
        raise NonFinite(step, message)
    raise CheckFailed(f"step {step}: {message}")


@cache
def _libraries() -> tuple[str, ...]:
    """Returns the directories of JAX, Flax and Optax, which contain no code of the user."""
    specs = map(find_spec, ("jax", "flax", "optax"))
    return tuple(str(Path(spec.origin).parent) for spec in specs if spec and spec.origin)


def _located(message: str, lines: list[tuple[str, int | None, str]]) -> str:
    """Returns the first line of a message, with the innermost line of the user's code.

    Args:
      message: the message of the failed check.
      lines: `(file, line, function)` of the traceback, from the innermost frame outwards.
    """
    text = message.splitlines()[0].strip(" .")
    for file, line, function in lines:
        if not file.startswith((*_libraries(), "<")):
            return f"{text}, in {function.rpartition('.')[2]} at {file}:{line}"
    return text
