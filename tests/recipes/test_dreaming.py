"""Tests of dreams of networks: photographs, default layers, random twins, and resumed dreams."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl import art, root
from jaxdl.art import Dream
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage
from jaxdl.recipes import dreaming
from jaxdl.recipes.dream_pictures import draw_dreams, draw_own_images, dream_all, growths
from jaxdl.recipes.dreaming import DreamOptions, dream_layers, dreamer, kept_dream, load_photograph
from jaxdl.recipes.styling import picture
from tests.models.random_variables import random_variables

MODEL = CNN((Stage(4), Stage(5, pool=None)), (6,), 3)
SHAPE = (8, 8, 1)
OPTIONS = DreamOptions(size=20, octaves=2, dream_steps=3, shift=1, scales=2)


@pytest.fixture(scope="module")
def net():
    variables = random_variables(MODEL, np.zeros((1, *SHAPE), np.float32))
    return dreamer(MODEL, variables, ["conv_0", "activation_1"], SHAPE, random=root(3))


@pytest.fixture(scope="module")
def photograph():
    return load_photograph("flower", 20, 1)


def test_photographs_keep_their_proportions(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = load_photograph(str(tmp_path / "a.png"), 30)
    np.testing.assert_array_equal(found, pixels / np.float32(255))
    grey = load_photograph(str(tmp_path / "a.png"), 30, 1)
    np.testing.assert_allclose(grey[..., 0], pixels.mean(-1) / 255, atol=1e-6)
    assert load_photograph(str(tmp_path / "a.png"), 10).shape == (10, 4, 3)
    assert load_photograph("temple", 64).shape == (43, 64, 3)
    with pytest.raises(InputError, match=r"^photograph: got 'temples', allowed: .*mean 'temple'"):
        load_photograph("temples", 64)
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(InputError, match=r"b\.png"):
        load_photograph(str(tmp_path / "b.png"), 64)


def test_sizes_and_channels_of_pictures_are_checked():
    for load in (load_photograph, picture):
        with pytest.raises(InputError, match=r"^size: got 0, allowed: at least 1"):
            load("flower", 0)
        with pytest.raises(InputError, match=r"^channels: got 2, allowed: 3 for RGB, or 1"):
            load("flower", 8, 2)


def test_default_layers_are_at_different_depths():
    model = CNN(tuple(Stage(2, pool=None) for _ in range(12)), outputs=2)
    variables = jax.eval_shape(lambda: model.init(root(0), jnp.zeros((1, 8, 8, 1)), train=False))
    names = dream_layers(model, variables, (8, 8, 1))
    assert names == ("activation_2", "activation_6", "activation_8")
    dense = MLP((4,), 2)
    variables = jax.eval_shape(lambda: dense.init(root(0), jnp.zeros((1, 8, 8, 1)), train=False))
    with pytest.raises(InputError, match=r"^network: got 'MLP', allowed: "):
        dream_layers(dense, variables, (8, 8, 1))


def test_twins_share_the_functions_but_not_the_weights(net, photograph):
    f = net.layers["conv_0"]
    twin = net.twins["conv_0"]
    assert twin.func is f.func
    own, other = (np.asarray(each(photograph[None])["conv_0"]) for each in (f, twin))
    assert own.shape == other.shape and np.abs(own - other).max() > 0.1


def test_a_dream_is_read_from_its_file_with_the_same_bits(net, photograph, tmp_path, monkeypatch):
    f = net.layers["activation_1"]
    options = OPTIONS.dream()
    path = tmp_path / "new" / "dream.npz"
    first = kept_dream(f, photograph, 0, options, path)
    own = art.dream(f, photograph, root(0), options)
    np.testing.assert_array_equal(first.image, own.image)
    values = [art.objective(f, x[None], options)[0] for x in (photograph, own.image)]
    assert first.growth == pytest.approx(float(values[1] / values[0]), rel=1e-5)
    assert [each.tolist() for each in first.steps] == [[1, 2, 3]] * 2

    def refuse(*arguments):
        pytest.fail("the dream was computed again")

    monkeypatch.setattr(dreaming.art, "dream", refuse)
    again = kept_dream(f, photograph, 0, options, path)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_of_other_dreams_and_damaged_ones_are_refused(net, photograph, tmp_path):
    path = tmp_path / "dream.npz"
    f = net.layers["conv_0"]
    options = Dream(octaves=1, steps=1, shift=1)
    kept_dream(f, photograph, 0, options, path)
    others = {
        "weights": (net.twins["conv_0"], photograph, 0, options),
        "photograph": (f, photograph[::-1], 0, options),
        "options": (f, photograph, 1, options),
    }
    for name, arguments in others.items():
        with pytest.raises(InputError) as raised:
            kept_dream(*arguments, path)
        allowed = f"a file with the same {name}; remove this one, or choose another out"
        assert str(raised.value) == f"out: got '{path}', allowed: {allowed}"
    for damaged in (path.read_bytes()[:200], b"no archive", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"^out: got .*, allowed: a complete file"):
            kept_dream(f, photograph, 0, options, path)


def test_interrupted_dreams_continue_and_all_pictures_are_drawn(net, photograph, tmp_path):
    lines = []

    def stop(line):
        lines.append(line)
        if len(lines) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dream_all([net, net], photograph, [0, 1], OPTIONS, tmp_path / "a", stop)
    found = dream_all([net, net], photograph, [0, 1], OPTIONS, tmp_path / "a", lines.append)
    whole = dream_all([net, net], photograph, [0, 1], OPTIONS, tmp_path / "b", lines.append)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    seeds = found.trained["conv_0"]
    assert np.abs(seeds[0].image - seeds[1].image).max() > 0.01
    numbers = growths(found)
    assert set(numbers) == {
        *("conv_0/growth", "conv_0/random_growth"),
        *("activation_1/growth", "activation_1/random_growth"),
    }
    assert all(value > 1 for values in numbers.values() for value in values)
    draw_dreams(found, "A CNN", [0, 1], lambda name: tmp_path / "p" / f"{name}.png")
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    draw_own_images(net, images, OPTIONS, 0, tmp_path / "p" / "own.png")
    names = {path.name for path in (tmp_path / "p").iterdir()}
    assert names == {"depths.png", "octaves.png", "dream.gif", "seeds.png", "own.png"}


def test_options_are_those_of_a_dream():
    dream = dataclasses.replace(OPTIONS, coarse=2.0, decorrelate=False).dream()
    assert dream == Dream(None, None, 2, 1.4, 3, 0.01, 1, 2, 2.0, False)
