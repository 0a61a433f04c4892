"""Figures of Flax's tests of convolution, pooling, embedding and recurrence, and a grid.

The names and figures are those of `tests/linen` in flax 0.12.8; the code is separate. Cases whose
expectation is another implementation of Linen's are compared with Linen's layers in `grid`.
"""

import itertools
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import nn
from tests.conformance.cases import Case, Inexpressible

KEY = jax.random.key(0)
ONES = {"kernel_init": linen.initializers.ones, "bias_init": linen.initializers.ones}
UP = [4.0, 7.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 7.0, 4.0]

#: Tests that need a property that no layer has.
MISSING = {
    "test_multibatch_input_conv": "two batch axes",
    "test_multibatch_input_conv_transpose": "two batch axes",
    "test_single_input_masked_conv": "masked kernels",
    "test_single_input_masked_conv_transpose": "masked kernels",
    "test_conv_local": "kernels without shared weights",
    "test_single_input_conv_local": "kernels without shared weights",
    "test_circular_conv_local_1d_custom": "kernels without shared weights",
    "test_circular_conv_local_1d_dilation": "kernels without shared weights",
    "test_circular_conv_local_2d_custom": "kernels without shared weights",
    "test_circular_conv_1d_constant": "circular padding",
    "test_circular_conv_2d_constant": "circular padding",
    "test_circular_conv_1d_custom": "circular padding",
    "test_circular_conv_1d_dilation": "circular padding",
    "test_circular_conv_2d_custom": "circular padding",
    "test_circular_conv_transpose_1d_constant": "circular padding",
    "test_circular_conv_transpose_2d_constant": "circular padding",
    "test_circular_conv_transpose_2d_with_vmap": "circular padding",
    "test_circular_conv_transpose_1d_custom": "circular padding",
    "test_circular_conv_transpose_2d_custom": "circular padding",
    "test_circular_conv_transpose_2d_custom_bias": "circular padding",
    "test_transpose_kernel_conv_transpose": "circular padding",
    "test_reflect_conv_1d_custom": "padding by reflection",
    "test_reflect_conv_2d_custom": "padding by reflection",
    "test_pool_custom_reduce": "pooling by another function",
    "test_pooling_variable_batch_dims": "two batch axes",
    "test_rnn_multiple_batch_dims": "two batch axes",
    "test_rnn_unroll": "an unrolled loop",
    "test_rnn_time_major": "time as first axis",
    "test_rnn_with_spatial_dimensions": "convolutional cells",
    "test_convlstm": "convolutional cells",
    "test_shared_cell": "one cell for both directions",
    "test_custom_merge_fn": "another function of both directions than concatenation",
    "test_mgu_reset_gate": "minimal gated units",
    "test_complex_input_gated_units": "complex numbers",
    "test_flip_sequence": "reversed sequences as a function",
    "test_flip_sequence_more_feature_dims": "reversed sequences as a function",
    "test_flip_sequence_time_major": "reversed sequences as a function",
    "test_flip_sequence_time_major_more_feature_dims": "reversed sequences as a function",
}


def outputs(layer: Any, x: Any) -> list[Any]:
    """Returns the outputs of a layer with its initial parameters, and their shapes."""
    y, variables = layer.init_with_output(KEY, jnp.asarray(x))
    return [y, variables["params"]["kernel"].shape]


def value_and_gradient(f: Any, x: Any) -> list[Any]:
    return [f(x), jax.grad(lambda x: f(x).sum())(x)]


def refuse(reason: str) -> Any:
    raise Inexpressible(reason)


def cases() -> list[Case]:
    """Returns the cases with figures, and those that cannot be expressed."""
    return [*_conv_cases(), *_other_cases()] + [
        Case(name, partial(refuse, reason), []) for name, reason in MISSING.items()
    ]


