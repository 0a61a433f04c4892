"""Parts of the experiment on overfitting: numbers that agree with their pictures."""

import numpy as np

import jaxdl
from jaxdl.data import SINE, TEMPO, curve_points
from jaxdl.recipes.overfitting import (
    compare_labels,
    compare_methods,
    descent_on_images,
    draw_descent,
    draw_errors_by_degree,
    draw_polynomials,
    errors_by_degree,
)
from tests.plots.pictures import pixels


def test_polynomials_have_the_errors_of_numpy(tmp_path):
    errors = draw_polynomials(TEMPO, (1, 4), 20, jaxdl.root(0), tmp_path / "tempo.png")
    pixels(tmp_path / "tempo.png")
    points = curve_points(TEMPO, 20, jaxdl.root(0))
    at = np.asarray(TEMPO.even(401))
    for degree, error in errors.items():
        fit = np.polynomial.Polynomial.fit(points["input"][:, 0], points["target"][:, 0], degree)
        np.testing.assert_allclose(error, ((fit(at) - TEMPO.truth(at)) ** 2).mean(), rtol=1e-3)


def test_errors_by_degree_add_up_and_are_drawn(tmp_path):
    errors = errors_by_degree(SINE, (1, 3, 9), 20, 100, jaxdl.root(0))
    total = errors["bias2"] + errors["variance"] + errors["noise"]
    assert np.all(np.abs(errors["measured"] - total) < 4 * errors["standard_error"])
    found = draw_errors_by_degree(errors, lambda name: tmp_path / f"{name}.png")
    assert found["best_degree"] == 3
    assert found["standard_errors_away"] < 4
    for name in ("capacity", "bias_variance"):
        pixels(tmp_path / f"{name}.png")


def test_digits_have_their_peak_at_their_number(tmp_path):
    train, test = jaxdl.data.load("digits")
    errors = descent_on_images(train, test, 1, jaxdl.root(range(4)), most=4)
    found = draw_descent(errors, tmp_path / "d.png")
    pixels(tmp_path / "d.png")
    assert errors["examples"] == found["peak"] == 10
    assert found["error_after"] < found["error_before"]


def result(train, test):
    return {"metrics": {"train/accuracy": train, "test/accuracy": test}}


def test_labels_and_methods_are_compared(tmp_path, capsys):
    records = [{"step": s, "train/loss": 1.0, "train/accuracy": s / 9} for s in range(1, 9)]
    records = [{**each, "validation/loss": 0.5} for each in records]
    names = ("true_labels", "random_labels")
    results = dict(zip(names, (result(1.0, 0.98), result(1.0, 0.11)), strict=True))
    path = tmp_path / "labels.png"
    errors = compare_labels(results, dict.fromkeys(names, records), path)
    pixels(path)
    assert errors["random_labels/train_error"] == 0
    np.testing.assert_allclose(errors["random_labels/test_error"], 89)
    several = {"members": [result(1.0, 0.9), result(1.0, 0.8)], **result(1.0, 0.85)}
    methods = {"none": several, "batch_norm": result(1.0, 0.9)}
    errors = compare_methods(methods, {"none": records}, tmp_path)
    np.testing.assert_allclose(errors["no method"], [10, 20])
    np.testing.assert_allclose(errors["batch norm"], [10])
    for name in ("methods", "time"):
        pixels(tmp_path / f"{name}.png")
    assert "no method" in capsys.readouterr().out
    compare_methods({"l1": result(1.0, 0.9)}, {}, tmp_path / "one")
    assert [each.name for each in (tmp_path / "one").iterdir()] == ["methods.png"]
