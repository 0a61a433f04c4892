"""Two processes with two devices each give the losses of one process, and share one store."""

import pytest

from jaxdl.training import Directory
from tests.faults.processes import LIMIT, difference, losses, signal_one_process

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return losses(1, 1, tmp_path_factory.mktemp("one"))


def test_two_processes_see_the_losses_of_one(single, tmp_path):
    one = single
    four = losses(4, 1, tmp_path / "four")
    two_by_two = losses(4, 2, tmp_path / "two")
    assert difference(one, four) < LIMIT
    assert difference(one, two_by_two) < LIMIT
    assert difference(four, two_by_two) < LIMIT
    assert Directory(tmp_path / "two").steps() == Directory(tmp_path / "four").steps() == [40, 50]


def test_two_processes_resume(single, tmp_path):
    losses(4, 2, tmp_path / "run", fsdp=True, stop_after=20)
    rest = losses(4, 2, tmp_path / "run", fsdp=True)
    expected = {name: values[-len(rest[name]) :] for name, values in single.items()}
    assert difference(expected, rest) < LIMIT


def test_both_processes_end_after_a_signal_to_one_of_them(tmp_path):
    """Both save the same step, because a checkpoint needs both processes."""
    codes, saved = signal_one_process(tmp_path / "run")
    assert codes == [143, 143]
    assert saved[-1] >= 20
