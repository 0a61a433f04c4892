"""Compares the learning rates that the finder suggests with the best of a grid.

    python -m tests.selection.suggestions
    python -m tests.selection.suggestions --networks mlp --rules valley steepest --seeds 3

Each network is trained by each optimizer with nine rates, two per decade, and with the suggestion
of each rule. A score is the mean accuracy of the seeds on the test set of the digits, at the end of
a constant rate. The suggestion comes from the first seed's finder alone.
"""

import argparse
import time

import numpy as np

import jaxdl
from jaxdl.models import CNN, MLP, SequenceNet, Stage
from jaxdl.nn import RNN
from jaxdl.selection import RULES, find_learning_rate

#: Nine rates for each optimizer, around its usual ones.
GRIDS = {"sgd": np.logspace(-3, 1, 9), "adam": np.logspace(-5, -1, 9)}
EPOCHS = {"mlp": 60, "cnn": 40, "lstm": 60}


def network(name):
    """Returns a network of images `[8, 8, 1]`, or of their rows `[8, 8]`."""
    if name == "mlp":
        return MLP([128], 10)
    if name == "cnn":
        return CNN((Stage(16), Stage(32)), (64,), 10)
    return SequenceNet(None, RNN("lstm", 64, return_sequences=False), 10)


def sets(name):
    """Returns the digits, as sequences of rows for the LSTM."""
    both = jaxdl.data.load("digits")
    if name != "lstm":
        return both
    return [
        jaxdl.data.Dataset(
            {"input": data["input"][..., 0], "label": data["label"]}, data.name, data.classes
        )
        for data in both
    ]


def compare(name, optimizer, rules, seeds, batch_size):
    """Prints one line: the best of the grid, and the suggestion of each rule with its score."""
    train, test = sets(name)
    task = jaxdl.tasks.classify(network(name))

    def make(learning_rate):
        made = jaxdl.optimizers.optimizer(optimizer, learning_rate)
        return jaxdl.learner(task.init, *task.updates(made))

    suggested = {}
    for rule in rules:
        curve = find_learning_rate(make, train, key=jaxdl.root(0), batch_size=batch_size, rule=rule)
        suggested[rule] = curve.suggestion
    grid = GRIDS[optimizer]
    rates = [*grid, *suggested.values()]
    net = jaxdl.sweep(make, learning_rate=np.repeat(rates, seeds))
    keys = jaxdl.root([*range(seeds)] * len(rates))
    steps = EPOCHS[name] * train.steps_per_epoch(batch_size)
    states = jaxdl.train(net, train, key=keys, steps=steps, batch_size=batch_size)
    metrics = jaxdl.evaluate(net, states, test)
    scores = 100 * metrics["accuracy"].reshape(len(rates), seeds)
    means = np.nan_to_num(scores, nan=0.0).mean(1)
    best = int(means[:9].argmax())
    spread = scores[best].std(ddof=1) / np.sqrt(seeds)
    line = f"{name:<5} {optimizer:<5} best of the grid {grid[best]:.2g}: {means[best]:.2f} %"
    print(f"{line} ± {spread:.2f}; grid {np.round(means[:9], 1).tolist()}", flush=True)
    for i, (rule, rate) in enumerate(suggested.items()):
        score = means[9 + i]
        print(
            f"    {rule:<9} {rate:.3g}: {score:.2f} %, {score - means[best]:+.2f} points",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(EPOCHS))
    parser.add_argument("--optimizers", nargs="+", default=list(GRIDS))
    parser.add_argument("--rules", nargs="+", default=list(RULES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    began = time.perf_counter()
    for name in options.networks:
        for optimizer in options.optimizers:
            compare(name, optimizer, options.rules, options.seeds, options.batch_size)
    print(f"time {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
