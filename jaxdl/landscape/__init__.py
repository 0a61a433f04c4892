"""The loss as a function of the parameters: planes, lines, curvature and matched units."""

from jaxdl.landscape.barrier import barrier
from jaxdl.landscape.curvature import (
    Eigenpair,
    curvature,
    hessian_vector_product,
    largest_eigenvalue,
)
from jaxdl.landscape.descent import (
    RATES,
    Descent,
    Optimum,
    Tuned,
    descend,
    quadratic_optimum,
    tuned_rate,
)
from jaxdl.landscape.directions import between, random_direction
from jaxdl.landscape.loss import loss_of
from jaxdl.landscape.matching import Matched, match_units, permute_units
from jaxdl.landscape.surface import Line, Surface, line, surface
from jaxdl.landscape.terrains import TERRAINS, Terrain
from jaxdl.landscape.trajectory import Plane, plane

__all__ = [
    "Descent",
    "Eigenpair",
    "Line",
    "Matched",
    "Optimum",
    "Plane",
    "RATES",
    "Surface",
    "TERRAINS",
    "Terrain",
    "Tuned",
    "barrier",
    "between",
    "curvature",
    "descend",
    "hessian_vector_product",
    "largest_eigenvalue",
    "line",
    "loss_of",
    "match_units",
    "permute_units",
    "plane",
    "quadratic_optimum",
    "random_direction",
    "surface",
    "tuned_rate",
]
