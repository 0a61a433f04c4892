"""Positions of nodes and edges in the picture of a graph, from left to right."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

#: Number of passes that reorder the columns, and that move nodes up and down.
SWEEPS = 12
MOVES = 60
#: Height of an edge that passes a column, as a share of the height of a node.
PASSING = 0.6

#: A node, or the part of an edge (node, child, column) that passes a column.
Place = int | tuple[int, int, int]


class Layout(NamedTuple):
    """Positions of nodes and edges.

    Attributes:
      positions: `[N, 2]`, column from the left and row from the bottom, in units of a node.
      edges: for each pair of a node and its child the points `[K, 2]` that the edge passes, one in
        each column between both. Two edges of the same pair are one.

    Example: see `layered`.
    """

    positions: Float[np.ndarray, "N 2"]
    edges: dict[tuple[int, int], Float[np.ndarray, "K 2"]]


def layered(parents: Sequence[Sequence[int]]) -> Layout:
    """Returns positions at which every edge goes from left to right.

    A node is one column to the right of its last parent. A node without parents is one column to
    the left of its first child. Each column is sorted by the mean position of the neighbours, which
    leaves few crossings. Then nodes move towards their neighbours as far as the order allows.

    Args:
      parents: for each node the positions of its parents in this sequence, all before the node.

    Returns:
      The layout.

    Source: Sugiyama, Tagawa and Toda (1981), Methods for visual understanding of hierarchical
      system structures.

    Example:
      >>> layered([(), (), (0, 1)]).positions.tolist()
      [[0.0, 1.0], [0.0, 0.0], [1.0, 0.5]]
    """
    columns = _columns(parents)
    pairs = list(dict.fromkeys((p, i) for i, each in enumerate(parents) for p in each))
    layers: list[list[Place]] = [[] for _ in range(max(columns) + 1)]
    for node, column in enumerate(columns):
        layers[column].append(node)
    left: dict[Place, list[Place]] = {}
    right: dict[Place, list[Place]] = {}
    passing: dict[tuple[int, int], list[Place]] = {}
    for parent, child in pairs:
        between: list[Place] = [
            (parent, child, column) for column in range(columns[parent] + 1, columns[child])
        ]
        for place, column in zip(between, range(columns[parent] + 1, columns[child]), strict=True):
            layers[column].append(place)
        for a, b in itertools.pairwise([parent, *between, child]):
            right.setdefault(a, []).append(b)
            left.setdefault(b, []).append(a)
        passing[parent, child] = between
    layers = _ordered(layers, left, right)
    rows = _rows(layers, left, right)
    lowest = min(rows.values())
    points = {place: (x, rows[place] - lowest) for x, layer in enumerate(layers) for place in layer}
    return Layout(
        np.array([points[i] for i in range(len(parents))], float),
        {
            pair: np.array([points[p] for p in each]).reshape(-1, 2)
            for pair, each in passing.items()
        },
    )


def _columns(parents: Sequence[Sequence[int]]) -> list[int]:
    """Returns the column of each node."""
    columns: list[int] = []
    for each in parents:
        columns.append(1 + max((columns[p] for p in each), default=-1))
    for i, each in enumerate(parents):
        uses = [columns[child] for child, others in enumerate(parents) if i in others]
        if not each and uses:
            columns[i] = min(uses) - 1
    return columns


Neighbours = dict[Place, list[Place]]


def _ordered(layers: list[list[Place]], left: Neighbours, right: Neighbours) -> list[list[Place]]:
    """Returns the columns in an order with few crossings."""
    best = layers
    fewest = _crossings(layers, right)
    layers = [list(layer) for layer in layers]
    for sweep in range(SWEEPS):
        neighbours = left
        indices = range(1, len(layers))
        if sweep % 2:
            neighbours = right
            indices = range(len(layers) - 2, -1, -1)
        for i in indices:
            beside = layers[i - 1 if neighbours is left else i + 1]
            rank = {place: j for j, place in enumerate(beside)}
            current = {place: j for j, place in enumerate(layers[i])}

            def mean(place: Place, rank=rank, current=current, neighbours=neighbours) -> float:
                found = [rank[each] for each in neighbours.get(place, [])]
                return float(np.mean(found)) if found else float(current[place])

            layers[i] = sorted(layers[i], key=mean)
        crossings = _crossings(layers, right)
        if crossings < fewest:
            fewest = crossings
            best = [list(layer) for layer in layers]
    return best


def _crossings(layers: list[list[Place]], right: Neighbours) -> int:
    """Returns the number of crossings of edges between neighbouring columns."""
    count = 0
    for layer, following in itertools.pairwise(layers):
        rank = {place: j for j, place in enumerate(following)}
        ends = [sorted(rank[each] for each in right.get(place, [])) for place in layer]
        for upper, lower in itertools.combinations(ends, 2):
            count += sum(a > b for a in upper for b in lower)
    return count


def _rows(layers: list[list[Place]], left: Neighbours, right: Neighbours) -> dict[Place, float]:
    """Returns the row of each place, so that neighbours are close and places do not overlap."""
    rows: dict[Place, float] = {}
    for layer in layers:
        for place, row in zip(layer, _offsets(layer), strict=True):
            rows[place] = float(-row)
    for _ in range(MOVES):
        for layer in layers:
            wanted = []
            for place in layer:
                near = [rows[each] for each in left.get(place, []) + right.get(place, [])]
                wanted.append(-float(np.mean(near or [rows[place]])))
            offsets = _offsets(layer)
            moved = _ascending(np.array(wanted) - offsets) + offsets
            rows |= {place: -float(row) for place, row in zip(layer, moved, strict=True)}
    return rows


def _offsets(layer: Sequence[Place]) -> Float[np.ndarray, " K"]:
    """Returns the distances of places from the first one, if they are as close as possible."""
    heights = np.array([1.0 if isinstance(place, int) else PASSING for place in layer])
    return np.concatenate([[0.0], np.cumsum((heights[:-1] + heights[1:]) / 2)])


def _ascending(values: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Returns the nearest numbers that do not descend, by pooling adjacent violators."""
    means: list[float] = []
    counts: list[int] = []
    for value in values:
        means.append(float(value))
        counts.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            total = counts[-2] + counts[-1]
            means[-2] = (means[-2] * counts[-2] + means[-1] * counts[-1]) / total
            counts[-2] = total
            del means[-1], counts[-1]
    return np.repeat(means, counts)
