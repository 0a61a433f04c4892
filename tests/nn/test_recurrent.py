"""Recurrent layers against their equations in NumPy, PyTorch, and single sequences."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import LSTM, tap
from tests.nn.recurrences import (
    HOLES,
    LAYERS,
    LENGTHS,
    MASK,
    B,
    D,
    H,
    T,
    carries,
    close,
    each_layer,
    loop,
    normal,
    parameters,
    run,
)


def row(tree, b):
    """Returns row `b` of each array."""
    return jax.tree.map(lambda a: a[b], tree)


@each_layer
@pytest.mark.parametrize("reverse", [False, True])
def test_matches_the_equations_in_numpy(name, reverse):
    x = normal(10, B, T, D)
    variables = parameters(name)
    start = carries(name, 11)
    exact = jax.tree.map(lambda a: np.asarray(a, np.float64), (variables, x, start, HOLES))
    exact_variables, exact_x, exact_start, holes = exact
    for mask, exact_mask in ((None, np.ones((B, T))), (HOLES, holes)):
        ys, end = jax.jit(partial(run, name, reverse=reverse))(variables, x, start, mask)
        for b in range(B):
            carry = row(exact_start, b)
            expected = loop(np, name, exact_variables, exact_x[b], carry, exact_mask[b], reverse)
            close((ys[b], row(end, b)), expected)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_agrees_with_pytorch(name):
    torch = pytest.importorskip("torch")
    x = normal(40, B, T, D)
    g = normal(41, B, T, H)
    start = carries(name, 42)
    make = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[name]
    layer = make(D, H, batch_first=True)
    w, r, b, b2 = (jnp.asarray(p.detach().numpy()) for p in layer.parameters())
    params = {"kernel": w.T, "recurrent_kernel": r.T, "bias": b + b2}
    if name == "gru":
        params |= {"bias": b + b2.at[2 * H :].set(0), "recurrent_bias": b2[2 * H :]}

    def apply(params, x):
        return run(name, {"params": params}, x, start)

    (ys, end), back = jax.vjp(jax.jit(apply), params, x)
    g_params, g_x = back((g, jax.tree.map(jnp.zeros_like, end)))
    tx = torch.tensor(np.array(x), requires_grad=True)
    t_start = jax.tree.map(lambda a: torch.tensor(np.array(a))[None], start)
    # PyTorch's carry is (h, c).
    if name == "lstm":
        t_start = t_start[::-1]
    t_ys, t_end = layer(tx, t_start)
    if name == "lstm":
        t_end = t_end[::-1]
    (t_ys * torch.tensor(np.array(g))).sum().backward()
    close(ys, t_ys.detach().numpy())
    close(end, jax.tree.map(lambda a: a[0].detach().numpy(), t_end))
    close(g_x, tx.grad.numpy())
    g_w, g_r, g_b, g_b2 = (p.grad.numpy() for p in layer.parameters())
    close((g_params["kernel"], g_params["recurrent_kernel"], g_params["bias"]), (g_w.T, g_r.T, g_b))
    if name == "gru":
        close(g_params["recurrent_bias"], g_b2[2 * H :])


@each_layer
@pytest.mark.parametrize("reverse", [False, True])
def test_padded_sequences_equal_single_ones(name, reverse):
    x = normal(50, B, T, D)
    variables = parameters(name)
    start = carries(name, 51)
    ys, end = jax.jit(partial(run, name, reverse=reverse))(variables, x, start, MASK)
    for b, length in enumerate(LENGTHS):
        carry = jax.tree.map(lambda a: a[b : b + 1], start)
        single, last = run(name, variables, x[b : b + 1, :length], carry, reverse=reverse)
        close(ys[b, :length], single[0], 1e-6)
        close(row(end, b), row(last, 0), 1e-6)
        assert not ys[b, length:].any()


@each_layer
def test_padding_may_have_any_values_and_gets_no_gradient(name):
    x = normal(55, B, T, D)
    variables = parameters(name)
    dirty = jnp.where(MASK[..., None] > 0, x, 1e30)

    @jax.jit
    def gradients(x):
        return jax.grad(lambda v, x: jnp.sin(run(name, v, x, mask=MASK)[0]).sum(), (0, 1))(
            variables, x
        )

    expected = gradients(x)
    actual = gradients(dirty)
    close(actual, expected, 1e-6)
    assert not np.asarray(actual[1])[np.asarray(MASK) == 0].any()


@each_layer
def test_two_halves_equal_one_sequence(name):
    x = normal(60, B, T, D)
    variables = parameters(name)
    ys, end = jax.jit(partial(run, name))(variables, x)
    first, carry = run(name, variables, x[:, :2])
    second, last = run(name, variables, x[:, 2:], carry)
    close((jnp.concatenate([first, second], 1), last), (ys, end), 1e-6)


@each_layer
def test_inside_scan_equals_outside(name):
    xs = normal(75, 3, B, T, D)
    variables = parameters(name)

    def descend(v, x):
        grads = jax.grad(lambda v: run(name, v, x)[0].sum())(v)
        return jax.tree.map(lambda a, g: a - 0.1 * g, v, grads)

    scan = jax.jit(lambda v: jax.lax.scan(lambda v, x: (descend(v, x), None), v, xs))
    inside, _ = scan(variables)
    for x in xs:
        variables = jax.jit(descend)(variables, x)
    close(inside, variables, 1e-6)


def test_initial_parameters_follow_keras(key):
    params = LSTM(8).init(key, jnp.zeros((1, 1, 20)))["params"]
    assert params["bias"].reshape(4, 8).tolist() == [[0.0] * 8, [1.0] * 8, [0.0] * 8, [0.0] * 8]
    close(params["recurrent_kernel"] @ params["recurrent_kernel"].T, jnp.eye(8), 1e-5)
    limit = np.sqrt(6 / (20 + 32))
    assert 0.95 * limit < float(jnp.abs(params["kernel"]).max()) <= limit


def message(layer, x, *args):
    """Returns the message of the error of an invalid call."""
    with pytest.raises(InputError) as caught:
        layer.init(jax.random.key(0), x, *args)
    return str(caught.value)


@each_layer
def test_errors_name_the_argument(name):
    layer = LAYERS[name](H)
    x = normal(0, B, T, D)
    bad = jnp.zeros((B, H + 1))
    assert message(layer, x[0]) == "x: got (5, 4), allowed: sequences [B, T, D]"
    assert message(LAYERS[name](0), x) == "features: got 0, allowed: at least 1"
    carry = bad
    if name == "lstm":
        carry = (bad, bad)
    assert message(layer, x, carry) == "carry: got (4, 4), allowed: [B, H], (4, 3)"
    assert message(layer, x, None, jnp.ones((T, B))) == "mask: got (5, 4), allowed: [B, T], (4, 5)"


def test_a_tapped_reset_gate_has_its_effect_before_the_product():
    name = "gru_reset_before"
    layer = nn.Sequential([LAYERS[name](H)])
    x = normal(80, B, T, D)
    variables = {"params": {"layers_0": parameters(name)["params"]}}
    f = tap(layer, variables)
    (ys, _), seen = f(x)
    close(ys, run(name, parameters(name), x)[0])
    r, z, n, h = (seen[f"layers_0/{gate}"] for gate in ("reset", "update", "candidate", "h"))
    before = jnp.concatenate([jnp.zeros((B, 1, H)), h[:, :-1]], 1)
    p = parameters(name)["params"]
    a = x @ p["kernel"] + p["bias"][None, None]
    expected = jnp.tanh(a[..., 2 * H :] + (r * before) @ p["recurrent_kernel"][:, 2 * H :])
    close(n, expected)
    close(h, (1 - z) * n + z * before)


def test_the_place_of_the_reset_gate_is_a_flag():
    assert "recurrent_bias" not in parameters("gru_reset_before")["params"]


def test_errors_of_the_implementation_name_the_argument(monkeypatch):
    x = normal(0, B, T, D)
    wrong = "implementation: got 'scam', allowed: auto, cudnn, scan (did you mean 'scan'?)"
    assert message(LSTM(H, implementation="scam"), x) == wrong
    assert message(LSTM(H), x, jnp.zeros((B, H))).startswith("carry: got")
    make = partial(LSTM, H, implementation="cudnn")
    end = "with implementation 'cudnn'"
    assert message(make(), x, None, MASK) == f"mask: got 'a mask', allowed: None {end}"
    assert message(make(reverse=True), x) == f"reverse: got True, allowed: False {end}"
    assert message(make(dtype=jnp.bfloat16), x) == f"dtype: got 'bfloat16', allowed: float32 {end}"
    monkeypatch.setattr("jaxdl.nn.lstm_cudnn.count_nvidia_gpus", lambda: 0)
    assert (
        message(make(), x)
        == "implementation: got 'cudnn', allowed: auto or scan, without an NVIDIA GPU"
    )


@each_layer
@pytest.mark.parametrize("reverse", [False, True])
def test_nan_behind_the_end_changes_no_bit_of_a_gradient(name, reverse):
    x = normal(30, B, T, D)
    mask = jnp.asarray(MASK)
    variables = parameters(name)
    layer = LAYERS[name](H, reverse=reverse)

    @jax.jit
    def gradient(variables, x):
        return jax.grad(lambda v, x: layer.apply(v, x, None, mask)[0].sum(), (0, 1))(variables, x)

    padding = ~np.asarray(MASK, bool)[..., None]
    zeros, nans = (gradient(variables, jnp.where(padding, pad, x)) for pad in (0.0, jnp.nan))
    jax.tree.map(np.testing.assert_array_equal, zeros, nans)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(nans))
