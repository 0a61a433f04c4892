"""A few thousand of the inputs of `python -m tests.faults.fuzz`."""

from tests.faults.fuzz import fuzz


def test_every_input_ends_well_or_in_an_error_of_ours():
    good, wrong = fuzz(3000, seed=1)
    assert not wrong, wrong[:3]
    assert good == 3000
