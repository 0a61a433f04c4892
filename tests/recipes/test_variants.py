"""Metrics of several runs and their table."""

import numpy as np

from jaxdl.recipes.variants import error_table, values_of_seeds


def test_values_of_one_and_of_several_seeds():
    one = {"metrics": {"test/loss": 0.5, "test/mae": 2.0}}
    assert values_of_seeds(one, "test/mae").tolist() == [2.0]
    several = {"metrics": {"test/loss": 2.0}, "members": [{"metrics": {"test/loss": 1.0}}] * 3}
    assert values_of_seeds(several, "test/loss").tolist() == [1.0, 1.0, 1.0]


def test_a_row_has_means_and_deviations():
    errors = {"GRU": np.array([[1.0, 2e-4], [3.0, 4e-4]]), "baseline": np.array([[0.25, 1 / 3]])}
    head, *rows = error_table(errors, ["50", "1,000"]).splitlines()
    assert head.split() == ["50", "1,000"]
    assert [row.split() for row in rows] == [
        ["GRU", "2", "±", "1.4", "0.0003", "±", "0.00014"],
        ["baseline", "0.25", "0.333"],
    ]
    assert len({len(row) for row in [head, *rows]}) == 1
