"""Pictures made by gradients of a function of images: dreams, styles and textures."""

from jaxdl.art.colors import match_colors
from jaxdl.art.directions import direction
from jaxdl.art.dream import Dream, Dreamed, dream, objective
from jaxdl.art.gram import gram
from jaxdl.art.losses import Losses, Style, Targets, style_losses, targets
from jaxdl.art.octaves import join, octave_sizes, resize, split
from jaxdl.art.pooling import average_pooled
from jaxdl.art.random_layer import random_layer
from jaxdl.art.style import Stylized, stylize, texture

__all__ = [
    "Dream",
    "Dreamed",
    "Losses",
    "Style",
    "Stylized",
    "Targets",
    "average_pooled",
    "direction",
    "dream",
    "gram",
    "join",
    "match_colors",
    "objective",
    "octave_sizes",
    "random_layer",
    "resize",
    "split",
    "style_losses",
    "stylize",
    "targets",
    "texture",
]
