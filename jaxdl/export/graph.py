"""An ONNX graph under construction: values, constants, nodes, and the free batch size."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jaxdl.errors import InputError

#: Dtypes of arrays in a graph.
DTYPES = (
    *("float32", "float64", "float16", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)

Shape = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """An array in a graph.

    Attributes:
      shape: its sizes, each a number or a multiple of the batch size. A size may also be 1 where
        the array of the function has equal numbers along an axis; `Graph.full` repeats them.
      dtype: its dtype.
      name: its name in the graph; of a constant, the name that it gets in the file.
      array: the numbers of a constant, else None.
    """

    shape: Shape
    dtype: np.dtype
    name: str = ""
    array: np.ndarray | None = None


def constant(array: Any, name: str = "") -> Value:
    """Returns an array as a value.

    Example:
      >>> constant(np.zeros((2, 3))).shape
      (2, 3)
    """
    array = np.asarray(array)
    return Value(array.shape, array.dtype, name, array)


def joint_shape(shapes: Iterable[Shape]) -> Shape:
    """Returns the shape of an elementwise function of arrays of these shapes.

    Example:
      >>> joint_shape([(3, 1), (1, 5), ()])
      (3, 5)
    """
    shapes = list(shapes)
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*padded, strict=True))


class Graph:
    """The nodes of a graph, or of the body of a loop in a graph.

    Attributes:
      nodes: the nodes in order, as protocol buffers.
      layer: the path of the layer whose nodes are added.
    """

    def __init__(
        self, names: Sequence[str] = (), symbol: Any = None, outer: "Graph | None" = None
    ) -> None:
        """Creates an empty graph.

        Args:
          names: names of inputs and outputs. The first size of the first one is the batch size.
          symbol: the batch size in shapes.
          outer: the graph around the body of a loop.
        """
        self.nodes: list[Any] = []
        self.layer = ""
        self._root: Graph = outer._root if outer else self
        if outer is None:
            self._batch_input = names[0] if names else ""
            self._symbol = symbol
            self._batch: Value | None = None
            self._first_nodes: list[Any] = []
            self._names = set(names)
            self._constants: dict[Any, tuple[str, np.ndarray]] = {}

    def body(self) -> "Graph":
        """Returns an empty graph for the body of a loop; it may use the values of this one."""
        body = Graph(outer=self)
        body.layer = self.layer
        return body

    def fresh(self, name: str) -> str:
        """Returns a name that no other value has."""
        names = self._root._names
        unique = name
        count = 1
        while unique in names:
            unique = f"{name}_{count}"
            count += 1
        names.add(unique)
        return unique

    def node(self, op: str, inputs: Sequence[Value], shape: Shape, dtype: Any, **fields) -> Value:
        """Adds a node with one output.

        Args:
          op: name of the ONNX operator.
          inputs: its inputs.
          shape: shape of the output.
          dtype: dtype of the output.
          **fields: the attributes of the node.
        """
        return self.node_of_many(op, inputs, [(shape, dtype)], **fields)[0]

    def node_of_many(
        self, op: str, inputs: Sequence[Value], outputs: Sequence[tuple[Shape, Any]], **fields: Any
    ) -> list[Value]:
        """Adds a node with several outputs, given by shape and dtype."""
        from onnx import helper

        path = f"{self.layer}/{op}".lstrip("/")
        values = [Value(tuple(s), np.dtype(d), self.fresh(path)) for s, d in outputs]
        names = [self.name_of(x) for x in inputs]
        self.nodes.append(
            helper.make_node(op, names, [x.name for x in values], values[0].name, **fields)
        )
        return values

    def name_of(self, value: Value) -> str:
        """Returns the name of a value; a constant becomes a part of the file."""
        if value.array is None:
            return value.name
        array = value.array
        key: Any = id(array)
        if array.size <= 16:
            key = (array.dtype.str, array.shape, array.tobytes())
        constants = self._root._constants
        if key not in constants:
            # The array is kept, so that no other one gets its id.
            constants[key] = (self.fresh(value.name or "constant"), array)
        return constants[key][0]

    def initializers(self, names: Iterable[str]) -> list[Any]:
        """Returns the constants with these names as protocol buffers."""
        from onnx import numpy_helper

        wanted = set(names)
        return [
            numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            for name, array in self._root._constants.values()
            if name in wanted
        ]

    def all_nodes(self) -> list[Any]:
        """Returns the nodes, after those that compute the batch size."""
        if self is self._root:
            return [*self._first_nodes, *self.nodes]
        return self.nodes

    def elementwise(self, op: str, *inputs: Value, dtype: Any = None, **fields: Any) -> Value:
        """Adds a node of an elementwise operator; the dtype is that of the first input."""
        shape = joint_shape(x.shape for x in inputs)
        return self.node(op, inputs, shape, inputs[0].dtype if dtype is None else dtype, **fields)

    def like(self, x: Value, number: Any) -> Value:
        """Returns a number with the dtype of a value."""
        return constant(np.asarray(number, x.dtype))

    def cast(self, x: Value, dtype: Any) -> Value:
        """Returns a value with another dtype."""
        from onnx import helper

        dtype = np.dtype(dtype)
        if dtype == x.dtype:
            return x
        if x.array is not None:
            return constant(x.array.astype(dtype))
        return self.elementwise("Cast", x, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(dtype))

    def size(self, size: Any) -> Value:
        """Returns a size as an int64 array `[1]`."""
        if isinstance(size, int):
            return constant(np.array([size], np.int64))
        symbol = self._root._symbol
        factor = size // symbol
        if not isinstance(factor, int) or factor * symbol != size:
            raise self.refused(f"the size {size}", "numbers, and multiples of the batch size")
        batch = self._root._batch_size()
        if factor == 1:
            return batch
        return self.node("Mul", [batch, constant(np.array([factor], np.int64))], (1,), np.int64)

    def _batch_size(self) -> Value:
        if self._batch is None:
            from onnx import helper

            self._batch = Value((1,), np.dtype(np.int64), self.fresh("batch_size"))
            self._first_nodes.append(
                helper.make_node("Shape", [self._batch_input], [self._batch.name], start=0, end=1)
            )
        return self._batch

    def full(self, x: Value, shape: Shape) -> Value:
        """Returns a value with all its numbers, repeated along the axes of size 1."""
        if x.shape == shape:
            return x
        if x.array is not None and all(isinstance(size, int) for size in shape):
            return constant(np.broadcast_to(x.array, shape))
        parts = [
            constant(np.ones(1, np.int64)) if own == size else self.size(size)
            for own, size in zip(x.shape, shape, strict=True)
        ]
        if all(part.array is not None for part in parts):
            sizes = constant(np.concatenate([part.array for part in parts]))
        else:
            sizes = self.node("Concat", parts, (len(parts),), np.int64, axis=0)
        return self.node("Expand", [x, sizes], shape, x.dtype)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Returns a value with its axes in another order."""
        order = tuple(map(int, order))
        if order == tuple(range(len(order))):
            return x
        if x.array is not None:
            return constant(x.array.transpose(order), x.name)
        shape = tuple(x.shape[axis] for axis in order)
        return self.node("Transpose", [x], shape, x.dtype, perm=list(order))

    def reshape(self, x: Value, shape: Shape) -> Value:
        """Returns a value in another shape, in which one size may depend on the batch size."""
        if x.shape == shape:
            return x
        if x.array is not None:
            return constant(x.array.reshape(shape), x.name)
        sizes = [size if isinstance(size, int) else -1 for size in shape]
        if sizes.count(-1) > 1:
            allowed = "one size that depends on the batch size"
            raise self.refused(f"an array of shape {shape}", allowed)
        target = constant(np.array(sizes, np.int64))
        return self.node("Reshape", [x, target], shape, x.dtype)

    def slice(self, x: Value, starts: Shape, limits: Shape, steps: Sequence[int]) -> Value:
        """Returns the numbers from `starts` to before `limits`; a step may be negative."""
        rows = []
        shape = []
        for axis, (size, start, limit, step) in enumerate(
            zip(x.shape, starts, limits, steps, strict=True)
        ):
            if start == 0 and limit == size and step == 1:
                shape.append(size)
                continue
            if not all(isinstance(n, int) for n in (size, start, limit)):
                raise self.refused("a slice of examples", "slices of other axes than the batch")
            # A negative limit would count from the end.
            end = limit if limit >= 0 else -(2**31)
            rows.append((start, end, axis, step))
            shape.append(max(0, -(-(limit - start) // step)))
        if not rows:
            return x
        if x.array is not None:
            ends = [limit if limit >= 0 else None for limit in limits]
            return constant(x.array[tuple(map(slice, starts, ends, steps))])
        bounds = [constant(np.array(column, np.int64)) for column in zip(*rows, strict=True)]
        return self.node("Slice", [x, *bounds], tuple(shape), x.dtype)

    def refused(self, found: str, allowed: str) -> InputError:
        """Returns the error about a part of the function that no ONNX operator computes."""
        place = f"layer {self.layer}" if self.layer else "function"
        return InputError(place, found, f"{allowed}; or write to_stablehlo, for any function")


def used_nodes(nodes: Sequence[Any], outputs: Iterable[str]) -> tuple[list[Any], set[str]]:
    """Returns the nodes that outputs depend on, and the names of all values that these read.

    Example:
      >>> used_nodes([], ["y"])
      ([], {'y'})
    """
    needed = set(outputs)
    kept = []
    for node in reversed(nodes):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed |= set(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                needed |= used_nodes(attribute.g.node, [x.name for x in attribute.g.output])[1]
    return kept[::-1], needed
