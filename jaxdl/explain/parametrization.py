"""Images as functions of free parameters, for ascents that start from noise."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.errors import one_of

#: Rows: red, green and blue. Columns: directions in which the colors of photographs vary
#: independently, as standard deviations. From lucid, measured on ImageNet.
COLORS = np.array(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]],
    np.float32,
)

#: Standard deviation of the noise at the start, by parametrization.
NOISE = {"fourier": 0.01, "pixels": 0.1}


class Parametrization(NamedTuple):
    """Images in [0, 1] as a function of free parameters.

    Attributes:
      init: `init(key) -> parameters`, small noise.
      image: `image(parameters) -> [H, W, C]`, grey for parameters of 0.

    Example: see `parametrization`.
    """

    init: Callable[[Key[Array, ""]], Float[Array, "..."]]
    image: Callable[[Float[Array, "..."]], Float[Array, "H W C"]]


def parametrization(
    name: str, shape: tuple[int, int, int], decorrelate: bool = True
) -> Parametrization:
    """Returns a parametrization of images of a shape.

        fourier:  x = sigmoid(C F^-1(s z)),   s(k) = 1 / max(|k|, 1 / max(H, W))
        pixels:   x = sigmoid(C z)

    F is the Fourier transform, and s the spectrum of photographs. C mixes the channels of a color
    image as photographs do. It is 1 for other numbers of channels.

    Source: Olah, Mordvintsev and Schubert 2017, Feature visualization; tensorflow/lucid.

    Args:
      name: "fourier" or "pixels".
      shape: `(H, W, C)`.
      decorrelate: if False, C is 1.

    Raises:
      InputError: an unknown name.

    Example:
      >>> pixels = parametrization("pixels", (2, 2, 3))
      >>> pixels.image(jnp.zeros((2, 2, 3)))[0, 0].tolist()
      [0.5, 0.5, 0.5]
      >>> parametrization("fourier", (8, 8, 1)).init(jax.random.key(0)).shape
      (2, 8, 5, 1)
    """
    one_of("parametrization", name, NOISE)
    height, width, channels = shape
    mixing = jnp.eye(channels)
    if decorrelate and channels == 3:
        mixing = jnp.asarray(COLORS / np.linalg.norm(COLORS, axis=0).max())

    def squashed(z: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        return jax.nn.sigmoid(z @ mixing.T)

    if name == "pixels":
        return Parametrization(
            lambda key: NOISE[name] * jax.random.normal(key, shape), image=squashed
        )
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = 1 / np.maximum(frequency, 1 / max(height, width))
    # lucid scales by sqrt(H W) and by 1/4, so that a rate fits all sizes.
    spectrum = jnp.asarray(spectrum * np.sqrt(height * width) / 4, jnp.float32)

    def image(z: Float[Array, "2 H K C"]) -> Float[Array, "H W C"]:
        scaled = z * spectrum[None, ..., None]
        waves = jax.lax.complex(scaled[0], scaled[1])
        return squashed(jnp.fft.irfft2(waves, s=(height, width), axes=(0, 1)))

    def init(key: Key[Array, ""]) -> Float[Array, "2 H K C"]:
        return NOISE[name] * jax.random.normal(key, (2, *spectrum.shape, channels))

    return Parametrization(init, image)
