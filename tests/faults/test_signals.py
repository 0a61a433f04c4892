"""Some of the trials of `python -m tests.faults.signals` and `python -m tests.faults.kill`."""

import random
import signal

import pytest

from tests.faults.kill import trial
from tests.faults.signals import PHASES, interrupted, problems, whole

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(
    ("phase", "number"), zip(PHASES, [signal.SIGTERM, signal.SIGINT] * 2, strict=True)
)
def test_a_signal_in_every_phase(expected, tmp_path, phase, number):
    result = interrupted(phase, number, 0.1, tmp_path / "run")
    # Only the command checks the time, because other tests run on this machine at the same time.
    result = result._replace(seconds=0.0)
    assert not problems(result, number, expected)


def test_killed_again_and_again(expected, tmp_path):
    assert trial(tmp_path / "run", random.Random(0), kills=3, longest=1.0)[0] == expected
