"""A prepared TFDS set of a few images: MNIST's own files and formats, our own pixels, no TensorFlow."""

import io
import json
from pathlib import Path

import numpy as np


def pixels(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images `[N, 28, 28, 1]` uint8 and labels `[N]`."""
    draw = np.random.RandomState(seed)
    return draw.randint(0, 256, (count, 28, 28, 1)).astype(np.uint8), draw.randint(0, 10, count)


def write(data_dir: Path, **parts: tuple[np.ndarray, np.ndarray]) -> Path:
    """Writes the parts (`train`, `test`) as TFDS lays them out; returns the set's folder."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = data_dir / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    splits = []
    for part, (images, labels) in parts.items():
        writer = ArrayRecordWriter(str(folder / f"mnist-{part}.array_record-00000-of-00001"), "group_size:1")
        for image, label in zip(images, labels, strict=True):
            writer.write(_example(image, int(label)))
        writer.close()
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        splits.append({"filepathTemplate": template, "name": part, "numBytes": "1", "shardLengths": [str(len(labels))]})
    info = {"name": "mnist", "version": "3.0.1", "fileFormat": "array_record", "splits": splits}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    # A class that importing would betray: nothing named in a file is ever looked up.
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "antigravity.Image"}))
    return folder


def _example(image: np.ndarray, label: int) -> bytes:
    """A `tf.train.Example` in the wire format of protocol buffers."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "PNG")
    features = {b"image": _field(1, _field(1, file.getvalue())), b"label": _field(3, _field(1, bytes([label])))}
    return _field(1, b"".join(_field(1, _field(1, name) + _field(2, value)) for name, value in features.items()))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    size, length = len(content), []
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
