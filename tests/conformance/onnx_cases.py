"""ONNX's node tests for what the layers compute.

Images of ONNX have the channels first, so arrays are transposed on both sides. Norms are Linen's,
as jaxdl's networks use them.
"""

from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

from jaxdl import losses, nn
from jaxdl.metrics import total
from jaxdl.models import OneHot
from jaxdl.nn.norm import refuse_single_values
from tests.conformance.cases import Case, Inexpressible

Attributes = dict[str, Any]
KEY = jax.random.key(0)

#: Cells of ONNX: the layer, its number of gates, and their order here.
CELLS = {
    "RNN": (nn.SimpleRNN, [0]),
    "LSTM": (nn.LSTM, [0, 2, 3, 1]),
    "GRU": (nn.GRU, [1, 0, 2]),
}
#: Names of activations, the attributes of their numbers, and the defaults of these.
ACTIVATIONS: dict[str, tuple[str, Attributes]] = {
    "Celu": ("celu", {"alpha": 1.0}),
    "Elu": ("elu", {"alpha": 1.0}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    "HardSwish": ("hard_swish", {}),
    "LeakyRelu": ("leaky_relu", {"alpha": 0.01}),
    "Mish": ("mish", {}),
    "Relu": ("relu", {}),
    "Selu": ("selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "Sigmoid": ("sigmoid", {}),
    "Sign": ("sign", {}),
    "Softplus": ("softplus", {}),
    "Softsign": ("softsign", {}),
    "Swish": ("silu", {"alpha": 1.0}),
    "Tanh": ("tanh", {}),
    "ThresholdedRelu": ("thresholded_relu", {"alpha": 1.0}),
}
#: Cases whose outputs have four digits.
ROUNDED = ("test_averagepool_2d_ceil_last_window_starts_on_pad",)
#: Operators that are close to a layer's, and the reason that none computes them.
MISSING = {
    "NegativeLogLikelihoodLoss": "log probabilities as input; `cross_entropy` takes logits",
}


def require(condition: Any, reason: str) -> None:
    """Raises `Inexpressible` unless the condition holds."""
    if not condition:
        raise Inexpressible(reason)


def last(x: Any) -> Any:
    """Moves the channels to the end."""
    return jnp.moveaxis(jnp.asarray(x), 1, -1)


def first(x: Any) -> Any:
    """Moves the channels to the second axis."""
    return jnp.moveaxis(x, -1, 1)


def same_pads(a: Attributes, size: Any, window: Any, strides: Any) -> list[tuple[int, int]]:
    """Returns the zeros before and after each axis."""
    n = len(window)
    given = a.get("pads", [0] * (2 * n))
    pads = list(zip(given[:n], given[n:], strict=True))
    auto = a.get("auto_pad", b"NOTSET")
    if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
        return pads
    counts = [-(-s // t) for s, t in zip(size, strides, strict=True)]
    sums = [
        max((c - 1) * t + f - s, 0)
        for c, t, f, s in zip(counts, strides, window, size, strict=True)
    ]
    pads = [(n // 2, n - n // 2) for n in sums]
    if auto == b"SAME_LOWER":
        return [(after, before) for before, after in pads]
    return pads


def conv(a: Attributes, x: Any, w: Any) -> Any:
    require(x.ndim == 4, f"{x.ndim - 2} axes")
    strides = a.get("strides", [1, 1])
    gaps = a.get("dilations", [1, 1])
    spread = [(f - 1) * gap + 1 for f, gap in zip(w.shape[2:], gaps, strict=True)]
    pads = same_pads(a, x.shape[2:], spread, strides)
    kernel = jnp.asarray(w).transpose(2, 3, 1, 0)
    return [first(nn.conv2d(last(x), kernel, strides, pads, gaps, a.get("group", 1)))]


def conv_transpose(a: Attributes, x: Any, w: Any) -> Any:
    axes = x.ndim - 2
    require(axes < 3, "three axes, in this case only; layers are for one and two")
    strides = a.get("strides", [1] * axes)
    gaps = a.get("dilations", [1] * axes)
    more = a.get("output_padding", [0] * axes)
    pads = a.get("pads", [0] * 2 * axes)
    pads = list(zip(pads[:axes], pads[axes:], strict=True))
    reach = [(f - 1) * gap for f, gap in zip(w.shape[2:], gaps, strict=True)]
    shape = a.get("output_shape")
    if a.get("auto_pad") == b"SAME_UPPER":
        shape = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if shape is not None:
        sizes = zip(x.shape[2:], strides, more, reach, shape, strict=True)
        sums = [s * (n - 1) + m + r + 1 - out for n, s, m, r, out in sizes]
        pads = [(n - n // 2, n // 2) for n in sums]
        if a.get("auto_pad") == b"SAME_UPPER":
            pads = [(after, before) for before, after in pads]
    around = [(r - low, r - high) for r, (low, high) in zip(reach, pads, strict=True)]
    groups = a.get("group", 1)
    kernel = jnp.asarray(w).reshape(groups, -1, *w.shape[1:])
    kernel = jnp.moveaxis(kernel, (0, 1, 2), (-2, -3, -1))
    kernel = kernel.reshape(*kernel.shape[:-2], -1)[(slice(None, None, -1),) * axes]
    f = {1: nn.conv_transpose1d, 2: nn.conv_transpose2d}[axes]
    return [first(f(last(x), kernel, strides, around, gaps, groups, more))]


def causal_conv_with_state(
    a: Attributes, x: Any, w: Any, bias: Any = None, past: Any = None
) -> Any:
    kept = w.shape[2] - 1
    if past is None:
        past = np.zeros((*x.shape[:2], kept), x.dtype)
    steps = np.concatenate([past, x], 2)
    kernel = jnp.asarray(w).transpose(2, 1, 0)
    y = first(nn.conv1d(last(steps), kernel, padding="VALID", groups=x.shape[1]))
    if bias is not None:
        y = y + jnp.asarray(bias)[:, None]
    if a.get("activation") in (b"silu", b"swish"):
        # ONNX computes it in float32.
        y = nn.activation("silu")(y.astype(jnp.float32))
    return [y.astype(x.dtype), steps[:, :, steps.shape[2] - kept :]]


def pool(f: Any, outputs: int, a: Attributes, x: Any) -> Any:
    require(outputs == 1, "the places of the maxima as output")
    require(x.ndim in (3, 4), f"{x.ndim - 2} axes")
    window = tuple(a["kernel_shape"])
    strides = a.get("strides", [1] * len(window))
    dilations = a.get("dilations", [1] * len(window))
    extent = [(f - 1) * d + 1 for f, d in zip(window, dilations, strict=True)]
    more: Attributes = {"dilation": dilations, "ceil": bool(a.get("ceil_mode"))}
    if f is nn.avg_pool:
        more["count_padding"] = bool(a.get("count_include_pad"))
    if f is nn.lp_pool:
        more["p"] = a.get("p", 2)
    return [first(f(last(x), window, strides, same_pads(a, x.shape[2:], extent, strides), **more))]


def global_pool(f: Any, a: Attributes, x: Any) -> Any:
    return [first(f(last(x), x.shape[2:]))]


def recurrent(kind: str, outputs: list[str], a: Attributes, *inputs: Any) -> Any:
    x, w, r, bias, lengths, h, c, peepholes = (*inputs, *[None] * (8 - len(inputs)))
    require(peepholes is None, "peepholes")
    if not a.get("layout"):
        x = x.swapaxes(0, 1)
    mask = None
    if lengths is not None:
        mask = nn.length_mask(jnp.asarray(lengths), x.shape[1])
    starts = (lambda i: (slice(None), i)) if a.get("layout") else (lambda i: i)
    layer, order = CELLS[kind]
    size = a["hidden_size"]
    direction = a.get("direction", b"forward")
    reverse = {b"forward": [False], b"reverse": [True], b"bidirectional": [False, True]}[direction]
    ys = []
    ends = []
    for i, backward in enumerate(reverse):
        gates = np.concatenate([np.arange(g * size, (g + 1) * size) for g in order])
        params = {"kernel": w[i][gates].T, "recurrent_kernel": r[i][gates].T}
        both = np.zeros((2, len(gates)), np.float32)
        if bias is not None:
            both = bias[i].reshape(2, -1)[:, gates]
        fields: Attributes = {"reverse": backward}
        if kind == "GRU":
            fields["reset_after"] = bool(a.get("linear_before_reset"))
        if fields.get("reset_after"):
            params["recurrent_bias"] = both[1, 2 * size :].copy()
            both[1, 2 * size :] = 0
        params["bias"] = both.sum(0)
        carry = None
        if h is not None:
            carry = h[starts(i)] if kind != "LSTM" else (c[starts(i)], h[starts(i)])
        run = layer(size, **fields).apply
        y, end = run({"params": params}, jnp.asarray(x), carry, mask)
        ys.append(y)
        ends.append(end if kind == "LSTM" else (None, end))
    axis = 1 if a.get("layout") else 0
    y = jnp.stack(ys, 2) if axis else jnp.stack(ys, 2).transpose(1, 2, 0, 3)
    found = {"Y": y, "Y_h": jnp.stack([h for _, h in ends], axis)}
    if kind == "LSTM":
        found["Y_c"] = jnp.stack([c for c, _ in ends], axis)
    return [found[name] for name in outputs if name]


def apply_norm(norm: Any, params: Any, x: Any, **collections: Any) -> Any:
    with linen.intercept_methods(refuse_single_values):
        return norm.apply(
            {"params": params, **collections}, jnp.asarray(x), mutable=["batch_stats"]
        )


def batch_norm(a: Attributes, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
    training = bool(a.get("training_mode"))
    epsilon = a.get("epsilon", 1e-5)
    norm = linen.BatchNorm(not training, momentum=a.get("momentum", 0.9), epsilon=epsilon)
    stats = {"mean": mean, "var": var}
    y, new = apply_norm(norm, {"scale": scale, "bias": bias}, last(x), batch_stats=stats)
    if not training:
        return [first(y)]
    return [first(y), new["batch_stats"]["mean"], new["batch_stats"]["var"]]


def layer_norm(rms: bool, outputs: int, a: Attributes, x: Any, *weights: Any) -> Any:
    axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
    kind: Any = linen.RMSNorm if rms else linen.LayerNorm
    norm = kind(epsilon=a.get("epsilon", 1e-5), reduction_axes=axes, feature_axes=axes)
    params = dict(zip(("scale", "bias"), weights, strict=False))
    return [apply_norm(norm, params, x)[0], *[None] * (outputs - 1)]


def group_norm(instance: bool, a: Attributes, x: Any, scale: Any, bias: Any) -> Any:
    epsilon = a.get("epsilon", 1e-5)
    norm: Any = linen.InstanceNorm(epsilon=epsilon)
    if not instance:
        norm = linen.GroupNorm(a["num_groups"], epsilon=epsilon)
    return [first(apply_norm(norm, {"scale": scale, "bias": bias}, last(x))[0])]


def dropout(outputs: int, a: Attributes, x: Any, rate: Any = 0.5, training: Any = False) -> Any:
    require(not training or rate == 0, "the random numbers of another generator")
    rngs = {"dropout": KEY}
    y = nn.Dropout(float(rate)).apply({}, jnp.asarray(x), bool(training), rngs=rngs)
    return [y, *[None] * (outputs - 1)]


def act(kind: str, a: Attributes, x: Any) -> Any:
    name, numbers = ACTIVATIONS[kind]
    if numbers:
        name += f"({','.join(str(a.get(field, number)) for field, number in numbers.items())})"
    return [nn.activation(name)(jnp.asarray(x))]


def gelu(a: Attributes, x: Any) -> Any:
    name = {b"none": "gelu", b"tanh": "gelu_tanh"}[a.get("approximate", b"none")]
    return [nn.activation(name)(jnp.asarray(x))]


def prelu(a: Attributes, x: Any, slope: Any) -> Any:
    require(slope.shape == x.shape[-1:], "a slope for each value, not for each channel")
    return [nn.PReLU().apply({"params": {"slope": slope}}, jnp.asarray(x))]


def gather(a: Attributes, data: Any, ids: Any) -> Any:
    require(a.get("axis", 0) == 0, "rows along another axis than the first")
    require((ids >= 0).all(), "negative ids; those of `Embedding` are NaN")
    rows = data.reshape(len(data), -1)
    layer = nn.Embedding(*rows.shape, vectors=rows)
    y, _ = layer.init_with_output(KEY, ids)
    return [y.reshape(*ids.shape, *data.shape[1:])]


def one_hot(a: Attributes, ids: Any, depth: Any, values: Any) -> Any:
    ids = ids.astype(np.int32)
    require(((ids >= 0) & (ids < depth)).all(), "ids out of range; those of `OneHot` are NaN")
    hot = OneHot(int(depth)).apply({}, ids, False)
    off, on = np.asarray(values, np.float32)
    return [jnp.moveaxis(off + (on - off) * hot, -1, a.get("axis", -1))]


def softmax_loss(outputs: int, a: Attributes, scores: Any, labels: Any, weights: Any = None) -> Any:
    logits = jnp.asarray(last(scores)).reshape(-1, scores.shape[1])
    flat = jnp.asarray(labels.ravel(), jnp.int32)
    each = jax.vmap(losses.cross_entropy)(logits, flat)
    mask = jnp.ones(flat.shape)
    if weights is not None:
        mask = jnp.asarray(weights)[flat]
    if "ignore_index" in a:
        mask = jnp.where(flat == a["ignore_index"], 0.0, mask)
    reduction = a.get("reduction", b"mean")
    if reduction == b"none":
        loss = jnp.where(mask == 0, 0.0, each * mask).reshape(labels.shape)
    else:
        sums, count = total(each, mask)
        loss = sums if reduction == b"sum" else sums / count
    return [loss, *[None] * (outputs - 1)]


def function(op: str, outputs: list[str]) -> Any:
    """Returns the function of an operator, called with its attributes and inputs."""
    count = len(outputs)
    known = {
        "Conv": conv,
        "ConvTranspose": conv_transpose,
        "CausalConvWithState": causal_conv_with_state,
        "MaxPool": partial(pool, nn.max_pool, count),
        "AveragePool": partial(pool, nn.avg_pool, count),
        "LpPool": partial(pool, nn.lp_pool, count),
        "GlobalMaxPool": partial(global_pool, nn.max_pool),
        "GlobalAveragePool": partial(global_pool, nn.avg_pool),
        "BatchNormalization": batch_norm,
        "LayerNormalization": partial(layer_norm, False, count),
        "RMSNormalization": partial(layer_norm, True, count),
        "GroupNormalization": partial(group_norm, False),
        "InstanceNormalization": partial(group_norm, True),
        "Dropout": partial(dropout, count),
        "Gather": gather,
        "Gelu": gelu,
        "PRelu": prelu,
        "OneHot": one_hot,
        "SoftmaxCrossEntropyLoss": partial(softmax_loss, count),
        **{kind: partial(recurrent, kind, outputs) for kind in ("RNN", "LSTM", "GRU")},
        **{kind: partial(act, kind) for kind in ACTIVATIONS},
        **{kind: partial(refuse, reason) for kind, reason in MISSING.items()},
    }
    return known.get(op)


def refuse(reason: str, a: Attributes, *inputs: Any) -> Any:
    raise Inexpressible(reason)


def cases() -> list[Case]:
    """Returns the cases of one operator; those of its expansion into others are left out."""
    found = []
    # The data of some casts overflow on purpose.
    with np.errstate(all="ignore"):
        loaded = load_model_tests(kind="node")
    for test in loaded:
        nodes = test.model.graph.node
        if "_expanded" in test.name or len(nodes) != 1:
            continue
        node = nodes[0]
        compute = function(node.op_type, list(node.output))
        if compute is None:
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        given, expected = test.data_sets[0]
        # An empty name stands for an input that is not given.
        values = iter(given)
        inputs = [next(values) if name else None for name in node.input]
        tolerance = 5e-4 if test.name in ROUNDED else 2e-5
        computed = partial(compute, attributes, *inputs)
        found.append(Case(test.name, computed, expected, tolerance))
    return found
