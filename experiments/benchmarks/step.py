"""Steps per second of `jaxdl.train` next to a hand-written Flax and Optax loop of the same model.

    python experiments/benchmarks/step.py
    python experiments/benchmarks/step.py --only mlp-32 cnn3-128 --rounds 9 --seconds 5

Three contenders take turns in one process, on one device, over random data of MNIST's shape:

    train   `jaxdl.train`, as a user gets it: its loop, its order of examples, its metrics
    step    the learner's step, jitted, in a plain Python loop over batches that are cut already
    flax    what one writes by hand: a Linen module, `TrainState`, a jitted step that donates its
            state, a Python loop over the same batches; `flax.linen.Conv` where there is a convolution

Compilation does not count. The ratio is to `flax`, of the best rounds and of the medians.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState

import jaxdl

#: The least that `train` may reach, as a multiple of `flax`.
BAR = 0.98

#: Examples in the set.
SIZE = 6400

#: Steps between two looks at the clock.
LOOK = 10

Batches = list[dict[str, np.ndarray]]


class HandMLP(nn.Module):
    """784-512-10."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(512)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(x)


class HandCNN5(nn.Module):
    """5x5x32, pool, 5x5x64, pool, 1024, dropout, 10."""

    @nn.compact
    def __call__(self, x, train):
        for features in (32, 64):
            x = nn.max_pool(nn.relu(nn.Conv(features, (5, 5))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(1024)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))


class HandCNN3(nn.Module):
    """3x3x32, 3x3x64, pool, dropout, 128, dropout, 10."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Conv(32, (3, 3), padding="VALID")(x))
        x = nn.relu(nn.Conv(64, (3, 3), padding="VALID")(x))
        x = nn.Dropout(0.25, deterministic=not train)(nn.max_pool(x, (2, 2), (2, 2)))
        x = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
        return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))


class Workload(NamedTuple):
    """The same network twice, and how many examples a step sees."""

    ours: Callable[[], nn.Module]
    by_hand: Callable[[], nn.Module]
    batch_size: int


NETWORKS = {
    "mlp": (jaxdl.models.softmax_mlp, HandMLP),
    "cnn5": (jaxdl.models.lecture_cnn_5x5, HandCNN5),
    "cnn3": (jaxdl.models.lecture_cnn_3x3, HandCNN3),
}
WORKLOADS = {f"{name}-{size}": Workload(*pair, size) for name, pair in NETWORKS.items() for size in (32, 128)}


class Clock:
    """A writer that notes when each line of metrics came."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes the time."""
        self.seen.append((step, time.perf_counter()))

    def close(self) -> None:
        """Nothing to end."""


