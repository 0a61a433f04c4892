"""Tests of explanations by all methods, against calls of each function alone."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl import explain, root
from jaxdl.core import State
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage
from jaxdl.recipes.methods import (
    METHODS,
    WhyOptions,
    classifier,
    classifiers,
    explain_images,
    first_of,
)
from jaxdl.runs import RunOptions
from tests.explain.networks import images
from tests.models.random_variables import random_variables

SHAPE = (14, 12, 3)
MODEL = CNN((Stage(4), Stage(5)), (6,), 3)
X = images(3, SHAPE)
OPTIONS = WhyOptions(samples=200, gradients=8, baseline="grey")
NET = classifier(MODEL, random_variables(MODEL, X))


def test_every_method_is_the_function_of_its_name():
    found = explain_images(NET, X, root(1), OPTIONS, 2)
    f = explain.logits(MODEL, NET.variables)
    assert list(found.maps) == list(METHODS) and not found.left_out
    integrated = explain.integrated_gradients(f, X, 2, baseline=0.5, steps=8)
    segments = explain.grid(SHAPE, 2)
    lime = explain.lime(
        f,
        X,
        2,
        key=root(1),
        segments=segments,
        baseline=0.5,
        samples=200,
        most_samples=200,
    )
    rise = explain.rise(f, X, 2, key=root(1), masks=200, baseline=0.5)
    expected = {
        "gradient": explain.gradient(f, X, 2),
        "smooth_gradient": explain.smooth_gradient(f, X, 2, key=root(1)),
        "gradient_times_input": explain.gradient_times_input(f, X, 2),
        "integrated_gradients": integrated.maps,
        "occlusion": explain.occlusion(f, X, 2, window=2, baseline=0.5),
        "grad_cam": explain.grad_cam(MODEL, NET.variables, X, 2).maps,
        "rise": rise - rise.mean((1, 2, 3), keepdims=True),
        "sobel": explain.sobel(X),
    }
    for name, maps in expected.items():
        np.testing.assert_allclose(found.maps[name], maps, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(found.maps["lime"], lime.maps, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        found.numbers["completeness_error"], integrated.completeness_error, atol=1e-4
    )
    logits = np.asarray(f(X), np.float64)
    odds = np.exp(logits)
    np.testing.assert_allclose(found.probability, (odds / odds.sum(1, keepdims=True))[:, 2], 1e-5)
    np.testing.assert_array_equal(found.target, [2, 2, 2])
    one = first_of(found, 1)
    assert len(one.images) == len(one.maps["lime"]) == len(one.numbers["r2"]) == 1


def test_the_class_is_the_largest_score_by_default():
    found = explain_images(NET, X, root(0), dataclasses.replace(OPTIONS, methods=("sobel",)))
    np.testing.assert_array_equal(found.target, np.asarray(NET.scores(X)).argmax(1))


def test_other_weights_keep_the_function():
    other = jax.tree.map(lambda x: 2 * x, NET.variables)
    changed = NET.with_variables(other)
    assert isinstance(changed.scores, Partial) and changed.scores.func is NET.scores.func
    direct = classifier(MODEL, other).probabilities(X)
    np.testing.assert_allclose(changed.probabilities(X), direct, rtol=1e-5)


def test_networks_of_several_seeds_share_a_function_and_no_count_of_steps():
    params = NET.variables["params"]
    twice = jax.tree.map(lambda x: 2 * x, params)
    extra = {"attack": {"step": np.float32(3)}}
    states = [State(np.int32(0), each, (), extra, {}) for each in (params, twice)]
    found = classifiers(MODEL, states)
    assert found[0].scores.func is found[1].scores.func
    for net, each in zip(found, (params, twice), strict=True):
        assert set(net.variables) == {"params"}
        expected = MODEL.apply({"params": each}, X, train=False)
        np.testing.assert_allclose(net.scores(X), expected, rtol=1e-5, atol=1e-6)


def test_grad_cam_is_left_out_without_positions():
    model = MLP((4,), 3)
    net = classifier(model, random_variables(model, X))
    options = dataclasses.replace(OPTIONS, methods=("grad_cam", "gradient"))
    found = explain_images(net, X, root(0), options)
    assert list(found.maps) == ["gradient"]
    assert found.left_out == {"grad_cam": "the network has no layer with positions"}
    options = dataclasses.replace(OPTIONS, methods=("grad_cam",))
    with pytest.raises(InputError, match="^methods: got 'grad_cam', allowed: others, such as"):
        explain_images(net, X, root(0), options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("gradent",)}, "methods: got 'gradent', allowed: .*did you mean 'gradient'"),
        ({"methods": ()}, "methods: got .., allowed: different methods, at least one"),
        ({"methods": ("lime", "lime")}, "methods: got .*, allowed: different methods"),
        ({"gradients": 0}, "gradients: got 0, allowed: at least 1"),
        ({"samples": 3}, "samples: got 3, allowed: at least 200"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        dataclasses.replace(OPTIONS, **changes).validate(RunOptions())
