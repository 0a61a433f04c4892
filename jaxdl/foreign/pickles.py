"""A reader of pickles that runs no code: it makes containers, numbers, texts and records only.

A pickle is a program for a machine with a stack. `pickletools` splits the program into operations
and runs none. This machine runs those that checkpoints of PyTorch need. A name of a function in the
file is compared with a short list and never imported. An operation or name that is not listed ends
the reading.
"""

import pickletools
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

from jaxdl.data.files import MAX_UNCHECKED_BYTES
from jaxdl.errors import InputError

#: Most bytes of one pickle, of a text in it, and of a line.
MAX_BYTES = MAX_UNCHECKED_BYTES
MAX_TEXT = 2**20
MAX_LINE = 2**10

#: Most operations of one pickle, with the values that they copy. Each operation takes
#: microseconds, and a copy of a stored container would take many bytes.
MAX_OPERATIONS = 2**20

#: The key of the dictionary of the names that PyTorch gives to dtypes.
STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

#: Functions that a checkpoint may name; the machine has its own form of each.
FUNCTIONS = {
    "collections OrderedDict": "dictionary",
    "torch._utils _rebuild_tensor": "tensor",
    "torch._utils _rebuild_tensor_v2": "tensor",
    "torch._utils _rebuild_parameter": "parameter",
}

#: The mark on the stack at which a tuple, list or dictionary begins.
_MARK = object()


class Name(NamedTuple):
    """A function or storage class that the file names.

    Attributes:
      kind: `dictionary`, `tensor`, `parameter` or `storage`.
      dtype: dtype of a storage, else empty.
    """

    kind: str
    dtype: str = ""


class Storage(NamedTuple):
    """Numbers that lie outside of the pickle.

    Attributes:
      dtype: name of the dtype.
      key: name of the storage.
      size: number of numbers.
    """

    dtype: str
    key: str
    size: int


class Tensor(NamedTuple):
    """A tensor of a checkpoint.

    Attributes:
      storage: its numbers.
      offset: place of its first number in the storage.
      shape: the shape.
      strides: distances between neighbours along each axis, in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    """Contents that the machine does not read; the text is the value of the message."""


def unpickled(file: IO[bytes], source: str, storages: dict[str, Storage] | None = None) -> Any:
    r"""Returns the object of the pickle that begins at the place of an open file.

    Args:
      file: an open file. Afterwards its place is behind the pickle.
      source: name of the source in error messages.
      storages: a dictionary that gets each storage of the pickle by its key.

    Returns:
      Numbers, texts, None, and tuples, lists and dictionaries of them, with a `Tensor` for each
      tensor and a `Storage` for each storage.

    Raises:
      InputError: a pickle that is damaged or too long, or that names other functions.

    Example:
      >>> import io
      >>> unpickled(io.BytesIO(b"\x80\x02}X\x01\x00\x00\x00aK\x03s."), "x.pth")
      {'a': 3}
      >>> unpickled(io.BytesIO(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R."), "x.pth")
      Traceback (most recent call last):
      jaxdl.errors.InputError: x.pth: got 'os.system', allowed: a state_dict of PyTorch, ...
    """
    machine = _Machine(storages)
    allowed = "a state_dict of PyTorch, written by torch.save(model.state_dict(), path)"
    try:
        for operation, argument, _ in pickletools.genops(_Bounded(file)):  # type: ignore[arg-type]
            if operation.name == "STOP":
                return machine.pop()
            machine.count(1)
            machine.run(operation.name, argument)
    except _Refused as refused:
        raise InputError(source, str(refused), allowed) from None
    except OSError as error:
        reason = f"a file that can be read ({error.strerror})"
        raise InputError(source, "an error of the system", reason) from None
    except Exception:
        # Damage makes the parser and the containers raise too many kinds of exceptions.
        raise InputError(source, "a damaged pickle", allowed) from None
    raise InputError(source, "a damaged pickle", allowed)


class _Bounded:
    """A file for `pickletools` that gives a limited number of bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.left = MAX_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= min(MAX_TEXT, self.left):
            raise _Refused("a text or number that is too long")
        return self._given(self.file.read(size))

    def readline(self) -> bytes:
        return self._given(self.file.readline(min(MAX_LINE, self.left)))

    def _given(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left <= 0:
            raise _Refused("a pickle that is too long")
        return content


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self, storages: dict[str, Storage] | None) -> None:
        self.storages = {} if storages is None else storages
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}
        self.left = MAX_OPERATIONS

    def count(self, work: int) -> None:
        """Subtracts work from what is left; raises if none is left."""
        self.left -= work
        if self.left < 0:
            raise _Refused("a pickle that is too long")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _Refused("a damaged pickle")
        return value

    def run(self, name: str, argument: Any) -> None:
        """Runs one operation."""
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in ("PROTO", "FRAME"):
            return
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memory[int(argument)] = self._top()
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = self._top()
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memory[int(argument)])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            items = [self.pop() for _ in range(int(name[-1]))]
            self.stack.append(tuple(reversed(items)))
        elif name == "TUPLE":
            self.stack.append(tuple(self._since_mark()))
        else:
            self._change(name)

    def _change(self, name: str) -> None:
        """Runs an operation that changes a container, or that makes a record."""
        if name == "SETITEM":
            value = self.pop()
            _set_items(self.stack[-2], [self.pop(), value])
        elif name == "SETITEMS":
            items = self._since_mark()
            _set_items(self._top(), items)
        elif name == "APPEND":
            value = self.pop()
            _append(self._top(), [value])
        elif name == "APPENDS":
            items = self._since_mark()
            _append(self._top(), items)
        elif name == "BINPERSID":
            storage = _storage(self.pop())
            self.storages[storage.key] = storage
            self.stack.append(storage)
        elif name == "REDUCE":
            arguments = self.pop()
            if type(arguments) is not tuple:
                raise _Refused("a call of a value")
            # A call copies the containers in its arguments, which may be those of another call.
            self.count(sum(len(each) for each in arguments if type(each) in (tuple, list, dict)))
            self.stack.append(_made(self.pop(), arguments))
        elif name == "BUILD":
            # The attributes of a dictionary: versions of layers, which no array depends on.
            attributes = self.pop()
            if type(self._top()) is not dict or type(attributes) is not dict:
                raise _Refused("an object with attributes")
        else:
            raise _Refused(f"the operation {name}")

    def _top(self) -> Any:
        top = self.stack[-1]
        if top is _MARK:
            raise _Refused("a damaged pickle")
        return top

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _name(self, argument: Any) -> None:
        """Pushes the record of a name that is listed."""
        full = argument
        if full is None:
            name = self.pop()
            module = self.pop()
            # The text of a nested tuple may be very long.
            if type(name) is not str or type(module) is not str:
                raise _Refused("a name that is no text")
            full = f"{module} {name}"
        module, _, name = str(full).partition(" ")
        if full in FUNCTIONS:
            self.stack.append(Name(FUNCTIONS[full]))
        elif module == "torch" and name in STORAGES:
            self.stack.append(Name("storage", STORAGES[name]))
        else:
            raise _Refused(f"{module}.{name}"[:200])


