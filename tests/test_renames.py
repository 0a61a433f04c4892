"""The comparison of old and new results by their names."""

import json

import pytest

from tests.renames import differences

OLD = {"steps": 3, "state_sha256": "a", "metrics": {"drawn/frechet": 0.5, "drawn/recall": 1.0}}
NEW = {
    "steps": 3,
    "state_sha256": "a",
    "metrics": {"samples/fid_classifier": 0.5, "samples/recall": 1.0},
}


def write(directory, run, result):
    (directory / run).mkdir(parents=True)
    (directory / run / "result.json").write_text(json.dumps(result))


def test_old_names_are_found_under_their_new_ones(tmp_path):
    write(tmp_path / "old", "judge", OLD)
    write(tmp_path / "new", "feature_classifier", NEW)
    found = list(differences(tmp_path / "old", tmp_path / "new"))
    assert found == [("feature_classifier", 4, [])]


@pytest.mark.parametrize(
    ("changed", "different"),
    [
        ({"state_sha256": "b"}, ["state_sha256"]),
        ({"metrics": {**NEW["metrics"], "samples/recall": 0.5}}, ["samples/recall"]),
        ({"metrics": {**NEW["metrics"], "samples/new": 0.5}}, ["samples/new"]),
        (
            {"members": [{"state_sha256": "c", "metrics": {"test/loss": 1.0}}]},
            ["members/0/state_sha256", "members/0/test/loss"],
        ),
    ],
)
def test_another_value_is_a_difference(tmp_path, changed, different):
    write(tmp_path / "old", "gan", OLD)
    write(tmp_path / "new", "gan", NEW | changed)
    assert next(differences(tmp_path / "old", tmp_path / "new"))[2] == different


def test_a_missing_run_is_a_difference(tmp_path):
    write(tmp_path / "old", "gan", OLD)
    (tmp_path / "new").mkdir()
    assert next(differences(tmp_path / "old", tmp_path / "new"))[2]
