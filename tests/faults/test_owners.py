"""Some of the trials of `python -m tests.faults.owners` and `python -m tests.faults.calls`."""

import numpy as np
import pytest

from tests.faults import calls, command, owners


def test_two_runs_in_one_directory(tmp_path):
    directory = tmp_path / "trial"
    directory.mkdir()
    owners.trial("two runs", np.random.default_rng(0), directory)


@pytest.mark.slow
@pytest.mark.release
@pytest.mark.timeout(1800)
def test_one_trial_of_each_kind():
    assert not command.failures(owners.trial, owners.KINDS, len(owners.KINDS))


@pytest.mark.skipif(calls.compiler() is None, reason="needs Linux and a C compiler")
@pytest.mark.timeout(1800)
def test_a_failing_call(tmp_path):
    # In the first checkpoint; the command lets each third call fail.
    results = list(calls.trials(tmp_path, every=1000, first=60))
    assert results == [(error, "") for error in calls.ERRORS]
