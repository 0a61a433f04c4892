"""Exact solutions of finite environments in float64: values, moves and distances."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import spsolve

from jaxdl.errors import InputError, in_range, of_kind
from jaxdl.rl.dynamics import Dynamics, dynamics, mean_rewards
from jaxdl.rl.environment import FiniteEnvironment, check_share
from jaxdl.rl.environments.flippers import Flippers

#: Most sweeps of value iteration.
MAX_SWEEPS = 100_000

#: For each state the number of an action `[S]`, or probabilities of all actions `[S, A]`.
Policy = Int[np.ndarray, " S"] | Float[np.ndarray, "S A"]


class Solution(NamedTuple):
    """Optimal values.

    Attributes:
      values: `[S]`, V*, the return of the best actions; 0 for terminal states.
      q: `[S, A]`, Q*, the return after each action; 0 for terminal states.
      sweeps: number of sweeps, with the last one, which changed nothing.
    """

    values: Float[np.ndarray, " S"]
    q: Float[np.ndarray, "S A"]
    sweeps: int


def value_iteration(
    environment: FiniteEnvironment, discount: float, tolerance: float = 1e-12
) -> Solution:
    """Computes the optimal values of a finite environment by sweeps over all states.

        Q(s, a) = sum_k p_k (r_k + discount V(s_k)),  V(s) = max_a Q(s, a)

    Terminated outcomes have no next value. If two players move in turns, the next value is
    subtracted. The maximum is over legal actions.

    Args:
      environment: a finite environment. Its limit of moves is ignored.
      discount: in [0, 1].
      tolerance: largest change of a value in the last sweep.

    Returns:
      Values, values of actions, and the number of sweeps.

    Raises:
      InputError: a discount or a tolerance out of its range, or values that do not converge.

    Source: Bellman (1957).

    Example:
      >>> from jaxdl import rl
      >>> found = value_iteration(rl.environment("flippers"), discount=0.9)
      >>> round(float(found.values.sum()), 6), found.sweeps
      (425.12499, 7)
    """
    check_share("discount", discount)
    in_range("tolerance", tolerance, 0, float("inf"))
    world = dynamics(environment)
    p, following, _, terminated = world.outcomes
    weights = world.sign * discount * p * ~terminated
    rewards = mean_rewards(world)
    values = np.zeros(len(world.terminal))
    for sweep in range(1, MAX_SWEEPS + 1):
        q = rewards + (weights * values[following]).sum(-1)
        q[world.terminal] = 0
        legal = world.legal | world.terminal[:, None]
        new = np.where(legal, q, -np.inf).max(-1)
        change = abs(new - values).max()
        values = new
        if change <= tolerance:
            return Solution(values, q, sweep)
    raise InputError("discount", discount, f"one with which {MAX_SWEEPS} sweeps converge")


def greedy(
    q: Float[np.ndarray, "S A"],
    legal: Bool[np.ndarray, "S A"] | None = None,
    tolerance: float = 0.0,
) -> Float[np.ndarray, "S A"]:
    """Returns the policy that chooses with equal probability among the best actions.

    Args:
      q: values of actions `[S, A]`.
      legal: `[S, A]`, True for the actions to choose from; the default is all.
      tolerance: difference from the largest value up to which an action is one of the best.

    Returns:
      Probabilities `[S, A]`.

    Example:
      >>> greedy(np.array([[0.0, 2.0, 2.0]])).tolist()
      [[0.0, 0.5, 0.5]]
    """
    best = _best(np.asarray(q), legal, tolerance)
    return best / best.sum(-1, keepdims=True)


def _best(
    q: Float[np.ndarray, "S A"], legal: Bool[np.ndarray, "S A"] | None, tolerance: float
) -> Bool[np.ndarray, "S A"]:
    """Returns True for the best actions of each state."""
    if q.ndim != 2 or not np.isfinite(q).all():
        raise InputError("q", f"{q.dtype}{list(q.shape)}", "finite numbers [states, actions]")
    if legal is not None:
        q = np.where(legal | ~legal.any(-1, keepdims=True), q, -np.inf)
    return q >= q.max(-1, keepdims=True) - tolerance


def policy_evaluation(
    environment: FiniteEnvironment, policy: Policy, discount: float
) -> Float[np.ndarray, " S"]:
    """Computes the values of a policy by a linear solve.

        V = r + discount P V

    Args:
      environment: a finite environment. Its limit of moves is ignored.
      policy: numbers of actions `[S]`, or their probabilities `[S, A]`.
      discount: in [0, 1].

    Returns:
      Values `[S]`, 0 for terminal states.

    Raises:
      InputError: a policy of another shape; a discount of 1 and a policy whose episodes do not end.

    Example:
      >>> from jaxdl import rl
      >>> game = rl.environment("flippers")
      >>> best = greedy(value_iteration(game, 0.9).q, tolerance=1e-9)
      >>> round(float(policy_evaluation(game, best, 0.9).sum()), 6)
      425.12499
    """
    check_share("discount", discount)
    world = dynamics(environment)
    chances = _probabilities(world, policy)
    continuing = _continuing(world, chances)
    if discount == 1 and not _ends(world, continuing).all():
        raise InputError("discount", discount, "less than 1, as episodes of the policy do not end")
    rewards = (chances * mean_rewards(world)).sum(-1)
    return _solve(world.sign * discount * continuing, np.where(world.terminal, 0, rewards))


def expected_moves(environment: FiniteEnvironment, policy: Policy) -> Float[np.ndarray, " S"]:
    """Computes the mean number of moves until an episode of a policy ends, by a linear solve.

    Args:
      environment: a finite environment. Its limit of moves is ignored.
      policy: numbers of actions `[S]`, or their probabilities `[S, A]`.

    Returns:
      Numbers `[S]`: 0 for terminal states, infinity for states from which an episode may never end.

    Example:
      >>> from jaxdl import rl
      >>> game = rl.environment("flippers")
      >>> moves = expected_moves(game, np.full((512, 9), 1 / 9))
      >>> round(float(moves[moves > 0].mean()), 1)
      95.8
    """
    world = dynamics(environment)
    continuing = _continuing(world, _probabilities(world, policy))
    ends = _ends(world, continuing)
    # States that do not end are made terminal for the solve.
    kept = csr_array(continuing.multiply(ends[:, None]).multiply(ends[None]))
    moves = _solve(kept, (ends & ~world.terminal).astype(float))
    return np.where(ends, moves, np.inf)


def _probabilities(world: Dynamics, policy: Policy) -> Float[np.ndarray, "S A"]:
    """Returns the probabilities of actions of a policy."""
    given = np.asarray(policy)
    states, actions = world.legal.shape
    allowed = f"actions [{states}] or probabilities [{states}, {actions}]"
    if given.shape == (states,) and np.issubdtype(given.dtype, np.integer):
        if given.min() < 0 or given.max() >= actions:
            raise InputError("policy", [int(given.min()), int(given.max())], allowed)
        return np.eye(actions)[given]
    if given.shape != (states, actions):
        raise InputError("policy", f"{given.dtype}{list(given.shape)}", allowed)
    given = given.astype(float)
    if not (given >= 0).all() or not np.allclose(given.sum(-1), 1):
        raise InputError("policy", "other sums", f"{allowed}, each row with the sum 1")
    return given


def _continuing(world: Dynamics, chances: Float[np.ndarray, "S A"]) -> csr_array:
    """Returns the sparse matrix `[S, S]` of moves after which the episode continues."""
    p, following, _, terminated = world.outcomes
    weights = chances[..., None] * p * ~terminated
    weights = np.where(world.terminal[:, None, None], 0, weights)
    rows = np.broadcast_to(np.arange(len(weights))[:, None, None], weights.shape)
    kept = weights > 0
    found = csr_array(
        (weights[kept], (rows[kept], following[kept])), shape=(len(weights), len(weights))
    )
    found.sum_duplicates()
    return found


def _ends(world: Dynamics, continuing: csr_array) -> Bool[np.ndarray, " S"]:
    """Returns True for states from which an episode ends with probability 1."""
    leaving = continuing.sum(1) < 1 - 1e-9
    can_end = _reaching(continuing, world.terminal | leaving)
    return ~_reaching(continuing, ~can_end)


def _reaching(continuing: csr_array, goal: Bool[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
    """Returns True for states from which moves can lead to a goal."""
    found = goal
    while True:
        wider = found | (continuing @ found.astype(float) > 0)
        if (wider == found).all():
            return found
        found = wider


def _solve(matrix: csr_array, right: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    """Returns the solution of x = right + matrix x."""
    return spsolve((eye_array(len(right)) - matrix).tocsc(), right)


def distances(environment: FiniteEnvironment) -> Int[np.ndarray, " S"]:
    """Returns the least number of moves to the end of an episode, with the best of luck.

    Args:
      environment: a finite environment.

    Returns:
      Numbers `[S]`: 0 for terminal states, -1 for states from which no episode ends.

    Example:
      >>> from jaxdl import rl
      >>> np.bincount(distances(rl.environment("flippers"))).tolist()
      [6, 54, 162, 187, 87, 15, 1]
    """
    world = dynamics(environment)
    p, following, _, terminated = world.outcomes
    possible = (p > 0) & world.legal[..., None]
    found = np.where(world.terminal, 0, -1)
    for distance in range(1, len(found) + 1):
        near = possible & (terminated | (found[following] >= 0))
        new = near.any((1, 2)) & (found < 0)
        if not new.any():
            return found
        found[new] = distance
    return found


def optimal_boards(
    q: Float[np.ndarray, "S A"], game: Flippers | None = None, tolerance: float = 0.0
) -> int:
    """Counts the boards of Flippers on which each best move of a table shortens the distance.

    The distance is the least number of moves to a won board without random flips.

    Args:
      q: values of moves `[S, A]`.
      game: the game; the default is the one of lines, in which 506 boards are not won.
      tolerance: difference from the largest value up to which a move is one of the best.

    Returns:
      A number of boards. Won boards do not count.

    Example:
      >>> from jaxdl import rl
      >>> optimal_boards(value_iteration(rl.environment("flippers"), 0.9).q)
      506
    """
    if game is None:
        game = Flippers()
    of_kind("game", game, Flippers, "a Flippers")
    plain = dataclasses.replace(game, flips=0.0)
    found = distances(plain)
    world = dynamics(plain)
    q = np.asarray(q)
    if q.shape != world.legal.shape:
        raise InputError("q", f"{q.dtype}{list(q.shape)}", f"numbers {list(world.legal.shape)}")
    shorter = found[world.outcomes.following[..., 0]] == found[:, None] - 1
    optimal = (shorter | ~_best(q, None, tolerance)).all(-1) & (found > 0)
    return int(optimal.sum())
