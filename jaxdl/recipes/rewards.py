"""Agents with networks: training, tests and pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import plots
from jaxdl.core import State
from jaxdl.data.source import Simulated
from jaxdl.functions import bind
from jaxdl.plots.agents import DRAWN
from jaxdl.plots.curves import members, series
from jaxdl.recipes.agent_options import PRESETS, AgentOptions
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
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.tasks import Task

#: Validations of a run.
VALIDATIONS = 20

#: Evaluations whose mean shows whether an agent keeps its skill.
LAST = 5


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
        title = f"{_words(name)}, {counts}: mean return {value:.1f} of the last {LAST} evaluations"
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
    title = f"{_words(name)}: an episode before and after the training, {lengths} moves"
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
    title = f"{_words(_name(world))}: values from {values.min():.1f} to {values.max():.1f}"
    plots.value_map(values, axes, paths, run.figure("values"), title=title)


def _name(world: Environment) -> str:
    """Returns the name of an environment."""
    names = {type(environment(name)): name for name in PRESETS}
    return names[type(world)]


def _words(name: str) -> str:
    """Returns the name of an environment for a title."""
    return name.replace("_", " ")


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
