"""Both modes of differentiation of every layer, against finite differences and each other."""

import jax
import pytest

from jaxdl import nn
from tests.nn import forward_mode

#: Exported names that are no layer, or whose derivatives are those of another name.
OTHERS = {
    *(
        "Embedding",
        "activation",
        "activation_names",
        "initializer",
        "length_mask",
        "lengths_of",
        "named",
        "out_size",
    ),
    *("Norm", "spectral_vectors", "tap"),
}


def test_every_exported_layer_has_a_row():
    assert set(nn.__all__) - OTHERS <= set(forward_mode.LAYERS)


@pytest.mark.parametrize("dtype", forward_mode.LIMITS)
@pytest.mark.parametrize("name", forward_mode.LAYERS)
def test_jvp_is_the_slope(name, dtype):
    assert forward_mode.slope_error(name, dtype) <= forward_mode.LIMITS[dtype]


@pytest.mark.parametrize("name", forward_mode.LAYERS)
def test_forward_over_reverse_is_reverse_over_reverse(name):
    assert forward_mode.curvature_error(name, "float32") <= forward_mode.LIMITS["float32"]


@pytest.mark.parametrize("name", ["Conv", "LSTM"])
def test_jacobians_by_columns_are_those_by_rows(name):
    f, args = forward_mode.LAYERS[name]()
    args = jax.tree.map(jax.numpy.float32, args)

    def outputs(args):
        return jax.tree.leaves(f(args))[0].ravel()[:20]

    columns = jax.jit(jax.jacfwd(outputs))(args)
    rows = jax.jit(jax.jacrev(outputs))(args)
    assert forward_mode.relative_error(columns, rows) <= 1e-5
