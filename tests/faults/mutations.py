"""Good inputs made bad."""

import copy
import json
import random
from typing import Any

STRANGE = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        10**400,
        0.5,
        -0.0,
        1e308,
        float("inf"),
        float("-inf"),
        float("nan"),
    ),
    *(
        "",
        "0",
        "NaN",
        "a\0b",
        "../../x",
        "/etc/passwd",
        "\ud800",
        "\x1b[2J\n",
        "a" * 300,
        [],
        [[]],
        {},
        {"a": None},
    ),
)
BYTES = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b'"',
    b"[" * 2000,
    b"{",
    b"}",
    b"]",
    b",",
    b":",
    b"\\ud800",
    b"1e999",
    b"NaN",
)
WORDS = (
    "--",
    "-",
    "=",
    "",
    "None",
    "nan",
    "1e400",
    "-1",
    "9" * 5000,
    "a\0b",
    "\udcff",
    "[",
    "{}",
    "é" * 50,
    "--help",
)


def mutated(draw: random.Random, good: list[bytes]) -> bytes:
    """One of the good inputs, changed a little, in bytes or as JSON."""
    content = draw.choice(good)
    if draw.random() < 0.5 and content[:1] == b"{" and b"}\n{" not in content:
        content = _of_another_type(draw, content)
        if draw.random() < 0.7:
            return content
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        _change(draw, changed, good)
    return bytes(changed)


def mutated_arguments(draw: random.Random, good: list[list[str]]) -> list[str]:
    """A good command line with words changed, left out, doubled or added."""
    words = list(draw.choice(good))
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(words) + 1)
        kind = draw.randrange(4)
        if kind == 0:
            words.insert(place, draw.choice((*WORDS, *(word for line in good for word in line))))
        elif words and kind == 1:
            del words[min(place, len(words) - 1)]
        elif words:
            place = min(place, len(words) - 1)
            at = draw.randrange(len(words[place]) + 1)
            more = (
                draw.choice(WORDS)
                if kind == 2
                else chr(draw.choice((draw.randrange(128), draw.randrange(0x10FFFF))))
            )
            words[place] = words[place][:at] + more + words[place][at + draw.randrange(2) :]
    return words


def _change(draw: random.Random, content: bytearray, good: list[bytes]) -> None:
    """Changes a place: a bit, a byte, a cut, an insertion, a part of another input, a part twice."""
    at = draw.randrange(len(content) + 1)
    to = min(len(content), at + draw.choice((1, 2, 8, 64)))
    kind = draw.randrange(7)
    if kind == 0 and content:
        content[min(at, len(content) - 1)] ^= 1 << draw.randrange(8)
    elif kind == 1:
        content[at:to] = draw.randbytes(to - at)
    elif kind == 2:
        del content[at:to]
    elif kind == 3:
        content[at:at] = draw.choice(BYTES)
    elif kind == 4:
        other = draw.choice(good)
        begin = draw.randrange(len(other) + 1)
        content[at:to] = other[begin : begin + draw.choice((1, 8, 64, 10**6))]
    elif kind == 5:
        content[at:at] = content[at:to]
    else:
        del content[at:]


def _of_another_type(draw: random.Random, content: bytes) -> bytes:
    """JSON with a value or a name somewhere in it replaced."""
    found = json.loads(content)
    for _ in range(draw.choice((1, 1, 2))):
        inner: Any = found
        while True:
            names = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            if not names:
                break
            name = draw.choice(names)
            if isinstance(inner[name], dict | list) and inner[name] and draw.random() < 0.7:
                inner = inner[name]
                continue
            _replace(draw, inner, name)
            break
    return json.dumps(found).encode()


def _replace(draw: random.Random, inner: Any, name: Any) -> None:
    kind = draw.randrange(4)
    if kind == 0:
        del inner[name]
    elif kind == 1 and isinstance(inner, dict):
        inner[str(draw.choice(STRANGE))] = inner.pop(name)
    elif kind == 2:
        value = copy.deepcopy(
            draw.choice(STRANGE)
        )  # what goes into one input must not change the next
        for _ in range(draw.choice((1, 70, 300))):
            value = [value] if draw.random() < 0.5 else {"a": value}
        inner[name] = value
    else:
        inner[name] = copy.deepcopy(draw.choice(STRANGE))
