"""Steps that are looked at one by one: slow, and they say where it went wrong."""

import traceback
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
from jax.experimental import checkify

from jaxdl.core import Learner, State
from jaxdl.data.order import Window, gather
from jaxdl.errors import CheckFailed, NonFinite
from jaxdl.finite import all_finite
from jaxdl.training.metric_buffer import stack_rows
from jaxdl.training.program import Program


def checked_program(learner: Learner, plain: Program) -> Program:
    """The program of a learner that does one step at a time, each checked (`jaxdl.training.strategies.Checked`)."""
    step, judge = _checkified(learner)

    def run(state: State, window: Window, key: Any, k: int) -> tuple[State, Any]:
        found = []
        for _ in range(k):
            batch = gather(window.arrays, window.order[state.steps_done - window.first])
            at = state.steps_done + 1
            broken = [name for name, fine in _finite(batch).items() if not fine]
            if broken:
                raise NonFinite(at, f"{', '.join(broken)} of the batch is not finite")
            # What a call has done with its key is not the next one's business.
            checked(judge, at, state, batch, jax.random.clone(key))
            state, metrics = checked(step, at, state, batch, jax.random.clone(key))
            found.append(metrics)
        return state, stack_rows(found)

    def evaluate(state: State, window: Window, key: Any, start: int, end: int) -> Any:
        def judged(i: int) -> Any:
            own = jax.random.fold_in(key, window.first + i)
            return checked(
                judge, state.steps_done, state, gather(window.arrays, window.order[i]), own
            )

        return stack_rows([judged(i) for i in range(start, end)])

    return Program(plain.abstract, plain.init, run, evaluate, in_flight=1)


@lru_cache(maxsize=32)
def _checkified(learner: Learner) -> tuple[Callable, Callable]:
    step = checkify.checkify(learner.step, checkify.user_checks | checkify.nan_checks)
    return jax.jit(step), jax.jit(
        checkify.checkify(learner.evaluate, checkify.user_checks | checkify.index_checks)
    )


@jax.jit
def _finite(batch: Any) -> Any:
    return jax.tree.map(all_finite, batch)


def checked(function: Callable, step: int, *args: Any) -> Any:
    """What a checkified function returns, which is called at a step.

    Raises:
      NonFinite: an operation made a NaN.
      CheckFailed: an index out of bounds, a key used twice, a check of the user's own.
    """
    try:
        with jax.debug_key_reuse(True):
            error, found = function(*args)
    except jax.errors.KeyReuseError as reused:
        before = traceback.extract_tb(reused.__cause__.__traceback__ if reused.__cause__ else None)
        lines = [(each.filename, each.lineno, each.name) for each in reversed(before)]
        said = _said("a key is used twice", lines)
    else:
        broken = error.get_exception()
        if broken is None:
            return found
        frames = getattr(getattr(broken, "traceback_info", None), "frames", ())
        said = _said(
            str(broken), [(each.file_name, each.line_num, each.function_name) for each in frames]
        )
    if said.startswith("nan "):
        raise NonFinite(step, said)
    raise CheckFailed(f"step {step}: {said}")


@cache
def _libraries() -> tuple[str, ...]:
    """Where JAX, Flax and Optax are installed: not where a user's line is."""
    specs = map(find_spec, ("jax", "flax", "optax"))
    return tuple(str(Path(spec.origin).parent) for spec in specs if spec and spec.origin)


def _said(what: str, lines: list[tuple[str, int | None, str]]) -> str:
    """The first line of what was found and, of the lines of the program from the innermost on, the user's first."""
    said = what.splitlines()[0].strip(" .")
    for file, line, function in lines:
        if not file.startswith((*_libraries(), "<")):
            return f"{said}, in {function.rpartition('.')[2]} at {file}:{line}"
    return said
