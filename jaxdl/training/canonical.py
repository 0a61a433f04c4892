"""A hash of what a function computes, equal in every process.

The hash covers the traced operations with their parameters, and constants by value. It does not
cover names, source positions, addresses, or the devices on which a program runs.
"""

import dataclasses
import enum
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

#: Parameters of operations that do not change what is computed: names, positions, devices, and
#: rules of differentiation. A trace contains the derivatives that were used.
IGNORED = re.compile(
    "name|name_and_src_info|debug.*|metadata|source.*|.*sharding.*|.*layouts?|.*mesh|donated_invars"
    "|inline|keep_unused|jvp_.*|fwd_.*|bwd|.*thunk|effects?|out_trees|origin|.*src_info"
)

#: Operations that only place an array on other devices.
COPIES = ("reshard", "sharding_constraint")

#: Number of hexadecimal digits of a hash.
DIGITS = 16

#: A text, or a variable that gets a number.
Atom = str | Var


def hash_of(traced: Any, scope: str, path: str) -> dict[str, str]:
    """Returns the hashes of a traced function and of two parts of it.

    Args:
      traced: the result of `jax.jit(f).trace(...)`.
      scope: name of a `jax.named_scope` in the function.
      path: part of the path of outputs that belong to the scope.

    Returns:
      `all`, the hash of the function; `inside`, of the operations and outputs in the scope; and
      `outside`, of the others.

    Example:
      >>> traces = [jax.jit(lambda x: x + n).trace(1.0) for n in (1, 2)]
      >>> one, two = (hash_of(traced, "optimizer", "opt") for traced in traces)
      >>> one["all"] == two["all"]
      False
    """
    writer = _Writer()
    jaxpr = traced.jaxpr.jaxpr
    known = writer.constants(jaxpr, traced.jaxpr.consts)
    rows = [
        (scope in str(eqn.source_info.name_stack).split("/"), operation)
        for eqn, operation in writer.operations(jaxpr, known)
    ]
    outputs = jax.tree_util.tree_flatten_with_path(traced.out_info)[0]
    for (where, _), out in zip(outputs, jaxpr.outvars, strict=True):
        rows.append((path in jax.tree_util.keystr(where), ["output", writer.atom(out, known)]))
    return {
        "all": _numbered([list(jaxpr.invars), *(row for _, row in rows)]),
        "inside": _numbered(row for inside, row in rows if inside),
        "outside": _numbered(row for inside, row in rows if not inside),
    }


def _numbered(rows: Iterable[list[Atom]]) -> str:
    """Returns the hash of rows whose variables are numbered in the order in which they occur."""
    numbers: dict[Var, int] = {}
    digest = hashlib.sha256()
    for row in rows:
        for atom in row:
            text = atom
            if not isinstance(atom, str):
                number = numbers.setdefault(atom, len(numbers))
                text = f"%{number}:{_kind(atom.aval)}"
            digest.update(f"{text}\n".encode())
        digest.update(b";")
    return digest.hexdigest()[:DIGITS]


def _kind(aval: Any) -> str:
    """Returns dtype and shape of a variable, and whether its type is weak."""
    if not hasattr(aval, "shape"):
        return type(aval).__name__
    weak = "~" if getattr(aval, "weak_type", False) else ""
    return f"{weak}{aval.dtype}{list(aval.shape)}"


