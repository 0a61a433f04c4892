"""TensorBoard's event files without TensorFlow: records with checksums of encoded `Event` messages.

    record = length: u64 | masked crc32c(length): u32 | data | masked crc32c(data): u32

Formats: TFRecord (tensorflow/core/lib/io/record_writer.h), `Event` and `Summary`
(tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto), CRC-32C (RFC 3720,
B.4).
"""

import functools
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np


@functools.cache
def _table() -> tuple[int, ...]:
    """Returns the lookup table of CRC-32C, one entry per byte value.

    The polynomial is Castagnoli's, reflected.
    """
    crcs = list(range(256))
    for _ in range(8):
        crcs = [crc >> 1 ^ (crc & 1) * 0x82F63B78 for crc in crcs]
    return tuple(crcs)


def crc32c(data: bytes) -> int:
    """Computes the CRC-32C of `data`.

    Example:
      >>> hex(crc32c(b"123456789"))
      '0xe3069283'
    """
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Returns `data` as one TFRecord.

    Example:
      >>> len(record(b"abc")) - len(b"abc")
      16
    """
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def event(wall_time: float, step: int, content: bytes) -> bytes:
    """Encodes one `Event`.

    Args:
      wall_time: seconds since 1970.
      step: the step, at least 0.
      content: `VERSION` (the first event of a file), `START` (a run starts or resumes at `step`, so
        TensorBoard drops earlier events from there on), `scalars(...)` or `picture(...)`.

    Example:
      >>> event(0.0, 300, scalars({"loss": 1.0})).hex()
      '09000000000000000010ac022a0d0a0b0a046c6f7373150000803f'
    """
    return b"\x09" + struct.pack("<d", wall_time) + _number(2, step) + content


def scalars(metrics: Mapping[str, float]) -> bytes:
    """Encodes the `summary` of an event with one float32 per name.

    Values that are too large for float32 become infinite.


    Example:
      >>> scalars({"a": 0.0}).hex()
      '2a0a0a080a01611500000000'
    """
    summary = b""
    for name, value in metrics.items():
        with np.errstate(over="ignore"):
            data = np.float32(value).astype("<f4").tobytes()
        summary += _bytes(1, _bytes(1, name.encode()) + b"\x15" + data)
    return _bytes(5, summary)


def picture(name: str, png: bytes) -> bytes:
    """Encodes the `summary` of an event with one picture, the bytes of a PNG file.

    Example:
      >>> header = b"\\x89PNG\\r\\n\\x1a\\n" + bytes(8) + struct.pack(">II", 3, 2)
      >>> picture("a", header)[:16].hex()
      '2a270a250a0161222008021003180422'
    """
    # The first chunk of every PNG file has the size. The color space 4 is RGBA.
    width, height = struct.unpack(">II", png[16:24])
    image = _number(1, height) + _number(2, width) + _number(3, 4) + _bytes(4, png)
    return _bytes(5, _bytes(1, _bytes(1, name.encode()) + _bytes(4, image)))


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


VERSION = _bytes(3, b"brain.Event:2")
START = _bytes(7, _number(1, 1))


class TensorBoard:
    """Event files that TensorBoard reads, written without TensorFlow.

    Every writer creates a new file. Its first event marks the step at which the run starts or
    resumes. TensorBoard then drops the events of an interrupted run from that step on.

    Args:
      directory: the directory of the files, created if missing.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     writer = TensorBoard(directory)
      ...     writer.write(10, {"train/loss": 0.5})
      ...     writer.close()
      ...     [path.name[:20] for path in Path(directory).iterdir()]
      ['events.out.tfevents.']
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        Path(directory).mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a directory in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(Path(directory) / name, "xb")  # noqa: SIM115
        self._started = False
        self._event(0, VERSION)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one event with all the metrics."""
        self._append(step, scalars(metrics))

    def picture(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Appends one event with the picture of a PNG file."""
        self._append(step, picture(name, Path(path).read_bytes()))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _append(self, step: int, content: bytes) -> None:
        if not self._started:
            self._event(step, START)
            self._started = True
        self._event(step, content)

    def _event(self, step: int, content: bytes) -> None:
        self._file.write(record(event(time.time(), int(step), content)))
        self._file.flush()
