"""One experiment with all changes of `python -m tests.faults.twice`."""

import pytest

from tests.faults.twice import both, trials

pytestmark = [pytest.mark.slow, pytest.mark.optimized]


def test_the_perceptron_with_all_changes(tmp_path):
    comparisons = dict(trials("mlp", tmp_path))
    expected = {"on one core", "in another process", "with a warm cache", "without donation"}
    assert expected < set(comparisons)
    for change, (each,) in comparisons.items():
        assert (each.same, each.promise_kept, each.level) == (True, True, "bits"), change


def test_results_without_a_counterpart():
    with pytest.raises(RuntimeError, match="one left"):
        both({".": {}}, {"vae": {}})
