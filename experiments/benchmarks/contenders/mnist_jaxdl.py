"""MNIST with the project's smallest recipe: a process from its imports to its test accuracy.

    python -m contenders.mnist_jaxdl seed cache-of-compiled-programs

`to_99.py` starts this program.
"""

import sys

import jax

import jaxdl
from contenders.mnist import BATCH_SIZE, EPOCHS, LEARNING_RATE, report
from jaxdl import optimizers
from jaxdl.models import CNN, Stage


def main(seed: int, cache: str) -> None:
    """Trains once and tests once."""
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    train, test = jaxdl.data.load("mnist")
    model = CNN(
        [Stage(16, 5, strides=2, pool=None), Stage(32, 5, strides=2, pool=None)],
        (64,),
        norm="batch",
    )
    task = jaxdl.tasks.classify(model)
    steps = int(EPOCHS * train.size // BATCH_SIZE)
    adam = optimizers.optimizer("adam", optimizers.schedule("one_cycle", LEARNING_RATE, steps))
    net = jaxdl.learner(task.init, *task.updates(adam))
    state = jaxdl.train(net, train, key=jaxdl.root(seed), steps=steps, batch_size=BATCH_SIZE)
    report(EPOCHS, jaxdl.evaluate(net, state, test)["accuracy"])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
