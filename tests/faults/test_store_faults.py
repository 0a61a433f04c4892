"""Some of the trials of the commands in this directory."""

import math
import sys

import numpy as np
import pytest

from tests.faults import (
    changes,
    command,
    damage,
    devices,
    identity,
    inflight,
    long,
    loops,
    newest,
    nonfinite,
    order,
    output,
    reader,
    restoring,
    retention,
    saves,
)

TRIALS = {damage: 10, newest: len(newest.KINDS), restoring: len(restoring.KINDS), retention: 500}
TRIALS |= {identity: len(identity.KINDS)}
TRIALS |= {nonfinite: len(nonfinite.KINDS), order: len(order.KINDS), reader: len(reader.KINDS)}


def name(module) -> str:
    return module.__name__.split(".")[-1]


@pytest.mark.parametrize("module", TRIALS, ids=name)
def test_in_this_process(module, monkeypatch):
    # Only the command checks the time, because other programs run on this machine at the same time.
    monkeypatch.setattr(reader, "LIMIT", math.inf)
    assert not command.failures(module.trial, module.KINDS, TRIALS[module])


SEPARATE = [saves, inflight, devices, changes, loops, output]


@pytest.mark.slow
@pytest.mark.parametrize("module", SEPARATE, ids=name)
def test_in_separate_processes(module):
    """Every third kind; each one starts several processes."""
    kinds = list(module.KINDS)[::3]
    assert not command.failures(module.trial, kinds, len(kinds))


@pytest.mark.slow
@pytest.mark.release
@pytest.mark.parametrize("module", SEPARATE, ids=name)
def test_all_kinds_in_separate_processes(module):
    assert not command.failures(module.trial, module.KINDS, len(module.KINDS))


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of the process from /proc")
def test_a_long_run(tmp_path):
    long.trial("streamed", np.random.default_rng(0), tmp_path, 4000)


def test_failing_trials_are_counted(monkeypatch, capsys):
    def trial(kind: str, rng: np.random.Generator, directory) -> None:
        assert directory.is_dir() and not list(directory.iterdir())
        if kind == "bad":
            raise ValueError("a bad trial")

    monkeypatch.setattr("sys.argv", ["command", "--trials", "5", "--seed", "3"])
    assert command.main("name", "trials", trial, ["good", "bad"], 300) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [["good", "3/3"], ["bad", "0/2"], ["name:", "3/5", "trials"]]
    assert lines[0] == ["bad:", "ValueError:", "a", "bad", "trial"]
    assert command.main("name", "trials", trial, ["good"], 300) == 0


def test_a_store_that_verifies_no_file_fails_the_command(monkeypatch):
    monkeypatch.setattr("jaxdl.training.store.verify", lambda where, expected: None)
    assert command.failures(damage.trial, damage.KINDS, 5)
