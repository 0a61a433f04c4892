"""Agents with networks: their options by environment, training, tests and pictures."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import models, optimizers, plots, tasks
from jaxdl.core import State
from jaxdl.data.source import Simulated
from jaxdl.functions import bind
from jaxdl.recipes.fitting import TrainingOptions
from jaxdl.rl import Environment, FiniteEnvironment, environment, step_and_reset
from jaxdl.rl.exact import transitions, value_iteration
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.tasks import Task

#: Validations of a run.
VALIDATIONS = 20

#: Evaluations whose mean shows whether an agent keeps its skill.
LAST = 5


@dataclasses.dataclass(frozen=True)
class AgentOptions:
    """Options of an agent. A default depends on the environment (`PRESETS`)."""

    method: str = "dqn"
    """dqn, a deep Q-network, or reinforce, a policy gradient."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    dueling: bool = False
    """If True, the network adds a value and advantages."""
    discount: float | None = None
    """Factor of later rewards, in [0, 1]."""
    double: bool = True
    """If True, the online network chooses the action that the target network values."""
    n_steps: int | None = None
    """Number of rewards in a target."""
    updates: int | None = None
    """Updates per step of the environments."""
    replay: int | None = None
    """Capacity of the replay, in moves."""
    replay_batch: int | None = None
    """Transitions of an update."""
    first_moves: int | None = None
    """Random moves before the first step."""
    explore_from: float | None = None
    """Probability of a random action at first."""
    explore_to: float | None = None
    """Probability of a random action at last."""
    explore_moves: int | None = None
    """Moves until then."""
    target_rate: float = 0.01
    """Share of the way that the target network moves."""
    target_every: int = 1
    """Steps from one move of the target network to the next."""


class Preset(NamedTuple):
    """Defaults of an environment.

    Attributes:
      steps: number of steps.
      agent: options of the agent.
      goal: a return that pictures show, or None.
    """

    steps: int
    agent: dict[str, Any]
    goal: float | None


_CONTROL = {
    **{"discount": 0.99, "n_steps": 3, "updates": 2, "replay": 100_000, "replay_batch": 128},
    **{"first_moves": 1_000, "explore_from": 1.0, "explore_to": 0.02, "explore_moves": 15_000},
}

#: Defaults of each environment, for four environments side by side.
PRESETS: dict[str, Preset] = {
    "cart_pole": Preset(25_000, _CONTROL, 475.0),
    "mountain_car": Preset(30_000, _CONTROL, -115.0),
    "acrobot": Preset(15_000, _CONTROL, -100.0),
    "catch": Preset(3_000, _CONTROL, 1.0),
    "flippers": Preset(10_000, _CONTROL, 1.0),
}


def with_preset(agent: AgentOptions, name: str) -> AgentOptions:
    """Returns the options of an agent, with the defaults of an environment where none is given.

    Example:
      >>> with_preset(AgentOptions(discount=0.5), "cart_pole").n_steps
      3
    """
    preset = PRESETS[name].agent
    given = {field: getattr(agent, field) for field in preset}
    missing = {field: preset[field] for field, value in given.items() if value is None}
    return dataclasses.replace(agent, **missing)


def agent_task(agent: AgentOptions, world: Environment, dtype: Any = None) -> Task:
    """Returns the task of an agent.

    Args:
      agent: its options, without missing ones.
      world: the environment.
      dtype: dtype of the computation.

    Example:
      >>> world = environment("cart_pole")
      >>> agent_task(with_preset(AgentOptions(), "cart_pole"), world).name
      'q_network'
    """
    if agent.method == "reinforce":
        model: nn.Module = models.MLP(agent.hidden, world.actions + 1, "tanh", dtype=dtype)
        length = getattr(world, "limit", 500)
        return tasks.reinforce(model, world, discount=agent.discount, length=length)
    model = models.MLP(agent.hidden, world.actions, dtype=dtype)
    if agent.dueling:
        model = models.Dueling(models.MLP(agent.hidden, world.actions + 1, dtype=dtype))
    names = ("discount", "double", "n_steps", "updates", "replay", "replay_batch", "first_moves")
    names = (*names, "target_rate", "target_every")
    exploration = agent.explore_from, agent.explore_to, agent.explore_moves
    chosen = {name: getattr(agent, name) for name in names}
    return tasks.q_network(model, world, exploration=exploration, **chosen)


