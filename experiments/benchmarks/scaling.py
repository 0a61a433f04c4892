"""What dividing a batch costs: weak scaling over forced host devices and processes.

    python experiments/benchmarks/scaling.py

The MLP 784-512-10 with 32 examples per device, by the strategies "sharded", "fsdp" and "pmap", on 1, 2, 4, 8 devices
that are threads of one CPU, and in 2 processes. They share the same cores, so nothing gets faster; what can be seen
is the overhead: milliseconds per step more than one device takes for the same whole batch. Medians of rounds in turns.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

PER_DEVICE = 32
STEPS = 200

#: Devices in all, processes, strategy.
PLACES = [(1, 1, "sharded")] + [
    (devices, processes, name)
    for devices, processes in ((2, 1), (4, 1), (8, 1), (2, 2), (4, 2), (8, 2))
    for name in ("sharded", "fsdp", "pmap")
    if processes == 1 or name != "pmap"
]


class Clock:
    """A writer that notes when each line of metrics came."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes the time."""
        if "train/loss" in metrics:
            self.seen.append((step, time.perf_counter()))

    def close(self) -> None:
        """Nothing to end."""


def child(address: str, processes: int, rank: int, name: str, batch: int) -> None:
    """One process: trains and prints milliseconds per step."""
    import jax
    import numpy as np
    import optax

    if processes > 1:
        jax.distributed.initialize(address, processes, rank)
    import jaxdl

    rng = np.random.default_rng(0)
    arrays = {
        "input": rng.random((2048, 28, 28, 1), np.float32),
        "label": rng.integers(0, 10, 2048).astype(np.int32),
    }
    task = jaxdl.tasks.classify(jaxdl.models.softmax_mlp())
    net = jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.adam(1e-3)))
    clock = Clock()
    jaxdl.train(
        net,
        jaxdl.data.Dataset(arrays, "random", 10),
        key=jaxdl.root(0),
        steps=STEPS + 20,
        batch_size=batch,
        log_every=20,
        strategy=jaxdl.strategy(name),
        writers=[clock],
    )
    (first, began), (last, ended) = clock.seen[0], clock.seen[-1]
    print(json.dumps(1000 * (ended - began) / (last - first)))


def measured(devices: int, processes: int, name: str, batch: int) -> float:
    """Milliseconds per step, as the first process saw it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // processes),
    }
    running = []
    for rank in range(processes):
        command = [
            sys.executable,
            __file__,
            "--child",
            address,
            str(processes),
            str(rank),
            name,
            str(batch),
        ]
        running.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit(f"{devices} devices, {processes} processes, {name}: failed")
    return float(json.loads(said[0].splitlines()[-1]))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each place (default: 3)")
    rounds = parser.parse_args().rounds
    whole = {devices: (1, 1, "sharded", PER_DEVICE * devices) for devices, *_ in PLACES}
    jobs = [*whole.values(), *((*place, PER_DEVICE * place[0]) for place in PLACES[1:])]
    seen: dict = {job: [] for job in jobs}
    for _ in range(rounds):
        for job in jobs:
            seen[job].append(measured(*job))
    print(
        f"{'devices':>8}{'processes':>10}  {'strategy':<9}{'batch':>6}{'ms / step':>11}{'overhead, ms':>14}"
    )
    for job in jobs:
        devices, processes, name, batch = job
        took = statistics.median(seen[job])
        more = took - statistics.median(seen[whole[batch // PER_DEVICE]])
        print(f"{devices:>8}{processes:>10}  {name:<9}{batch:>6}{took:>11.2f}{more:>14.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        address, processes, rank, name, batch = sys.argv[2:]
        child(address, int(processes), int(rank), name, int(batch))
    else:
        main()
