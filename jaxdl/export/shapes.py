"""Primitives of JAX that move numbers, as nodes of ONNX.

A rule is called with the graph, the equation of the jaxpr and its inputs as values, with all their
numbers except in `broadcast_in_dim`. It returns the output, or a list of several.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxdl.export.elementwise import Rule
from jaxdl.export.graph import Graph, Value, constant


def _broadcast(graph: Graph, eqn: Any, x: Value, *sizes: Value) -> Value:
    """Adds axes of size 1; the numbers are repeated where an operator needs them."""
    rank = len(eqn.params["shape"])
    kept = eqn.params["broadcast_dimensions"]
    added = [axis for axis in range(rank) if axis not in kept]
    if not added:
        return x
    shape = [1] * rank
    for axis, size in zip(kept, x.shape, strict=True):
        shape[axis] = size
    if x.array is not None:
        return constant(x.array.reshape(shape), x.name)
    axes = constant(np.array(added, np.int64))
    return graph.node("Unsqueeze", [x, axes], tuple(shape), x.dtype)


def _reshape(graph: Graph, eqn: Any, x: Value, *sizes: Value) -> Value:
    order = eqn.params["dimensions"]
    if order is not None:
        x = graph.transpose(x, order)
    return graph.reshape(x, eqn.params["new_sizes"])


def _squeeze(graph: Graph, eqn: Any, x: Value) -> Value:
    shape = eqn.outvars[0].aval.shape
    if x.array is not None:
        return graph.reshape(x, shape)
    axes = constant(np.array(eqn.params["dimensions"], np.int64))
    return graph.node("Squeeze", [x, axes], shape, x.dtype)


def _transpose(graph: Graph, eqn: Any, x: Value) -> Value:
    return graph.transpose(x, eqn.params["permutation"])


def _concatenate(graph: Graph, eqn: Any, *parts: Value) -> Value:
    axis = eqn.params["dimension"]
    return graph.node("Concat", parts, eqn.outvars[0].aval.shape, parts[0].dtype, axis=axis)


def _split(graph: Graph, eqn: Any, x: Value) -> list[Value]:
    sizes = constant(np.array(eqn.params["sizes"], np.int64))
    outputs = [(v.aval.shape, x.dtype) for v in eqn.outvars]
    return graph.node_of_many("Split", [x, sizes], outputs, axis=eqn.params["axis"])


def _stack(graph: Graph, eqn: Any, *parts: Value) -> Value:
    axis = eqn.params["axis"]
    axes = constant(np.array([axis], np.int64))
    shape = parts[0].shape[:axis] + (1,) + parts[0].shape[axis:]
    rows = [graph.node("Unsqueeze", [x, axes], shape, x.dtype) for x in parts]
    return graph.node("Concat", rows, eqn.outvars[0].aval.shape, parts[0].dtype, axis=axis)


def _unstack(graph: Graph, eqn: Any, x: Value) -> list[Value]:
    axis = eqn.params["axis"]
    count = len(eqn.outvars)
    row = x.shape[:axis] + (1,) + x.shape[axis + 1 :]
    sizes = constant(np.ones(count, np.int64))
    rows = graph.node_of_many("Split", [x, sizes], [(row, x.dtype)] * count, axis=axis)
    axes = constant(np.array([axis], np.int64))
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    return [graph.node("Squeeze", [each, axes], shape, x.dtype) for each in rows]


def _tile(graph: Graph, eqn: Any, x: Value) -> Value:
    repeats = constant(np.array(eqn.params["reps"], np.int64))
    return graph.node("Tile", [x, repeats], eqn.outvars[0].aval.shape, x.dtype)


def _slice(graph: Graph, eqn: Any, x: Value) -> Value:
    p = eqn.params
    steps = p["strides"] or (1,) * len(x.shape)
    return graph.slice(x, p["start_indices"], p["limit_indices"], steps)


def _rev(graph: Graph, eqn: Any, x: Value) -> Value:
    turned = eqn.params["dimensions"]
    axes = range(len(x.shape))
    starts = tuple(x.shape[axis] - 1 if axis in turned else 0 for axis in axes)
    limits = tuple(-1 if axis in turned else x.shape[axis] for axis in axes)
    steps = [-1 if axis in turned else 1 for axis in axes]
    return graph.slice(x, starts, limits, steps)


def _dynamic_slice(graph: Graph, eqn: Any, x: Value, *starts: Value) -> Value:
    shape = eqn.outvars[0].aval.shape
    axes = [axis for axis, size in enumerate(shape) if size != x.shape[axis]]
    if not axes:
        return x
    columns = []
    for axis in axes:
        last = constant(np.array([x.shape[axis] - shape[axis]], np.int64))
        start = graph.reshape(graph.cast(starts[axis], np.int64), (1,))
        start = graph.elementwise("Max", start, constant(np.zeros(1, np.int64)))
        columns.append(graph.elementwise("Min", start, last))
    first = graph.node("Concat", columns, (len(axes),), np.int64, axis=0)
    counts = constant(np.array([shape[axis] for axis in axes], np.int64))
    limits = graph.elementwise("Add", first, counts)
    return graph.node(
        "Slice", [x, first, limits, constant(np.array(axes, np.int64))], shape, x.dtype
    )


def _gather(graph: Graph, eqn: Any, x: Value, indices: Value) -> Value:
    """Returns slices at constant indices, and then rows at the indices along one axis.

    JAX writes slices of the examples of a batch in this form.
    """
    numbers = eqn.params["dimension_numbers"]
    sizes = eqn.params["slice_sizes"]
    if numbers.operand_batching_dims:
        raise graph.refused("an index for each example", "an index along one axis, such as x[ids]")
    fixed, rows = _fixed_and_other_axes(numbers.start_index_map, indices)
    starts: list[Any] = [0] * len(x.shape)
    limits = list(x.shape)
    for axis, start in fixed.items():
        if not 0 <= start <= x.shape[axis] - sizes[axis]:
            raise graph.refused(f"the index {start}", f"an index within {x.shape[axis]} numbers")
        starts[axis] = start
        limits[axis] = start + sizes[axis]
    y = graph.slice(x, tuple(starts), tuple(limits), [1] * len(starts))
    dropped = [axis for axis in numbers.collapsed_slice_dims if axis in fixed]
    y = graph.reshape(y, tuple(n for axis, n in enumerate(y.shape) if axis not in dropped))
    if not rows:
        return y
    if not set(rows) <= set(numbers.collapsed_slice_dims):
        raise graph.refused("an index of windows", "an index along one axis, such as x[ids]")
    axis = min(rows)
    y, ids = _one_axis(graph, y, {i - sum(n < i for n in dropped): rows[i] for i in sorted(rows)})
    return _rows(graph, eqn, y, axis - sum(n < axis for n in dropped), ids)


def _one_axis(graph: Graph, x: Value, rows: dict[int, Value]) -> tuple[Value, Value]:
    """Merges neighbouring axes with constant indices into one axis with one index."""
    if len(rows) == 1:
        return x, next(iter(rows.values()))
    axes = list(rows)
    sizes = tuple(x.shape[axis] for axis in axes)
    arrays = [each.array for each in rows.values() if each.array is not None]
    if axes != list(range(axes[0], axes[0] + len(arrays))):
        raise graph.refused("an index of several axes", "an index along one axis, such as x[ids]")
    merged = np.ravel_multi_index(arrays, sizes).astype(np.int32)
    shape = (*x.shape[: axes[0]], math.prod(sizes), *x.shape[axes[-1] + 1 :])
    return graph.reshape(x, shape), constant(merged)


def _fixed_and_other_axes(
    axes: tuple[int, ...], indices: Value
) -> tuple[dict[int, int], dict[int, Value]]:
    """Returns the axes with one constant index, and the indices of the other axes."""
    fixed = {}
    others = {}
    for i, axis in enumerate(axes):
        if indices.array is None:
            others[axis] = indices
            continue
        column = indices.array[..., i]
        if column.ndim == 0 or (len(axes) > 1 and (column == column.flat[0]).all()):
            fixed[axis] = int(column.flat[0])
        else:
            others[axis] = constant(column[..., None])
    return fixed, others


def _rows(graph: Graph, eqn: Any, x: Value, axis: int, indices: Value) -> Value:
    """Returns the rows of `x` along an axis, with the fill value for indices out of range."""
    offsets = eqn.params["dimension_numbers"].offset_dims
    rank = len(eqn.outvars[0].aval.shape)
    ids = graph.reshape(indices, indices.shape[:-1])
    last = graph.like(ids, x.shape[axis] - 1)
    clipped = graph.elementwise("Min", graph.elementwise("Max", ids, graph.like(ids, 0)), last)
    joined = x.shape[:axis] + ids.shape + x.shape[axis + 1 :]
    y = graph.node("Gather", [x, clipped], joined, x.dtype, axis=axis)
    if "FILL" in str(eqn.params["mode"]):
        valid = graph.elementwise("Equal", ids, clipped, dtype=bool)
        valid = graph.reshape(valid, ids.shape + (1,) * (len(x.shape) - axis - 1))
        y = _filled(graph, y, valid, eqn.params["fill_value"])
    # The axes of the indices come first among those that are no offsets.
    of_operand = iter([*range(axis), *range(axis + len(ids.shape), rank)])
    of_indices = iter(range(axis, axis + len(ids.shape)))
    order = [next(of_operand if d in offsets else of_indices) for d in range(rank)]
    return graph.transpose(y, order)


def _filled(graph: Graph, y: Value, valid: Value, fill: Any) -> Value:
    """Returns `y` with another number where it is not valid."""
    if y.dtype == bool:
        integer = _filled(graph, graph.cast(y, np.int32), valid, int(bool(fill)))
        return graph.cast(integer, bool)
    if fill is None:
        fill = np.nan if np.issubdtype(y.dtype, np.floating) else np.iinfo(y.dtype).min
    return graph.elementwise("Where", valid, y, graph.like(y, fill), dtype=y.dtype)


def _pad(graph: Graph, eqn: Any, x: Value, fill: Value) -> Value:
    config = eqn.params["padding_config"]
    for axis, (_, _, inner) in enumerate(config):
        if inner:
            x = _pad_between(graph, x, fill, axis, inner)
    starts = tuple(max(0, -low) for low, _, _ in config)
    limits = tuple(n - max(0, -high) for n, (_, high, _) in zip(x.shape, config, strict=True))
    x = graph.slice(x, starts, limits, [1] * len(config))
    lows = [max(0, low) for low, _, _ in config]
    highs = [max(0, high) for _, high, _ in config]
    return padded(graph, x, lows, highs, fill)


def _pad_between(graph: Graph, x: Value, fill: Value, axis: int, inner: int) -> Value:
    """Puts `inner` numbers between two neighbours along an axis."""
    n = x.shape[axis]
    before = x.shape[:axis]
    after = x.shape[axis + 1 :]
    column = graph.reshape(x, (*before, n, 1, *after))
    zeros = [0] * len(column.shape)
    highs = list(zeros)
    highs[axis + 1] = inner
    wide = padded(graph, column, zeros, highs, fill)
    y = graph.reshape(wide, (*before, n * (1 + inner), *after))
    limits = (*before, n * (1 + inner) - inner, *after)
    return graph.slice(y, (0,) * len(limits), limits, [1] * len(limits))


def padded(graph: Graph, x: Value, lows: list[int], highs: list[int], fill: Value) -> Value:
    """Returns a value with numbers added before and after each axis."""
    if not any(lows + highs):
        return x
    shape = tuple(n + low + high for n, low, high in zip(x.shape, lows, highs, strict=True))
    pads = constant(np.array(lows + highs, np.int64))
    return graph.node("Pad", [x, pads, fill], shape, x.dtype)


def _iota(graph: Graph, eqn: Any, *sizes: Value) -> Value:
    shape = eqn.params["shape"]
    axis = eqn.params["dimension"]
    narrow = [1] * len(shape)
    narrow[axis] = shape[axis]
    dtype = np.dtype(eqn.params["dtype"])
    if isinstance(shape[axis], int):
        return constant(np.arange(shape[axis], dtype=dtype).reshape(narrow))
    limit = graph.reshape(graph.size(shape[axis]), ())
    bounds = [constant(np.int64(0)), limit, constant(np.int64(1))]
    numbers = graph.node("Range", bounds, (shape[axis],), np.int64)
    return graph.reshape(graph.cast(numbers, dtype), tuple(narrow))


def _size_as_value(graph: Graph, eqn: Any) -> Value:
    size = graph.reshape(graph.size(eqn.params["dim"]), ())
    return graph.cast(size, eqn.outvars[0].aval.dtype)


#: Rules by name of the primitive.
SHAPES: Mapping[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "dim_as_value": _size_as_value,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
    "iota": _iota,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _rev,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
    "unstack": _unstack,
}
