"""Every row of `python -m tests.faults.hostile`."""

import pytest

from tests.faults.hostile import ROWS, Worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def worker():
    one = Worker()
    yield one
    one.close()


@pytest.mark.parametrize("name", ROWS)
def test_it_is_refused_or_harmless(name, worker):
    ended, said = worker.outcome(name)
    assert ended == ROWS[name][1], said


def test_there_are_enough():
    assert len(ROWS) >= 40
