"""Tests of the reader of pickles: it makes values of a few kinds and runs no code."""

import collections
import io
import pickle

import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.foreign import pickles
from jaxdl.foreign.pickles import MAX_TEXT, unpickled

VALUES = [
    {"a": 1, "b": (1, 2, 3, 4), "c": [None, True, False, 2.5], 7: -(2**70)},
    collections.OrderedDict(a=(), b=(1,), c=(1, 2), d="text"),
    collections.OrderedDict(),
    [[], {}, "x" * 300, 300, 70_000],
]


def read(content):
    return unpickled(io.BytesIO(content), "x.pth")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", VALUES, ids=str)
def test_plain_values_are_those_of_pickle(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


def test_several_pickles_follow_each_other():
    file = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("b", 2) + b"rest")
    assert unpickled(file, "x") == 1
    assert unpickled(file, "x") == "b"
    assert file.read() == b"rest"


def test_texts_and_dictionaries_of_python_2_are_read():
    """The bytes are those of `pickle.dumps(OrderedDict([("a", 1L), ("b", "c")]), 2)`."""
    content = (
        b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(]q\x02(U\x01aq\x03\x8a\x01\x01e"
        b"]q\x04(U\x01bq\x05T\x01\x00\x00\x00cq\x06ee\x85q\x07Rq\x08."
    )
    assert read(content) == {"a": 1, "b": "c"}


class Evil:
    def __reduce__(self):
        return eval, ("open('/tmp/evil-was-here', 'w')",)


class Stateful:
    pass


#: A tuple with 2^60 parts, whose text would be endless.
NESTED = b")" + b"q\x00h\x00\x86" * 60

HOSTILE = {
    "reduce": pickle.dumps(Evil(), 2),
    "reduce in protocol 4": pickle.dumps({"a": Evil()}, 4),
    "os.system": b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
    "instance": b"(S'true'\nios\nsystem\n.",
    "object": b"(cos\nsystem\nS'true'\no.",
    "new object": pickle.dumps(Stateful(), 4),
    "extension": b"\x82\x01.",
    "numpy": pickle.dumps(np.zeros(3), 2),
    "attributes": b"ccollections\nOrderedDict\n)R(K\x01K\x02lb.",
    "call of a number": b"K\x01)R.",
    "call of a storage": b"ctorch\nFloatStorage\n)R.",
    "a builtin": b"c__builtin__\neval\n.",
    "submodule": b"ctorch.os\nsystem\n.",
    "name with spaces": b"ctorch\nFloatStorage os\n.",
    "long text": b"X\xff\xff\xff\x7fabc.",
    "long number": b"\x8b\xff\xff\xff\x7fabc.",
    "negative size": b"\x8b\xff\xff\xff\xffabc.",
    "no end": b"]",
    "empty": b"",
    "stack is empty": b".",
    "mark": b"(.",
    "unknown operation": b"\xff.",
    "memory that was not set": b"h\x05.",
    "keys that are tuples": b"}(K\x01\x85K\x02u.",
    "odd items": b"}(K\x01u.",
    "append to a text": b"X\x01\x00\x00\x00aK\x01a.",
    "tensor of texts": b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
    "tensor without arguments": b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "parameter of a number": b"ctorch._utils\n_rebuild_parameter\nK\x01\x85R.",
    "persistent number": b"K\x01Q.",
    "persistent text": b"Pos\n.",
    "bytes": pickle.dumps(b"abc", 4),
    "set": pickle.dumps({1, 2}, 4),
    "name of nested tuples": b"\x80\x04X\x01\x00\x00\x00a" + NESTED + b"\x93.",
    "module of nested tuples": b"\x80\x04" + NESTED + b"X\x01\x00\x00\x00a\x93.",
    "pairs of one part": b"ccollections\nOrderedDict\n](K\x01\x85e\x85R.",
    "call with a list": b"ccollections\nOrderedDict\n]R.",
    "control characters": b"c\x1b[2J\nx\n.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_other_contents_are_refused_in_one_line(name):
    with pytest.raises(InputError) as raised:
        read(HOSTILE[name])
    message = str(raised.value)
    assert message.isprintable()
    assert "x.pth: got " in message


def test_a_name_in_a_file_is_never_imported(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("an import")

    monkeypatch.setattr("builtins.__import__", refused)
    content = b"cantigravity\nx\n."
    with pytest.raises(InputError, match="antigravity.x"):
        read(content)


def test_a_long_pickle_is_refused():
    content = b"]" + (b"X\x00\x00\x10\x00" + b"a" * MAX_TEXT + b"a") * 20 + b"."
    with pytest.raises(InputError, match="too long"):
        read(content)


def copies(name, container, count):
    """Returns a pickle with many calls that have the same container as an argument."""
    call = {
        "OrderedDict": b"ccollections\nOrderedDict\n" + container + b"q\x01\x85R",
        "tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00" + container + b"q\x01h\x01tR",
    }[name]
    again = call.replace(container + b"q", b"h")
    return b"(" + call + again * count + b"l."


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("OrderedDict", b"](" + b"".join(b"M%cxN\x86" % i for i in range(256)) * 8 + b"e"),
        ("tensor", b"](" + b"K\x01" * 3000 + b"e"),
    ],
)
def test_copies_of_a_container_are_limited(name, container, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 100_000)
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"
    )
    content = copies(name, container, 60).replace(b"(NK", b"(" + storage + b"K")
    with pytest.raises(InputError, match="too long"):
        read(content)


@pytest.mark.parametrize("operation", [b"]", b"\x94", b"\x85"])
def test_a_pickle_of_very_many_operations_is_refused(operation, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1000)
    assert read(b")" + operation * 998 + b".") is not None
    with pytest.raises(InputError, match="too long"):
        read(b")" + operation * 1000 + b".")


def test_shared_containers_take_no_time():
    """A tuple of pairs of the same tuple, 60 levels deep, would have 2^60 parts."""
    content = b")" + b"q\x00h\x00\x86" * 60 + b"."
    assert isinstance(read(content), tuple)
