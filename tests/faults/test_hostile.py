"""Every case of `python -m tests.faults.hostile`."""

import pytest

from tests.faults.hostile import ROWS, Worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker():
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_file_is_refused_or_harmless(name, worker):
    outcome, message = worker.outcome(name)
    assert outcome == ROWS[name][1], message


def test_there_are_enough_cases():
    assert len(ROWS) >= 40
