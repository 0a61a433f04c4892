"""Compares the same run on 1, 2 and 4 devices of one process, and in two processes.

    python -m tests.faults.processes

Each of the two processes has 2 devices. The runs have the same random numbers and batches, but add
in another order. Their losses may differ by at most 1e-6 of their size. If one of two processes
receives a signal, both must save the same step and exit with code 143. If one of two processes is
killed, the other one must fail within 30 seconds with an error that names the cause. Prints one
line per comparison. Exits with code 1 unless all of them pass.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = 50
ENDLESS = 10**8
LIMIT = 1e-6

#: Seconds after which a silent process counts as dead; JAX's default is 100.
HEARTBEAT = 10

Losses = dict[str, list[float]]


def start(
    devices: int, processes: int, directory: Path, options: list[str]
) -> list[subprocess.Popen]:
    """Starts the processes of a run and divides the devices among them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // processes),
        "XLA_FLAGS": "",
    }
    module = [sys.executable, "-m", "tests.faults.processes"]
    child = [*module, "--child", str(directory), address, str(processes)]
    return [
        subprocess.Popen(
            [*child, str(rank), *options],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]


def wait_for_checkpoint(running: list[subprocess.Popen], directory: Path) -> None:
    """Waits until a checkpoint is complete, or one of the processes has ended."""
    while not list(directory.glob("*/manifest.json")):
        if any(process.poll() is not None for process in running):
            return
        time.sleep(0.05)


def signal_one_process(directory: Path) -> tuple[list[int], list[int]]:
    """Sends SIGTERM to one of two processes of an endless run.

    Returns:
      The exit codes of both processes, and the saved steps.
    """
    running = start(2, 2, directory, ["--steps", str(ENDLESS)])
    try:
        wait_for_checkpoint(running, directory)
        running[1].send_signal(signal.SIGTERM)
        for process in running:
            process.communicate(timeout=300)
    finally:
        for process in running:
            process.kill()
    saved = sorted(int(path.parent.name) for path in directory.glob("*/manifest.json"))
    return [process.returncode for process in running], saved


def kill_peer(directory: Path, rank: int) -> tuple[float, int, str]:
    """Kills one of two processes of an endless run.

    Returns:
      The seconds until the other process ends, its exit code, and its error output.
    """
    running = start(2, 2, directory, ["--steps", str(ENDLESS)])
    other = running[1 - rank]
    try:
        wait_for_checkpoint(running, directory)
        running[rank].kill()
        began = time.monotonic()
        _, errors = other.communicate(timeout=300)
        return time.monotonic() - began, other.returncode, errors
    finally:
        for process in running:
            process.kill()


def losses(
    devices: int,
    processes: int,
    directory: Path,
    *,
    fsdp: bool = False,
    stop_after: int | None = None,
) -> Losses:
    """Trains a run and returns its training and validation losses.

    Args:
      devices: total number of devices.
      processes: number of processes, which share the devices evenly.
      directory: directory of the checkpoints, shared by the processes. The run resumes from the
        newest one.
      fsdp: if True, large parameters are sharded.
      stop_after: step after which the run ends, as if it was interrupted; None means never.

    Raises:
      RuntimeError: a process failed, or the processes logged different losses.
    """
    options = ["--fsdp"] * fsdp
    if stop_after:
        options += ["--stop-after", str(stop_after)]
    running = start(devices, processes, directory, options)
    try:
        outputs = [process.communicate(timeout=600) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, errors) in zip(running, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(errors[-4000:])
    logged = [json.loads(output.splitlines()[-1]) for output, _ in outputs]
    if any(other != logged[0] for other in logged):
        raise RuntimeError(f"the processes logged different losses: {logged}")
    return logged[0]


def difference(a: Losses, b: Losses) -> float:
    """Returns the largest relative difference between the losses of two runs."""
    if {name: len(values) for name, values in a.items()} != {
        name: len(values) for name, values in b.items()
    }:
        raise RuntimeError(f"the runs logged different names or numbers of losses: {a} and {b}")
    pairs = [pair for name in a for pair in zip(a[name], b[name], strict=True)]
    return max(abs(x - y) / abs(x) for x, y in pairs)


def child(
    directory: str,
    address: str,
    processes: int,
    rank: int,
    fsdp: bool,
    stop_after: int | None,
    steps: int,
) -> None:
    """Runs one process: SGD on the digits, validated and saved every 20 steps."""
    import jax

    if processes > 1:
        jax.distributed.initialize(address, processes, rank, heartbeat_timeout_seconds=HEARTBEAT)
    import optax

    import jaxdl
    from jaxdl.training import Directory, Patience, Sharded
    from jaxdl.training.writers import Memory

    assert jax.process_count() == processes
    patience = None
    if steps == STEPS:
        patience = Patience("loss", 3)
    key = jaxdl.root(0)
    memory = Memory()
    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], key, 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((256,)))
    state = jaxdl.train(
        jaxdl.learner(task.init, *task.updates(optax.sgd(0.1))),
        data,
        key=key,
        steps=steps,
        batch_size=32,
        log_every=5,
        save_every=20,
        validation=validation,
        patience=patience,
        strategy=Sharded(fsdp=fsdp),
        store=Directory(directory),
        writers=[memory],
        stop_after=stop_after,
    )
    assert int(state.step) == (stop_after or STEPS)
    names = ("train/loss", "validation/loss", "validation/accuracy")
    values = {name: [line[name] for _, line in memory.records if name in line] for name in names}
    print(json.dumps(values))


def main() -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    largest = 0.0
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        one = losses(1, 1, root / "1-1")
        for devices, processes in ((2, 1), (4, 1), (4, 2)):
            relative = difference(one, losses(devices, processes, root / f"{devices}-{processes}"))
            where = f"{devices} devices in {processes} process{'es' * (processes > 1)}"
            print(
                f"{where:<27} and 1: losses differ by at most {relative:.1e} of their size "
                f"in {STEPS} steps",
                flush=True,
            )
            largest = max(largest, relative)
        codes, saved = signal_one_process(root / "signal_one_process")
        print(f"two processes, SIGTERM to one: exit codes {codes}, steps {saved} saved", flush=True)
        noticed = [notices_dead_peer(rank, root / f"dead-{rank}") for rank in (1, 0)]
    passed = [largest <= LIMIT, codes == [143, 143], *noticed]
    print(
        f"processes: {sum(passed)}/{len(passed)} checks passed; "
        f"losses differ by at most {largest:.1e} of their size"
    )
    return int(not all(passed))


def notices_dead_peer(rank: int, directory: Path) -> bool:
    """Kills a process; returns True if the other one fails in time with the cause."""
    seconds, code, errors = kill_peer(directory, rank)
    if rank:
        named = f"Task {rank} heartbeat timeout" in errors
    else:
        # Process 0 runs the service that watches the others, so nothing reports its own death.
        named = "UNAVAILABLE" in errors or "reset by peer" in errors
    print(
        f"process {rank} of two killed: the other ended after {seconds:.1f} s with code {code}, "
        f"cause named: {named}",
        flush=True,
    )
    return seconds < 30 and code != 0 and named


if __name__ == "__main__":
    if "--child" in sys.argv:
        parser = argparse.ArgumentParser()
        parser.add_argument("--child", nargs=4, required=True)
        parser.add_argument("--fsdp", action="store_true")
        parser.add_argument("--stop-after", type=int)
        parser.add_argument("--steps", type=int, default=STEPS)
        args = parser.parse_args()
        path, address, processes, rank = args.child
        child(path, address, int(processes), int(rank), args.fsdp, args.stop_after, args.steps)
    else:
        sys.exit(main())
