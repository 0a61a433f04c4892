"""Some of the interruptions that `python -m tests.faults.resume` makes at every step."""

import pytest

from tests.faults.resume import interrupted, uninterrupted

pytestmark = [pytest.mark.slow, pytest.mark.optimized]

RUN = ("mlp", 12, "digits")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return uninterrupted(*RUN, tmp_path_factory.mktemp("whole") / "run")


def test_the_same_command_twice(expected, tmp_path):
    assert uninterrupted(*RUN, tmp_path / "run") == expected


@pytest.mark.parametrize("k", [1, 10])  # after the first step; at the end of an epoch
def test_stopped_and_resumed(expected, tmp_path, k):
    assert interrupted(*RUN, tmp_path / "run", k, kill=False) == expected


@pytest.mark.parametrize("k", [4])
def test_killed_and_resumed(expected, tmp_path, k):
    assert interrupted(*RUN, tmp_path / "run", k, kill=True) == expected
