"""Filters of images by hand: named kernels, sums position by position, pooling, a face detector."""

from jaxdl.filters.face import (
    FACE,
    PARTS,
    STROKES,
    Found,
    binary_kernel,
    drawing,
    face_detector,
    find_face,
    match_filter,
    parts_drawing,
    tolerance,
)
from jaxdl.filters.filtering import Position, filter_image, grey, products_at
from jaxdl.filters.kernels import KERNELS, box_blur, gaussian_blur, named_kernel
from jaxdl.filters.shifts import (
    ShiftedResponses,
    pool_repeatedly,
    pooled_response,
    shifted_responses,
)

__all__ = [
    "FACE",
    "KERNELS",
    "PARTS",
    "STROKES",
    "Found",
    "Position",
    "ShiftedResponses",
    "binary_kernel",
    "box_blur",
    "drawing",
    "face_detector",
    "filter_image",
    "find_face",
    "gaussian_blur",
    "grey",
    "match_filter",
    "named_kernel",
    "parts_drawing",
    "pool_repeatedly",
    "pooled_response",
    "products_at",
    "shifted_responses",
    "tolerance",
]
