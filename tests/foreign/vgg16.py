"""Compares VGG16 of full size with PyTorch, and measures the reading of its files.

    python -m tests.foreign.vgg16                  # activations, then every kind of file
    python -m tests.foreign.vgg16 --only old.pth   # one file

The weights and biases are random. Each file has 528 MiB and is read in another process, from the
memory of the system if it is there. The peak is the largest resident memory, above that before
the reading, in sizes of the file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import jaxdl
from jaxdl.nn import tap
from jaxdl.training import state_sha256

#: Largest relative error of an activation, and largest peak of memory in sizes of the file.
LIMIT = 1e-5
MEMORY = 1.15


def main(arguments=None) -> int:
    """Runs the command; returns 1 if an error or a peak is too large, or a file differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="name of the only file")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.read:
        _read(options.read)
        return 0
    from tests.foreign import twins

    network = twins.vgg(twins.FULL, (4096, 4096), 1000)
    arrays = twins.arrays_of(network)
    results = {}
    largest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else twins.WRITERS:
            path = Path(folder) / name
            twins.WRITERS[name](path, arrays)
            if not results and not options.only:
                largest = max(errors(network, path))
                print(f"largest relative error {largest:.1e}", flush=True)
            results[name] = _measured(path)
            path.unlink()
    hashes = {words[-1] for words in results.values()}
    peak = max(float(words[1]) for words in results.values())
    print(f"{len(results)} files, {len(hashes)} different contents, largest peak {peak:.3f}")
    return int(len(hashes) > 1 or largest > LIMIT or peak > MEMORY)


def errors(network, path):
    """Prints and returns the relative error of each activation of an image of 224 pixels."""
    from tests.foreign import twins

    loaded = jaxdl.load(path)
    images = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    names = [f"activation_{i}" for i in range(13)] + [f"head/activation_{i}" for i in range(2)]
    function = jax.jit(tap(loaded.model, loaded.variables, *names, train=False))
    logits, activations = function(images)
    ours = [*(activations[name] for name in names), logits]
    found = []
    correct = twins.reference(network, images)
    for name, y, expected in zip([*names, "logits"], ours, correct, strict=True):
        difference = np.abs(np.asarray(y) - expected).max()
        found.append(float(difference / np.abs(expected).max()))
        print(f"{name:20} {found[-1]:.1e}", flush=True)
    return found


def _measured(path):
    """Reads a file in another process; prints and returns its words: seconds, peak, hash."""
    path.read_bytes()
    command = [sys.executable, "-m", "tests.foreign.vgg16", "--read", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words = done.stdout.split()
    print(f"{path.name:24} {words[0]:>6} s, peak {words[1]} of the file", flush=True)
    return words


def _read(name):
    """Prints time, peak and hash of the reading of one file."""
    path = Path(name)
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    begin = time.perf_counter()
    network = jaxdl.load(path)
    seconds = time.perf_counter() - begin
    peak = (_memory("VmHWM") - before) / os.path.getsize(path)
    print(f"{seconds:.2f} {peak:.3f} {state_sha256(network.variables)}")


def _memory(field):
    """Returns an entry of the process's status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


if __name__ == "__main__":
    sys.exit(main())
