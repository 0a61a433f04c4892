"""Agreement with Captum 0.9.0 on the same weights, to 1e-5 of the largest value of a map."""

import numpy as np
import pytest

from jaxdl import explain
from tests.explain.captum_arrays import (
    BASELINE,
    IMAGES,
    MODELS,
    SEGMENTS,
    STEPS,
    TARGET,
    WINDOWS,
    captum_arrays,
    largest_difference,
    stored_arrays,
    variables,
)

STORED = stored_arrays()


def found(name):
    """Returns the same results as Captum's, by this library."""
    model = MODELS[name]
    weights = variables(name)
    f = explain.logits(model, weights)
    given = (f, IMAGES, TARGET)
    results = {
        "gradient": explain.gradient(*given),
        "gradient_times_input": explain.gradient_times_input(*given),
        "integrated_gradients": explain.integrated_gradients(
            *given, baseline=BASELINE, steps=STEPS
        ).maps,
        "ablation": explain.ablation(f, IMAGES, SEGMENTS, TARGET, baseline=BASELINE),
    }
    for each, (window, stride) in WINDOWS.items():
        options = {"window": window, "stride": stride, "baseline": BASELINE}
        results[f"occlusion {each}"] = explain.occlusion(*given, **options)
    if name == "cnn":
        for relu in (True, False):
            cam = explain.grad_cam(model, weights, IMAGES, TARGET, relu=relu)
            results[f"grad_cam {relu}"] = cam.maps
    return {f"{name} {method}": maps for method, maps in results.items()}


@pytest.mark.parametrize("name", MODELS)
def test_maps_are_those_of_captum(name):
    maps = found(name)
    assert set(maps) == {each for each in STORED if each.startswith(name)}
    for method, each in maps.items():
        expected = STORED[method]
        assert each.shape == expected.shape and np.abs(expected).max() > 1e-2
        assert largest_difference(each, expected) < 1e-5, method


def test_the_file_has_the_arrays_of_captum():
    pytest.importorskip("torch", reason="Captum needs PyTorch")
    captum = pytest.importorskip("captum", reason="Captum is not installed")
    if captum.__version__ != "0.9.0":
        pytest.skip(f"the arrays are those of Captum 0.9.0, not {captum.__version__}")
    now = captum_arrays()
    assert set(now) == set(STORED)
    for name, expected in STORED.items():
        assert largest_difference(now[name], expected) < 1e-6, name
