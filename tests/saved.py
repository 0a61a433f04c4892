"""Small networks that are trained and saved, for tests of predictions."""

import jax
import optax

import jaxdl

#: Number of optimizers of a task; 1 for the others.
OPTIMIZERS = {"gan": 2, "translate_unpaired": 2, "q_table": 0}


def saved(directory, task, data, steps=2):
    """Trains a task for some steps, saves the network in a directory, and loads it."""
    optimizers = [optax.adam(0.01)] * OPTIMIZERS.get(task.name, 1)
    net = jaxdl.learner(task.init, *task.updates(*optimizers))
    if steps:
        state = jaxdl.train(net, data, key=jaxdl.root(0), steps=steps, batch_size=8)
    else:
        batch = {name: array[:2] for name, array in data.arrays.items()}
        state = jax.jit(net.init)(jaxdl.root(0), batch)
    jaxdl.save(directory, task, state, data)
    return jaxdl.load(directory)
