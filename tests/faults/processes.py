"""The same run on 1, 2 and 4 devices of one process and on 2 processes with 2 devices each.

    python -m tests.faults.processes

prints one line per comparison and ends with exit code 1 if any loss differs by more than 1e-6 of the
largest: the same random numbers and batches, sums in another order; or if two processes, one of which is
told to end, do not both save the same step and end with 143; or if one outlives the other's death by 30 s.
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
LIMIT = 1e-6

#: Seconds after which a process that says nothing counts as dead; JAX's default is 100.
HEARTBEAT = 10

Losses = dict[str, list[float]]


def started(
    devices: int, processes: int, directory: Path, options: list[str]
) -> list[subprocess.Popen]:
    """The processes of a run, as many devices in all, divided among them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // processes),
        "XLA_FLAGS": "",
    }
    child = [
        sys.executable,
        "-m",
        "tests.faults.processes",
        "--child",
        str(directory),
        address,
        str(processes),
    ]
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


def told(directory: Path) -> tuple[list[int], list[int]]:
    """Two processes of an endless run, one of which is told to end: their exit codes, and the steps that are saved."""
    running = started(2, 2, directory, ["--steps", str(10**8)])
    try:
        while not list(directory.glob("*/manifest.json")) and all(
            process.poll() is None for process in running
        ):
            time.sleep(0.05)
        running[1].send_signal(signal.SIGTERM)
        for process in running:
            process.communicate(timeout=300)
    finally:
        for process in running:
            process.kill()
    saved = sorted(int(path.parent.name) for path in directory.glob("*/manifest.json"))
    return [process.returncode for process in running], saved


def dead(directory: Path, rank: int) -> tuple[float, int, str]:
    """Two processes of an endless run, one of which is killed: seconds until the other ends, its code, what it says."""
    running = started(2, 2, directory, ["--steps", str(10**8)])
    other = running[1 - rank]
    try:
        while not list(directory.glob("*/manifest.json")) and all(
            process.poll() is None for process in running
        ):
            time.sleep(0.05)
        running[rank].kill()
        began = time.monotonic()
        _, said = other.communicate(timeout=300)
        return time.monotonic() - began, other.returncode, said
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
    """Training and validation losses, as the first process saw them.

    Args:
      devices: in all.
      processes: among which they are divided.
      directory: where checkpoints go, shared by the processes; going on from those that are there.
      fsdp: whether large parameters are cut up.
      stop_after: end after this step, as if interrupted.

    Raises:
      RuntimeError: a process failed, or the processes saw different losses.
    """
    options = ["--fsdp"] * fsdp + (["--stop-after", str(stop_after)] if stop_after else [])
    running = started(devices, processes, directory, options)
    try:
        said = [process.communicate(timeout=600) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, errors) in zip(running, said, strict=True):
        if process.returncode:
            raise RuntimeError(errors[-4000:])
    found = [json.loads(out.splitlines()[-1]) for out, _ in said]
    if any(other != found[0] for other in found):
        raise RuntimeError(f"the processes saw different losses: {found}")
    return found[0]


def difference(a: Losses, b: Losses) -> float:
    """The largest relative difference of two runs' losses."""
    if {name: len(values) for name, values in a.items()} != {
        name: len(values) for name, values in b.items()
    }:
        raise RuntimeError(f"the runs logged different things: {a} and {b}")
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
    """One process of a run: 50 steps of SGD on the digits, validated and saved every 20."""
    import jax

    if processes > 1:
        jax.distributed.initialize(address, processes, rank, heartbeat_timeout_seconds=HEARTBEAT)
    import optax

    import jaxdl
    from jaxdl.training import Directory, Patience, Sharded
    from jaxdl.training.writers import Memory

    assert jax.process_count() == processes
    key = jaxdl.root(0)
    memory = Memory()
    data, validation = jaxdl.data.split(jaxdl.data.load("digits")[0], key, 0.2)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((256,)))
    state = jaxdl.train(
        jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1))),
        data,
        key=key,
        steps=steps,
        batch_size=32,
        log_every=5,
        save_every=20,
        validation=validation,
        patience=Patience("loss", 3) if steps == STEPS else None,
        strategy=Sharded(fsdp=fsdp),
        store=Directory(directory),
        writers=[memory],
        stop_after=stop_after,
    )
    assert int(state.step) == (stop_after or STEPS)
    names = ("train/loss", "validation/loss", "validation/accuracy")
    print(
        json.dumps(
            {name: [line[name] for _, line in memory.records if name in line] for name in names}
        )
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as directory:
        one = losses(1, 1, Path(directory) / "1-1")
        for devices, processes in ((2, 1), (4, 1), (4, 2)):
            found = difference(
                one, losses(devices, processes, Path(directory) / f"{devices}-{processes}")
            )
            where = f"{devices} devices in {processes} process{'es' * (processes > 1)}"
            print(
                f"{where:<27} and 1: losses differ by {found:.1e} of their size at most, over {STEPS} steps",
                flush=True,
            )
            worst = max(worst, found)
        codes, saved = told(Path(directory) / "told")
        print(
            f"two processes, one told to end: exit codes {codes}, steps {saved} saved", flush=True
        )
        late = [lost(rank, Path(directory) / f"dead-{rank}") for rank in (1, 0)]
    fine = [worst <= LIMIT, codes == [143, 143], *late]
    print(
        f"processes: {sum(fine)}/{len(fine)} as they should be; losses differ by {worst:.1e} at most"
    )
    return int(not all(fine))


def lost(rank: int, directory: Path) -> bool:
    """Says what a process does whose peer is killed; whether it ended in time, as failed, and told why."""
    seconds, code, said = dead(directory, rank)
    # Process 0 has the service that knows who is there; of its own end it cannot tell.
    named = (
        f"Task {rank} heartbeat timeout" in said
        if rank
        else "UNAVAILABLE" in said or "reset by peer" in said
    )
    print(
        f"process {rank} of two killed: the other ended after {seconds:.1f} s with {code}, named: {named}",
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
        read = parser.parse_args()
        where, address, processes, rank = read.child
        child(where, address, int(processes), int(rank), read.fsdp, read.stop_after, read.steps)
    else:
        sys.exit(main())
