"""Generated curves: points around a known function of one number, with known noise."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.rng import check_single_key, fold, stream


@dataclasses.dataclass(frozen=True)
class Curve:
    """A function of one number, from which noisy points are sampled.

        y = f(x) + s e,    e normal with mean 0 and variance 1

    No fit can have a smaller expected squared error on new points than s^2.

    Attributes:
      name: name of the sets.
      truth: f, a function of an array that returns an array of the same shape.
      low: smallest x.
      high: largest x.
      noise: s, in the unit of y, at least 0.
      labels: words for x and y.

    Raises:
      InputError: an empty range of x, or a negative noise.

    Example:
      >>> line = Curve("line", lambda x: 2 * x, 0.0, 1.0, noise=0.0)
      >>> line.even(3).tolist()
      [0.0, 0.5, 1.0]
    """

    name: str
    truth: Callable[[Float[Array, "*N"]], Float[Array, "*N"]]
    low: float
    high: float
    noise: float
    labels: tuple[str, str] = ("x", "y")

    def __post_init__(self) -> None:
        of_kind("truth", self.truth, Callable, "a function of an array")
        if not self.low < self.high:
            raise InputError("high", self.high, f"a number above low, {self.low}")
        in_range("noise", self.noise, 0, float("inf"))

    def even(self, size: int) -> Float[Array, " N"]:
        """Returns N values of x at equal distances, from `low` to `high`; N is at least 2."""
        at_least("size", size, 2)
        return jnp.linspace(self.low, self.high, size)

    def sample(self, key: Key[Array, ""], x: Float[Array, " N"]) -> Float[Array, " N"]:
        """Returns noisy values y `[N]` at given x `[N]`.

        Example:
          >>> import jaxdl
          >>> x = SINE.even(5)
          >>> SINE.sample(jaxdl.root(0), x).shape
          (5,)
        """
        x = jnp.asarray(x)
        return self.truth(x) + self.noise * jax.random.normal(stream(key, "curve"), x.shape)


#: One period of a sine on [0, 1] with noise of 0.3.
SINE = Curve("sine", lambda x: jnp.sin(2 * jnp.pi * x), 0.0, 1.0, noise=0.3)

#: The tempo curve: listeners out of 100 that move with music, by its beats per minute.
TEMPO = Curve(
    "tempo",
    lambda x: 85 * jnp.exp(-((jnp.log2(x / 115) / 0.7) ** 2)),
    low=40.0,
    high=220.0,
    noise=8.0,
    labels=("tempo of the music, beats per minute", "listeners who move with it, of 100"),
)


def curve_points(curve: Curve, size: int, key: Key[Array, ""]) -> Dataset:
    """Generates a set of noisy points of a curve, with x uniform between its ends.

        x = low + (high - low) u,    y = f(x) + s e

    `SINE` is one period of a sine. `TEMPO` has a single peak at 115 beats per minute. Slow music
    and fast music move few listeners. Its numbers are generated. They are no measurement, only
    their order of magnitude is plausible.

    Args:
      curve: the curve, such as `SINE` or `TEMPO`.
      size: N, at least 1.
      key: root key of the points. Other keys give other points.

    Returns:
      A set with `input [N, 1]` and `target [N, 1]`, float32, in the order of x.

    Raises:
      InputError: fewer than 1 point, or several keys.

    Example:
      >>> import jaxdl
      >>> points = curve_points(TEMPO, 20, jaxdl.root(0))
      >>> points["input"].shape, float(points["input"].min()) >= 40
      ((20, 1), True)
    """
    of_kind("curve", curve, Curve, "a jaxdl.data.Curve, such as SINE")
    at_least("size", size, 1)
    check_single_key(key)
    places = fold(stream(key, "curve"), 0)
    x = jax.random.uniform(places, (size,), minval=curve.low, maxval=curve.high).sort()
    y = curve.sample(key, x)
    arrays = {"input": np.asarray(x)[:, None], "target": np.asarray(y)[:, None]}
    return Dataset(arrays, curve.name)
