"""Q-learning and its relatives with a table: one value for each state and action."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, in_range, is_traced, of_kind, one_of, positive
from jaxdl.metrics import Metrics, total
from jaxdl.replicas import one_replica
from jaxdl.rl.environment import MOST_MOVES, FiniteEnvironment, check_share
from jaxdl.rl.episodes import greedy_episodes, side
from jaxdl.rl.policies import (
    check_exploration,
    epsilon_greedy,
    epsilon_greedy_probabilities,
    greedy,
    linear_schedule,
)
from jaxdl.rl.targets import double_q_target, expected_sarsa_target, q_learning_target, sarsa_target
from jaxdl.tasks.task import Task, recorded
from jaxdl.updates import Batch, Params, Rule

#: Rules by which a table learns.
RULES = ("q_learning", "sarsa", "expected_sarsa", "double_q")


class _Settings(NamedTuple):
    """The options of `q_table`."""

    environment: FiniteEnvironment
    rule: str
    discount: float
    rate: float
    rate_decay: float
    exploration: tuple[float, float, int]


class _Game(NamedTuple):
    """One episode while it is played.

    Attributes:
      tables: `[T, S, A]`.
      visits: `[S, A]`, number of moves so far by state and action.
      state: of the environment.
      action: the next action; chosen one move ahead by SARSA only.
      over: True after the last move.
      moves: number of moves.
      rewards: sum of the rewards.
    """

    tables: Float[Array, "T S A"]
    visits: Int[Array, "S A"]
    state: Any
    action: Int[Array, ""]
    over: Any
    moves: Int[Array, ""]
    rewards: Float[Array, ""]


class _Move(NamedTuple):
    """A move of which a table learns.

    Attributes:
      after: state after the move.
      following: the next action.
      reward: reward of the move.
      discount: factor of the value of `after`.
      epsilon: probability of a random action.
    """

    after: Any
    following: Int[Array, ""]
    reward: Float[Array, ""]
    discount: Float[Array, ""]
    epsilon: Float[Array, ""]


@recorded
def q_table(
    environment: FiniteEnvironment,
    *,
    rule: str = "q_learning",
    discount: float = 0.9,
    rate: float = 1.0,
    rate_decay: float = 0.0,
    exploration: tuple[float, float, int] = (1.0, 1.0, 1),
    initial: float = 0.0,
) -> Task:
    """Returns the functions of a table Q that learns from episodes of an environment.

        Q(s, a) <- Q(s, a) + rate / N(s, a)^rate_decay (target - Q(s, a))

    N counts the visits. The targets are those of `jaxdl.rl`: `q_learning_target`, `sarsa_target`,
    `expected_sarsa_target` and `double_q_target`. A move that ends the episode by its rules has its
    reward as target. The agent is epsilon-greedy, with ties broken at random.

    A step of `train` plays one episode for each row of the batch, one after the other. The batch
    size is the number of episodes per step. The source is `jaxdl.data.Simulated`. With two players
    in turns the value of the next state is the opponent's, and counts with the opposite sign.

    Args:
      environment: an environment with few states, such as `jaxdl.rl.environment("flippers")`.
      rule: q_learning, sarsa, expected_sarsa or double_q.
      discount: factor of later rewards, in [0, 1].
      rate: learning rate of the first visit, in (0, 1]. In a world without chance, 1 is exact.
      rate_decay: exponent of the number of visits, in [0, 1]. With chance, the values converge for
        more than 0.5.
      exploration: probability of a random action: first, last, and the number of episodes between
        them.
      initial: first value of every entry. A value that is too large makes the agent try everything.

    Returns:
      A task without losses: `task.updates()` takes no optimizer. Its functions:

      - `predict(params, extra, inputs [B]) -> [B, A]`, the values of states by index, NaN for an
        index out of range;
      - `act(params, extra, observation)`, the best action for `environment.index(state)`, one
        index or several.

      Metrics in training are `reward` and `moves` per episode and `exploration`; in an evaluation
      `greedy_return` and `moves`, for one greedy episode per row of the batch.

    Raises:
      InputError: an environment with too many states for a table, or an option out of range.

    Source: Watkins and Dayan (1992), Q-learning; Rummery and Niranjan (1994), On-line Q-learning;
    van Hasselt (2010), Double Q-learning.

    Example:
      >>> import jaxdl
      >>> game = jaxdl.rl.environment("flippers", game="box", size=2)
      >>> task = q_table(game)
      >>> net = jaxdl.learner(task.init, *task.updates())
      >>> source = jaxdl.data.Simulated(100)
      >>> state = jaxdl.train(net, source, key=jaxdl.root(0), steps=50, batch_size=4)
      >>> values = jaxdl.bind(task.predict, state)(jnp.array([0b0111]))
      >>> values[0].tolist()[3]
      1.0
    """
    of_kind("environment", environment, FiniteEnvironment, "one with few states, such as Flippers")
    one_of("rule", rule, RULES)
    check_share("discount", discount)
    check_share("rate", rate)
    positive("rate", rate)
    check_share("rate_decay", rate_decay)
    in_range("initial", initial, -1e30, 1e30)
    schedule = check_exploration(exploration)
    settings = _Settings(environment, rule, discount, rate, rate_decay, schedule)
    tables = 2 if rule == "double_q" else 1

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        del key, batch
        shape = environment.states, environment.actions
        params = {"table": jnp.full((tables, *shape), initial, jnp.float32)}
        counts = {"visits": jnp.zeros(shape, jnp.int32), "episodes": jnp.zeros((), jnp.int32)}
        return params, {"experience": counts}

    def predict(params: Params, extra: Any, inputs: Int[Array, " B"]) -> Float[Array, "B A"]:
        rows = jnp.where(inputs < 0, environment.states, inputs)
        table = jnp.asarray(params["table"]).mean(0)
        return jnp.take(table, rows, 0, mode="fill", fill_value=jnp.nan)

    def act(params: Params, extra: Any, observation: Int[Array, "*B"]) -> Int[Array, "*B"]:
        index = checked_index(environment, observation)
        rows = index.reshape(-1)
        legal = jax.vmap(lambda i: environment.legal(environment.state_of(i)))(rows)
        return jax.vmap(greedy)(predict(params, extra, rows), legal).reshape(index.shape)

    rules = (Rule(partial(_play, settings), partial(_evaluate, settings)),)
    return Task(init, lambda: rules, {"predict": predict, "act": act})


def checked_index(environment: FiniteEnvironment, index: Any) -> Int[Array, "*B"]:
    """Returns indices of states; raises InputError for others. Traced ones are not checked.

    Args:
      environment: the environment.
      index: one index or several.

    Example:
      >>> from jaxdl.rl import environment
      >>> checked_index(environment("flippers"), 512)
      Traceback (most recent call last):
      jaxdl.errors.InputError: observation: got 512, allowed: an index in [0, 512)
    """
    if is_traced(index):
        return jnp.asarray(index)
    allowed = f"an index in [0, {environment.states})"
    values = np.asarray(index)
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError("observation", f"{values.dtype}{list(values.shape)}", allowed)
    bad = (values < 0) | (values >= environment.states)
    if bad.any():
        raise InputError("observation", int(values[bad].flat[0]), allowed)
    return jnp.asarray(values, jnp.int32)


def _play(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Params, Any, Metrics]:
    """Plays and learns from one episode per row of the batch, one after the other."""
    one_replica("q_table")
    experience = extra["experience"]

    def episode(carry: tuple, row: Int[Array, ""]) -> tuple[tuple, tuple]:
        tables, visits, episodes = carry
        epsilon = linear_schedule(settings.exploration, episodes)
        game = _episode(settings, tables, visits, epsilon, jax.random.fold_in(key, row))
        numbers = game.rewards, game.moves.astype(jnp.float32), epsilon
        return (game.tables, game.visits, episodes + 1), numbers

    rows = jnp.arange(len(batch["mask"]), dtype=jnp.int32)
    start = params["table"], experience["visits"], experience["episodes"]
    (tables, visits, episodes), numbers = jax.lax.scan(episode, start, rows)
    count = jnp.asarray(len(rows), jnp.float32)
    names = ("reward", "moves", "exploration")
    metrics = {name: (x.sum(), count) for name, x in zip(names, numbers, strict=True)}
    return {"table": tables}, {"experience": {"visits": visits, "episodes": episodes}}, metrics


def _episode(
    settings: _Settings,
    tables: Float[Array, "T S A"],
    visits: Int[Array, "S A"],
    epsilon: Float[Array, ""],
    key: Key[Array, ""],
) -> _Game:
    """Plays one episode and changes the tables after each of its moves."""
    environment = settings.environment
    ahead = settings.rule == "sarsa"
    # A key that is split is not folded too: `fold_in(key, i)` is a key of `split(key)`.
    start_key, action_key, moves_key = jax.random.split(key, 3)
    state = environment.reset(start_key)
    action = _choose(settings, tables, state, epsilon, action_key)
    nothing = jnp.zeros((), jnp.int32)
    game = _Game(tables, visits, state, action, jnp.zeros((), bool), nothing, jnp.zeros(()))

    def move(game: _Game) -> _Game:
        choice_key, step_key, coin_key = jax.random.split(
            jax.random.fold_in(moves_key, game.moves), 3
        )
        s = environment.index(game.state)
        a = game.action
        after, reward, terminated, truncated = environment.step(game.state, a, step_key)
        following = a
        if ahead:
            following = _choose(settings, game.tables, after, epsilon, choice_key)
        discount = jnp.where(terminated, 0.0, settings.discount * (3 - 2 * environment.players))
        moved = _Move(after, following, reward, discount, epsilon)
        at, target = _target(settings, game, moved, coin_key)
        count = game.visits[s, a] + 1
        rate = jnp.float32(settings.rate)
        if settings.rate_decay:
            rate = rate / count.astype(jnp.float32) ** settings.rate_decay
        tables = game.tables.at[at, s, a].add(rate * (target - game.tables[at, s, a]))
        if not ahead:
            following = _choose(settings, tables, after, epsilon, choice_key)
        return _Game(
            tables,
            game.visits.at[s, a].set(count),
            after,
            following,
            terminated | truncated,
            game.moves + 1,
            game.rewards + reward * side(environment, game.moves),
        )

    return jax.lax.while_loop(lambda game: ~game.over & (game.moves < MOST_MOVES), move, game)


def _choose(
    settings: _Settings, tables: Array, state: Any, epsilon: Array, key: Key[Array, ""]
) -> Int[Array, ""]:
    """Returns the epsilon-greedy action in a state."""
    q = tables[:, settings.environment.index(state)].mean(0)
    return epsilon_greedy(q, settings.environment.legal(state), epsilon, key)


def _target(
    settings: _Settings,
    game: _Game,
    moved: _Move,
    coin: Key[Array, ""],
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """Returns the table that learns, and its target."""
    after, following, reward, discount, epsilon = moved
    legal = settings.environment.legal(after)
    # After the last move no action may be legal; the discount is 0 then.
    legal = legal | ~legal.any()
    rows = jnp.where(legal, game.tables[:, settings.environment.index(after)], -jnp.inf)
    first = jnp.zeros((), jnp.int32)
    safe = jnp.where(discount == 0, jnp.zeros_like(rows), rows)
    if settings.rule == "double_q":
        at = jax.random.bernoulli(coin).astype(jnp.int32)
        return at, double_q_target(reward, discount, safe[1 - at], safe[at])
    if settings.rule == "sarsa":
        return first, sarsa_target(reward, discount, safe[0], following)
    if settings.rule == "expected_sarsa":
        p = epsilon_greedy_probabilities(safe[0], legal, epsilon)
        return first, expected_sarsa_target(reward, discount, safe[0], p)
    return first, q_learning_target(reward, discount, safe[0])


def _evaluate(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> Metrics:
    """Computes the return and the moves of one greedy episode per row of the batch."""
    table = params["table"].mean(0)
    environment = settings.environment
    mask = batch["mask"]
    played = greedy_episodes(
        environment, lambda index: table[index], len(mask), key, environment.index
    )
    return {"greedy_return": total(played.rewards, mask), "moves": total(played.moves, mask)}
