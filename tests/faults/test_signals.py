"""A few of the interruptions of `python -m tests.faults.signals` and `python -m tests.faults.kill`."""

import random
import signal

import pytest

from tests.faults.kill import trial
from tests.faults.signals import PHASES, told, whole, wrong

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(
    ("phase", "number"), zip(PHASES, [signal.SIGTERM, signal.SIGINT] * 2, strict=True)
)
def test_told_to_end_in_every_phase(expected, tmp_path, phase, number):
    # How long it takes is the command's to say: here other tests share the machine.
    assert not wrong(
        told(phase, number, 0.1, tmp_path / "run")._replace(seconds=0.0), number, expected
    )


def test_killed_again_and_again(expected, tmp_path):
    assert trial(tmp_path / "run", random.Random(0), kills=3, longest=1.0)[0] == expected