def _conv_cases() -> list[Case]:
    x = jnp.ones((1, 8, 3))
    found = []
    for use_bias in (True, False):
        valid = {"padding": "VALID", "use_bias": use_bias, **ONES}
        name = f"use_bias={use_bias}"
        full = [np.full((1, 6, 4), 9.0 + use_bias), (3, 3, 4)]
        layer = nn.Conv1D(4, 3, **valid)
        found.append(Case(f"test_conv[{name}]", partial(outputs, layer, x), full))
        single = [full[0][0], full[1]]
        found.append(Case(f"test_single_input_conv[{name}]", partial(outputs, layer, x[0]), single))
        up = nn.ConvTranspose(4, (1, 3), **valid)
        rows = np.repeat(np.array(UP)[None, None, :, None], 4, -1) - (not use_bias)
        expected = [rows, (1, 3, 3, 4)]
        found.append(
            Case(f"test_conv_transpose[{name}]", partial(outputs, up, x[:, None]), expected)
        )
        up = nn.ConvTranspose1D(4, 3, **valid)
        expected = [rows[0, 0], (3, 3, 4)]
        found.append(
            Case(f"test_single_input_conv_transpose[{name}]", partial(outputs, up, x[0]), expected)
        )
    causal = np.repeat(np.array([5.0, 9.0, *[13.0] * 6])[None, :, None], 4, -1)
    layer = nn.Conv1D(4, 3, padding="CAUSAL", **ONES)
    expected = [causal, (3, 4, 4)]
    found.append(Case("test_causal_conv1d", partial(outputs, layer, jnp.ones((1, 8, 4))), expected))
    layer = nn.Conv1D(4, 3, padding="VALID", groups=2, **ONES)
    expected = [np.full((1, 6, 4), 7.0), (3, 2, 4)]
    found.append(Case("test_group_conv", partial(outputs, layer, jnp.ones((1, 8, 4))), expected))
    for kind in (nn.Conv1D, nn.Conv, nn.ConvTranspose, nn.ConvTranspose1D):
        shape = (1, *(8,) * kind.axes, 3)
        one, several = (
            partial(outputs, kind(4, size), jnp.ones(shape)) for size in (3, (3,) * kind.axes)
        )
        found.append(Case(f"test_int_kernel_equality[{kind.__name__}]", one, several()))
    pads = [0, 1, (1,), [(1, 2)]]
    canonical = [((0, 0),), ((1, 1),), ((1, 1),), ((1, 2),)]
    found.append(
        Case(
            "test_canonicalize_padding",
            lambda: [nn.conv.pads_of(pad, ("SAME",), 1) for pad in pads],
            canonical,
        )
    )
    return found


def _other_cases() -> list[Case]:
    twos = jnp.full((1, 3, 3, 1), 2.0)
    ramp = jnp.arange(9.0).reshape(1, 3, 3, 1)
    edge = np.array([0.25, 0.5, 0.25])
    largest = np.array([[4.0, 5.0], [7.0, 8.0]]).reshape(1, 2, 2, 1)
    routed = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]]).reshape(1, 3, 3, 1)
    shares = np.outer(edge, edge).reshape(1, 3, 3, 1) * 4
    rows = np.broadcast_to(np.arange(4.0)[:, None], (4, 3)).astype(np.float32)

    def embed(table: Any) -> list[Any]:
        layer = nn.Embedding(4, 3, vectors=table)
        return [layer.init_with_output(KEY, jnp.arange(4)[None])[0]]

    mean = partial(value_and_gradient, lambda x: nn.avg_pool(x, 2, 1), twos)
    most = partial(value_and_gradient, lambda x: nn.max_pool(x, 2, 1), ramp)
    alone = partial(value_and_gradient, lambda x: nn.avg_pool(x, 2, 1), twos[0])
    four = jnp.arange(1.0, 5.0).reshape(1, 2, 2, 1)
    sums = np.array([10.0, 6.0, 7.0, 4.0]).reshape(1, 2, 2, 1)
    counts = np.array([4.0, 2.0, 2.0, 1.0]).reshape(1, 2, 2, 1)
    padded = [
        Case(
            f"test_avg_pool_padding_same[{counted}]",
            lambda counted=counted: [nn.avg_pool(four, 2, 1, "SAME", count_padding=counted)],
            [sums / (4 if counted else counts)],
        )
        for counted in (True, False)
    ]
    image = partial(nn.max_pool, jnp.zeros((32, 32, 3)), (2, 2), (2, 2))
    return [
        *padded,
        Case("test_avg_pool_no_batch", alone, [np.full((2, 2, 1), 2.0), shares[0]]),
        Case("test_pooling_no_batch_dims", lambda: [image()], [np.zeros((16, 16, 3))]),
        Case("test_avg_pool", mean, [np.full((1, 2, 2, 1), 2.0), shares]),
        Case("test_max_pool", most, [largest, routed]),
        Case("test_embed", partial(embed, jnp.asarray(rows)), [rows[None]]),
        Case("test_embed_numpy", partial(embed, rows), [rows[None]]),
    ]


