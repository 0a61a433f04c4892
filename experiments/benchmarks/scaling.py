"""Weak scaling over forced host devices and processes: the overhead of dividing a batch.

    python experiments/benchmarks/scaling.py

Trains the MLP 784-512-10 with 32 examples per device under the strategies "sharded", "fsdp" and
"pmap". It uses 1, 2, 4 and 8 devices, which are threads of one CPU, in one process or in two.

All devices share the same cores, so nothing gets faster. The overhead is the number of milliseconds
per step beyond the time of one device for the same whole batch. The configurations take turns, and
the table shows medians over the rounds.
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

#: Number of devices in all processes together, number of processes, and strategy.
CONFIGURATIONS = [(1, 1, "sharded")] + [
    (devices, processes, name)
    for devices, processes in ((2, 1), (4, 1), (8, 1), (2, 2), (4, 2), (8, 2))
    for name in ("sharded", "fsdp", "pmap")
    if processes == 1 or name != "pmap"
]


class Clock:
    """A writer that records the time of each training record."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records the step and the time."""
        if "train/loss" in metrics:
            self.seen.append((step, time.perf_counter()))

    def close(self) -> None:
        """Completes the interface of writers; there is nothing to close."""


def child(address: str, processes: int, rank: int, name: str, batch: int) -> None:
    """Trains in one of the processes and prints the milliseconds per step."""
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
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3)))
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
    first_step, start = clock.seen[0]
    last_step, end = clock.seen[-1]
    print(json.dumps(1000 * (end - start) / (last_step - first_step)))


def measure(devices: int, processes: int, name: str, batch: int) -> float:
    """Trains in new processes and returns the milliseconds per step of the first one."""
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
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit(f"{devices} devices, {processes} processes, {name}: failed")
    return float(json.loads(outputs[0].splitlines()[-1]))


def main() -> None:
    """Measures all configurations and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="Number of turns per configuration (default: 3)."
    )
    rounds = parser.parse_args().rounds
    whole = {devices: (1, 1, "sharded", PER_DEVICE * devices) for devices, *_ in CONFIGURATIONS}
    divided = [(*setup, PER_DEVICE * setup[0]) for setup in CONFIGURATIONS[1:]]
    jobs = [*whole.values(), *divided]
    times: dict = {job: [] for job in jobs}
    for _ in range(rounds):
        for job in jobs:
            times[job].append(measure(*job))
    print(
        f"{'devices':>8}{'processes':>10}  {'strategy':<9}{'batch':>6}"
        f"{'ms / step':>11}{'overhead, ms':>14}"
    )
    for job in jobs:
        devices, processes, name, batch = job
        milliseconds = statistics.median(times[job])
        overhead = milliseconds - statistics.median(times[whole[batch // PER_DEVICE]])
        print(
            f"{devices:>8}{processes:>10}  {name:<9}{batch:>6}"
            f"{milliseconds:>11.2f}{overhead:>14.2f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        address, processes, rank, name, batch = sys.argv[2:]
        child(address, int(processes), int(rank), name, int(batch))
    else:
        main()
