"""The learning rate of a run, found before its training (`--find-lr`)."""

from collections.abc import Callable

import optax

from jaxdl import plots
from jaxdl.core import Learner
from jaxdl.data.source import Source
from jaxdl.errors import InputError
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.selection import RateCurve, find_learning_rate
from jaxdl.training import strategy

#: Number of steps of the search; and of a smoke test.
STEPS = 200
SMOKE_STEPS = 20


def found_rate(
    run: Run[Options], make: Callable[[optax.Schedule], Learner], train: Source
) -> float:
    """Returns the learning rate that a short training suggests, before the run itself.

    The rate becomes `found_learning_rate` of the result, and its curve
    `figures/learning_rate.png`. A resumed run reads the rate from a file.

    Args:
      run: run before its training.
      make: `make(schedule) -> Learner`, as in `jaxdl.selection.find_learning_rate`.
      train: training set.

    Raises:
      InputError: no rate lets the loss fall.
    """
    curves: list[RateCurve] = []

    def find() -> float:
        curves.append(_search(run, make, train))
        suggestion = curves[0].suggestion
        assert suggestion is not None
        return suggestion

    rate = run.number("found_learning_rate", find)
    for curve in curves:
        print(f"{'learning rate':<22} {rate:.3g}, found in {len(curve.rates)} steps")
        draw_curve(run, curve)
    return rate


def _search(
    run: Run[Options], make: Callable[[optax.Schedule], Learner], train: Source
) -> RateCurve:
    """Returns the curve of the finder; raises InputError if it has no suggestion."""
    config = run.config
    steps = STEPS
    if config.run.smoke:
        steps = SMOKE_STEPS
    curve = find_learning_rate(
        make,
        train,
        key=run.key,
        batch_size=config.run.batch_size,
        steps=steps,
        strategy=strategy(config.devices.strategy_name),
    )
    if curve.suggestion is None:
        allowed = "False with a --learning-rate of yours; the loss falls at no rate"
        raise InputError("find_lr", True, allowed)
    return curve


def draw_curve(run: Run[Options], curve: RateCurve) -> None:
    """Draws the curve of the finder into `figures/learning_rate.png`."""
    plots.rate_curve(
        curve.rates,
        curve.losses,
        curve.smoothed,
        curve.used,
        curve.suggestion,
        run.figure("learning_rate"),
        rule=curve.rule,
    )
