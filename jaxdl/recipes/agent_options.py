"""Options of an agent with a network, and their defaults by environment."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn

from jaxdl import models, tasks
from jaxdl.errors import InputError, one_of
from jaxdl.rl import Environment
from jaxdl.rl.environment import check_share
from jaxdl.runs.options import RunOptions
from jaxdl.tasks import Task


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
        for name in ("explore_from", "explore_to"):
            if getattr(self, name) is not None:
                check_share(name, getattr(self, name))
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
    "hidden": (64, 64),
    # Without layer norm, some seeds forget in the last steps what they can do.
    "norm": "layer",
    "discount": 0.99,
    "n_steps": 3,
    "updates": 2,
    "replay": 100_000,
    "replay_batch": 128,
    "first_moves": 1_000,
    "explore_from": 1.0,
    "explore_to": 0.02,
    "explore_moves": 15_000,
}
_RARE = {
    "hidden": (128, 128),
    "replay": 120_000,
    "explore_to": 0.05,
    "explore_moves": 40_000,
}
_FEW = {"norm": "none", "n_steps": 1, "explore_moves": 5_000}
_RANDOM = {
    "hidden": (256, 256),
    "norm": "none",
    "discount": 0.9,
    "n_steps": 1,
    "replay": 50_000,
    "replay_batch": 256,
    "first_moves": 20_000,
    "explore_to": 1.0,
    "explore_moves": 1,
}

#: Defaults of each environment, for four environments side by side.
PRESETS: dict[str, Preset] = {
    "cart_pole": Preset(25_000, _CONTROL, 475.0),
    "mountain_car": Preset(30_000, _CONTROL | _RARE, -115.0),
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
      >>> from jaxdl.rl import environment
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
