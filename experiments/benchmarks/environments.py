"""Steps per second of the compiled CartPole, next to gymnax and Gymnasium.

    python experiments/benchmarks/environments.py
    python experiments/benchmarks/environments.py --rounds 21 --environments 1 64 1024

The contenders take turns. A turn of jaxdl and of gymnax is one call of a compiled loop. Each step
draws random actions, moves all environments and starts other episodes where some have ended. The
reward and the observation of each step are summed, so that the compiler removes none of them.
Gymnasium runs its vector environment of NumPy with actions that are chosen before. All times are
those of the processor, so that other processes count less.

gymnax needs `pip install gymnax`. Contenders that are not installed are left out with the reason.
The script fails if jaxdl's median rate is below that of gymnax.

Result on two cores of an AMD EPYC that other work shared, in steps per second. With 1 environment:
jaxdl 712,000, gymnax 607,000 and Gymnasium 21,000. With 1,024: jaxdl 9.5 million, gymnax 6.4
million and Gymnasium 10.7 million. Most of the time of the first two is that of random numbers.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import rl

#: Least rate as a multiple of gymnax's.
LEAST_RATIO = 1.0

#: A function that moves environments for a while, and returns the number of moves.
Turn = Callable[[], int]


def main() -> None:
    """Measures in turns, and prints medians and thresholds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = "Numbers of environments (default: 1 1024)."
    parser.add_argument("--environments", type=int, nargs="+", default=[1, 1024], help=sizes)
    parser.add_argument("--rounds", type=int, default=11, help="Turns each (default: 11).")
    parser.add_argument("--seconds", type=float, default=0.3, help="Per turn (default: 0.3).")
    options = parser.parse_args()
    failed = False
    for count in options.environments:
        turns = {"jaxdl": with_jaxdl(count, options.seconds)}
        turns |= optional("gymnax", partial(with_gymnax, count, options.seconds))
        turns |= optional("gymnasium", partial(with_gymnasium, count, options.seconds))
        rates = in_turns(turns, options.rounds)
        print(f"{count} environments")
        for name, rate in rates.items():
            print(f"  {name:<10} {rate:>14,.0f} steps/s")
        if "gymnax" in rates:
            ratio = rates["jaxdl"] / rates["gymnax"]
            print(f"  {ratio:.2f} of gymnax's rate, allowed: at least {LEAST_RATIO}")
            failed |= ratio < LEAST_RATIO
    sys.exit(int(failed))


def optional(name: str, make: Callable[[], Turn]) -> dict[str, Turn]:
    """Returns a contender, or none if its package is not installed."""
    try:
        return {name: make()}
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return {}


def in_turns(turns: dict[str, Turn], rounds: int) -> dict[str, float]:
    """Returns the median rate of each contender; the order rotates from round to round."""
    rates: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.process_time()
            moves = turns[name]()
            rates[name].append(moves / (time.process_time() - start))
    return {name: statistics.median(each) for name, each in rates.items()}


def compiled(reset: Callable, step: Callable, count: int, seconds: float) -> Turn:
    """Returns a turn of a compiled scan of about so many seconds.

    Args:
      reset: function from a key to a state.
      step: function from state, action and key to a state and numbers that are summed.
      count: number of environments.
      seconds: time of a turn.
    """

    def move(t: jax.Array, carry: tuple) -> tuple:
        states, total, key = carry
        keys = jax.random.split(jax.random.fold_in(key, t), count)
        bits = jax.random.bits(jax.random.fold_in(key, ~t), (count,))
        states, numbers = jax.vmap(step)(states, (bits & 1).astype(jnp.int32), keys)
        return states, total + numbers.sum(), key

    # The number of steps is an argument, so that its choice compiles nothing.
    @jax.jit
    def run(states: object, key: jax.Array, steps: jax.Array) -> tuple:
        return jax.lax.fori_loop(0, steps, move, (states, jnp.float32(0), key))

    states = jax.jit(jax.vmap(reset))(jax.random.split(jax.random.key(0), count))
    key = jax.random.key(1)
    steps = 16
    jax.block_until_ready(run(states, key, steps))
    while True:
        start = time.process_time()
        jax.block_until_ready(run(states, key, steps))
        if time.process_time() - start > seconds / 4:
            break
        steps *= 2

    def turn() -> int:
        jax.block_until_ready(run(states, key, 4 * steps))
        return 4 * steps * count

    return turn


def with_jaxdl(count: int, seconds: float) -> Turn:
    """Returns a turn of `step_and_reset`."""
    pole = rl.CartPole()

    def step(state: object, action: jax.Array, key: jax.Array) -> tuple:
        moved, state = rl.step_and_reset(pole, state, action, key)
        return state, moved.next_observation.sum() + moved.reward

    return compiled(pole.reset, step, count, seconds)


def with_gymnax(count: int, seconds: float) -> Turn:
    """Returns a turn of gymnax, whose step starts other episodes, too."""
    import gymnax

    pole, params = gymnax.make("CartPole-v1")

    def step(state: object, action: jax.Array, key: jax.Array) -> tuple:
        _, state, reward, _, _, info = pole.step(key, state, action, params)
        return state, info["final_observation"].sum() + reward

    return compiled(lambda key: pole.reset(key, params)[1], step, count, seconds)


def with_gymnasium(count: int, seconds: float) -> Turn:
    """Returns a turn of Gymnasium's vector environment for CartPole."""
    import gymnasium

    poles = gymnasium.make_vec("CartPole-v1", count, vectorization_mode="vector_entry_point")
    poles.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, (997, count))

    def turn() -> int:
        start = time.process_time()
        steps = 0
        while time.process_time() - start < seconds:
            poles.step(actions[steps % 997])
            steps += 1
        return steps * count

    turn()
    return turn


if __name__ == "__main__":
    main()
