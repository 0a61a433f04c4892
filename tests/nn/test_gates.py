"""The gates of a layer, against the layer itself and the equations of one unit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import gates
from tests.nn.recurrences import B, D, T, close, normal, parameters, run

CELLS = {"simple": "rnn", "lstm": "lstm", "gru": "gru"}


@pytest.mark.parametrize("cell", CELLS)
def test_h_is_what_the_layer_gives(cell):
    x = normal(1, B, T, D)
    variables = parameters(CELLS[cell])
    found = jax.jit(lambda p, x: gates(cell, p, x))(variables["params"], x)
    close(found["h"], run(CELLS[cell], variables, x)[0])
    for name in set(found) - {"h", "cell"}:
        assert 0 < float(found[name].min()) < float(found[name].max()) < 1


def test_an_lstms_cell_follows_its_gates():
    x = normal(2, B, T, D)
    variables = parameters("lstm")
    found = jax.tree.map(np.asarray, gates("lstm", variables["params"], x))
    candidate = (found["cell"][:, 1:] - found["forget"][:, 1:] * found["cell"][:, :-1]) / found[
        "input"
    ][:, 1:]
    assert (abs(candidate) <= 1 + 1e-5).all()
    close(found["h"], found["output"] * np.tanh(found["cell"]))
    assert (abs(found["cell"][:, 0]) <= found["input"][:, 0]).all()


def test_a_grus_output_lies_between_the_old_one_and_the_candidate():
    x = normal(3, B, T, D)
    variables = parameters("gru")
    found = jax.tree.map(np.asarray, gates("gru", variables["params"], x))
    h = found["h"]
    z = found["update"]
    candidate = (h[:, 1:] - z[:, 1:] * h[:, :-1]) / (1 - z[:, 1:])
    assert (abs(candidate) <= 1 + 1e-5).all()


def test_wrong_inputs_are_named():
    with pytest.raises(InputError, match="cell: got 'lstn', allowed: gru, lstm, simple"):
        gates("lstn", {}, jnp.zeros((1, 1, 1)))
    with pytest.raises(InputError, match="x: got \\(1, 1\\), allowed: sequences"):
        gates("gru", {}, jnp.zeros((1, 1)))
