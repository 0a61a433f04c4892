"""Turned images as a set, networks that share an encoder, and the pictures of both tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from jaxdl import bind, learner, root, tasks
from jaxdl.augment import cutout
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.recipes.self_supervised import (
    ENCODER,
    HEAD,
    TURNS,
    classifier,
    draw_patches,
    draw_turns,
    encoder,
    hardest_of_each,
    masked_side,
    painter,
    quarter_turns,
    shares,
)
from jaxdl.transfer import freeze, with_initial

RNG = np.random.default_rng(0)


def images(count=6, classes=3):
    pixels = RNG.random((count, 8, 8, 1)).astype(np.float32)
    fields = {"input": pixels, "label": np.arange(count) % classes}
    return Dataset(fields, "noise", classes)


def test_each_image_is_in_its_four_turns():
    data = images()
    turned = quarter_turns(data)
    assert (len(turned), turned.classes, turned.class_names) == (24, 4, TURNS)
    for row, (image, label) in enumerate(zip(turned["input"], turned["label"], strict=True)):
        original = data["input"][row // 4]
        assert label == row % 4
        for i in range(8):
            for j in range(8):
                at = (i, j)
                for _ in range(label):
                    # A pixel of a turned image was in the column of its row, from the right.
                    at = (at[1], 7 - at[0])
                assert image[i, j, 0] == original[(*at, 0)]


def test_shares_are_means_over_the_images_of_a_class():
    label = RNG.integers(0, 4, 50)
    right = RNG.random(50)
    label[label == 1] = 2
    found = shares(right, label, list("abcde"))
    # Classes without images, here b and e, are left out.
    assert list(found) == ["a", "c", "d"]
    for name, share in found.items():
        assert share == pytest.approx(right[label == "abcde".index(name)].mean())


def test_the_hardest_image_has_the_fewest_right_answers():
    label = np.array([0, 1, 0, 1, 3])
    right = np.array([3, 4, 1, 2, 4])
    assert hardest_of_each(right, label, 4) == [2, 3, 4]


def test_a_masked_square_has_at_least_one_pixel():
    assert [masked_side(share, (10, 8, 1)) for share in (0.01, 0.3, 0.5)] == [1, 2, 4]


def test_the_encoder_of_a_task_without_labels_stays_frozen_below_a_probe():
    data = images()
    batch = {"input": jnp.asarray(data["input"]), "label": jnp.asarray(data["label"])}
    body = encoder(2)
    source = tasks.reconstruct(painter(body, 1), corrupt=cutout(4))
    state = learner(source.init, *source.updates(optax.sgd(0.1))).init(root(0), batch)
    weights = {"params": state.params, **state.extra}
    probe = tasks.classify(classifier(body, 3))
    net = with_initial(
        learner(probe.init, freeze(*probe.updates(optax.sgd(0.5)), [ENCODER])),
        weights,
        skip=[HEAD],
    )
    before = net.init(root(1), batch)
    after, _ = jax.jit(net.step)(before, batch, root(1))
    for name in ("params", "batch_stats"):
        start = weights[name][ENCODER]
        ends = after.params if name == "params" else after.extra[name]
        assert jax.tree.structure(start) == jax.tree.structure(ends[ENCODER])
        same = jax.tree.map(lambda x, y: bool((x == y).all()), start, ends[ENCODER])
        assert all(jax.tree.leaves(same))
    moved = after.params[HEAD]["out"]["kernel"] - before.params[HEAD]["out"]["kernel"]
    assert float(abs(moved).max()) > 0
    # The probe is linear in the maps of the encoder.
    maps = body.apply(
        {name: each[ENCODER] for name, each in weights.items()}, batch["input"], False
    )
    head = after.params[HEAD]["out"]
    logits = np.asarray(maps).reshape(6, -1) @ np.asarray(head["kernel"]) + np.asarray(head["bias"])
    np.testing.assert_allclose(
        bind(probe.predict, after)(batch["input"]), jax.nn.softmax(logits), rtol=2e-5
    )


def test_pictures_show_each_class(tmp_path):
    data = images()
    predicted = np.tile(np.arange(4), (6, 1))
    predicted[4] = 0
    turns = draw_turns(data, predicted, tmp_path / "turns.png", "Turns")
    patches = draw_patches(
        data, cutout(4), lambda x: x, root(0), tmp_path / "patches.png", "Patches"
    )
    for path in (turns, patches):
        with Image.open(path) as picture:
            assert min(picture.size) > 100


def test_images_that_cannot_be_turned_are_refused():
    data = Dataset({"input": np.ones((2, 8, 6, 1), np.float32)}, "wide")
    with pytest.raises(InputError) as raised:
        quarter_turns(data)
    assert str(raised.value) == (
        "data: got 'wide [2, 8, 6, 1]', allowed: square images [N, S, S, C], which can be turned"
    )
