"""Bodies of sequence networks and classifiers: classes, attributes and the depth of a TCN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.augment import parse
from jaxdl.data import Dataset, image_sequences
from jaxdl.errors import InputError
from jaxdl.models import CNN1D, SequenceNet, tcn
from jaxdl.nn import RNN
from jaxdl.recipes.sequences import (
    BODIES,
    POOLS,
    blocks_to_cover,
    of_images,
    sequence_body,
    sequence_classifier,
)


@pytest.mark.parametrize("name", BODIES)
def test_every_body_gives_one_output_per_sequence(name):
    body = sequence_body(name, 6, 2, return_sequences=False)
    model = SequenceNet(None, body, 3, pool=POOLS.get(name))
    x = jnp.ones((2, 9, 4))
    outputs, _ = model.init_with_output(jax.random.key(0), x, train=False)
    assert outputs.shape == (2, 3)


def test_bodies_have_the_given_attributes():
    options = {"dropout": 0.1, "dtype": jnp.bfloat16}
    given = sequence_body("lstm", 6, 2, bidirectional=True, kernel_size=3, **options)
    assert given == RNN("lstm", 6, 2, bidirectional=True, **options)
    given = sequence_body("tcn", 6, 2, bidirectional=True, kernel_size=3, **options)
    assert given == tcn((6, 6), 3, **options)
    given = sequence_body("conv", 6, 2, kernel_size=3, **options)
    assert given == CNN1D((6, 6), **options)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("pool", [None, "mean"])
def test_a_classifier_has_a_body_a_pooling_and_dropout(name, pool):
    model = sequence_classifier(name, 6, 2, 3, pool=pool, dropout=0.1, kernel_size=3)
    returned = pool is not None
    body = sequence_body(name, 6, 2, dropout=0.1, kernel_size=3, return_sequences=returned)
    assert (model.embed, model.body, model.outputs) == (None, body, 3)
    assert model.pool == (pool or {"tcn": "last", "conv": "max"}.get(name))
    assert model.dropout == {"tcn": 0.0}.get(name, 0.1)
    x = jnp.ones((2, 9, 4))
    assert model.init_with_output(jax.random.key(0), x, train=False)[0].shape == (2, 3)


def test_bad_bodies():
    with pytest.raises(InputError, match="^body: got 'ltsm', allowed: .* mean 'lstm'"):
        sequence_body("ltsm", 6)
    with pytest.raises(InputError, match="^layers: got 0, allowed: at least 1"):
        sequence_body("conv", 6, 0)
    with pytest.raises(InputError, match="^kernel_size: got 1, allowed: at least 2"):
        blocks_to_cover(10, 1)
    with pytest.raises(InputError, match="^steps: got 0, allowed: at least 1"):
        blocks_to_cover(0, 3)


@pytest.mark.parametrize("kernel_size", [2, 3, 8])
def test_the_fewest_blocks_that_cover_all_steps(kernel_size):
    for steps in range(1, 300):
        fewest = next(
            n for n in range(1, 20) if tcn((1,) * n, kernel_size).receptive_field >= steps
        )
        assert blocks_to_cover(steps, kernel_size) == fewest


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("by", ["row", "pixel"])
def test_a_changed_sequence_is_the_sequence_of_the_changed_image(by, permuted):
    key = jax.random.key(5)
    random = np.random.default_rng(0)
    shape = (4, 6, 3)
    images = jnp.asarray(random.uniform(size=(5, *shape)), jnp.float32)

    def sequences(x):
        return image_sequences(Dataset({"input": np.asarray(x)}, "images"), by, permuted)["input"]

    changes = parse("rotate=30,cutout=2,cutmix=1", shape)
    found = of_images(changes, shape, by, permuted)
    keys = jax.random.split(key, 5)
    changed = jax.vmap(found.augment)(keys, sequences(images))
    expected = jax.vmap(changes.augment)(keys, images)
    np.testing.assert_array_equal(changed, sequences(expected))
    batch = {"input": images, "label": jnp.arange(5)}
    mixed = found.mix(key, {**batch, "input": jnp.asarray(sequences(images))})
    pictures, *partners = changes.mix(key, batch)
    np.testing.assert_array_equal(mixed[0], sequences(pictures))
    for a, b in zip(mixed[1:], partners, strict=True):
        np.testing.assert_array_equal(a, b)
    assert of_images(parse(None), shape) == (None, None)
