"""Tests of the options, images and layers of a style transfer."""

import dataclasses
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import style as experiment
from jaxdl.art import Losses, Stylized
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage, vgg16
from jaxdl.recipes.styled import Progress, stored, transferred
from jaxdl.recipes.styling import (
    StyleOptions,
    default_layers,
    layers_of,
    painter,
    picture,
    random_twin,
    shuffled,
)
from jaxdl.rng import root
from jaxdl.runs import RunOptions, with_options
from tests.models.random_variables import random_variables

MODEL = CNN((Stage(4, pool=None), Stage(4), Stage(6)), (5,), 2, head_size=1)
VARIABLES = random_variables(MODEL, jnp.zeros((1, 8, 8, 3)))
OPTIONS = StyleOptions(size=12, evaluations=2)


def test_images_come_from_names_and_files(tmp_path):
    temple = picture("temple", 20)
    flower = picture("flower", 20)
    assert temple.shape == flower.shape == (20, 20, 3) and temple.dtype == np.float32
    assert np.abs(temple - flower).mean() > 0.05
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    mine = picture(str(tmp_path / "mine.png"), 10)
    np.testing.assert_allclose(mine, pixels[:, 3:13] / 255, atol=1e-6)
    grey = picture(str(tmp_path / "mine.png"), 10, channels=1)
    np.testing.assert_allclose(grey[..., 0], mine.mean(-1), atol=1e-6)
    with pytest.raises(InputError, match="image: got 'templ', .*did you mean 'temple'"):
        picture("templ", 10)


def test_default_layers_of_vgg16_are_those_of_the_paper():
    model = vgg16(outputs=None)
    variables = {"params": {}}
    sizes = [stage.features for stage in model.stages]
    side = 64
    shapes = {}
    for i, (stage, width) in enumerate(zip(model.stages, sizes, strict=True)):
        shapes[f"conv_{i}"] = shapes[f"activation_{i}"] = (side, side, width)
        side //= 1 + (stage.pool is not None)
    assert variables["params"] == {}
    content, style = default_layers(shapes)
    assert content == ("activation_8",)
    assert style == tuple(f"activation_{i}" for i in (0, 2, 4, 7, 10))


def test_a_painter_has_average_pooling_and_no_head():
    net = painter(MODEL, VARIABLES, OPTIONS)
    assert net.model.outputs is None
    assert [stage.pool for stage in net.model.stages] == [None, "average", "average"]
    assert net.transfer.style_layers == ("activation_0", "activation_2")
    assert net.transfer.content_layers == ("activation_1",)
    with_max = painter(MODEL, VARIABLES, dataclasses.replace(OPTIONS, pooling="max"))
    assert with_max.model.stages == MODEL.stages


def test_trained_and_random_weights_share_a_program():
    net = painter(MODEL, VARIABLES, OPTIONS)
    twin = random_twin(net, root(0))
    first, second = (layers_of(each, each.transfer) for each in (net, twin))
    assert first.func is second.func
    x = jnp.asarray(net.content[None])
    assert not np.allclose(first(x)["activation_0"], second(x)["activation_0"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"style_layers": ("activation_3",)}, "layer: got 'activation_3', .*did you mean 'activ"),
        ({"content_layers": ("head/out",)}, "layer: got 'head/out', allowed: "),
        ({"size": 3}, "image: got .*3, 3.*, allowed: larger"),
        ({"content": "nowhere.png"}, "image: got 'nowhere.png', allowed: .*flower, painting"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        painter(MODEL, VARIABLES, dataclasses.replace(OPTIONS, **change))


def test_other_modules_are_refused():
    with pytest.raises(InputError, match="network: got 'MLP', allowed: a CNN"):
        painter(MLP((3,)), {"params": {}}, OPTIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size: got 0, allowed: at least 1"),
        ({"content": ""}, "content: got '', allowed: temple, flower, painting"),
        ({"style_weight": -1.0}, "style_weight: got -1.0"),
        ({"evaluations": 0}, "evaluations: got 0"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(OPTIONS, **change).validate(RunOptions())


def test_a_stored_picture_is_made_once_and_refused_for_other_inputs(tmp_path):
    made = Stylized(
        np.ones((2, 2, 3), np.float32),
        Losses(1.0, 0.5, 0.25),
        np.ones(3),
        np.zeros(3),
        np.ones((1, 2, 2, 3), np.float32),
        np.array([3]),
        np.array([2]),
        3,
        0.5,
    )
    calls = []

    def make():
        calls.append(1)
        return made

    path = tmp_path / "samples" / "made.npz"
    inputs = {"options": (OPTIONS, root(0)), "weights": {"a": np.ones(3)}}
    for _ in range(2):
        found = stored(path, inputs, make)
        assert (found.losses, found.evaluations, found.seconds) == (made.losses, 3, 0.5)
        np.testing.assert_array_equal(found.frames, made.frames)
    for other in ({"options": (OPTIONS, root(1))}, {"weights": {"a": np.zeros(3)}}):
        with pytest.raises(InputError, match=f"a file with the same {[*other][0]}; remove"):
            stored(path, inputs | other, make)
    assert [each.name for each in path.parent.iterdir()] == ["made.npz"]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"out: got .*made.npz', allowed: a complete file"):
        stored(path, inputs, make)
    assert len(calls) == 1


def test_a_picture_with_another_pooling_is_another_picture(tmp_path):
    path = tmp_path / "made.npz"
    transferred(painter(MODEL, VARIABLES, OPTIONS), root(0), path, "picture")
    with_max = painter(MODEL, VARIABLES, dataclasses.replace(OPTIONS, pooling="max"))
    with pytest.raises(InputError, match="allowed: a file with the same options"):
        transferred(with_max, root(0), path, "picture")


def test_progress_has_about_five_lines(capsys):
    progress = Progress("picture", 100)
    for done in range(1, 101):
        progress(done, Losses(1.0, 0.1, 0.0))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and "content" not in lines[0]


def test_shuffled_pixels_keep_their_colors():
    image = np.random.default_rng(0).random((4, 6, 3))
    mixed = shuffled(image, 0)
    assert {tuple(each) for each in mixed.reshape(-1, 3)} == {
        tuple(each) for each in image.reshape(-1, 3)
    }
    assert not np.array_equal(image, mixed)


def test_each_seed_of_a_loaded_network_has_pictures(tmp_path, monkeypatch):
    made = []

    def make(net, seed, figure, sample):
        made.append((seed, figure is not None, sample("a.npz").parent.name))
        return {"style_loss": float(seed)}

    loaded = SimpleNamespace(
        model=MODEL, variables=VARIABLES, preprocessing=SimpleNamespace(crop=None)
    )
    monkeypatch.setattr(experiment, "load", lambda path: loaded)
    monkeypatch.setattr(experiment, "preparation", lambda preprocessing: None)
    monkeypatch.setattr(experiment, "make_pictures", make)
    config = with_options(experiment.Config(), load="mine", seeds=2, seed=3, out=str(tmp_path))
    config = dataclasses.replace(config, pictures=OPTIONS)
    assert experiment.main(config) == {"style_loss": 3.5}
    assert made == [(3, True, "samples"), (4, False, "samples")]
