"""Tests of planted marks as ground truth, with networks whose use of the mark is known."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl.data import load
from jaxdl.errors import InputError
from jaxdl.recipes import planted_report
from jaxdl.recipes.methods import Classifier, Explained
from jaxdl.recipes.planted import (
    MarkOptions,
    is_reported,
    mark_metrics,
    planted_sets,
    points_near,
    share_near,
)
from jaxdl.runs import RunOptions
from tests.plots.pictures import pixels

RNG = np.random.default_rng(0)
TRAIN, TEST = load("digits")
SETS = {"train": TRAIN, "test": TEST}


def test_shares_and_points_are_those_of_a_loop():
    maps = RNG.normal(size=(20, 5, 6, 3))
    near = RNG.random((5, 6)) < 0.3
    for i in range(20):
        total = inside = 0.0
        best = (-np.inf, None)
        for y in range(5):
            for x in range(6):
                value = sum(maps[i, y, x])
                total += max(value, 0)
                inside += max(value, 0) * near[y, x]
                best = max(best, (value, near[y, x]), key=lambda pair: pair[0])
        assert share_near(maps, near)[i] == pytest.approx(inside / total)
        assert points_near(maps, near)[i] == best[1]
    zero = np.zeros((2, 5, 6, 1))
    assert share_near(zero, near).tolist() == [0, 0]
    assert points_near(zero, np.ones((5, 6), bool)).tolist() == [False, False]
    assert share_near(-np.abs(maps), near).tolist() == [0] * 20


def test_the_sets_of_each_network():
    options = MarkOptions(marked_class=3, strays=0.25)
    for network in ("marked", "twin", "everywhere"):
        planted = planted_sets(SETS, network, options)
        for part, data in SETS.items():
            images = planted.sets[part]["input"]
            marked = planted.mark.draw(np.asarray(data["input"]))
            has = {"marked": planted.sets[part]["label"] == 3, "twin": False, "everywhere": True}
            rows = np.broadcast_to(has[network], len(images))
            np.testing.assert_array_equal(images[rows], marked[rows])
            np.testing.assert_array_equal(images[~rows], data["input"][~rows])
        changed = (planted.sets["train"]["label"] != TRAIN["label"]).sum()
        own = (TRAIN["label"] == 3).sum()
        expected = {"marked": round(own / 3), "twin": 0, "everywhere": 0}
        assert changed == expected[network]
        np.testing.assert_array_equal(planted.sets["test"]["label"], TEST["label"])
        others = np.asarray(TEST["input"])[TEST["label"] != 3]
        np.testing.assert_array_equal(planted.others, planted.mark.draw(others))


def test_the_mark_fits_the_size_of_the_images():
    assert MarkOptions().mark((28, 28, 1)).box((28, 28, 1)) == (2, 5, 23, 26)
    assert MarkOptions().mark((8, 8, 1)).box((8, 8, 1)) == (0, 2, 6, 8)
    options = MarkOptions(mark_color=(1.0, 0.0, 0.5), mark_size=4, mark_margin=1)
    assert options.mark((32, 32, 3)).color == (1.0, 0.0, 0.5)
    near = planted_sets(SETS, "twin", MarkOptions()).near
    assert near.sum() == 9
    with pytest.raises(InputError, match="^mark_color: got .*, allowed: one number, or 1"):
        options.mark((32, 32, 1))
    with pytest.raises(InputError, match="^mark: got 9, allowed: a mark whose size"):
        MarkOptions(mark_size=9, mark_margin=0).mark((8, 8, 1))


def by_rule(uses: bool) -> Classifier:
    """Returns a classifier of digits by the brightness of the mark, or one that is always 0."""

    def scores(variables, images):
        corner = images[:, :2, 6:].mean((1, 2, 3))
        marked = 100 * (corner - 0.9) if uses else jnp.full_like(corner, -1.0)
        rest = jnp.zeros((len(images), 8))
        return jnp.concatenate([jnp.zeros_like(marked)[:, None], rest, marked[:, None]], 1)

    return Classifier(None, Partial(scores, {}), None)


def test_the_use_of_a_mark_is_measured():
    planted = planted_sets(SETS, "marked", MarkOptions())
    maps = RNG.normal(size=(4, 8, 8, 1))
    found = Explained(planted.others[:4], None, None, {"gradient": maps}, {}, {})
    used = mark_metrics(by_rule(True), planted, found)
    assert (used["uses_mark"], used["without_mark"]) == (1.0, 0.0)
    assert used["area"] == 9 / 64
    assert used["share_in_mark/gradient"] == share_near(maps, planted.near).mean()
    assert used["points_at_mark/gradient"] == points_near(maps, planted.near).mean()
    unused = mark_metrics(by_rule(False), planted, found)
    assert unused["uses_mark"] == 0.0
    assert unused["clean/accuracy"] == (TEST["label"] == 0).mean()


def test_the_rule_of_a_report():
    assert is_reported(0.75, 0.25) and not is_reported(0.74, 0.25)
    assert is_reported(0.75, 0.25, edges=0.5) and not is_reported(0.75, 0.25, edges=0.75)
    assert is_reported(0.75, 0.25, twin=0.37) and not is_reported(0.75, 0.25, twin=0.375)


def result(shares, uses=0.9, **more):
    """Returns a result of a run."""
    metrics = {f"share_in_mark/{name}": share for name, share in shares.items()}
    return {"metrics": {**metrics, "area": 0.1, "uses_mark": uses}, **more}


def test_reports_tables_and_pictures_of_networks(tmp_path):
    spread = {"share_in_mark/lime": 0.01, "share_in_mark/sobel": 0.0}
    results = {
        "marked": result({"lime": 0.6, "sobel": 0.35}, metrics_std=spread),
        "twin": result({"lime": 0.35, "sobel": 0.35}, 0.1),
    }
    # The edges are no larger than themselves, and the twin's share is more than half.
    starred = planted_report.reports(results)
    assert starred == {
        "marked": {"lime": False, "sobel": False},
        "twin": {"lime": False, "sobel": False},
    }
    results["twin"] = result({"lime": 0.1, "sobel": 0.35}, 0.1)
    assert planted_report.reports(results)["marked"] == {"lime": True, "sobel": False}
    table = planted_report.report_table(results)
    assert "lime                    0.600 *     0.100" in table
    assert "uses the mark           90.0 %      10.0 %" in table
    images = RNG.random((5, 8, 8, 1), np.float32)
    maps = {name: RNG.normal(size=(5, 8, 8, 1)) for name in ("lime", "sobel")}
    for name in results:
        (tmp_path / name / "samples").mkdir(parents=True)
        found = Explained(images, np.zeros(5), np.full(5, 0.5), maps, {}, {})
        planted_report.save_examples(found, tmp_path / name / "samples" / "explained.npz")
    pictures = planted_report.draw_comparison(results, MarkOptions(), tmp_path)
    assert [path.name for path in pictures] == ["planted_mark.png", "shares.png"]
    for path in pictures:
        pixels(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"marked_class": -1}, "marked_class: got -1, allowed: at least 0"),
        ({"strays": 1.0}, "strays: got 1.0, allowed: a number in"),
        ({"mark_size": 0}, "mark_size: got 0, allowed: at least 1"),
        ({"mark_margin": -1}, "mark_margin: got -1, allowed: at least 0"),
        ({"mark_color": (2.0,)}, "mark_color: got 2.0, allowed: a number in"),
        ({"mark_strength": 0.0}, "mark_strength: got 0.0, allowed: a number in"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        dataclasses.replace(MarkOptions(), **changes).validate(RunOptions())


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"^marked_class: got 10, allowed: a class in \[0, 10\)"):
        planted_sets(SETS, "marked", MarkOptions(marked_class=10))
