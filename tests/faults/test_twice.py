"""One experiment in the ways in which `python -m tests.faults.twice` tries them."""

import pytest

from tests.faults.twice import both, trials

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_perceptron_in_every_way(tmp_path):
    found = dict(trials("mlp", tmp_path))
    assert {"on one core", "in another process", "with a warm cache", "without donation"} < set(
        found
    )
    for how, (each,) in found.items():
        assert (each.same, each.promise_kept, each.level) == (True, True, "bits"), how


def test_results_that_have_no_partner():
    with pytest.raises(RuntimeError, match="one left"):
        both({".": {}}, {"vae": {}})
