"""Primitives that move numbers, in onnxruntime against JAX."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl.errors import InputError
from jaxdl.export import to_onnx
from tests.export.runtime import assert_same

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
IDS = np.random.default_rng(1).integers(-2, 9, (4, 3)).astype(np.int32)
TABLE = np.random.default_rng(2).normal(size=(7, 2)).astype(np.float32)


def test_axes_and_parts():
    def f(x):
        batch = x.shape[0]
        return {
            "reshape": [x.reshape(batch, 30), x.reshape(-1, 6), x.reshape(batch, 3, 10)],
            "reordered": lax.reshape(x, (batch, 3, 10), (0, 2, 1)),
            "transpose": x.transpose(2, 0, 1),
            "squeeze": x[:, :1].squeeze(1),
            "concatenate": jnp.concatenate([x, x[:, :2]], 1),
            "examples": jnp.concatenate([x, x], 0),
            "slice": [x[:, 1:4, ::2], x[:, -1], x[:, 2, 1]],
            "rev": x[:, ::-1, ::-1],
            "split": jnp.split(x, [1, 3], 2),
            "stack": jnp.stack([x, 2 * x], 1),
            "tile": jnp.tile(x, (1, 2, 1)),
            "unstack": list(jnp.unstack(x, axis=1)),
        }

    assert_same(f, X, sizes=(1, 4))


def test_constants_that_are_broadcast_over_the_batch():
    def f(x):
        batch = x.shape[0]
        return {
            "zeros": jnp.zeros((batch, 3)),
            "rows": jnp.broadcast_to(jnp.arange(3.0), (batch, 3)),
            "twice": jnp.ones((2 * batch, 1)),
            "count": jnp.arange(batch),
            "joined": jnp.concatenate([x[:, 0], jnp.ones((batch, 1))], 1),
            "mean": x.mean(0),
            "reversed": jnp.arange(5.0)[None, ::-1] * x[:, :, 0],
        }

    assert_same(f, X, sizes=(1, 4))


def test_padding_between_around_and_negative():
    def f(x):
        zero = jnp.float32(0.5)
        config = [((0, 0, 0), (1, 2, 0), (0, 3, 0)), ((0, 0, 0), (-1, 1, 0), (2, -2, 0))]
        config += [((0, 0, 0), (1, 0, 2), (0, 0, 1))]
        return [lax.pad(x, zero, each) for each in config]

    assert_same(f, X)


def test_rows_of_a_table_with_ids_out_of_range():
    def f(ids):
        table = jnp.asarray(TABLE)
        none = {"wrap_negative_indices": False}
        return {
            "fill": table.at[ids].get(mode="fill", fill_value=jnp.nan, **none),
            "clip": table.at[ids].get(mode="clip", **none),
            "number": jnp.arange(7).at[ids].get(mode="fill", fill_value=-1, **none),
            "bool": (jnp.arange(7) > 3).at[ids].get(mode="fill", fill_value=True, **none),
            "columns": table.T.at[:, ids].get(mode="fill", fill_value=0, **none),
        }

    assert_same(f, IDS, sizes=(1, 4))


def test_slices_that_begin_at_an_index_of_the_inputs():
    def f(x):
        start = (x[:, 0, 0].max() * 3).astype(jnp.int32)
        return lax.dynamic_slice_in_dim(x, start, 2, 1), lax.dynamic_slice_in_dim(x, start, 3, 2)

    assert_same(f, X)
    assert_same(f, -9 * X)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x[1:], r"^function: got 'a slice of examples', allowed: slices of other axes"),
        (lambda x: jnp.zeros(x.shape[0] + 1), r"got 'the size batch \+ 1', allowed: numbers, and"),
    ],
)
def test_shapes_that_depend_on_the_batch_in_other_ways_are_refused(f, message):
    with pytest.raises(InputError, match=message):
        to_onnx(f, X)
