"""Tiny prepared TFDS sets: real file formats, generated pixels and texts, no TensorFlow."""

import io
import json
from pathlib import Path

import numpy as np


def pixels(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images `[N, 28, 28, 1]` uint8 and labels `[N]`."""
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (count, 28, 28, 1)).astype(np.uint8)
    labels = random.randint(0, 10, count)
    return images, labels


def write(data_dir: Path, **parts: tuple[np.ndarray, np.ndarray]) -> Path:
    """Writes the parts (`train`, `test`) of MNIST in the layout of TFDS; returns the folder."""
    examples = {
        part: [_example(x, int(y)) for x, y in zip(*arrays, strict=True)]
        for part, arrays in parts.items()
    }
    folder = _write_set(data_dir, "mnist", "3.0.1", examples)
    # A test checks that this class is never imported: names in files are not looked up.
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "antigravity.Image"}))
    return folder


def write_text(data_dir: Path, **parts: str) -> Path:
    """Writes the parts (`train`, `validation`, `test`) of Tiny Shakespeare, one text each."""
    examples = {
        part: [_features({b"text": _field(1, _field(1, text.encode()))})]
        for part, text in parts.items()
    }
    return _write_set(data_dir, "tiny_shakespeare", "1.0.0", examples)


def _write_set(data_dir: Path, name: str, version: str, parts: dict[str, list[bytes]]) -> Path:
    """Writes the files of a prepared set; returns its folder."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = data_dir / name / version
    folder.mkdir(parents=True)
    splits = []
    for part, examples in parts.items():
        writer = ArrayRecordWriter(
            str(folder / f"{name}-{part}.array_record-00000-of-00001"), "group_size:1"
        )
        for example in examples:
            writer.write(example)
        writer.close()
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        shards = {
            "filepathTemplate": template,
            "numBytes": "1",
            "shardLengths": [str(len(examples))],
        }
        splits.append({"name": part, **shards})
    info = {"name": name, "version": version, "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def _example(image: np.ndarray, label: int) -> bytes:
    """Encodes a `tf.train.Example` in the wire format of protocol buffers."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "PNG")
    return _features(
        {
            b"image": _field(1, _field(1, file.getvalue())),
            b"label": _field(3, _field(1, bytes([label]))),
        }
    )


def _features(features: dict[bytes, bytes]) -> bytes:
    """Encodes the features of an example by name."""
    entries = [_field(1, _field(1, name) + _field(2, value)) for name, value in features.items()]
    return _field(1, b"".join(entries))


def _field(number: int, content: bytes) -> bytes:
    """Encodes a length-delimited field."""
    size = len(content)
    length = []
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
