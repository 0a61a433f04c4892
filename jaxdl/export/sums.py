"""Primitives of JAX that sum: reductions, products, convolutions and pooling, as nodes of ONNX.

A rule is called with the graph, the equation of the jaxpr and its inputs as values, with all their
numbers. It returns the output.
"""

import math
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl.export.elementwise import Rule
from jaxdl.export.graph import Graph, Value, constant
from jaxdl.export.shapes import padded


def _reduction(op: str) -> Rule:
    def rule(graph: Graph, eqn: Any, x: Value) -> Value:
        wide = graph.cast(x, np.int32) if x.dtype == bool else x
        axes = constant(np.array(eqn.params["axes"], np.int64))
        shape = eqn.outvars[0].aval.shape
        fields = {"keepdims": 0, "noop_with_empty_axes": 1}
        return graph.cast(graph.node(op, [wide, axes], shape, wide.dtype, **fields), x.dtype)

    return rule


def _place(op: str) -> Rule:
    def rule(graph: Graph, eqn: Any, x: Value) -> Value:
        (axis,) = eqn.params["axes"]
        shape = eqn.outvars[0].aval.shape
        if x.dtype == bool:
            x = graph.cast(x, np.int32)
        place = graph.node(op, [x], shape, np.int64, axis=axis, keepdims=0)
        return graph.cast(place, eqn.params["index_dtype"])

    return rule


def _cumulative_sum(graph: Graph, eqn: Any, x: Value) -> Value:
    axis = constant(np.int64(eqn.params["axis"]))
    reverse = int(eqn.params["reverse"])
    return graph.node("CumSum", [x, axis], x.shape, x.dtype, reverse=reverse)


def _cumulative(op: str) -> Rule:
    """Returns the rule of a cumulative operator, which combines 2, 4, 8, ... neighbours."""

    def rule(graph: Graph, eqn: Any, x: Value) -> Value:
        axis = eqn.params["axis"]
        reverse = eqn.params["reverse"]
        shift = 1
        while shift < x.shape[axis]:
            limits = list(x.shape)
            starts = [0] * len(limits)
            if reverse:
                starts[axis] = shift
            else:
                limits[axis] -= shift
            moved = graph.slice(x, tuple(starts), tuple(limits), [1] * len(limits))
            edge_starts = [0] * len(limits)
            edge_limits = list(x.shape)
            if reverse:
                edge_starts[axis] = x.shape[axis] - shift
            else:
                edge_limits[axis] = shift
            edge = graph.slice(x, tuple(edge_starts), tuple(edge_limits), [1] * len(limits))
            if op == "Mul":
                edge = graph.elementwise(
                    "Add", graph.elementwise("Sub", edge, edge), graph.like(x, 1)
                )
            parts = [moved, edge] if reverse else [edge, moved]
            x = graph.elementwise(op, x, graph.node("Concat", parts, x.shape, x.dtype, axis=axis))
            shift *= 2
        return x

    return rule


def _dot(graph: Graph, eqn: Any, x: Value, y: Value) -> Value:
    (x_axes, y_axes), (x_batch, y_batch) = eqn.params["dimension_numbers"]
    out = eqn.outvars[0].aval
    x = graph.cast(x, out.dtype)
    y = graph.cast(y, out.dtype)
    if not x_batch and len(x_axes) == 1 and len(y.shape) == 2 and len(x.shape) > 1:
        order = [axis for axis in range(len(x.shape)) if axis != x_axes[0]]
        x = graph.transpose(x, [*order, x_axes[0]])
        y = graph.transpose(y, [y_axes[0], 1 - y_axes[0]])
        return graph.node("MatMul", [x, y], out.shape, out.dtype)
    letters = iter(string.ascii_lowercase)
    x_letters = [next(letters) for _ in x.shape]
    y_letters = [next(letters) for _ in y.shape]
    for i, j in zip((*x_axes, *x_batch), (*y_axes, *y_batch), strict=True):
        y_letters[j] = x_letters[i]
    free = [x_letters[i] for i in range(len(x.shape)) if i not in (*x_axes, *x_batch)]
    free += [y_letters[j] for j in range(len(y.shape)) if j not in (*y_axes, *y_batch)]
    result = "".join([x_letters[i] for i in x_batch] + free)
    equation = f"{''.join(x_letters)},{''.join(y_letters)}->{result}"
    return graph.node("Einsum", [x, y], out.shape, out.dtype, equation=equation)


def _convolution(graph: Graph, eqn: Any, x: Value, kernel: Value) -> Value:
    p = eqn.params
    numbers = p["dimension_numbers"]
    if p["batch_group_count"] != 1:
        raise graph.refused("a convolution with groups of examples", "groups of features")
    x = graph.transpose(x, numbers.lhs_spec)
    kernel = graph.transpose(kernel, numbers.rhs_spec)
    window = kernel.shape[2:]
    spread = [(f - 1) * d for f, d in zip(window, p["rhs_dilation"], strict=True)]
    out = tuple(eqn.outvars[0].aval.shape[axis] for axis in numbers.out_spec)
    fields = {
        "kernel_shape": list(window),
        "dilations": list(p["rhs_dilation"]),
        "group": p["feature_group_count"],
    }
    if any(n != 1 for n in p["lhs_dilation"]):
        y = _transposed_convolution(graph, p, x, kernel, spread, fields)
    else:
        lows = [low for low, _ in p["padding"]]
        highs = [high for _, high in p["padding"]]
        x = _cropped(graph, x, lows, highs)
        pads = [max(0, n) for n in lows + highs]
        fields |= {"strides": list(p["window_strides"]), "pads": pads}
        y = graph.node("Conv", [x, kernel], out, x.dtype, **fields)
    order = [numbers.out_spec.index(axis) for axis in range(len(out))]
    return graph.transpose(y, order)