def main() -> None:
    """Times every workload, prints the table, fails below the bar."""
    options = _options()
    rows = {}
    print(f"{'':<10}{'contender':<10}{'best /s':>10}{'median /s':>11}{'best':>8}{'median':>8}")
    for name in options.only:
        rows[name] = measured(WORKLOADS[name], options.rounds, options.seconds)
        for contender, result in rows[name].items():
            shown = f"{result['best']:>10.1f}{result['median']:>11.1f}"
            print(
                f"{name:<10}{contender:<10}{shown}{result['best_ratio']:>8.3f}{result['median_ratio']:>8.3f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"bar": BAR, "workloads": rows}, indent=1) + "\n")
    low = [name for name, row in rows.items() if row["train"]["best_ratio"] < BAR]
    print(f"bar: train at least {BAR} of flax, best of {options.rounds} rounds")
    if low:
        sys.exit(f"below the bar: {', '.join(low)}")


def measured(workload: Workload, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Steps per second of the contenders, taking turns."""
    data = random_set()
    batches = cut(data, workload.batch_size)
    contenders = {"train": train(workload, data), "step": step(workload, batches), "flax": flax(workload, batches)}
    # Warms up, and says how many steps fill the time.
    steps = {name: max(2 * LOOK, int(run(3 * LOOK) * seconds)) for name, run in contenders.items()}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        names = list(contenders)
        for name in names[turn % 3 :] + names[: turn % 3]:
            rates[name].append(contenders[name](steps[name]))
    best, median = ({name: f(r) for name, r in rates.items()} for f in (max, statistics.median))
    return {
        name: {
            "rates": rates[name],
            "best": best[name],
            "median": median[name],
            "best_ratio": best[name] / best["flax"],
            "median_ratio": median[name] / median["flax"],
        }
        for name in contenders
    }


def train(workload: Workload, data: jaxdl.data.Dataset) -> Callable[[int], float]:
    """Through `jaxdl.train`, which compiles anew each time; the clock starts with the first line after that."""
    net, single = learner(workload), jaxdl.strategy("single")

    def run(steps: int) -> float:
        clock, every = Clock(), jaxdl.Every(log=LOOK)
        size, writers = workload.batch_size, [clock]
        total = (steps // LOOK + 1) * LOOK
        state = jaxdl.train(
            net, data, key=jaxdl.root(0), steps=total, batch_size=size, every=every, strategy=single, writers=writers
        )
        jax.block_until_ready(state)
        (first, began), (last, ended) = clock.seen[0], clock.seen[-1]
        return (last - first) / (ended - began)

    return run


def step(workload: Workload, batches: Batches) -> Callable[[int], float]:
    """The learner's step alone."""
    net, key = learner(workload), jaxdl.stream(jaxdl.root(0), "train")
    compiled = jax.jit(net.step, donate_argnums=0)

    def advance(state: jaxdl.State, batch: dict[str, np.ndarray]) -> tuple[jaxdl.State, Any]:
        return compiled(state, batch, key)

    return looped(lambda: net.init(key, batches[0]), advance, batches)


def flax(workload: Workload, batches: Batches) -> Callable[[int], float]:
    """Written by hand."""
    model, key = workload.by_hand(), jax.random.key(0)

    def init() -> TrainState:
        params = model.init(key, batches[0]["input"], train=False)["params"]
        return TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))

    def train_step(state, batch, key):
        dropout = jax.random.fold_in(key, state.step)

        def objective(params):
            logits = state.apply_fn({"params": params}, batch["input"], train=True, rngs={"dropout": dropout})
            return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean(), logits

        (loss, logits), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        accuracy = (logits.argmax(-1) == batch["label"]).mean()
        return state.apply_gradients(grads=grads), {"loss": loss, "accuracy": accuracy}

    compiled = jax.jit(train_step, donate_argnums=0)
    return looped(init, lambda state, batch: compiled(state, batch, key), batches)


def looped(init: Callable[[], Any], advance: Callable[[Any, Any], tuple], batches: Batches) -> Callable[[int], float]:
    """A plain loop over the batches, again and again; it waits for the devices only where it looks at the metrics."""

    def run(steps: int) -> float:
        supply: Iterator[dict[str, np.ndarray]] = itertools.cycle(batches)
        state, metrics = advance(init(), next(supply))
        jax.block_until_ready((state, metrics))
        began = time.perf_counter()
        for i in range(steps):
            state, metrics = advance(state, next(supply))
            if i % LOOK == 0:
                jax.device_get(metrics)
        jax.block_until_ready(state)
        return steps / (time.perf_counter() - began)

    return run


def learner(workload: Workload) -> jaxdl.Learner:
    """As a user builds it."""
    task = jaxdl.tasks.classify(workload.ours())
    return jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(1e-3)))


def random_set() -> jaxdl.data.Dataset:
    """Images and labels of MNIST's shape."""
    draw = np.random.default_rng(0)
    images = draw.random((SIZE, 28, 28, 1), np.float32)
    return jaxdl.data.Dataset({"input": images, "label": draw.integers(0, 10, SIZE).astype(np.int32)}, "random", 10)


def cut(data: jaxdl.data.Dataset, size: int) -> Batches:
    """Shuffled batches, ready before any clock starts."""
    rows = np.random.default_rng(1).permutation(data.size)
    arrays = {name: np.asarray(array[rows]) for name, array in data.arrays.items()}
    cuts = range(0, data.size - size + 1, size)
    return [{name: np.ascontiguousarray(array[i : i + size]) for name, array in arrays.items()} for i in cuts]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (default: 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn (default: 3)")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), help="some of the workloads")
    parser.add_argument("--json", type=Path, help="write all rates to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
