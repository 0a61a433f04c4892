"""Test functions of a line and of the plane, on which optimizers are compared."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxdl.errors import InputError

#: A function of a point `[D]` with one number as result.
Function = Callable[[Float[Array, " D"]], Float[Array, ""]]


class Terrain(NamedTuple):
    """A function with the point at which a descent starts.

    Attributes:
      function: the function of a point `[D]`, D 1 or 2.
      start: the first point.
      minimum: the lowest point; one of them if there are several.
      limits: least and largest coordinate of a picture for each axis.

    Example:
      >>> bowl = TERRAINS["bowl"]
      >>> float(bowl.function(jnp.array(bowl.minimum)))
      0.0
    """

    function: Function
    start: tuple[float, ...]
    minimum: tuple[float, ...]
    limits: tuple[tuple[float, float], ...]


def bowl(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns (x^2 + y^2) / 2, which is equally steep in all directions.

    Example:
      >>> float(bowl(jnp.array([1.0, 2.0])))
      2.5
    """
    x, y = _plane(x)
    return (x**2 + y**2) / 2


def ravine(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns (x^2 + 100 y^2) / 2, a quadratic of condition 100.

    Example:
      >>> float(ravine(jnp.array([1.0, 2.0])))
      200.5
    """
    x, y = _plane(x)
    return (x**2 + 100 * y**2) / 2


def rosenbrock(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns (1 - x)^2 + 100 (y - x^2)^2, a curved valley.

    Source: Rosenbrock (1960), An automatic method for finding the greatest or least value of a
      function.

    Example:
      >>> float(rosenbrock(jnp.array([-1.0, 1.0])))
      4.0
    """
    x, y = _plane(x)
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns Beale's function, which has a flat middle and steep corners.

        (1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2

    Source: Beale (1958), On an iterative method for finding a local minimum of a function of more
      than one variable.

    Example:
      >>> float(beale(jnp.array([3.0, 0.5])))
      0.0
    """
    x, y = _plane(x)
    parts = [c - x + x * y**i for i, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2


def saddle(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns x^2 + (y^2 - 2)^2 / 4, with a saddle at 0 and two minima at y = +-sqrt(2).

    Example:
      >>> float(saddle(jnp.array([0.0, 0.0])))
      1.0
    """
    x, y = _plane(x)
    return x**2 + (y**2 - 2) ** 2 / 4


def plateau(x: Float[Array, "2"]) -> Float[Array, ""]:
    """Returns 1 - exp(-(x^2 + y^2) / 2), which is almost flat far from its minimum.

    Example:
      >>> float(plateau(jnp.array([0.0, 0.0])))
      0.0
    """
    x, y = _plane(x)
    return 1 - jnp.exp(-(x**2 + y**2) / 2)


def hills(x: Float[Array, "1"]) -> Float[Array, ""]:
    """Returns a curve with hills: a parabola and a wave, with several local minima.

        0.06 (x - 2)^2 + 0.25 (1 - cos(2.5 (x - 2)))

    Example:
      >>> float(hills(jnp.array([2.0])))
      0.0
    """
    if jnp.shape(x) != (1,):
        raise InputError("start", list(jnp.shape(x)), "a point [1] of this terrain")
    return 0.06 * (x[0] - 2) ** 2 + 0.25 * (1 - jnp.cos(2.5 * (x[0] - 2)))


def _plane(x: Float[Array, "2"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Returns the coordinates of a point of the plane."""
    if jnp.shape(x) != (2,):
        raise InputError("start", list(jnp.shape(x)), "a point [2] of this terrain")
    return x[0], x[1]


#: All terrains by name.
TERRAINS = {
    "bowl": Terrain(bowl, (-2.0, 1.5), (0.0, 0.0), ((-2.5, 2.5), (-2.0, 2.0))),
    "ravine": Terrain(ravine, (-4.0, 0.6), (0.0, 0.0), ((-5.0, 2.0), (-1.0, 1.0))),
    "rosenbrock": Terrain(rosenbrock, (-1.2, 1.0), (1.0, 1.0), ((-2.0, 2.0), (-1.0, 3.0))),
    "beale": Terrain(beale, (1.0, 1.5), (3.0, 0.5), ((-1.0, 4.5), (-1.5, 2.0))),
    "saddle": Terrain(saddle, (-1.6, 0.001), (0.0, 2.0**0.5), ((-2.0, 2.0), (-2.0, 2.0))),
    "plateau": Terrain(plateau, (-2.7, 1.8), (0.0, 0.0), ((-3.5, 2.5), (-2.0, 2.5))),
    "hills": Terrain(hills, (-4.6,), (2.0,), ((-5.5, 6.5),)),
}
