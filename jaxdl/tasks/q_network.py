"""Deep Q-learning: a network in the place of the table, with a replay and a target network."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, of_kind, positive
from jaxdl.losses.supervised import huber
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.replicas import gather_rows, local_rows, replica_count
from jaxdl.ring import Ring, push, ring, sample
from jaxdl.rl.environment import Environment, Transition, check_share
from jaxdl.rl.episodes import (
    Running,
    begin,
    best_action,
    greedy_episodes,
    move_all,
    observation_of,
    row_count,
)
from jaxdl.rl.policies import check_exploration, epsilon_greedy, linear_schedule
from jaxdl.rl.targets import double_q_target, n_step_return, q_learning_target
from jaxdl.tasks.task import Task, apply, check_model, init_variables, recorded
from jaxdl.updates import Batch, Params, Rule, Update

#: Collections of `extra` that are not the network's.
OWN = ("target", "carry", "experience")


class _Settings(NamedTuple):
    """The options of `q_network`; see there."""

    model: nn.Module
    environment: Environment
    discount: float
    double: bool
    n_steps: int
    moves: int
    replay_batch: int
    exploration: tuple[float, float, int]
    target_rate: float
    target_every: int
    delta: float


class _Seen(NamedTuple):
    """An observation with the legal actions, for a replay."""

    observation: Any
    legal: Any


@recorded
def q_network(
    model: nn.Module,
    environment: Environment,
    *,
    discount: float = 0.99,
    double: bool = True,
    n_steps: int = 1,
    moves: int = 1,
    updates: int = 1,
    replay: int = 50_000,
    replay_batch: int = 64,
    first_moves: int = 1_000,
    exploration: tuple[float, float, int] = (1.0, 0.05, 10_000),
    target_rate: float = 0.01,
    target_every: int = 1,
    delta: float = 1.0,
) -> Task:
    """Returns the functions of a network Q that learns from the moves of an agent.

        L = 1/n sum_i h(Q(s_i, a_i) - R_i - d_i v(s'_i)),   h the Huber loss
        v(s) = Q'(s, argmax_a Q(s, a)) with `double`, else max_a Q'(s, a)
        Q' <- Q' + target_rate (Q - Q')   every `target_every` steps

    Q' is the target network. A step plays `moves` moves in each of B environments, where B is the
    batch size. It adds them to the replay, and does `updates` updates from n random transitions.
    R and d are those of `n_step_return`: the value after a terminated move is 0, but that after a
    time limit is not. The source is `jaxdl.data.Simulated`.

    Environments and replay are rows of `extra["carry"]`, so strategies divide them over devices,
    and checkpoints contain them.

    Args:
      model: a network from observations `[B, ...]` to one value per action, `[B, A]`.
      environment: an environment, such as `jaxdl.rl.environment("cart_pole")`.
      discount: factor of later rewards, in [0, 1].
      double: if True, the online network chooses the action that the target network values.
      n_steps: number of rewards in a target, at least 1.
      moves: number of moves per step in each environment.
      updates: number of updates per step.
      replay: capacity of the replay, in moves of all environments.
      replay_batch: n, number of transitions of an update.
      first_moves: number of random moves of all environments that fill the replay before the first
        step. At least n, or the replay would be smaller than a batch.
      exploration: probability of a random action: first, last, and the number of moves of all
        environments between them.
      target_rate: share of the way that the target network moves, in (0, 1].
      target_every: number of steps from one move of the target network to the next.
      delta: error at which the Huber loss becomes linear.

    Returns:
      A task with one optimizer and these functions:

      - `predict(params, extra, inputs [B, ...]) -> [B, A]`, the values of all actions;
      - `act(params, extra, observation, legal=None)`, the best action for one observation or
        several. `legal` has a flag for each action, such as those of `environment.legal(state)`.
        None allows all actions.

      Metrics in training are `loss`, `value` (mean of Q), `exploration`, and for one player the
      `return` of episodes that have ended. An evaluation plays one greedy episode for each row of
      the batch: `loss` (its one-step errors), `greedy_return` and `moves`.

    Raises:
      InputError: an option out of range, a replay smaller than a batch, or a model with another
        number of outputs.

    Source: Mnih et al. (2015), Human-level control through deep reinforcement learning; van Hasselt
    et al. (2016), Deep reinforcement learning with double Q-learning.

    Example:
      >>> import jaxdl, optax
      >>> pole = jaxdl.rl.environment("cart_pole")
      >>> task = q_network(jaxdl.models.MLP((32,), pole.actions), pole, first_moves=100)
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
      >>> source = jaxdl.data.Simulated(100)
      >>> state = jaxdl.train(net, source, key=jaxdl.root(0), steps=3, batch_size=4)
      >>> int(jaxdl.bind(task.act, state)(jnp.zeros(4))) in (0, 1)
      True
    """
    check_model(model)
    of_kind("environment", environment, Environment, 'one such as rl.environment("cart_pole")')
    schedule = _check(environment, discount, n_steps, moves, updates, exploration)
    at_least("replay_batch", replay_batch, 1)
    at_least("first_moves", first_moves, replay_batch)
    at_least("replay", replay, first_moves)
    at_least("target_every", target_every, 1)
    check_share("target_rate", target_rate)
    positive("target_rate", target_rate)
    positive("delta", delta)
    settings = _Settings(
        *(model, environment, discount, double, n_steps, moves, replay_batch, schedule),
        *(target_rate, target_every, delta),
    )

    def predict(params: Params, extra: Any, inputs: Float[Array, "B ..."]) -> Float[Array, "B A"]:
        return _values(settings, params, extra, inputs)

    def act(
        params: Params, extra: Any, observation: Float[Array, "..."], legal: Any = None
    ) -> Int[Array, "*B"]:
        return best_action(partial(predict, params, extra), environment, observation, legal)

    loss = partial(_loss, settings)

    def update(optimizer: optax.GradientTransformation) -> tuple[Update | Rule, ...]:
        play = Rule(partial(_play, settings))
        follow = Rule(partial(_follow, settings))
        return play, Update(loss, optimizer, times=updates), follow

    init = partial(_init, settings, replay, first_moves)
    return Task(init, update, {"loss": loss, "predict": predict, "act": act})


def _check(
    environment: Environment,
    discount: float,
    n_steps: int,
    moves: int,
    updates: int,
    exploration: tuple[float, float, int],
) -> tuple[float, float, int]:
    """Returns the schedule of the exploration; raises InputError for options out of range."""
    check_share("discount", discount)
    for field, value in (("n_steps", n_steps), ("moves", moves), ("updates", updates)):
        at_least(field, value, 1)
    if environment.players > 1 and n_steps > 1:
        raise InputError("n_steps", n_steps, "1, for an environment with two players")
    return check_exploration(exploration)


def _network_extra(extra: Any) -> dict[str, Any]:
    """Returns the collections of the network."""
    return {name: value for name, value in extra.items() if name not in OWN}


def _values(settings: _Settings, params: Params, extra: Any, inputs: Array) -> Float[Array, "B A"]:
    """Returns the values of all actions, as in an evaluation."""
    return apply(settings.model, params, _network_extra(extra), inputs, None, train=False)[0]


def _seen(environment: Environment, state: Any) -> _Seen:
    return _Seen(environment.observe(state), environment.legal(state))


def _init(
    settings: _Settings, capacity: int, first_moves: int, key: Key[Array, ""], batch: Batch
) -> tuple[Params, Any]:
    """Returns the network, its copy, environments, and a replay with random moves."""
    environment = settings.environment
    rows = row_count(batch)
    inputs = jnp.zeros((rows, *observation_of(environment).shape), jnp.float32)
    params, extra = init_variables(settings.model, key, {"input": inputs})
    shape = jax.eval_shape(partial(_values, settings), params, extra, inputs).shape
    if shape != (rows, environment.actions):
        allowed = f"[B, {environment.actions}], one value per action"
        raise InputError("outputs of the model", list(shape), allowed)
    first_key, play_key = jax.random.split(jax.random.fold_in(key, 1))
    running = begin(environment, first_key, rows)
    # Each environment has a separate ring, with as many moves as the others.
    size = -(-capacity // rows)
    if size < settings.n_steps:
        allowed = f"at least {settings.n_steps * rows}, n_steps for each of {rows} environments"
        raise InputError("replay", capacity, allowed)
    moved, _ = _random_move(settings, running, play_key)
    rings = jax.vmap(lambda item: ring(item, size))(moved)

    def random_move(carry: tuple[Running, Ring], i: Array) -> tuple[tuple[Running, Ring], None]:
        running, rings = carry
        moved, running = _random_move(settings, running, jax.random.fold_in(play_key, i))
        return (running, jax.vmap(push)(rings, moved)), None

    count = max(-(-first_moves // rows), settings.n_steps)
    (running, rings), _ = jax.lax.scan(random_move, (running, rings), jnp.arange(count))
    zero = jnp.zeros((), jnp.int32)
    return params, {
        **extra,
        "target": {"params": jax.tree.map(jnp.copy, params), "steps": zero},
        "carry": {"running": running, "replay": rings},
        "experience": {"moves": zero},
    }


def _random_move(
    settings: _Settings, running: Running, key: Key[Array, ""]
) -> tuple[Transition, Running]:
    """Moves once at random in each environment."""
    environment = settings.environment
    choice_key, move_key = jax.random.split(key)
    legal = jax.vmap(environment.legal)(running.states)
    numbers = jnp.where(legal, jax.random.uniform(choice_key, legal.shape), -1.0)
    actions = numbers.argmax(-1).astype(jnp.int32)
    see = partial(_seen, environment)
    moved, running, _ = move_all(environment, running, actions, move_key, see)
    return moved, running


def _play(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Params, Any, Metrics]:
    """Plays the moves of a step and adds them to the replay."""
    environment = settings.environment
    carry = local_rows(extra["carry"])
    experience = extra["experience"]
    _check_rows(carry["running"], batch)
    rows = len(carry["running"].rewards)

    def move(state: tuple[Running, Ring], i: Array) -> tuple[tuple[Running, Ring], tuple]:
        running, rings = state
        all_rows = rows * replica_count()
        epsilon = linear_schedule(settings.exploration, experience["moves"] + i * all_rows)
        choice_key, move_key = jax.random.split(jax.random.fold_in(key, i))
        q = _values(settings, params, extra, jax.vmap(environment.observe)(running.states))
        legal = jax.vmap(environment.legal)(running.states)
        keys = jax.random.split(choice_key, rows)
        actions = jax.vmap(epsilon_greedy, (0, 0, None, 0))(q, legal, epsilon, keys)
        see = partial(_seen, environment)
        moved, running, ended = move_all(environment, running, actions, move_key, see)
        return (running, jax.vmap(push)(rings, moved)), (ended, epsilon)

    start = carry["running"], carry["replay"]
    numbers = jnp.arange(settings.moves, dtype=jnp.int32)
    (running, rings), (ended, epsilon) = jax.lax.scan(move, start, numbers)
    # The count ends far above any schedule, and below the largest integer.
    moves = jnp.minimum(experience["moves"], 2**30) + settings.moves * rows * replica_count()
    extra = {
        **extra,
        "carry": gather_rows({"running": running, "replay": rings}),
        "experience": {"moves": moves},
    }
    metrics = {"exploration": total(epsilon)}
    if environment.players == 1:
        metrics["return"] = ended[0].sum(), ended[1].sum()
    return params, extra, metrics


def _check_rows(running: Running, batch: Batch) -> None:
    """Raises InputError unless there is an environment per row of the batch."""
    rows = len(running.rewards)
    if rows != len(batch["mask"]):
        allowed = f"{rows}, the number of environments in the state"
        raise InputError("batch size", len(batch["mask"]), allowed)


def _loss(
    settings: _Settings,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    """Computes the loss of random transitions; in an evaluation that of greedy episodes."""
    if not train:
        return _greedy_loss(settings, params, extra, batch, key)
    rings = local_rows(extra["carry"])["replay"]
    count = -(-settings.replay_batch // replica_count())
    sample_key, model_key = jax.random.split(key)
    moves = sample(rings, sample_key, count, settings.n_steps)
    returned = partial(n_step_return, discount=settings.discount)
    rewards, discounts, last = jax.vmap(returned)(moves.reward, moves.terminated, moves.truncated)
    rows = jnp.arange(count, dtype=jnp.int32)
    following: _Seen = jax.tree.map(lambda x: x[rows, last], moves.next_observation)
    network = settings.model, params, _network_extra(extra)
    first = moves.observation.observation[:, 0]
    q, updated = apply(*network, first, model_key, train=True)
    target = _targets(settings, params, extra, following, rewards, discounts)
    taken = jnp.take_along_axis(q, moves.action[:, :1], 1)[:, 0]
    losses = jax.vmap(partial(huber, delta=settings.delta))(taken, target)
    metrics = {"loss": total(losses), "value": total(taken)}
    return metrics["loss"], ({**extra, **updated}, metrics)


def _targets(
    settings: _Settings,
    params: Params,
    extra: Any,
    following: _Seen,
    rewards: Float[Array, " n"],
    discounts: Float[Array, " n"],
) -> Float[Array, " n"]:
    """Computes the targets of transitions."""
    environment = settings.environment
    # With two players the value is that of the opponent, who moves next.
    discounts = discounts * (3 - 2 * environment.players)
    # No action may be legal after the last move; its discount is 0.
    legal = following.legal | ~following.legal.any(-1, keepdims=True)

    def values(params: Params) -> Float[Array, "n A"]:
        q = _values(settings, params, extra, following.observation)
        return jnp.where(legal, q, jnp.finfo(q.dtype).min)

    q = values(extra["target"]["params"])
    if settings.double:
        targets = jax.vmap(double_q_target)(rewards, discounts, q, values(params))
    else:
        targets = jax.vmap(q_learning_target)(rewards, discounts, q)
    return jax.lax.stop_gradient(targets)


def _greedy_loss(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Metric, tuple[Any, Metrics]]:
    """Computes the one-step errors of greedy episodes, one per row of the batch."""
    factor = settings.discount * (3 - 2 * settings.environment.players)

    def error(
        q: Array, action: Array, reward: Array, terminated: Array, next_q: Array, legal: Array
    ) -> Array:
        next_q = jnp.where(legal | ~legal.any(), next_q, jnp.finfo(next_q.dtype).min)
        target = q_learning_target(reward, jnp.where(terminated, 0.0, factor), next_q)
        return huber(q[action], target, settings.delta)

    mask = batch["mask"]
    values = partial(_values, settings, params, extra)
    played = greedy_episodes(settings.environment, values, len(mask), key, error=error)
    moves = total(played.moves, mask)
    metrics = {
        "loss": (total(played.errors, mask)[0], moves[0]),
        "greedy_return": total(played.rewards, mask),
        "moves": moves,
    }
    return metrics["loss"], (extra, metrics)


def _follow(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Params, Any, Metrics]:
    """Moves the target network towards the network."""
    steps = extra["target"]["steps"] + 1
    moves = steps % settings.target_every == 0

    def follow(old: Array, new: Array) -> Array:
        # At rate 1 these are the same weights, without a rounding error.
        moved = new
        if settings.target_rate < 1:
            moved = (old + settings.target_rate * (new - old)).astype(old.dtype)
        return jnp.where(moves, moved, old)

    target = jax.tree.map(follow, extra["target"]["params"], params)
    return params, {**extra, "target": {"params": target, "steps": steps}}, {}
