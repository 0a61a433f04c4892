"""Random mutations of valid inputs."""

import copy
import json
import random
from typing import Any

_STRANGE_NUMBERS = (0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308)
_NOT_FINITE = (float("inf"), float("-inf"), float("nan"))
_STRANGE_TEXTS = (
    "",
    "0",
    "NaN",
    "a\0b",
    "../../x",
    "/etc/passwd",
    "\ud800",
    "\x1b[2J\n",
    "a" * 300,
)

#: Values that replace values of JSON.
STRANGE: tuple[Any, ...] = (
    *(None, True, False),
    *_STRANGE_NUMBERS,
    *_NOT_FINITE,
    *_STRANGE_TEXTS,
    *([], [[]], {}, {"a": None}),
)

#: Bytes that are inserted into files.
BYTES = (
    *(b"\0", b"\xff", b"\n", b"\r"),
    *(b'"', b"[" * 2000, b"{", b"}", b"]", b",", b":"),
    *(b"\\ud800", b"1e999", b"NaN"),
)

#: Words that are inserted into command lines.
WORDS = (
    *("--", "-", "=", "", "None", "nan", "1e400", "-1", "9" * 5000),
    *("a\0b", "\udcff", "[", "{}", "é" * 50, "--help"),
)


def mutated(rng: random.Random, good: list[bytes]) -> bytes:
    """Returns one of the valid inputs with a few changes, as bytes or as JSON."""
    content = rng.choice(good)
    if rng.random() < 0.5 and content[:1] == b"{" and b"}\n{" not in content:
        content = _with_changed_json(rng, content)
        if rng.random() < 0.7:
            return content
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        _change_bytes(rng, changed, good)
    return bytes(changed)


def mutated_arguments(rng: random.Random, good: list[list[str]]) -> list[str]:
    """Returns a valid command line with words inserted, deleted or changed."""
    words = list(rng.choice(good))
    for _ in range(rng.choice((1, 1, 2, 4))):
        index = rng.randrange(len(words) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            words.insert(index, rng.choice((*WORDS, *(word for line in good for word in line))))
        elif words and kind == 1:
            del words[min(index, len(words) - 1)]
        elif words:
            index = min(index, len(words) - 1)
            words[index] = _changed_word(rng, words[index], kind)
    return words


def _changed_word(rng: random.Random, word: str, kind: int) -> str:
    """Inserts a word (kind 2) or a character (kind 3), or replaces one character with it."""
    at = rng.randrange(len(word) + 1)
    if kind == 2:
        inserted = rng.choice(WORDS)
    else:
        inserted = chr(rng.choice((rng.randrange(128), rng.randrange(0x10FFFF))))
    return word[:at] + inserted + word[at + rng.randrange(2) :]


def _change_bytes(rng: random.Random, content: bytearray, good: list[bytes]) -> None:
    """Changes a random part of an input in place."""
    at = rng.randrange(len(content) + 1)
    to = min(len(content), at + rng.choice((1, 2, 8, 64)))
    kind = rng.randrange(7)
    if kind == 0 and content:
        content[min(at, len(content) - 1)] ^= 1 << rng.randrange(8)
    elif kind == 1:
        content[at:to] = rng.randbytes(to - at)
    elif kind == 2:
        del content[at:to]
    elif kind == 3:
        content[at:at] = rng.choice(BYTES)
    elif kind == 4:
        other = rng.choice(good)
        begin = rng.randrange(len(other) + 1)
        content[at:to] = other[begin : begin + rng.choice((1, 8, 64, 10**6))]
    elif kind == 5:
        content[at:at] = content[at:to]
    else:
        del content[at:]


def _with_changed_json(rng: random.Random, content: bytes) -> bytes:
    """Returns JSON in which one or two values or names are replaced."""
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 2))):
        inner: Any = document
        while True:
            names = _names(inner)
            if not names:
                break
            name = rng.choice(names)
            if isinstance(inner[name], dict | list) and inner[name] and rng.random() < 0.7:
                inner = inner[name]
                continue
            _replace(rng, inner, name)
            break
    return json.dumps(document).encode()


def _names(inner: dict | list) -> list[Any]:
    """Returns the names of an object or the indices of a list."""
    if isinstance(inner, dict):
        return list(inner)
    return list(range(len(inner)))


def _replace(rng: random.Random, inner: Any, name: Any) -> None:
    """Deletes, renames, or replaces one entry of an object or list."""
    kind = rng.randrange(4)
    if kind == 0:
        del inner[name]
    elif kind == 1 and isinstance(inner, dict):
        inner[str(rng.choice(STRANGE))] = inner.pop(name)
    elif kind == 2:
        # A copy, so that changes to this input do not affect the next one.
        value = copy.deepcopy(rng.choice(STRANGE))
        for _ in range(rng.choice((1, 70, 300))):
            if rng.random() < 0.5:
                value = [value]
            else:
                value = {"a": value}
        inner[name] = value
    else:
        inner[name] = copy.deepcopy(rng.choice(STRANGE))
