"""Stacks of recurrent layers against loops over layers, PyTorch, and single sequences."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import GRU, RNN
from tests.nn.recurrences import LENGTHS, B, D, H, T, close, hidden, loop, normal, random_like

CELLS = {"simple": "rnn", "lstm": "lstm", "gru": "gru"}
# A list, because each of the tests iterates over it.
each_cell_and_direction = pytest.mark.parametrize(
    ("cell", "bidirectional"), list(itertools.product(CELLS, (False, True)))
)


def random_parameters(model, seed=0, size=D):
    """Returns random parameters of a model."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((B, T, size)), False))
    return random_like(shapes, seed)


def zeros(cell):
    if cell == "lstm":
        return np.zeros(H), np.zeros(H)
    return np.zeros(H)


def row(tree, b):
    """Returns row `b` of each array."""
    return jax.tree.map(lambda a: a[b], tree)


@each_cell_and_direction
def test_matches_a_loop_over_layers_and_steps(cell, bidirectional):
    model = RNN(cell, H, 2, bidirectional)
    x = normal(1, B, T, D)
    variables = random_parameters(model)
    ys, carry = jax.jit(lambda v, x: model.apply(v, x, False, jnp.asarray(LENGTHS)))(variables, x)
    last, _ = RNN(cell, H, 2, bidirectional, return_sequences=False).apply(
        variables, x, False, jnp.asarray(LENGTHS)
    )
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
    for b, length in enumerate(LENGTHS):
        h = np.asarray(x[b], np.float64)
        mask = np.arange(T) < length
        ends = []
        for i in range(2):
            run = partial(loop, np, CELLS[cell], x=h, carry=zeros(cell), mask=mask)
            outputs, end = run(variables={"params": params[f"{cell}_{i}"]})
            if bidirectional:
                backward_params = {"params": params[f"{cell}_{i}_backward"]}
                backward, backward_end = run(variables=backward_params, reverse=True)
                outputs = np.concatenate([outputs, backward], -1)
                end = (end, backward_end)
            ends.append(end)
            h = outputs
        close(ys[b], h)
        close(row(carry, b), tuple(ends))
        # With one direction the second part is empty.
        close(last[b], np.concatenate([h[length - 1, :H], h[0, H:]]))


