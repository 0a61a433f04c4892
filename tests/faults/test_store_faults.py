"""A few of the trials that the commands of this directory make by the hundred."""

import sys

import numpy as np
import pytest

from tests.faults import (
    changes,
    command,
    damage,
    devices,
    inflight,
    long,
    loops,
    newest,
    nonfinite,
    order,
    reader,
    restoring,
    retention,
    saves,
)

TRIALS = {damage: 10, newest: len(newest.KINDS), restoring: len(restoring.KINDS), retention: 500}
TRIALS |= {nonfinite: len(nonfinite.KINDS), order: len(order.KINDS), reader: len(reader.KINDS)}


def name(of) -> str:
    return of.__name__.split(".")[-1]


@pytest.mark.parametrize("of", TRIALS, ids=name)
def test_in_this_process(of):
    assert not command.failures(of.trial, of.KINDS, TRIALS[of])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("of", [saves, inflight, devices, changes, loops], ids=name)
def test_in_processes_of_their_own(of):
    assert not command.failures(of.trial, of.KINDS, len(of.KINDS))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of the process")
@pytest.mark.timeout(600)
def test_a_long_run(tmp_path):
    long.trial("streamed", np.random.default_rng(0), tmp_path, 4000)


def test_what_goes_wrong_is_counted(monkeypatch, capsys):
    def trial(kind: str, rng: np.random.Generator, place) -> None:
        assert place.is_dir() and not list(place.iterdir())
        if kind == "bad":
            raise ValueError("so it is")

    monkeypatch.setattr("sys.argv", ["command", "--trials", "5", "--seed", "3"])
    assert command.main("name", "things", trial, ["good", "bad"], 300) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[-3:] == [["good", "3/3"], ["bad", "0/2"], ["name:", "3/5", "things"]]
    assert lines[0] == ["bad:", "ValueError:", "so", "it", "is"]
    assert command.main("name", "things", trial, ["good"], 300) == 0


def test_a_store_that_trusts_every_file_fails_the_command(monkeypatch):
    monkeypatch.setattr("jaxdl.training.store.verify", lambda where, expected: None)
    assert command.failures(damage.trial, damage.KINDS, 5)
