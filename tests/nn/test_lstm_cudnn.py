"""cuDNN's LSTM, its part played by JAX's reference for it."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import rnn as cudnn

from jaxdl.nn import LSTM
from tests.nn.recurrences import B, D, H, T, carries, close, normal, parameters, run, weighed


@pytest.fixture
def reference(monkeypatch):
    """cuDNN's part played by the library's own reference for it, and a GPU that is said to be there."""

    def play(x, h, c, packed, lengths, *sizes):
        shapes = *sizes[:3], sizes[4]
        return cudnn.lstm_ref(
            x, h, c, *cudnn.unpack_lstm_weights(packed, *shapes), lengths, *sizes[:5]
        )

    def forward(*args):
        return play(*args), args[:5]

    def backward(*args):
        sizes, (*inputs, lengths), gradients = args[:-2], args[-2], args[-1]
        return (*jax.vjp(lambda *a: play(*a, lengths, *sizes), *inputs)[1](gradients), None)

    monkeypatch.setattr(cudnn, "lstm_fwd", forward)
    monkeypatch.setattr(cudnn, "lstm_bwd", backward)
    monkeypatch.setattr("jaxdl.nn.lstm_cudnn.nvidia_gpus", lambda: 1)
    monkeypatch.setattr("jaxdl.nn.recurrent.nvidia_gpus", lambda: 1)


def test_cudnn_gets_our_weights_in_its_order_and_gives_our_gradients(reference, monkeypatch):
    choose = lambda *args, cuda=None, cpu=None, default: (cuda or cpu or default)(*args)  # noqa: E731
    monkeypatch.setattr("jaxdl.nn.recurrent.lax.platform_dependent", choose)
    x = normal(95, B, T, D)
    variables = parameters("lstm")
    start = carries("lstm", 96)

    def gradients(implementation):
        def both(*args):
            out = LSTM(H, implementation=implementation).apply(*args)
            return weighed(*out), out

        return jax.jit(jax.grad(both, (0, 1, 2), has_aux=True))

    scan = gradients("scan")(variables, x, start)
    for implementation in ("auto", "cudnn"):
        assert "lstm_ref" in str(jax.make_jaxpr(gradients(implementation))(variables, x, start))
        close(gradients(implementation)(variables, x, start), scan)
    many = jax.tree.map(lambda *a: jnp.stack(a), variables, parameters("lstm", 300))
    together = [jax.vmap(gradients(i), (0, None, None))(many, x, start) for i in ("scan", "cudnn")]
    close(*together)


def test_a_program_for_the_cpu_beside_a_gpu_runs_the_loop(reference):
    x = normal(97, B, T, D)
    variables = parameters("lstm")
    text = jax.jit(partial(run, "lstm")).lower(variables, x).as_text()
    assert "lstm_ref" not in text
    close(
        jax.jit(partial(run, "lstm"))(variables, x),
        LSTM(H, implementation="scan").apply(variables, x),
        1e-6,
    )
