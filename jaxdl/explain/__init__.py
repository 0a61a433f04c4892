"""Explanations of a trained network: pure functions of a function of images."""

from jaxdl.explain.crops import Crops, best_crops, cut, only_box
from jaxdl.explain.layers import feature_maps, layer, layers
from jaxdl.explain.maximize import Ascent, Maximized, maximize
from jaxdl.explain.parametrization import Parametrization, parametrization
from jaxdl.explain.receptive import Boxes, receptive_fields
from jaxdl.explain.transformations import random_warp, warp

__all__ = [
    "Ascent",
    "Boxes",
    "Crops",
    "Maximized",
    "Parametrization",
    "best_crops",
    "cut",
    "feature_maps",
    "layer",
    "layers",
    "maximize",
    "only_box",
    "parametrization",
    "random_warp",
    "receptive_fields",
    "warp",
]
