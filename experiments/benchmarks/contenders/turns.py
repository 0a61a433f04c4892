"""Contenders that take turns, so that other load on the machine slows all of them down."""

import statistics
import time
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import jaxdl

#: A function that works for a while and returns its seconds per unit of work.
Turn = Callable[[], float]


def in_turns(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Returns the seconds of contenders that take turns, one number per round."""
    times: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            times[name].append(turn())
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Returns the median of each contender."""
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def of_training(
    net: jaxdl.Learner,
    images: np.ndarray,
    batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Turn:
    """Returns the turn of a compiled training program, with many steps per dispatch as in `train`.

    Args:
      net: the learner of a classifier with 10 classes.
      images: the images of one epoch, `[N, H, W, C]`.
      batch_size: images per step.
      clock: function whose differences are measured.

    Returns:
      A function that trains an epoch and returns the seconds per step.
    """
    steps = len(images) // batch_size
    label = np.random.default_rng(0).integers(0, 10, len(images)).astype(np.int32)
    data = jaxdl.data.Dataset({"input": images, "label": label}, "random", 10)
    strategy = jaxdl.strategy("single")
    key = jaxdl.root(0)
    window = next(data.training(key, batch_size, 0, strategy.place))
    program = strategy.compile(net, window)
    state, _ = jax.block_until_ready(program.run(program.init(key), window, key, steps))

    def turn() -> float:
        nonlocal state
        state = state.replace(step=jnp.zeros_like(state.step))
        start = clock()
        state, _ = jax.block_until_ready(program.run(state, window, key, steps))
        return (clock() - start) / steps

    return turn
