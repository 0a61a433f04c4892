"""A few thousand of the inputs of `python -m tests.faults.fuzz`."""

from tests.faults.fuzz import fuzz


def test_every_input_is_accepted_or_refused_with_a_jaxdl_error():
    good, wrong = fuzz(3000, seed=1)
    assert not wrong, wrong[:3]
    assert good == 3000
