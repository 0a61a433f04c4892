"""Stacks of recurrent layers against loops over their layers, PyTorch, and each sequence alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import RNN
from tests.nn.recurrences import LENGTHS, B, D, H, T, close, loop, normal

CELLS = {"simple": "rnn", "lstm": "lstm", "gru": "gru"}
both = pytest.mark.parametrize(("cell", "bidirectional"), itertools.product(CELLS, (False, True)))


def drawn(model, seed=0, size=D):
    """Random parameters, biases too."""
    variables = jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((B, T, size)), False)
    )
    leaves, tree = jax.tree.flatten(variables)
    return jax.tree.unflatten(
        tree, [0.7 * normal(seed + i, *leaf.shape) for i, leaf in enumerate(leaves)]
    )


def zeros(cell):
    return (np.zeros(H), np.zeros(H)) if cell == "lstm" else np.zeros(H)


@both
def test_is_a_loop_over_layers_and_steps(cell, bidirectional):
    model = RNN(cell, H, 2, bidirectional)
    x = normal(1, B, T, D)
    variables = drawn(model)
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
            there, end = loop(
                np, CELLS[cell], {"params": params[f"{cell}_{i}"]}, h, zeros(cell), mask
            )
            if bidirectional:
                own = {"params": params[f"{cell}_{i}_backward"]}
                back, start = loop(np, CELLS[cell], own, h, zeros(cell), mask, reverse=True)
                there = np.concatenate([there, back], -1)
                end = (end, start)
            ends.append(end)
            h = there
        close(ys[b], h)
        close(jax.tree.map(lambda a: a[b], carry), tuple(ends))
        forward = h[length - 1, :H]
        close(last[b], np.concatenate([forward, h[0, H:]]) if bidirectional else forward)


@both
def test_agrees_with_pytorch(cell, bidirectional):
    torch = pytest.importorskip("torch")
    made = {"simple": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    theirs = made(D, H, 2, batch_first=True, bidirectional=bidirectional)
    params = {}
    for i, back in itertools.product(range(2), (False, True) if bidirectional else (False,)):
        end = f"l{i}" + "_reverse" * back
        w, r, b, b2 = (
            jnp.asarray(getattr(theirs, f"{name}_{end}").detach().numpy())
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        own = {"kernel": w.T, "recurrent_kernel": r.T, "bias": b + b2}
        if cell == "gru":
            own |= {"bias": b + b2.at[2 * H :].set(0), "recurrent_bias": b2[2 * H :]}
        params[f"{cell}_{i}" + "_backward" * back] = own
    x = normal(2, B, T, D)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(np.array(x)), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    t_ys, t_end = theirs(packed)
    t_ys, _ = torch.nn.utils.rnn.pad_packed_sequence(t_ys, batch_first=True, total_length=T)
    model = RNN(cell, H, 2, bidirectional)
    ys, carry = model.apply({"params": params}, x, False, jnp.asarray(LENGTHS))
    close(ys, t_ys.detach().numpy())
    hidden = t_end[0] if cell == "lstm" else t_end
    ours = [
        c[-1] if cell == "lstm" else c
        for layer in carry
        for c in (layer if bidirectional else (layer,))
    ]
    close(jnp.stack(ours), hidden.detach().numpy())


@both
def test_padded_is_each_sequence_alone(cell, bidirectional):
    model = RNN(cell, H, 2, bidirectional, return_sequences=False)
    x = normal(3, B, T, D)
    variables = drawn(model, 5)
    dirty = jnp.where(jnp.arange(T)[None, :, None] < jnp.asarray(LENGTHS)[:, None, None], x, 1e20)
    last, carry = model.apply(variables, dirty, False, jnp.asarray(LENGTHS))
    for b, length in enumerate(LENGTHS):
        alone, end = model.apply(variables, x[b : b + 1, :length], False)
        close(
            (last[b], jax.tree.map(lambda a: a[b], carry)),
            (alone[0], jax.tree.map(lambda a: a[0], end)),
            1e-6,
        )


@pytest.mark.parametrize("cell", CELLS)
def test_two_halves_are_one_sequence(cell):
    model = RNN(cell, H, 2)
    x = normal(4, B, T, D)
    variables = drawn(model, 6)
    ys, end = model.apply(variables, x, False)
    first, carry = model.apply(variables, x[:, :2], False)
    second, last = model.apply(variables, x[:, 2:], False, carry=carry)
    close((jnp.concatenate([first, second], 1), last), (ys, end), 1e-6)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_masks_are_one_for_all_steps_or_new_at_each(variational):
    """A layer that hands its input on shows the mask: what comes out of the second layer is seen at its input."""
    model = RNN("simple", 64, 2, dropout=0.5, variational=variational)
    x = jnp.ones((2, 6, 3))
    variables = model.init(jax.random.key(0), x, False)
    params = jax.tree.map(jnp.zeros_like, variables["params"])
    params["simple_0"]["bias"] += 0.5  # every first-layer unit is tanh(0.5) at every step
    params["simple_1"]["kernel"] += jnp.eye(64)
    ys, _ = model.apply({"params": params}, x, True, rngs={"dropout": jax.random.key(1)})
    kept = np.asarray(ys) != 0
    assert 0.35 < kept.mean() < 0.65
    assert not (kept[0] == kept[1]).all()
    assert (kept == kept[:, :1]).all() == variational
    quiet, _ = model.apply({"params": params}, x, False)
    assert (np.asarray(quiet) != 0).all()


@pytest.mark.parametrize(
    ("cell", "gates", "gain"), [("simple", 1, 1), ("lstm", 4, 3), ("gru", 3, 2)]
)
def test_deeper_layers_start_with_larger_kernels(cell, gates, gain):
    made = RNN(cell, 32, 2, kernel_init=jax.nn.initializers.constant(0.25))
    params = made.init(jax.random.key(0), jnp.zeros((1, 1, D)), False)["params"]
    assert (params[f"{cell}_0"]["kernel"] == 0.25).all()
    limit = gain * np.sqrt(6 / (32 + gates * 32))
    assert 0.95 * limit < float(jnp.abs(params[f"{cell}_1"]["kernel"]).max()) <= limit * 1.0001


def message(*args, **fields):
    with pytest.raises(InputError) as caught:
        model = RNN(**{"features": H, "layers": 2, **fields})
        model.init(jax.random.key(0), *args)
    return str(caught.value)


def test_wrong_fields_and_inputs_are_named():
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
    pair = "carry: got <class 'jaxlib._jax.ArrayImpl'>, allowed: a pair for each layer: forward, backward"
    assert (
        message(x, False, None, (jnp.ones(1), jnp.ones(1)), cell="gru", bidirectional=True) == pair
    )
