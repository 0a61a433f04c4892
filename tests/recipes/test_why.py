"""Tests of the numbers and pictures of explanations, against calls for one method at a time."""

import dataclasses

import numpy as np

from jaxdl import explain, root
from jaxdl.models import MLP
from jaxdl.recipes.methods import WhyOptions, classifier, explain_images, first_of
from jaxdl.recipes.why import areas, cascades, draw, measure
from tests.explain.networks import images
from tests.models.random_variables import random_variables
from tests.plots.pictures import pixels

SHAPE = (6, 7, 1)
MODEL = MLP((5,), 3)
X = images(3, SHAPE)
NAMES = ("gradient", "integrated_gradients", "lime", "sobel")
OPTIONS = WhyOptions(methods=NAMES, samples=200, gradients=8, baseline="grey")
NET = classifier(MODEL, random_variables(MODEL, X))
FOUND = explain_images(NET, X, root(1), OPTIONS)


def test_areas_are_those_of_each_map():
    found = areas(NET, FOUND, root(1), OPTIONS)
    assert list(found.deletion) == list(found.insertion) == [*NAMES, "random"]
    orders = {**FOUND.maps, "random": explain.random_order(X, root(1))}
    for name, maps in orders.items():
        for curve in ("deletion", "insertion"):
            one = getattr(explain, curve)(NET.scores, X, maps, FOUND.target, baseline=0.5, steps=42)
            np.testing.assert_allclose(getattr(found, curve)[name], one.area, rtol=1e-5)


def test_cascades_of_all_methods_are_those_of_each():
    found = cascades(NET, FOUND, root(1), OPTIONS)
    assert list(found) == ["gradient", "integrated_gradients", "sobel"]
    alone = explain.cascade(
        MODEL,
        NET.variables,
        lambda f, x, target: explain.gradient(f, x, target),
        X,
        root(1),
        target=FOUND.target,
        baseline=0.5,
    )
    np.testing.assert_allclose(found["gradient"].correlations, alone.correlations, atol=1e-6)
    np.testing.assert_allclose(found["gradient"].maps, alone.maps, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["gradient"].correlation, alone.correlation, atol=1e-6)
    assert found["gradient"].names == alone.names == ["trained", "out", "dense_0"]
    assert found["sobel"].correlation.tolist() == [1.0] * 3


def test_metrics_are_means_of_few_images(tmp_path):
    found = measure(NET, FOUND, root(1), OPTIONS, count=2, cascaded=1)
    error = FOUND.numbers["completeness_error"]
    assert found.metrics["completeness_error/max"] == error.max()
    assert found.metrics["completeness_error/median"] == np.median(error)
    few = areas(NET, first_of(FOUND, 2), root(1), OPTIONS)
    for name in (*NAMES, "random"):
        assert found.metrics[f"deletion/{name}"] == few.deletion[name].mean()
        assert found.metrics[f"insertion/{name}"] == few.insertion[name].mean()
    assert found.metrics["cascade/sobel"] == 1.0 and "cascade/lime" not in found.metrics
    assert 0 <= found.metrics["lime/agreement"] <= 1
    draw(found, lambda name: tmp_path / f"{name}.png", ["a", "b", "$c"])
    assert {path.name for path in tmp_path.iterdir()} == {"explanations.png", "cascade.png"}
    for path in tmp_path.iterdir():
        pixels(path)


def test_nothing_is_cascaded_without_images_or_methods(tmp_path):
    only = dataclasses.replace(OPTIONS, methods=("lime",))
    found = explain_images(NET, X, root(0), only)
    assert cascades(NET, found, root(0), only) == {}
    measured = measure(NET, FOUND, root(0), OPTIONS, cascaded=0)
    assert measured.cascades == {}
    draw(measured, lambda name: tmp_path / f"{name}.png")
    assert {path.name for path in tmp_path.iterdir()} == {"explanations.png"}
