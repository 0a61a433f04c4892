"""The networks of a convolutional GAN: their layers, and images of unsuitable sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import dcgan
from tests.models.random_variables import random_variables

SHAPE = (8, 12, 3)


def test_kernels_mirror_each_other():
    shapes = []
    for net, x in zip(
        dcgan(SHAPE, 5, (11, 13)), (jnp.zeros((2, 7)), jnp.zeros((2, *SHAPE))), strict=True
    ):
        variables = jax.eval_shape(lambda: net.init(jax.random.key(0), x, train=False))
        shapes.append(sorted(w.shape for w in jax.tree.leaves(variables["params"]) if w.ndim > 1))
        assert ("batch_stats" in variables) == (len(shapes) == 1), (
            "only the generator looks at its batch"
        )
    maps = 2 * 3 * 10
    assert shapes[0] == sorted([(7, 13), (13, 11), (11, maps), (4, 4, 10, 5), (4, 4, 5, 3)])
    assert shapes[1] == sorted([(4, 4, 3, 5), (4, 4, 5, 10), (maps, 11), (11, 13), (13, 1)])


def test_pixels_are_in_their_range():
    generator, _ = dcgan(SHAPE, 3)
    z = jnp.asarray(100 * np.random.default_rng(0).normal(size=(4, 7)), jnp.float32)
    images = generator.apply(random_variables(generator, z), z, train=False)
    assert images.shape == (4, *SHAPE)
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1


def test_the_discriminators_biases_tell_how_bright_a_batch_is():
    _, net = dcgan(SHAPE, 6, (9,), norm="batch")
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(16, *SHAPE)), jnp.float32)
    variables = random_variables(net, x)
    bright, dark = (
        net.apply(variables, part * x, train=True, mutable=["batch_stats"])[0]
        for part in (1.0, 0.5)
    )
    assert jnp.abs(bright - dark).max() > 0.05 * bright.std()


def test_the_discriminator_is_pytorchs_with_the_papers_slope():
    torch = pytest.importorskip("torch")
    _, net = dcgan(SHAPE, 3, (5,))
    x = np.random.default_rng(1).normal(size=(4, *SHAPE)).astype(np.float32)
    params = jax.tree.map(np.array, random_variables(net, x)["params"])

    def convolved(x, layer):
        kernel = torch.tensor(layer["kernel"]).permute(3, 2, 0, 1)
        y = torch.nn.functional.conv2d(x, kernel, torch.tensor(layer["bias"]), 2, 1)
        return torch.nn.functional.leaky_relu(y, 0.2)

    h = torch.tensor(x).permute(0, 3, 1, 2)
    h = convolved(convolved(h, params["conv_0"]), params["conv_1"]).permute(0, 2, 3, 1).flatten(1)
    for name in ("dense_0", "out"):
        layer = params["head"][name]
        h = h @ torch.tensor(layer["kernel"]) + torch.tensor(layer["bias"])
        if name == "dense_0":
            h = torch.nn.functional.leaky_relu(h, 0.2)
    y = net.apply({"params": params}, x, train=False)
    np.testing.assert_allclose(y, h.numpy(), rtol=1e-4, atol=1e-5)


def test_sides_that_do_not_fit():
    with pytest.raises(
        InputError, match=r"shape: got \(8, 10, 1\), allowed: sides that are multiples of 4"
    ):
        dcgan((8, 10, 1))
    with pytest.raises(InputError, match="features: got 0, allowed: at least 1"):
        dcgan((8, 8, 1), 0)