def sources(world: Environment, name: str, steps: int, episodes: int) -> dict[str, Simulated]:
    """Returns the sources of a run: moves for the training, episodes for the evaluations.

    Args:
      world: the environment.
      name: its name.
      steps: number of steps of the run.
      episodes: number of episodes of the test.

    Example:
      >>> sorted(sources(environment("catch"), "catch", 1000, 100))
      ['test', 'train', 'validation']
    """
    state = world.reset(root(0))
    arrays = {"input": np.asarray(world.observe(state))[None]}
    epoch = max(1, steps // VALIDATIONS)
    return {
        "train": Simulated(epoch, name, arrays=arrays),
        "validation": Simulated(epoch, name, episodes=min(20, episodes), arrays=arrays),
        "test": Simulated(epoch, name, episodes=episodes, arrays=arrays),
    }


def fit_agent(
    run: Run[Options], training: TrainingOptions, task: Task, sets: dict[str, Simulated]
) -> tuple[State, dict[str, Any]]:
    """Trains an agent and plays the episodes of its test.

    Args:
      run: run to train in.
      training: options of the optimizer.
      task: task of the agent.
      sets: the sources.

    Returns:
      The state and the metrics: those of the test, and `last_returns_mean`, the mean greedy return
      of the last five validations, per seed.
    """
    steps = run.config.run.total_steps(sets["train"])
    updates = int(task.arguments.get("updates", 1))
    net = training.make_learner(task, training.make_optimizer(steps * updates))
    state = run.fit(net, sets["train"], sets["validation"], None, None, task)
    metrics = run.test(net, state, sets["test"])
    metrics["greedy_return"] = metrics.pop("test/greedy_return")
    metrics["last_returns_mean"] = _last_returns(run)
    return state, metrics


def _last_returns(run: Run[Options]) -> np.ndarray:
    """Returns the mean greedy return of the last validations of each seed."""
    records = run.records()
    name = "validation/greedy_return"
    names = plots.curves.members(records, name) or [name]
    means = [plots.curves.series(records, each)[1][-LAST:].mean() for each in names]
    return run.per_seed(np.array(means) if len(means) > 1 else means[0])


def table_errors(
    task: Task, state: State, world: FiniteEnvironment, discount: float
) -> tuple[float, float]:
    """Compares a network with the exact values of a game without chance.

    Args:
      task: task of the agent.
      state: its state.
      world: the environment.
      discount: factor of later rewards.

    Returns:
      The number of states whose greedy action is the best one, and the greatest error of a value.
    """
    model = transitions(world)
    q = np.asarray(value_iteration(model, discount).q)
    indices = np.flatnonzero(~_over(world))
    inputs = jax.vmap(lambda i: world.observe(world.state_of(i)))(jnp.asarray(indices, jnp.int32))
    found = np.asarray(bind(task.predict, state)(inputs))
    exact = q[indices]
    best = exact >= exact.max(-1, keepdims=True) - 1e-9
    right = best[np.arange(len(indices)), found.argmax(-1)]
    return float(right.sum()), float(abs(found - exact).max())


def _over(world: FiniteEnvironment) -> np.ndarray:
    indices = jnp.arange(world.states, dtype=jnp.int32)
    return np.asarray(jax.vmap(lambda i: world.over(world.state_of(i)))(indices))


def played(task: Task, state: State, world: Environment, seed: int) -> list[Any]:
    """Returns the states of one greedy episode, on the host.

    Args:
      task: task of the agent.
      state: its state.
      world: the environment.
      seed: number of the episode.
    """
    act = bind(task.act, state)
    key = stream(root(seed), "sample")

    @jax.jit
    def move(now: Any, move_key: Any) -> Any:
        action = act(world.observe(now))
        transition, _ = step_and_reset(world, now, action, move_key)
        after, *_ = world.step(now, action, stream(move_key, "step"))
        return after, transition.terminated | transition.truncated

    now = jax.jit(world.reset)(key)
    states = [jax.device_get(now)]
    over = False
    while not over:
        now, ended = move(now, jax.random.fold_in(key, len(states)))
        states.append(jax.device_get(now))
        over = bool(ended)
    return states
