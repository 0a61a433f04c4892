"""Sets from objects of other libraries: data frames, Hugging Face's sets, sequences of pairs."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from jaxdl.data.checks import check_classification
from jaxdl.data.dataset import Dataset
from jaxdl.data.npz import MAX_CLASSES, rescaled
from jaxdl.errors import InputError, one_of

#: Names of the columns that are found without a name, in upper or lower case.
NAMES = {
    "input": ("input", "inputs", "image", "images", "img", "pixel_values", "x"),
    "label": ("label", "labels", "class", "fine_label", "y"),
    "target": ("target", "targets"),
}


def as_dataset(
    values: Any,
    name: str = "mine",
    *,
    input: str | Sequence[str] | None = None,
    label: str | None = None,
    target: str | None = None,
) -> Dataset:
    """Returns a set from an object of another library.

    The object is one of these:

    - a dictionary of arrays;
    - a data frame, as of pandas or polars, whose columns have `to_numpy`;
    - a set of Hugging Face's `datasets`, which has `column_names` and `with_format`; its features
      have the names of the classes;
    - a sequence of pairs `(input, label)` or of dictionaries, as the sets of PyTorch are. Its items
      may be images of Pillow and tensors.

    Pixels in uint8 are divided by 255, and grey images `[N, H, W]` get a channel axis.

    Args:
      values: the object, with N rows.
      name: name of the set in results.
      input: the column of inputs, or several columns of numbers, which become `[N, D]`. None means
        the column `input`, `image`, `img`, `pixel_values` or `x`.
      label: the column of classes, integers or texts. None means `label`, `labels`, `class` or `y`,
        if there is one.
      target: the column of numbers to predict. None means `target`, if there is one.

    Returns:
      A set with `input`, `label [N]` int32 and `target [N, D]` float32, as far as there are such
      columns. Split it by `jaxdl.data.holdout` or `split`.

    Raises:
      InputError: another object, an unknown column, rows of different shapes, or anything that
        `check_classification` refuses.

    Example:
      >>> frame = {"size": [4.0, 9.0], "age": [1, 2], "kind": ["cat", "dog"]}
      >>> data = as_dataset(frame, input=["size", "age"], label="kind")
      >>> data["input"].tolist(), data["label"].tolist(), data.class_names
      ([[4.0, 1.0], [9.0, 2.0]], [0, 1], ('cat', 'dog'))
    """
    columns = _columns(values)
    chosen = {"input": input, "label": label, "target": target}
    for field, given in chosen.items():
        if given is None:
            chosen[field] = _found(field, columns, input)
    if chosen["input"] is None:
        allowed = f"input=..., the name of a column: {', '.join(map(str, columns))}"
        raise InputError("input", None, allowed)
    arrays = {"input": rescaled(_inputs(chosen["input"], columns))}
    if chosen["target"] is not None:
        y = np.asarray(columns[one_of("target", str(chosen["target"]), columns)])
        arrays["target"] = y.astype(np.float32).reshape(len(y), -1)
    if chosen["label"] is None:
        return Dataset(arrays, name)
    y, names = _labels(values, str(chosen["label"]), columns)
    classes = None
    if names is not None:
        classes = len(names)
    elif y.dtype.kind in "iu" and y.size:
        classes = max(int(y.max()) + 1, 1)
    if (classes or 0) > MAX_CLASSES:
        raise InputError("label", classes, f"at most {MAX_CLASSES} classes")
    data = Dataset({**arrays, "label": y}, name, classes, class_names=names)
    check_classification(data)
    return dataclasses.replace(data, arrays={**data.arrays, "label": y.astype(np.int32)})


def _columns(values: Any) -> dict[str, Any]:
    """Returns the columns of an object by name."""
    if hasattr(values, "column_names") and hasattr(values, "with_format"):
        return dict(values.with_format("numpy")[:])
    if hasattr(values, "columns") and not isinstance(values, Mapping):
        return {str(column): values[column].to_numpy() for column in values.columns}
    if isinstance(values, Mapping):
        parts = [key for key, value in values.items() if hasattr(value, "column_names")]
        if parts:
            raise InputError("values", f"the parts {parts}", f"one part, such as [{parts[0]!r}]")
        return {str(key): value for key, value in values.items()}
    return _columns_of_items(values)


def _columns_of_items(values: Any) -> dict[str, Any]:
    """Returns the columns of a sequence of pairs or of dictionaries."""
    if not hasattr(values, "__len__") or not hasattr(values, "__getitem__") or len(values) == 0:
        allowed = "a dictionary of arrays, a data frame, or a sequence of pairs (input, label)"
        raise InputError("values", type(values), allowed)
    # The sets of PyTorch are no iterables: they have a length and items.
    items = [values[i] for i in range(len(values))]
    if all(isinstance(item, Mapping) for item in items):
        return {str(key): [item[key] for item in items] for key in items[0]}
    if all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        inputs, labels = zip(*items, strict=True)
        field = "label"
        if any(np.asarray(label).dtype.kind == "f" for label in labels):
            field = "target"
        return {"input": inputs, field: labels}
    allowed = "pairs (input, label) or dictionaries; write {'input': x, 'label': y} for two arrays"
    raise InputError("values[0]", type(items[0]), allowed)


def _found(field: str, columns: Iterable[str], input: Any) -> str | None:
    """Returns the only column with a usual name of a field, or None."""
    used = [input] if isinstance(input, str) else list(input or ())
    found = [name for name in columns if name.lower() in NAMES[field] and name not in used]
    if len(found) > 1:
        raise InputError(field, found, f"one of these, by {field}=...")
    return next(iter(found), None)


def _inputs(names: str | Sequence[str], columns: Mapping[str, Any]) -> Shaped[np.ndarray, "N ..."]:
    """Returns the inputs of one column, or of several columns side by side."""
    if isinstance(names, str):
        return _stacked(names, columns[one_of("input", names, columns)])
    parts = []
    for name in names:
        part = _stacked(name, columns[one_of("input", name, columns)])
        if part.ndim != 1 or part.dtype.kind not in "biuf":
            raise InputError(f"column {name!r}", f"{part.dtype.name}{list(part.shape)}", "numbers")
        parts.append(part.astype(np.float64))
    if not parts:
        raise InputError("input", names, "at least one column")
    return np.stack(parts, 1)


def _stacked(name: str, values: Any) -> Shaped[np.ndarray, "N ..."]:
    """Returns the rows of a column as one array."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values
    rows = [np.asarray(value) for value in values]
    shapes = sorted({row.shape for row in rows})
    if len(shapes) != 1:
        allowed = "one shape; scale images to one size first"
        raise InputError(f"column {name!r}", f"rows of the shapes {shapes[:3]}", allowed)
    return np.stack(rows)


def _labels(
    values: Any, name: str, columns: Mapping[str, Any]
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns the labels `[N]` and the names of the classes, if there are some."""
    label = _stacked(name, columns[one_of("label", name, columns)])
    if label.dtype.kind in "US":
        texts, label = np.unique(label.astype(str), return_inverse=True)
        return label, tuple(texts.tolist())
    features = getattr(values, "features", None) or {}
    names = getattr(features.get(name), "names", None)
    if names is None:
        return label, None
    return label, tuple(map(str, names))
