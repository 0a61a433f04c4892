"""The gates of a layer against the layer and the equations of one unit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import gates
from tests.nn.recurrences import B, D, T, close, normal, parameters, run

CELLS = {"simple": "rnn", "lstm": "lstm", "gru": "gru"}


@pytest.mark.parametrize("cell", CELLS)
def test_h_is_the_output_of_the_layer(cell):
    x = normal(1, B, T, D)
    variables = parameters(CELLS[cell])
    values = jax.jit(lambda p, x: gates(cell, p, x))(variables["params"], x)
    close(values["h"], run(CELLS[cell], variables, x)[0])
    for name in set(values) - {"h", "cell"}:
        assert 0 < float(values[name].min()) < float(values[name].max()) < 1


def test_an_lstms_cell_follows_its_gates():
    x = normal(2, B, T, D)
    variables = parameters("lstm")
    values = jax.tree.map(np.asarray, gates("lstm", variables["params"], x))
    c = values["cell"]
    candidate = (c[:, 1:] - values["forget"][:, 1:] * c[:, :-1]) / values["input"][:, 1:]
    assert (abs(candidate) <= 1 + 1e-5).all()
    close(values["h"], values["output"] * np.tanh(c))
    assert (abs(c[:, 0]) <= values["input"][:, 0]).all()


def test_a_grus_output_lies_between_the_last_one_and_the_candidate():
    x = normal(3, B, T, D)
    variables = parameters("gru")
    values = jax.tree.map(np.asarray, gates("gru", variables["params"], x))
    h = values["h"]
    z = values["update"]
    candidate = (h[:, 1:] - z[:, 1:] * h[:, :-1]) / (1 - z[:, 1:])
    assert (abs(candidate) <= 1 + 1e-5).all()


def test_errors_name_the_argument():
    with pytest.raises(InputError, match="cell: got 'lstn', allowed: gru, lstm, simple"):
        gates("lstn", {}, jnp.zeros((1, 1, 1)))
    with pytest.raises(InputError, match="x: got \\(1, 1\\), allowed: sequences"):
        gates("gru", {}, jnp.zeros((1, 1)))
