"""A few of the trials that the commands of this directory make by the hundred."""

import numpy as np
import pytest

from tests.faults import command, damage, devices, inflight, newest, restoring, retention, saves


@pytest.mark.parametrize(
    ("trials", "of"),
    [(10, damage), (len(newest.KINDS), newest), (len(restoring.KINDS), restoring), (500, retention)],
    ids=lambda value: getattr(value, "__name__", "").split(".")[-1],
)
def test_in_this_process(trials, of):
    assert not command.failures(of.trial, of.KINDS, trials)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("of", [saves, inflight, devices], ids=lambda of: of.__name__.split(".")[-1])
def test_in_processes_of_their_own(of):
    assert not command.failures(of.trial, of.KINDS, len(of.KINDS))


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


# What Orbax has begun when it fails is never awaited.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("loses", ["verify", "check_layout"])
def test_a_store_that_trusts_what_is_there_fails_the_commands(monkeypatch, loses):
    monkeypatch.setattr(f"jaxdl.training.store.{loses}", lambda *arguments: None)
    of = {"verify": damage, "check_layout": restoring}[loses]
    assert command.failures(of.trial, of.KINDS, 5)