class _Writer:
    """A writer of canonical texts, which writes every object once."""

    def __init__(self) -> None:
        #: The objects are kept, so that no other one gets the same identity.
        self.texts: dict[int, tuple[Any, str]] = {}

    def constants(self, jaxpr: Jaxpr, values: Iterable[Any]) -> dict[Var, Atom]:
        """Returns the texts of the constants of a trace."""
        pairs = zip(jaxpr.constvars, values, strict=True)
        return {variable: self.text(value) for variable, value in pairs}

    def operations(
        self, jaxpr: Jaxpr, known: dict[Var, Atom]
    ) -> Iterator[tuple[JaxprEqn, list[Atom]]]:
        """Yields the operations, each with its parameters, its arguments and its results.

        Args:
          jaxpr: the operations.
          known: values of variables, to which copies between devices are added.
        """
        for eqn in jaxpr.eqns:
            arguments = [self.atom(each, known) for each in eqn.invars]
            if eqn.primitive.name in COPIES:
                known |= dict(zip(eqn.outvars, arguments, strict=True))
                continue
            parameters = self.entries(eqn.params)
            yield eqn, [eqn.primitive.name, parameters, *arguments, "->", *eqn.outvars]

    def atom(self, atom: Any, known: Mapping[Var, Atom]) -> Atom:
        """Returns a variable, or the text of a constant."""
        if isinstance(atom, Literal):
            return f"{_kind(atom.aval)} {self.text(atom.val)}"
        return known.get(atom, atom)

    def entries(self, values: Mapping[Any, Any]) -> str:
        """Returns the text of named values in the order of their names."""
        texts = [
            f"{self.text(name)}={self.text(value)}"
            for name, value in values.items()
            if not (isinstance(name, str) and IGNORED.fullmatch(name))
        ]
        return "{" + ", ".join(sorted(texts)) + "}"

    def sequence(self, values: Iterable[Any]) -> str:
        return "(" + ", ".join(map(self.text, values)) + ")"

    def text(self, value: Any) -> str:
        """Returns the canonical text of a value."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            return repr(value)
        if id(value) in self.texts:
            return self.texts[id(value)][1]
        # An object that contains itself is written as its type.
        self.texts[id(value)] = value, type(value).__qualname__
        text = self.written(value)
        self.texts[id(value)] = value, text
        return text

    def written(self, value: Any) -> str:
        """Returns the text of an object that was not written yet."""
        if isinstance(value, ClosedJaxpr):
            return self.program(value.jaxpr, value.consts)
        if isinstance(value, Jaxpr):
            return self.program(value, [f"constant {i}" for i, _ in enumerate(value.constvars)])
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return _array(value)
        if isinstance(value, enum.Enum):
            return f"{type(value).__qualname__}.{value.name}"
        name = type(value).__qualname__
        if isinstance(value, tuple | list):
            return name + self.sequence(value)
        if isinstance(value, Mapping):
            return name + self.entries(value)
        if isinstance(value, set | frozenset):
            return name + "{" + ", ".join(sorted(map(self.text, value))) + "}"
        return self.other(value, name)

    def other(self, value: Any, name: str) -> str:
        """Returns the text of an object that holds other values."""
        if isinstance(value, jax.tree_util.PyTreeDef):
            return f"{name} {value.num_leaves}"
        if isinstance(value, type):
            return f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, functools.partial):
            return name + self.sequence([value.func, value.args, value.keywords])
        if isinstance(value, MethodType):
            return name + self.sequence([value.__func__, value.__self__])
        if isinstance(value, FunctionType):
            cells = [_contents(cell) for cell in value.__closure__ or ()]
            parts = [value.__code__, value.__defaults__, value.__kwdefaults__, *cells]
            return f"{value.__module__}.{value.__qualname__}{self.sequence(parts)}"
        if isinstance(value, CodeType):
            return name + self.sequence([value.co_code, value.co_consts, value.co_names])
        if dataclasses.is_dataclass(value):
            fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
            return name + self.entries(fields)
        shown = repr(value)
        if " at 0x" not in shown:
            return f"{name} {shown}"
        return name + self.entries(getattr(value, "__dict__", {}))

    def program(self, jaxpr: Jaxpr, constants: Iterable[Any]) -> str:
        """Returns the hash of a program inside an operation."""
        known = self.constants(jaxpr, constants)
        rows: list[list[Atom]] = [list(jaxpr.invars)]
        rows += [operation for _, operation in self.operations(jaxpr, known)]
        rows.append([self.atom(each, known) for each in jaxpr.outvars])
        return f"program {_numbered(rows)}"


def _contents(cell: CellType) -> Any:
    """Returns the value of a variable of a closure; None if it has none yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _array(value: Any) -> str:
    """Returns dtype, shape and a hash of the contents of an array."""
    dtype = value.dtype
    if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    array = np.asarray(value)
    if array.dtype == object:
        return f"{dtype}{list(array.shape)}"
    contents = np.ascontiguousarray(array).view(np.uint8).data if array.size else b""
    return f"{dtype}{list(array.shape)} {hashlib.sha256(contents).hexdigest()[:DIGITS]}"
