"""The barrier of the loss on a line between two networks."""

from typing import Any

import numpy as np

from jaxdl.errors import InputError


def barrier(losses: Any) -> float:
    """Returns the height of the barrier between the two ends of a line.

        max_t  L(t) - ((1 - t) L(0) + t L(1)),    t = 0, ..., 1

    It is the largest distance of the loss above the straight line between the losses of the ends.
    So it is 0 for a loss that is convex along the line, and never negative.

    Source: Frankle et al. 2020, Linear mode connectivity and the lottery ticket hypothesis;
    Entezari et al. 2022, The role of permutation invariance in linear mode connectivity.

    Args:
      losses: `[P]`, losses at evenly spaced points of the line, both ends included.

    Returns:
      The height, in units of the loss, at least 0.

    Raises:
      InputError: fewer than 3 losses, or losses that are not finite numbers `[P]`.

    Example:
      >>> barrier([1.0, 3.0, 2.0])
      1.5
      >>> barrier([4.0, 1.0, 0.0])
      0.0
    """
    values = np.asarray(losses)
    allowed = "losses [P] at 3 or more evenly spaced points of a line"
    if values.ndim != 1 or len(values) < 3 or values.dtype.kind not in "fiu":
        raise InputError("losses", f"{values.dtype}{list(values.shape)}", allowed)
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        point = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"losses[{point}]", float(values[point]), "finite numbers")
    t = np.linspace(0, 1, len(values))
    height = values - ((1 - t) * values[0] + t * values[-1])
    # Both ends are on the straight line, up to rounding.
    return float(max(height[1:-1].max(), 0))