#: Operations that push their argument, and those that push a new value.
_PUSHED = (
    *("BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    # Texts of Python 2, which wrote many of the older files.
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
)
_CONSTANTS: Mapping[str, Any] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}


def _set_items(target: Any, items: list[Any]) -> None:
    """Adds keys and values, which follow each other, to a dictionary."""
    keys = items[::2]
    # Other keys, such as nested tuples, may take very long to hash.
    if type(target) is not dict or not all(type(key) in (str, int) for key in keys):
        raise _Refused("a dictionary with other keys than texts")
    target.update(zip(keys, items[1::2], strict=True))


def _append(target: Any, items: list[Any]) -> None:
    if type(target) is not list:
        raise _Refused("a damaged pickle")
    target += items


def _storage(identity: Any) -> Storage:
    """Returns the storage of a persistent name: `("storage", class, key, device, count, ...)`."""
    word, kind, key, _, count, *view = identity
    if word != "storage" or not isinstance(kind, Name) or kind.kind != "storage":
        raise _Refused("another persistent object than a storage")
    if type(key) is not str or type(count) is not int or any(each is not None for each in view):
        raise _Refused("a storage of another form")
    return Storage(kind.dtype, key, count)


def _made(name: Any, arguments: tuple[Any, ...]) -> Any:
    """Returns the value that a call of a listed function has."""
    if not isinstance(name, Name):
        raise _Refused("a call of a value")
    if name.kind == "dictionary":
        made: dict[Any, Any] = {}
        for key, value in arguments[0] if arguments else []:
            _set_items(made, [key, value])
        return made
    if name.kind == "tensor":
        storage, offset, shape, strides = arguments[:4]
        numbers = [offset, *shape, *strides]
        if not isinstance(storage, Storage) or not all(type(n) is int for n in numbers):
            raise _Refused("a tensor of another form")
        return Tensor(storage, offset, tuple(shape), tuple(strides))
    if name.kind == "parameter" and isinstance(arguments[0], Tensor):
        return arguments[0]
    raise _Refused(f"a call of {name.kind}")
