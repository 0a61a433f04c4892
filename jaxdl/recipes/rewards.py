"""Agents with networks: their options by environment, training, tests and pictures."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import models, plots, tasks
from jaxdl.core import State
from jaxdl.data.source import Simulated
from jaxdl.errors import InputError, one_of
from jaxdl.functions import bind
from jaxdl.plots.agents import DRAWN
from jaxdl.plots.curves import members, series
from jaxdl.recipes.fitting import TrainingOptions
from jaxdl.rl import (
    Acrobot,
    CartPole,
    Environment,
    Flippers,
    MountainCar,
    environment,
)
from jaxdl.rl.exact import optimal_boards, value_iteration
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options, RunOptions
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
    hidden: tuple[int, ...] | None = None
    """Widths of the hidden layers."""
    norm: str | None = None
    """Norm of the hidden layers: layer, rms, batch or none."""
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

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for an unknown method, or an option that the method does not have.

        The task checks the other options.
        """
        one_of("method", self.method, ["dqn", "reinforce"])
        if self.method == "dqn":
            return
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in POLICY_OPTIONS and value != field.default:
                allowed = "no value, since reinforce has no such option; leave it out"
                raise InputError(field.name, value, allowed)


#: Options of an agent that `jaxdl.tasks.reinforce` has, too.
POLICY_OPTIONS = ("method", "hidden", "discount")


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


_CONTROL: dict[str, Any] = {
    # Without layer norm, some seeds forget in the last steps what they can do.
    **{"hidden": (64, 64), "norm": "layer"},
    **{"discount": 0.99, "n_steps": 3, "updates": 2, "replay": 100_000, "replay_batch": 128},
    **{"first_moves": 1_000, "explore_from": 1.0, "explore_to": 0.02, "explore_moves": 15_000},
}

_RARE = {"replay": 120_000, "explore_to": 0.05, "explore_moves": 40_000}
_FEW = {"norm": "none", "n_steps": 1, "explore_moves": 5_000}
_RANDOM = {
    **{"hidden": (256, 256), "norm": "none", "discount": 0.9, "n_steps": 1, "replay": 50_000},
    **{"replay_batch": 256, "first_moves": 20_000, "explore_to": 1.0, "explore_moves": 1},
}

#: Defaults of each environment, for four environments side by side.
PRESETS: dict[str, Preset] = {
    "cart_pole": Preset(25_000, _CONTROL, 475.0),
    "mountain_car": Preset(30_000, _CONTROL | _RARE | {"hidden": (128, 128)}, -115.0),
    "acrobot": Preset(15_000, _CONTROL, -100.0),
    "catch": Preset(3_000, _CONTROL | _FEW, 1.0),
    "flippers": Preset(12_000, _CONTROL | _RANDOM, 1.0),
}


#: Options that `jaxdl.tasks.q_network` takes under the same name.
Q_OPTIONS = (
    *("discount", "double", "n_steps", "updates", "replay", "replay_batch", "first_moves"),
    *("target_rate", "target_every"),
)


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
    hidden = agent.hidden or ()
    if agent.method == "reinforce":
        model: nn.Module = models.MLP(hidden, world.actions + 1, "tanh", dtype=dtype)
        length = getattr(world, "limit", getattr(world, "rows", 500))
        discount: Any = agent.discount
        return tasks.reinforce(model, world, discount=discount, length=length)
    norm = None if agent.norm == "none" else agent.norm
    outputs = world.actions + agent.dueling
    model = models.MLP(hidden, outputs, norm=norm, dtype=dtype)
    if agent.dueling:
        model = models.Dueling(model)
    chosen: dict[str, Any] = {name: getattr(agent, name) for name in Q_OPTIONS}
    chosen["exploration"] = agent.explore_from, agent.explore_to, agent.explore_moves
    return tasks.q_network(model, world, **chosen)


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
    state = run.fit(net, sets["train"], sets.get("validation"), None, None, task)
    metrics = run.test(net, state, sets["test"])
    metrics["greedy_return"] = metrics.pop("test/greedy_return")
    if "validation" in sets:
        metrics["last_returns_mean"] = _last_returns(run)
    return state, metrics


def _last_returns(run: Run[Options]) -> np.ndarray:
    """Returns the mean greedy return of the last validations of each seed."""
    records = run.records()
    name = "validation/greedy_return"
    names = members(records, name) or [name]
    means = [series(records, each)[1][-LAST:].mean() for each in names]
    return run.per_seed(np.array(means) if len(means) > 1 else means[0])


def table_errors(task: Task, state: State, world: Flippers, discount: float) -> tuple[int, float]:
    """Compares a network with the exact values of Flippers without chance.

    Args:
      task: task of the agent.
      state: its state.
      world: the environment.
      discount: factor of later rewards.

    Returns:
      The number of boards whose best moves shorten the distance, and the greatest error of a value.
    """
    q = value_iteration(world, discount).q
    indices = jnp.arange(world.states, dtype=jnp.int32)
    inputs = jax.vmap(lambda i: world.observe(world.state_of(i)))(indices)
    found = np.asarray(bind(task.predict, state)(inputs))
    over = np.asarray(jax.vmap(lambda i: world.over(world.state_of(i)))(indices))
    return optimal_boards(found, world), float(abs(found - q)[~over].max())