def _transposed_convolution(
    graph: Graph, p: Any, x: Value, kernel: Value, spread: Sequence[int], fields: dict[str, Any]
) -> Value:
    """Convolves images with zeros between their values, `[B, C, H, W]`."""
    if any(n != 1 for n in p["window_strides"]):
        raise graph.refused("strides of a transposed convolution", "lhs_dilation alone")
    strides = list(p["lhs_dilation"])
    # The operator of ONNX takes a flipped kernel, [C, D / groups, F, G], and crops instead of
    # padding.
    flipped = graph.slice(
        kernel,
        (0, 0, *(f - 1 for f in kernel.shape[2:])),
        (*kernel.shape[:2], *(-1 for _ in spread)),
        [1, 1, *(-1 for _ in spread)],
    )
    flipped = _exchanged(graph, flipped, p["feature_group_count"])
    crops = [n - low for n, (low, _) in zip(spread, p["padding"], strict=True)]
    crops += [n - high for n, (_, high) in zip(spread, p["padding"], strict=True)]
    axes = len(spread)
    pads = [max(0, n) for n in crops]
    size = [
        (n - 1) * s + 1 + f - pads[i] - pads[i + axes]
        for i, (n, s, f) in enumerate(zip(x.shape[2:], strides, spread, strict=True))
    ]
    shape = (x.shape[0], kernel.shape[0], *size)
    y = graph.node(
        "ConvTranspose", [x, flipped], shape, x.dtype, strides=strides, pads=pads, **fields
    )
    lows = [0, 0, *(max(0, -n) for n in crops[:axes])]
    highs = [0, 0, *(max(0, -n) for n in crops[axes:])]
    return padded(graph, y, lows, highs, graph.like(y, 0))


def _exchanged(graph: Graph, kernel: Value, groups: int) -> Value:
    """Exchanges inputs and outputs in each group of a kernel, `[D, C / groups, ...]`."""
    features, channels, *window = kernel.shape
    if groups == 1:
        return graph.transpose(kernel, [1, 0, *range(2, len(kernel.shape))])
    size = features // groups
    parts = graph.reshape(kernel, (groups, size, channels, *window))
    parts = graph.transpose(parts, [0, 2, 1, *range(3, len(parts.shape))])
    return graph.reshape(parts, (groups * channels, size, *window))


def _cropped(graph: Graph, x: Value, lows: Sequence[int], highs: Sequence[int]) -> Value:
    """Removes as many rows and columns of `[B, C, H, W]` as negative paddings do."""
    starts = (0, 0, *(max(0, -low) for low in lows))
    ends = (n - max(0, -high) for n, high in zip(x.shape[2:], highs, strict=True))
    return graph.slice(x, starts, (*x.shape[:2], *ends), [1] * len(x.shape))


def _pooling(op: str) -> Rule:
    def rule(graph: Graph, eqn: Any, x: Value) -> Value:
        p = eqn.params
        window = p["window_dimensions"]
        rank = len(window)
        outer = [0, rank - 1]
        alone = (window, p["window_strides"], p["window_dilation"])
        plain = all(sizes[axis] == 1 for sizes in alone for axis in outer)
        if rank < 3 or not plain or any(n != 1 for n in p["base_dilation"]):
            raise graph.refused("this window", "windows over the inner axes of [B, ..., D]")
        if op == "AveragePool" and any(n != 1 for n in p["window_dilation"]):
            raise graph.refused("a sum over a window with gaps", "window_dilation 1")
        inner = list(range(1, rank - 1))
        order = [0, rank - 1, *inner]
        pads = [p["padding"][axis][0] for axis in inner] + [p["padding"][axis][1] for axis in inner]
        fields: dict[str, Any] = {
            "kernel_shape": [window[axis] for axis in inner],
            "strides": [p["window_strides"][axis] for axis in inner],
            "pads": pads,
        }
        if op == "MaxPool":
            fields["dilations"] = [p["window_dilation"][axis] for axis in inner]
        else:
            fields["count_include_pad"] = 1
        out = eqn.outvars[0].aval.shape
        shape = tuple(out[axis] for axis in order)
        y = graph.node(op, [graph.transpose(x, order)], shape, x.dtype, **fields)
        if op == "AveragePool":
            y = graph.elementwise("Mul", y, graph.like(y, math.prod(window)))
        return graph.transpose(y, [0, *range(2, rank), 1])

    return rule


#: Rules by name of the primitive.
SUMS: Mapping[str, Rule] = {
    "argmax": _place("ArgMax"),
    "argmin": _place("ArgMin"),
    "conv_general_dilated": _convolution,
    "cummax": _cumulative("Max"),
    "cummin": _cumulative("Min"),
    "cumprod": _cumulative("Mul"),
    "cumsum": _cumulative_sum,
    "dot_general": _dot,
    "reduce_and": _reduction("ReduceMin"),
    "reduce_max": _reduction("ReduceMax"),
    "reduce_min": _reduction("ReduceMin"),
    "reduce_or": _reduction("ReduceMax"),
    "reduce_prod": _reduction("ReduceProd"),
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_window_max": _pooling("MaxPool"),
    "reduce_window_sum": _pooling("AveragePool"),
}
