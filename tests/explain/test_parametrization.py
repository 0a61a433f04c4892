"""Tests of parametrizations: NumPy's inverse transform, ranges and colors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.explain.parametrization import COLORS, parametrization


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 10, 3), (6, 9, 3)])
def test_fourier_is_numpys_inverse_transform_of_a_scaled_spectrum(shape):
    height, width, channels = shape
    fourier = parametrization("fourier", shape)
    z = 100 * np.asarray(fourier.init(jax.random.key(0)), np.float64)
    spectrum = np.empty(z.shape[1:], complex)
    for i, row in enumerate(np.fft.fftfreq(height)):
        for j, column in enumerate(np.fft.rfftfreq(width)):
            size = max(np.sqrt(row**2 + column**2), 1 / max(height, width))
            spectrum[i, j] = (z[0, i, j] + 1j * z[1, i, j]) / size
    spectrum *= np.sqrt(height * width) / 4
    image = np.stack(
        [np.fft.irfft2(spectrum[..., c], s=(height, width)) for c in range(channels)], -1
    )
    if channels == 3:
        mixing = COLORS / np.sqrt((COLORS**2).sum(0)).max()
        image = np.einsum("hwd,cd->hwc", image, mixing)
    np.testing.assert_allclose(
        fourier.image(jnp.asarray(z, jnp.float32)), sigmoid(image), atol=1e-5
    )


def test_pixels_are_a_sigmoid():
    shape = (4, 5, 3)
    z = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    plain = parametrization("pixels", shape, decorrelate=False)
    np.testing.assert_allclose(plain.image(z), sigmoid(z), rtol=1e-5)
    mixed = parametrization("pixels", shape)
    # A change of the first direction is nearly grey, and one of the others is not.
    grey, color = (mixed.image(jnp.zeros(shape).at[..., i].set(0.5))[0, 0] for i in (0, 1))
    assert np.ptp(grey) < 0.01 < np.ptp(color)


@pytest.mark.parametrize("name", ["fourier", "pixels"])
def test_the_start_is_grey_with_small_noise(name):
    start = parametrization(name, (32, 32, 3))
    images = jax.vmap(lambda key: start.image(start.init(key)))(
        jax.random.split(jax.random.key(1), 8)
    )
    assert abs(float(images.mean()) - 0.5) < 0.02
    assert 0 < images.std() < 0.1


def test_an_unknown_parametrization_is_refused():
    with pytest.raises(InputError, match="did you mean 'fourier'"):
        parametrization("furier", (8, 8, 1))
