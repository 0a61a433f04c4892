"""Compares single steps of the physical environments with Gymnasium's from the same states.

    python -m tests.rl.gymnasium_steps                # 10,000 steps of each
    python -m tests.rl.gymnasium_steps --anywhere     # from states that play does not reach, too

Actions of every second episode are random. In the others most of them push along the motion, so
that episodes end. Differences are divided by the range of each component over all states that
Gymnasium reached. Angles are compared on the circle.

A flag differs near a threshold if Gymnasium's number is within 1e-6 of it. So does the velocity of
MountainCar, which becomes 0 where the car reaches the left end.
"""

import argparse
import math
from typing import NamedTuple

import jax
import numpy as np

from jaxdl import rl

#: Registered name of each environment.
NAMES = {"cart_pole": "CartPole-v1", "mountain_car": "MountainCar-v0", "acrobot": "Acrobot-v1"}

#: Limits of the states from which half of the episodes start with `--anywhere`.
SPACES = {
    "cart_pole": [2.4, 3.0, 0.21, 3.0],
    "mountain_car": [[-1.2, 0.55], [-0.07, 0.07]],
    "acrobot": [math.pi, math.pi, 4 * math.pi, 9 * math.pi],
}

#: Component whose sign is the direction of a push.
VELOCITIES = {"cart_pole": 3, "mountain_car": 1, "acrobot": 3}

#: Components that are angles.
ANGLES = {"cart_pole": [], "mountain_car": [], "acrobot": [0, 1]}

#: Largest distance of a number from a threshold beside which a flag may differ.
NEAR = 1e-6


class Steps(NamedTuple):
    """Steps of Gymnasium.

    Attributes:
      before, after: `[N, D]`, states before and after each step.
      actions: `[N]`, the actions.
      rewards: `[N]`, the rewards.
      terminated: `[N]`, True for the end of an episode.
      observations: `[N, O]`, observations of the states after the steps.
    """

    before: np.ndarray
    after: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    observations: np.ndarray


class Difference(NamedTuple):
    """Differences from Gymnasium.

    Attributes:
      steps: number of steps.
      ends: number of steps that end an episode.
      share: `[D]`, largest difference of each component, divided by its range.
      flags: number of flags and rewards that differ.
      near: number of those that are near a threshold, and of velocities that stop there.
      observed: largest difference of an observation, divided by its range.
    """

    steps: int
    ends: int
    share: np.ndarray
    flags: int
    near: int
    observed: float


def gymnasium_steps(name, count, dtype, seed=0, anywhere=False):
    """Returns steps of Gymnasium in float64, from states of a dtype."""
    import gymnasium

    random = np.random.default_rng(seed)
    env = gymnasium.make(NAMES[name]).unwrapped
    env.reset(seed=seed)
    rows = []
    episode = 0
    while len(rows) < count:
        env.reset()
        if anywhere and episode % 2:
            env.state = first_state(name, random)
        push = 0.8 * (episode // 2 % 2)
        episode += 1
        for _ in range(50 if anywhere else 200):
            before = np.array(env.state, dtype=dtype)
            # Gymnasium continues from the same state, which may be rounded.
            env.state = before.astype(float)
            last = int(env.action_space.n) - 1
            action = int(random.integers(last + 1))
            if random.random() < push:
                action = last * int(before[VELOCITIES[name]] > 0)
            observation, reward, terminated, _, _ = env.step(action)
            after = np.array(env.state, float)
            rows.append((before, after, action, reward, terminated, observation))
            if terminated or len(rows) == count:
                break
    env.close()
    return Steps(*map(np.array, zip(*rows, strict=True)))


def first_state(name, random):
    """Returns a random state anywhere in the space of an environment."""
    limits = [pair if isinstance(pair, list) else [-pair, pair] for pair in SPACES[name]]
    return np.array([random.uniform(*pair) for pair in limits])


def threshold_distance(name, after):
    """Returns the distance of each state from the nearest threshold of its flags or velocity."""
    if name == "cart_pole":
        limits = [abs(abs(after[:, 0]) - 2.4), abs(abs(after[:, 2]) - 12 * 2 * math.pi / 360)]
        return np.minimum(*limits)
    if name == "mountain_car":
        return np.minimum(abs(after[:, 0] - 0.5), abs(after[:, 0] + 1.2))
    return abs(-np.cos(after[:, 0]) - np.cos(after[:, 0] + after[:, 1]) - 1)


def compare(name, count, dtype, seed=0, anywhere=False):
    """Returns the differences of our steps in a dtype from Gymnasium's in float64."""
    known = gymnasium_steps(name, count, dtype, seed, anywhere)
    environment = rl.environment(name)
    with jax.enable_x64(dtype == np.float64):
        key = jax.random.key(0)
        form = environment.reset(key)

        @jax.jit
        @jax.vmap
        def step(before, action):
            state = type(form)(*before, form.moves)
            after, reward, terminated, _ = environment.step(state, action, key)
            return jax.numpy.stack(after[:-1]), reward, terminated, environment.observe(after)

        actions = known.actions.astype(np.int32)
        found = step(tuple(known.before.T), actions)
        after, rewards, terminated, observations = jax.device_get(found)
    assert after.dtype == dtype
    difference = abs(after.astype(float) - known.after)
    for column in ANGLES[name]:
        difference[:, column] = np.minimum(
            difference[:, column], abs(2 * math.pi - difference[:, column])
        )
    near = threshold_distance(name, known.after) < NEAR
    stops = np.zeros_like(near)
    if name == "mountain_car":
        stops = near & ((after[:, 1] == 0) != (known.after[:, 1] == 0))
        difference[stops, 1] = 0
    flags = (terminated != known.terminated) | (rewards != known.rewards)
    observed = abs(observations - known.observations)
    observed[stops] = 0
    return Difference(
        len(after),
        int(known.terminated.sum()),
        difference.max(0) / np.ptp(known.after, 0),
        int(flags.sum()),
        int((flags & near).sum() + stops.sum()),
        float((observed.max(0) / np.ptp(known.observations, 0)).max()),
    )


def main():
    """Prints the differences of all environments in both dtypes."""
    parser = argparse.ArgumentParser(prog="python -m tests.rl.gymnasium_steps")
    parser.add_argument("--steps", type=int, default=10_000, help="steps of each environment")
    parser.add_argument("--seed", type=int, default=0, help="seed of states and actions")
    parser.add_argument("--anywhere", action="store_true", help="every second start is anywhere")
    options = parser.parse_args()
    for dtype in (np.float64, np.float32):
        for name in NAMES:
            found = compare(name, options.steps, dtype, options.seed, options.anywhere)
            shares = ", ".join(f"{share:.1e}" for share in found.share)
            print(
                f"{name} {dtype.__name__}: {found.steps} steps, {found.ends} ends, "
                f"differences {shares} of the range, observations {found.observed:.1e}, "
                f"{found.flags} flags differ, {found.near} near a threshold"
            )


if __name__ == "__main__":
    main()
