"""Masked convolutions against a loop over the pixels before each one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import MaskedConv

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 6, 3)).astype(np.float32)

LAYERS = {
    f"{size}{' centre' * centre}{' rows' * rows}": MaskedConv(4, size, centre=centre, rows=rows)
    for size in (3, (5, 3), (1, 5))
    for centre in (True, False)
    for rows in (True, False)
    if not (rows and size == (1, 5) and not centre)
}
each_layer = pytest.mark.parametrize("name", LAYERS)


def started(layer: MaskedConv) -> dict:
    params = jax.eval_shape(lambda: layer.init(jax.random.key(0), X))["params"]
    random = jax.tree.map(lambda p: RNG.normal(size=p.shape).astype(np.float32), params)
    return {"params": random}


def looped(layer: MaskedConv, variables: dict) -> np.ndarray:
    """Returns the outputs by loops over pixels and taps."""
    kernel = variables["params"]["kernel"]
    up = layer.kernel_size[0] // 2
    side = layer.kernel_size[1] // 2
    batch, height, width, _ = X.shape
    y = np.zeros((batch, height, width, 4)) + variables["params"]["bias"]
    for i, j in np.ndindex(height, width):
        for f, g in np.ndindex(up + 1, 2 * side + 1):
            row = i + f - up
            column = j + g - side
            earlier = f < up or (g < side and not layer.rows)
            same = f == up and (g == side or layer.rows)
            if not (earlier or (same and layer.centre)):
                continue
            if row >= 0 and 0 <= column < width:
                y[:, i, j] += X[:, row, column] @ kernel[f, g]
    return y


@each_layer
def test_outputs_are_sums_over_earlier_pixels(name):
    layer = LAYERS[name]
    variables = started(layer)
    np.testing.assert_allclose(layer.apply(variables, X), looped(layer, variables), atol=2e-5)


@each_layer
def test_the_parts_of_a_row_add_up(name):
    layer = LAYERS[name]
    variables = started(layer)
    whole = layer.apply(variables, X)
    i = 4
    if layer.rows:
        above = X[:, i - layer.above : i + layer.centre]
        np.testing.assert_allclose(
            layer.apply(variables, above, "above")[:, 0], whole[:, i], atol=2e-5
        )
        return
    y = jnp.zeros((2, 6, 4))
    if layer.above:
        y = layer.apply(variables, X[:, i - layer.above : i], "above")[:, 0]
    end = 3 + layer.centre
    own = X[:, i : i + 1, end - layer.left : end]
    pixel = layer.apply(variables, own, "own")[:, 0, 0]
    np.testing.assert_allclose(y[:, 3] + pixel, whole[:, i, 3], atol=2e-5)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: MaskedConv(4, 2), "kernel_size: got"),
        (lambda: MaskedConv(4, 3, centre=1), "centre: got 1"),
        (lambda: MaskedConv(4, (1, 3), rows=True, centre=False), "height of at least 3"),
        (lambda: MaskedConv(4, 1, centre=False), "a side of at least 3 without centre"),
        (lambda: MaskedConv(4, 3, groups=2), "groups: got 2, allowed: 1"),
        (lambda: MaskedConv(4, 3, padding="VALID"), "padding: got 'VALID'"),
    ],
)
def test_invalid_fields_are_refused(make, error):
    with pytest.raises(InputError, match=error):
        make()


def test_other_inputs_are_refused():
    layer = MaskedConv(4, 3)
    variables = started(layer)
    with pytest.raises(InputError, match="part: got 'right'"):
        layer.apply(variables, X, "right")
    with pytest.raises(InputError, match="x: got"):
        layer.apply(variables, X[0])
    with pytest.raises(InputError, match=r"allowed: a height of 1, \[B, 1, W, C\]"):
        layer.apply(variables, X[:, :2], "above")
    with pytest.raises(InputError, match=r"allowed: a width of 2, \[B, 1, 2, C\]"):
        layer.apply(variables, X[:, :1, :3], "own")
    rows = MaskedConv(4, 3, rows=True)
    with pytest.raises(InputError, match="part: got 'own', allowed: 'above'"):
        rows.apply(started(rows), X[:, :1, :2], "own")
    row = MaskedConv(4, (1, 3))
    with pytest.raises(InputError, match="part: got 'above', allowed: 'own'"):
        row.apply(started(row), X[:, :1], "above")
