"""Short runs of the linear learner that share one compiled program, and a store that records."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxdl
from jaxdl.data.order import epoch_order
from jaxdl.training import InMemory, Sharded, state_sha256, train
from jaxdl.training.writers import Memory
from tests.training.linear import KEY, line, points

ONE = Sharded(jax.devices()[:1])


class Compiled:
    """A strategy that compiles the first learner, and returns that program for all others."""

    def __init__(self, strategy=ONE):
        self.strategy = strategy
        self.devices = strategy.devices
        self.shares = strategy.shares
        self.program = None

    def place(self, tree):
        return self.strategy.place(tree)

    def compile(self, learner, window):
        self.program = self.program or self.strategy.compile(learner, window)
        return self.program


SHARED = Compiled()


def run(**changed):
    """Trains for 10 steps on 22 points in batches of 4: two epochs of five steps each.

    Two rows of every epoch are not used.
    """
    memory = Memory()
    defaults = {"key": KEY, "steps": 10, "batch_size": 4, "strategy": SHARED, "writers": [memory]}
    arguments = defaults | changed
    net = arguments.pop("net", None) or line()
    state = train(net, arguments.pop("data", None) or points(), **arguments)
    return state, memory.records


def steps_of(records, name):
    """Returns the steps of the records with a metric whose name starts with `name`."""
    return [step for step, metrics in records if any(key.startswith(name) for key in metrics)]


class Recorder(InMemory):
    """A store that remembers every state that was ever saved."""

    def __init__(self):
        super().__init__()
        self.saved = {}
        self.closed = 0

    def save(self, checkpoint):
        super().save(checkpoint)
        state, history, _ = checkpoint
        self.saved[int(state.step)] = (jax.device_get(state), list(history))

    def close(self):
        self.closed += 1


@functools.cache
def by_hand() -> tuple[list, list]:
    """Computes the states and metrics of 12 steps, one by one, without the training loop."""
    net = line()
    data = points()
    step = jax.jit(net.step)
    key = jaxdl.stream(KEY, "train")
    rows = np.concatenate([epoch_order(KEY, epoch, 22, 4) for epoch in range(3)])
    batches = [{name: jnp.asarray(x[r]) for name, x in data.arrays.items()} for r in rows[:12]]
    states = [net.init(jaxdl.stream(KEY, "init"), batches[0])]
    metrics = []
    for batch in batches:
        state, step_metrics = step(states[-1], {**batch, "mask": jnp.ones(4)}, key)
        states.append(state)
        metrics.append(jax.device_get(step_metrics))
    return states, metrics


@functools.cache
def uninterrupted():
    """Returns the hash and the validations of a run without interruption."""
    store = Recorder()
    state, _ = run(log_every=4, save_every=3, validation=points(7, seed=1), store=store)
    return state_sha256(state), store.saved[10][1]