def table_metrics(
    run: Run[Options], task: Task, state: State, world: Environment, agent: AgentOptions
) -> dict[str, Any]:
    """Returns `optimal_boards` and `greatest_error` per seed, for Flippers; else nothing.

    Args:
      run: run after its training.
      task: task of the agent.
      state: its state, of all seeds.
      world: the environment.
      agent: options of the agent.
    """
    if not isinstance(world, Flippers) or task.name != "q_network" or world.flips:
        return {}
    assert agent.discount is not None
    found = [table_errors(task, each, world, agent.discount) for each in run.members(state)]
    boards, errors = (run.per_seed(np.array(values)) for values in zip(*found, strict=True))
    return {"optimal_boards": boards, "greatest_error": errors}


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
        after, _, terminated, truncated = world.step(now, act(world.observe(now)), move_key)
        return after, terminated | truncated

    now = jax.jit(world.reset)(key)
    states = [jax.device_get(now)]
    over = False
    while not over:
        now, ended = move(now, jax.random.fold_in(key, len(states)))
        states.append(jax.device_get(now))
        over = bool(ended)
    return states


def draw_agent(
    run: Run[Options], task: Task, state: State, world: Environment, moves: float
) -> None:
    """Draws the returns of all seeds, the values of states, and an episode before and after.

    Args:
      run: run after its training.
      task: task of the agent.
      state: its state, of all seeds.
      world: the environment.
      moves: number of moves of one step.
    """
    name = _name(world)
    first = run.first_seed(state)
    if run.config.run.validation:
        counts = "1 seed" if run.key.ndim == 0 else f"{len(run.seeds)} seeds"
        value = float(np.mean(_last_returns(run)))
        title = f"{name}, {counts}: mean return {value:.1f} of the last {LAST} evaluations"
        records = run.records()
        plots.return_curves(
            records, run.figure("returns"), moves, title=title, goal=PRESETS[name].goal
        )
    untrained = fresh(task, run.first_key(), moves)
    films = {
        "before": played(task, untrained, world, 0),
        "after": played(task, first, world, 0),
    }
    shown = {label: [drawing(world, each) for each in film] for label, film in films.items()}
    path = run.figure("episode").with_suffix(".gif")
    lengths = " and ".join(str(len(film) - 1) for film in films.values())
    title = f"{name}: an episode before and after the training, {lengths} moves"
    plots.episode_gif(shown, DRAWN[name], path, title=title)
    if name in PLANES and task.name == "q_network":
        draw_values(run, task, first, world, films["after"])


#: The plane of a picture of values: horizontal and vertical axis, each an index of the observation,
#: its name, and its range.
PLANES: dict[str, tuple[tuple[int, str, float, float], ...]] = {
    "cart_pole": (
        (2, "angle of the pole in radians", -0.21, 0.21),
        (3, "angular velocity in radians per second", -2.0, 2.0),
    ),
    "mountain_car": ((0, "position", -1.2, 0.6), (1, "velocity per move", -0.07, 0.07)),
}


def draw_values(
    run: Run[Options], task: Task, state: State, world: Environment, film: list[Any]
) -> None:
    """Draws the values of states in a plane, with an episode. Other numbers are 0.

    Args:
      run: run after its training.
      task: task of the agent.
      state: its state.
      world: the environment.
      film: states of the episode.
    """
    plane = PLANES[_name(world)]
    axes = [(label, np.linspace(low, high, 61)) for _, label, low, high in plane]
    columns = [index for index, *_ in plane]
    observations = np.stack([np.asarray(world.observe(each)) for each in film])
    grid = np.zeros((61, 61, observations.shape[1]), np.float32)
    grid[..., columns[0]] = axes[0][1]
    grid[..., columns[1]] = axes[1][1][:, None]
    q = np.asarray(bind(task.predict, state)(jnp.asarray(grid.reshape(61 * 61, -1))))
    values = q.max(-1).reshape(61, 61)
    paths = {f"an episode of {len(film) - 1} moves": observations[:, columns]}
    title = f"{_name(world)}: values from {values.min():.1f} to {values.max():.1f}"
    plots.value_map(values, axes, paths, run.figure("values"), title=title)


def _name(world: Environment) -> str:
    """Returns the name of an environment."""
    names = {type(environment(name)): name for name in PRESETS}
    return names[type(world)]


def fresh(task: Task, key: Any, moves: float) -> State:
    """Returns the state of an agent before its training.

    Args:
      task: task of the agent.
      key: root key of the run.
      moves: number of moves of one step.
    """
    batch = {"mask": jnp.ones(max(1, int(moves)))}
    params, extra = jax.jit(task.init)(stream(key, "init"), batch)
    return State(jnp.zeros((), jnp.int32), params, (), extra)


def drawing(world: Environment, state: Any) -> Any:
    """Returns the numbers of a state that its picture needs.

    Args:
      world: the environment.
      state: its state.
    """
    if isinstance(world, CartPole):
        return state.x, state.angle
    if isinstance(world, MountainCar):
        return (state.position,)
    if isinstance(world, Acrobot):
        return state.angle_1, state.angle_2
    picture = np.asarray(world.observe(state))
    if picture.ndim == 3:
        return picture[..., 0]
    side = round(len(picture) ** 0.5)
    return picture.reshape(side, side)