@each_cell_and_direction
def test_agrees_with_pytorch(cell, bidirectional):
    torch = pytest.importorskip("torch")
    make = {"simple": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    torch_model = make(D, H, 2, batch_first=True, bidirectional=bidirectional)
    params = {}
    for i, backward in itertools.product(range(2), range(1 + bidirectional)):
        end = f"l{i}" + "_reverse" * backward
        w, r, b, b2 = (
            jnp.asarray(getattr(torch_model, f"{name}_{end}").detach().numpy())
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        layer = {"kernel": w.T, "recurrent_kernel": r.T, "bias": b + b2}
        if cell == "gru":
            layer |= {"bias": b + b2.at[2 * H :].set(0), "recurrent_bias": b2[2 * H :]}
        params[f"{cell}_{i}" + "_backward" * backward] = layer
    x = normal(2, B, T, D)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(np.array(x)), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    t_ys, t_end = torch_model(packed)
    t_ys, _ = torch.nn.utils.rnn.pad_packed_sequence(t_ys, batch_first=True, total_length=T)
    model = RNN(cell, H, 2, bidirectional)
    ys, carry = model.apply({"params": params}, x, False, jnp.asarray(LENGTHS))
    close(ys, t_ys.detach().numpy())
    if cell == "lstm":
        t_end, _ = t_end
    if bidirectional:
        carry = itertools.chain(*carry)
    final = jnp.stack([hidden(cell, end) for end in carry])
    close(final, t_end.detach().numpy())


@each_cell_and_direction
def test_padded_sequences_equal_single_ones(cell, bidirectional):
    model = RNN(cell, H, 2, bidirectional, return_sequences=False)
    x = normal(3, B, T, D)
    variables = random_parameters(model, 5)
    dirty = jnp.where(jnp.arange(T)[None, :, None] < jnp.asarray(LENGTHS)[:, None, None], x, 1e20)
    last, carry = model.apply(variables, dirty, False, jnp.asarray(LENGTHS))
    for b, length in enumerate(LENGTHS):
        single, end = model.apply(variables, x[b : b + 1, :length], False)
        close((last[b], row(carry, b)), (single[0], row(end, 0)), 1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_two_halves_equal_one_sequence(cell):
    model = RNN(cell, H, 2)
    x = normal(4, B, T, D)
    variables = random_parameters(model, 6)
    ys, end = model.apply(variables, x, False)
    first, carry = model.apply(variables, x[:, :2], False)
    second, last = model.apply(variables, x[:, 2:], False, carry=carry)
    close((jnp.concatenate([first, second], 1), last), (ys, end), 1e-6)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_masks_are_shared_by_all_steps_or_new_at_each(variational):
    """The second layer passes its input on, so its outputs show the mask."""
    model = RNN("simple", 64, 2, dropout=0.5, variational=variational)
    x = jnp.ones((2, 6, 3))
    variables = model.init(jax.random.key(0), x, False)
    params = jax.tree.map(jnp.zeros_like, variables["params"])
    # Every unit of the first layer is tanh(0.5) at every step.
    params["simple_0"]["bias"] += 0.5
    params["simple_1"]["kernel"] += jnp.eye(64)
    ys, _ = model.apply({"params": params}, x, True, rngs={"dropout": jax.random.key(1)})
    mask = np.asarray(ys) != 0
    assert 0.35 < mask.mean() < 0.65
    assert not (mask[0] == mask[1]).all()
    assert (mask == mask[:, :1]).all() == variational
    without_dropout, _ = model.apply({"params": params}, x, False)
    assert (np.asarray(without_dropout) != 0).all()


@pytest.mark.parametrize(
    ("cell", "gates", "gain"), [("simple", 1, 1), ("lstm", 4, 3), ("gru", 3, 2)]
)
def test_deeper_layers_have_larger_initial_kernels(cell, gates, gain):
    model = RNN(cell, 32, 2, kernel_init=jax.nn.initializers.constant(0.25))
    params = model.init(jax.random.key(0), jnp.zeros((1, 1, D)), False)["params"]
    assert (params[f"{cell}_0"]["kernel"] == 0.25).all()
    limit = gain * np.sqrt(6 / (32 + gates * 32))
    assert 0.95 * limit < float(jnp.abs(params[f"{cell}_1"]["kernel"]).max()) <= limit * 1.0001


def message(*args, **fields):
    """Returns the message of the error of an invalid model or call."""
    with pytest.raises(InputError) as caught:
        model = RNN(**{"features": H, "layers": 2, **fields})
        model.init(jax.random.key(0), *args)
    return str(caught.value)


def test_errors_name_the_field_or_argument():
    x = normal(0, B, T, D)
    assert (
        message(x, False, cell="lsmt")
        == "cell: got 'lsmt', allowed: gru, lstm, simple (did you mean 'lstm'?)"
    )
    assert message(x, False, layers=0) == "layers: got 0, allowed: at least 1"
    assert message(x, False, dropout=1.0) == "dropout: got 1.0, allowed: a number in [0, 1)"
    assert message(x[0], False) == "x: got 'float32[5, 4]', allowed: sequences of floats [B, T, D]"
    integers = "x: got 'int32[4, 5, 4]', allowed: sequences of floats [B, T, D]"
    assert message(x.astype(jnp.int32), False) == integers
    assert message(x, False, jnp.array([5, 1])) == "length: got (2,), allowed: [B], (4,)"
    assert message(x, False, kernel_init="glorot").startswith(
        "kernel_init: got 'glorot', allowed: glorot_normal"
    )
    assert (
        message(x, False, jnp.array([5, 0, 1, 2]))
        == "length[1]: got 0, allowed: an integer in [1, 5]"
    )
    assert (
        message(x, False, jnp.array([5, 1, 1, 6]))
        == "length[3]: got 6, allowed: an integer in [1, 5]"
    )
    assert (
        message(x, False, None, (1,))
        == "carry: got <class 'tuple'>, allowed: a tuple of 2, one per layer"
    )
    wrong = message(x, False, None, (jnp.ones(1), jnp.ones(1)), cell="gru", bidirectional=True)
    assert wrong == (
        "carry: got <class 'jaxlib._jax.ArrayImpl'>, allowed: "
        "a pair for each layer: forward, backward"
    )


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_traced_length_out_of_range_gives_nan(cell, bidirectional):
    model = RNN(cell, 2, layers=2, bidirectional=bidirectional)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 3)), jnp.float32)
    variables = model.init(jax.random.key(0), x, False)
    lengths = jnp.array([0, 5, 6, -1])
    ys, carry = jax.jit(lambda n: model.apply(variables, x, False, n))(lengths)
    for leaf in jax.tree.leaves([ys, carry]):
        rows = np.asarray(leaf).reshape(4, -1)
        assert np.isnan(rows).all(1).tolist() == [True, False, True, True]
        assert np.isfinite(rows[1]).all()


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_padding_of_nan_changes_no_output_and_no_gradient(cell):
    model = RNN(cell, 2, layers=2)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 3)), jnp.float32)
    variables = model.init(jax.random.key(0), x, False)
    valid = jnp.arange(5)[None] < jnp.array([5, 2, 1])[:, None]

    def loss(variables, x):
        return (model.apply(variables, x, False, [5, 2, 1])[0] ** 2).sum()

    both = jax.jit(jax.value_and_grad(loss, (0, 1)))
    expected = both(variables, x)
    filled = both(variables, jnp.where(valid[..., None], x, jnp.nan))
    jax.tree.map(np.testing.assert_array_equal, filled, expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_place_of_the_reset_gate_is_that_of_each_layer(bidirectional):
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    model = RNN("gru", 4, 2, bidirectional, reset_after=False)
    (ys, _), variables = model.init_with_output(jax.random.key(1), x, False)
    assert all("recurrent_bias" not in layer for layer in variables["params"].values())
    h = x
    for i in range(2):
        parts = []
        for end in ("", "_backward")[: 1 + bidirectional]:
            layer = GRU(4, reverse=bool(end), reset_after=False)
            params = variables["params"][f"gru_{i}{end}"]
            parts.append(layer.apply({"params": params}, h)[0])
        h = jnp.concatenate(parts, -1)
    np.testing.assert_array_equal(ys, h)
