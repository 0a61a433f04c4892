"""REINFORCE: a policy network that learns from whole episodes, with a baseline."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.losses.supervised import huber
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.replicas import sum_over_replicas
from jaxdl.rl.environment import Environment, check_share
from jaxdl.rl.episodes import best_action, greedy_episodes, observation_of, row_count
from jaxdl.rl.targets import returns_to_go
from jaxdl.tasks.task import Task, apply, check_model, init_variables, one_update, recorded
from jaxdl.updates import Batch, Params


class _Settings(NamedTuple):
    """The options of `reinforce`; see there."""

    model: nn.Module
    environment: Environment
    discount: float
    length: int
    baseline: float
    entropy: float


class _Path(NamedTuple):
    """Moves of several environments, `[T, B, ...]`.

    Attributes:
      observation: before the move.
      legal: the actions that the rules allow.
      action: number of the move.
      reward: reward of the move.
      counts: True until the episode has ended.
      cut: True where the episode was cut after the move, by its limit or by `length`.
    """

    observation: Array
    legal: Bool[Array, "T B A"]
    action: Int[Array, "T B"]
    reward: Float[Array, "T B"]
    counts: Bool[Array, "T B"]
    cut: Bool[Array, "T B"]


@recorded
def reinforce(
    model: nn.Module,
    environment: Environment,
    *,
    discount: float = 0.99,
    length: int = 500,
    baseline: float = 0.5,
    entropy: float = 0.01,
) -> Task:
    """Returns the functions of a policy that learns from whole episodes by policy gradients.

        L = 1/n sum_t -log p(a_t | s_t) A_t + baseline h(b(s_t) - G_t) - entropy H(p(. | s_t))
        A_t = G_t - b(s_t), with mean 0 and standard deviation 1 over the n moves of a batch

    G_t is the return from move t on, with b in the place of the rewards after a limit. H is the
    entropy, and h the Huber loss. The network has one more output than actions: b. A step plays
    one episode in each of B environments with the present policy, where B is the batch size. The
    source is `jaxdl.data.Simulated`.

    Args:
      model: a network from observations `[B, ...]` to `[B, A + 1]`: a logit per action, and b.
      environment: an environment for one player, such as `jaxdl.rl.environment("cart_pole")`.
      discount: factor of later rewards, in [0, 1].
      length: largest number of moves of an episode that are played.
      baseline: weight of the error of the baseline, at least 0.
      entropy: weight of the entropy, at least 0; it keeps the policy from being certain too early.

    Returns:
      A task with one optimizer and these functions:

      - `predict(params, extra, inputs [B, ...]) -> [B, A]`, the probabilities of the actions;
      - `act(params, extra, observation, legal=None)`, the most probable action for one observation
        or several. `legal` has a flag for each action, such as those of `environment.legal(state)`.
        None allows all actions.

      Metrics in training are `loss`, `return` (of the episodes of the step), `entropy` and
      `baseline_loss`. An evaluation plays one episode for each row of the batch, always with the
      most probable action: `greedy_return`, `moves`, and the `loss` of its baseline.

    Raises:
      InputError: an option out of range, an environment with two players, or a model with another
        number of outputs.

    Source: Williams (1992), Simple statistical gradient-following algorithms for connectionist
    reinforcement learning.

    Example:
      >>> import jaxdl, optax
      >>> pole = jaxdl.rl.environment("cart_pole")
      >>> task = reinforce(jaxdl.models.MLP((32,), pole.actions + 1), pole, length=50)
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
      >>> source = jaxdl.data.Simulated(100)
      >>> state = jaxdl.train(net, source, key=jaxdl.root(0), steps=2, batch_size=4)
      >>> jaxdl.bind(task.predict, state)(jnp.zeros((3, 4))).shape
      (3, 2)
    """
    check_model(model)
    of_kind("environment", environment, Environment, 'one such as rl.environment("cart_pole")')
    if environment.players > 1:
        raise InputError("environment", type(environment).__name__, "one for a single player")
    check_share("discount", discount)
    at_least("length", length, 1)
    for field, value in (("baseline", baseline), ("entropy", entropy)):
        in_range(field, value, 0, float("inf"))
    settings = _Settings(model, environment, discount, length, baseline, entropy)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        shape = row_count(batch), *observation_of(environment).shape
        inputs = jnp.zeros(shape, jnp.float32)
        params, extra = init_variables(model, key, {"input": inputs})
        outputs = jax.eval_shape(partial(_outputs, settings, params, extra), inputs)
        if outputs.shape[1:] != (environment.actions + 1,):
            allowed = f"[B, {environment.actions + 1}], a logit per action and the baseline"
            raise InputError("outputs of the model", list(outputs.shape), allowed)
        return params, extra

    def predict(params: Params, extra: Any, inputs: Float[Array, "B ..."]) -> Float[Array, "B A"]:
        return jax.nn.softmax(_outputs(settings, params, extra, inputs)[:, :-1])

    def act(
        params: Params, extra: Any, observation: Float[Array, "..."], legal: Any = None
    ) -> Int[Array, "*B"]:
        return best_action(partial(predict, params, extra), environment, observation, legal)

    loss = partial(_loss, settings)
    return Task(init, one_update(loss), {"loss": loss, "predict": predict, "act": act})


def _outputs(settings: _Settings, params: Params, extra: Any, inputs: Array) -> Float[Array, "B K"]:
    """Returns logits and baseline, as in an evaluation."""
    return apply(settings.model, params, extra, inputs, None, train=False)[0]


def _loss(
    settings: _Settings,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    """Computes the loss of episodes that the present policy plays."""
    if not train:
        return _greedy_loss(settings, params, extra, batch, key)
    play_key, model_key = jax.random.split(key)
    played = _play(settings, params, extra, len(batch["mask"]), play_key)
    path, last = jax.lax.stop_gradient(played)
    steps, rows = path.action.shape
    inputs = path.observation.reshape(steps * rows, *path.observation.shape[2:])
    outputs, extra = apply(settings.model, params, extra, inputs, model_key, train=True)
    outputs = outputs.reshape(steps, rows, -1)
    values = outputs[..., -1]
    logits = jnp.where(path.legal, outputs[..., :-1], jnp.finfo(outputs.dtype).min)
    # A limit is no failure: the rewards that it cuts off are estimated by the baseline.
    following = jnp.concatenate([jax.lax.stop_gradient(values)[1:], last[None]])
    rewards = path.reward + jnp.where(path.cut, settings.discount * following, 0.0)
    returns = jax.vmap(partial(returns_to_go, discount=settings.discount), 1, 1)(rewards)
    weight = path.counts.astype(jnp.float32)
    count = weight.sum()
    advantage = _standardized(returns - jax.lax.stop_gradient(values), weight)
    log_p = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_p, path.action[..., None], -1)[..., 0]
    p = jnp.exp(log_p)
    entropy = -jnp.where(p > 0, p * log_p, 0.0).sum(-1)
    errors = jax.vmap(jax.vmap(huber))(values, returns)
    losses = -chosen * advantage + settings.baseline * errors - settings.entropy * entropy
    loss = _total(losses, path.counts), count
    metrics = {
        "loss": loss,
        "return": (path.reward.sum(), jnp.asarray(rows, jnp.float32)),
        "entropy": (_total(entropy, path.counts), count),
        "baseline_loss": (_total(errors, path.counts), count),
    }
    return loss, (extra, metrics)


def _play(
    settings: _Settings, params: Params, extra: Any, rows: int, key: Key[Array, ""]
) -> tuple[_Path, Float[Array, " B"]]:
    """Plays one episode in each environment; after its end the moves do not count.

    No other episode begins in these rows, so the observation after a move is that of the next row.
    The second value is the baseline after the last row.
    """
    environment = settings.environment
    first_key, play_key = jax.random.split(key)
    states = jax.vmap(environment.reset)(jax.random.split(first_key, rows))

    def move(carry: tuple, i: Array) -> tuple[tuple, _Path]:
        states, going = carry
        choice_key, chance_key = jax.random.split(jax.random.fold_in(play_key, i))
        observation = jax.vmap(environment.observe)(states)
        legal = jax.vmap(environment.legal)(states)
        legal = legal | ~legal.any(-1, keepdims=True)
        logits = _outputs(settings, params, extra, observation)[:, :-1]
        logits = jnp.where(legal, logits, jnp.finfo(logits.dtype).min)
        actions = jax.random.categorical(choice_key, logits).astype(jnp.int32)
        keys = jax.random.split(chance_key, rows)
        after, reward, terminated, truncated = jax.vmap(environment.step)(states, actions, keys)
        cut = going & (truncated | (~terminated & (i == settings.length - 1)))
        reward = jnp.where(going, reward, 0.0)
        path = _Path(observation, legal, actions, reward, going, cut)
        return (after, going & ~terminated & ~truncated), path

    start = states, jnp.ones(rows, bool)
    numbers = jnp.arange(settings.length, dtype=jnp.int32)
    (states, _), path = jax.lax.scan(move, start, numbers)
    last = _outputs(settings, params, extra, jax.vmap(environment.observe)(states))[:, -1]
    return path, last


def _standardized(x: Float[Array, "T B"], weight: Float[Array, "T B"]) -> Float[Array, "T B"]:
    """Returns numbers with mean 0 and standard deviation 1 where they count."""
    counts = weight > 0
    count = sum_over_replicas(weight.sum())
    mean = sum_over_replicas(_total(x, counts)) / count
    variance = sum_over_replicas(_total((x - mean) ** 2, counts)) / count
    return (x - mean) / jnp.sqrt(variance + 1e-8)


def _total(x: Float[Array, "T B"], counts: Bool[Array, "T B"]) -> Float[Array, ""]:
    """Returns the sum of the numbers that count; the others may be NaN."""
    return jnp.where(counts, x, 0.0).sum()


def _greedy_loss(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Metric, tuple[Any, Metrics]]:
    """Plays greedy episodes, one per row of the batch."""
    mask = batch["mask"]

    def values(inputs: Array) -> Float[Array, "B K"]:
        return _outputs(settings, params, extra, inputs)

    def error(
        y: Array, action: Array, reward: Array, terminated: Array, next_y: Array, legal: Array
    ) -> Array:
        following = jnp.where(terminated, 0.0, settings.discount * next_y[-1])
        return huber(y[-1], reward + following)

    played = greedy_episodes(
        settings.environment, values, len(mask), key, error=error, logits=lambda y: y[:-1]
    )
    moves = total(played.moves, mask)
    metrics = {
        "loss": (total(played.errors, mask)[0], moves[0]),
        "greedy_return": total(played.rewards, mask),
        "moves": moves,
    }
    return metrics["loss"], (extra, metrics)
