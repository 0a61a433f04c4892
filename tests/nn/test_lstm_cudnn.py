"""The cuDNN LSTM, with JAX's reference implementation in place of cuDNN."""

from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import pytest
from jax.experimental import rnn as cudnn

from jaxdl.nn import LSTM
from jaxdl.nn.lstm_cudnn import unsupported_reason
from tests.nn.recurrences import (
    B,
    D,
    H,
    T,
    carries,
    close,
    normal,
    parameters,
    run,
    weighted_sum,
)


@pytest.fixture
def reference(monkeypatch):
    """JAX's reference implementation in place of cuDNN, and a fake count of one GPU."""

    def lstm(x, h, c, packed, lengths, *options):
        shapes = *options[:3], options[4]
        return cudnn.lstm_ref(
            x, h, c, *cudnn.unpack_lstm_weights(packed, *shapes), lengths, *options[:5]
        )

    def forward(*args):
        return lstm(*args), args[:5]

    def backward(*args):
        *options, saved, gradients = args
        *inputs, lengths = saved
        _, back = jax.vjp(lambda *a: lstm(*a, lengths, *options), *inputs)
        return (*back(gradients), None)

    monkeypatch.setattr(cudnn, "lstm_fwd", forward)
    monkeypatch.setattr(cudnn, "lstm_bwd", backward)
    monkeypatch.setattr("jaxdl.nn.lstm_cudnn.count_nvidia_gpus", lambda: 1)
    monkeypatch.setattr("jaxdl.nn.recurrent.count_nvidia_gpus", lambda: 1)


def choose_cuda(*args, cuda=None, cpu=None, default):
    """Replaces `platform_dependent`; prefers the implementation for CUDA."""
    return (cuda or cpu or default)(*args)


def test_weights_are_packed_in_cudnns_order_and_gradients_match_the_loop(reference, monkeypatch):
    monkeypatch.setattr("jaxdl.nn.recurrent.lax.platform_dependent", choose_cuda)
    x = normal(95, B, T, D)
    variables = parameters("lstm")
    start = carries("lstm", 96)

    def gradients(implementation):
        def both(*args):
            out = LSTM(H, implementation=implementation).apply(*args)
            return weighted_sum(*out), out

        return jax.jit(jax.grad(both, (0, 1, 2), has_aux=True))

    scan = gradients("scan")(variables, x, start)
    for implementation in ("auto", "cudnn"):
        assert "lstm_ref" in str(jax.make_jaxpr(gradients(implementation))(variables, x, start))
        close(gradients(implementation)(variables, x, start), scan)
    members = jax.tree.map(lambda *a: jnp.stack(a), variables, parameters("lstm", 300))
    results = [
        jax.vmap(gradients(implementation), (0, None, None))(members, x, start)
        for implementation in ("scan", "cudnn")
    ]
    close(*results)


def test_a_program_for_the_cpu_uses_the_loop_also_if_there_is_a_gpu(reference):
    x = normal(97, B, T, D)
    variables = parameters("lstm")
    text = jax.jit(partial(run, "lstm")).lower(variables, x).as_text()
    assert "lstm_ref" not in text
    close(
        jax.jit(partial(run, "lstm"))(variables, x),
        LSTM(H, implementation="scan").apply(variables, x),
        1e-6,
    )


def test_a_batch_size_that_is_no_number_is_a_loop(monkeypatch):
    """The symbols of `jax.export` stand for any size, and cuDNN needs one."""
    monkeypatch.setattr("jaxdl.nn.lstm_cudnn.count_nvidia_gpus", lambda: 1)
    shape = jax.export.symbolic_shape("b, 5, 4")
    assert unsupported_reason((2, 5, 4), jnp.dtype("float32"), None, False) is None
    reason = unsupported_reason(shape, jnp.dtype("float32"), None, False)
    assert reason == ("x", shape, "sizes that are numbers with implementation 'cudnn'")
