"""The U-Net and the discriminator of patches: sizes, skip connections, receptive fields, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, PatchDiscriminator, Stage, UNet, patch_discriminator

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)


def started(model, *shape):
    x = RNG.normal(size=(2, *shape)).astype(np.float32)
    variables = model.init(KEY, x, train=False)
    return variables, lambda x: model.apply(variables, x, train=False), x


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (28, 28, 1), (5, 4, 2)])
def test_outputs_are_as_large_as_inputs(shape):
    variables, f, x = started(UNet((3, 4, 5), 2), *shape)
    y = f(x)
    assert y.shape == (2, *shape[:2], 2) and y.dtype == jnp.float32
    assert float(y.min()) >= 0 and float(y.max()) <= 1
    assert variables["params"]["up_0"]["kernel"].shape == (3, 3, 4 + 3, 3)


def test_it_is_the_composition_of_its_layers():
    model = UNet((2, 3), 1, last=None)
    variables, f, x = started(model, 6, 6, 1)
    p = variables["params"]

    def conv(x, name, strides=1):
        y = jax.lax.conv_general_dilated(
            x,
            p[name]["kernel"],
            (strides, strides),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return np.asarray(y) + np.asarray(p[name]["bias"])

    first = jax.nn.relu(conv(x, "down_0"))
    second = jax.nn.relu(conv(first, "down_1", 2))
    enlarged = np.asarray(second).repeat(2, 1).repeat(2, 2)
    joined = np.concatenate([enlarged, first], -1)
    expected = conv(jax.nn.relu(conv(joined, "up_0")), "out")
    np.testing.assert_allclose(f(x), expected, rtol=1e-4, atol=1e-5)


def test_a_patch_depends_on_its_receptive_field_only():
    _, f, x = started(patch_discriminator((4, 8)), 16, 16, 1)
    assert f(x).shape == (2, 4, 4, 1)
    gradient = jax.grad(lambda x: f(x)[0, 0, 0, 0])(x)
    seen = np.abs(np.asarray(gradient[0, ..., 0])) > 0
    # Kernels 4, 4 and 3 with strides 2, 2 and 1 span 10 + 2 * 4 = 18 pixels around the corner.
    assert seen[:8, :8].any() and not seen[12:].any() and not seen[:, 12:].any()
    assert not np.abs(np.asarray(gradient[1])).any()


def test_dropout_is_random_in_training_only():
    model = UNet((3, 4), 1, dropout=0.5)
    variables, f, x = started(model, 8, 8, 1)
    outputs = [
        model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(i)}) for i in (0, 1)
    ]
    assert float(jnp.abs(outputs[0] - outputs[1]).max()) > 1e-3
    np.testing.assert_array_equal(f(x), f(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNet((8,)), "features: got (8,), allowed: a sequence of at least two widths"),
        (lambda: UNet((8, 0)), "features: got 0, allowed: at least 1"),
        (lambda: UNet((8, 8), 0), "outputs: got 0, allowed: at least 1"),
        (lambda: UNet((8, 8), last="sigmod"), "activation: got 'sigmod', allowed:"),
        (lambda: UNet((8, 8), norm="bacth"), "norm: got 'bacth', allowed:"),
        (lambda: UNet((8, 8), dropout=1.0), "dropout: got 1.0, allowed:"),
        (lambda: started(UNet((4, 4, 4)), 3, 8, 1), "input: got 'float32[2, 3, 8, 1]', allowed:"),
        (lambda: started(UNet((4, 4)), 8), "input: got 'float32[2, 8]', allowed: float images"),
        (lambda: patch_discriminator(()), "features: got (), allowed: at least one width"),
        (lambda: PatchDiscriminator(MLP), "body: got "),
        (
            lambda: started(PatchDiscriminator(CNN((Stage(4),), (), 3)), 8, 8, 1),
            "body: got [2, 3], allowed: feature maps [B, I, J, D]; use outputs=None",
        ),
    ],
)
def test_networks_that_cannot_be_made(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(message)