def normal(seed: int, *shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def grid() -> list[Case]:
    """Returns configurations of layers that Linen has as well."""
    return [*_conv_grid(), *_pool_grid(), *_recurrent_grid()]


def _conv_grid() -> list[Case]:
    found = []
    image = normal(0, 2, 7, 6, 3)
    sequence = normal(1, 2, 11, 3)
    images = itertools.product(
        ("Conv", "ConvTranspose"),
        ((3, 3), (2, 4)),
        (1, 2, (2, 3)),
        ("SAME", "VALID", 1, ((0, 2), (1, 1))),
        (True, False),
    )
    for name, size, strides, padding, use_bias in images:
        more = {"use_bias": use_bias, "padding": padding}
        pair = (strides,) * 2 if isinstance(strides, int) else strides
        mine = getattr(nn, name)(4, size, strides, **more)
        theirs = getattr(linen, name)(4, size, pair, **more)
        found.append(_same(f"{name} {size} {strides} {padding} {use_bias}", mine, theirs, image))
    found += _dilated_and_grouped_grid()
    steps = itertools.product(
        (1, 3, 4), (1, 2), (1, 2, 3), ("SAME", "VALID", "CAUSAL", 2, ((0, 3),))
    )
    for size, strides, dilation, padding in steps:
        mine = nn.Conv1D(4, size, dilation, strides, padding)
        theirs = linen.Conv(4, (size,), strides, padding, kernel_dilation=dilation)
        name = f"Conv1D {size} {strides} {dilation} {padding}"
        found.append(_same(name, mine, theirs, sequence))
    return found


def _dilated_and_grouped_grid() -> list[Case]:
    found = []
    image = normal(0, 2, 9, 8, 6)
    for size, strides, dilation, groups, padding in itertools.product(
        ((3, 2),), (1, 2), (1, 3), (1, 2, 6), ("SAME", ((0, 4), (4, 1)))
    ):
        mine = nn.Conv(12, size, strides, padding, dilation, groups=groups)
        more = {"kernel_dilation": dilation, "feature_group_count": groups}
        theirs = linen.Conv(12, size, strides, padding, **more)
        name = f"Conv {size} {strides} {padding} dilation {dilation} groups {groups}"
        found.append(_same(name, mine, theirs, image))
    sequence = normal(1, 2, 7, 3)
    for size, strides, dilation, padding in itertools.product(
        (1, 4), (1, 3), (1, 2), ("SAME", "VALID", ((1, 3),))
    ):
        mine = nn.ConvTranspose1D(4, size, strides, padding, dilation)
        theirs = linen.ConvTranspose(4, (size,), (strides,), padding, (dilation,))
        name = f"ConvTranspose1D {size} {strides} {padding} dilation {dilation}"
        found.append(_same(name, mine, theirs, sequence))
    return found


def _same(name: str, mine: Any, theirs: Any, x: Any) -> Case:
    """Returns the case of two layers with the same parameters."""
    variables = theirs.init(KEY, x)
    return Case(name, lambda: [mine.apply(variables, x)], [theirs.apply(variables, x)])


def _pool_grid() -> list[Case]:
    found = []
    x = normal(2, 2, 7, 6, 3)
    pools = itertools.product(
        ("max_pool", "avg_pool"),
        ((2, 2), (3, 2), (7, 6)),
        ((1, 1), (2, 3)),
        ("VALID", "SAME", ((0, 1), (1, 0))),
    )
    for name, window, strides, padding in pools:
        more = {"count_padding": True} if name == "avg_pool" else {}
        mine = partial(getattr(nn, name), x, window, strides, padding, **more)
        theirs = getattr(linen, name)(x, window, strides, padding)
        label = f"{name} {window} {strides} {padding}"
        found.append(Case(label, lambda f=mine: [f()], [theirs]))
    return found


#: Linen's cell, the names of its gates, and those of its recurrent biases.
CELLS: dict[str, Any] = {
    "simple": (linen.SimpleCell, nn.SimpleRNN, ("",)),
    "lstm": (linen.LSTMCell, nn.LSTM, ("i", "f", "g", "o")),
    "gru": (linen.GRUCell, nn.GRU, ("r", "z", "n")),
}


def converted(kind: str, cell: Any) -> dict[str, Any]:
    """Returns the parameters of Linen's cell in the form of jaxdl's layer."""
    gates = CELLS[kind][2]
    biased = "h" if kind == "lstm" else "i"
    params = {
        "kernel": jnp.concatenate([cell[f"i{gate}"]["kernel"] for gate in gates], -1),
        "recurrent_kernel": jnp.concatenate([cell[f"h{gate}"]["kernel"] for gate in gates], -1),
        "bias": jnp.concatenate([cell[f"{biased}{gate}"]["bias"] for gate in gates]),
    }
    if kind == "gru":
        params["recurrent_bias"] = cell["hn"]["bias"]
    return params


def _recurrent_grid() -> list[Case]:
    found = []
    x = normal(3, 3, 4, 5)
    for kind, reverse, lengths in itertools.product(
        CELLS, (False, True), (None, jnp.array([4, 1, 3]))
    ):
        cell, layer, _ = CELLS[kind]
        theirs = linen.RNN(cell(6), return_carry=True, reverse=reverse, keep_order=True)
        variables = jax.tree.map(lambda a: a + 0.1, theirs.init(KEY, x))
        carry, ys = theirs.apply(variables, x, seq_lengths=lengths)
        mask = None
        if lengths is not None:
            mask = nn.length_mask(lengths, x.shape[1])
            # Linen computes the padding, too; here its outputs are 0.
            ys = jnp.where(mask[..., None], ys, 0)
        params = {"params": converted(kind, variables["params"]["cell"])}
        expected = [ys, *jax.tree.leaves(carry)]

        def compute(layer: Any = layer, params: Any = params, mask: Any = mask, r: Any = reverse):
            ys, carry = layer(6, reverse=r).apply(params, x, None, mask)
            return [ys, *jax.tree.leaves(carry)]

        name = f"{kind} reverse={reverse} lengths={lengths is not None}"
        found.append(Case(name, compute, expected))
    found.append(_bidirectional(x))
    return found


def _bidirectional(x: Any) -> Case:
    theirs = linen.Bidirectional(linen.RNN(linen.LSTMCell(6)), linen.RNN(linen.LSTMCell(6)))
    variables = theirs.init(KEY, x)
    params = {
        "lstm_0": converted("lstm", variables["params"]["forward_rnn"]["cell"]),
        "lstm_0_backward": converted("lstm", variables["params"]["backward_rnn"]["cell"]),
    }
    mine = nn.RNN("lstm", 6, bidirectional=True)
    return Case(
        "bidirectional lstm",
        lambda: [mine.apply({"params": params}, x, False)[0]],
        [theirs.apply(variables, x)],
    )
