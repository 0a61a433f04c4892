"""A text of TensorFlow Datasets, by its name, without TensorFlow in this process.

A child process (`jaxdl.data.prepare --text`) reads the prepared set once; the text stays in the cache.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from jaxdl.data.cache import cache_root, cached
from jaxdl.data.files import utf8
from jaxdl.data.images import UNAVAILABLE, _absolute
from jaxdl.errors import DataUnavailable


def tfds_text(name: str, data_dir: str | None = None, cache_dir: str | None = None) -> str:
    """The whole text of a set: its training, validation and test part in this order.

    The first call takes seconds; later ones read the cache, which is one of a name and a `data_dir`,
    and is verified every time.

    Args:
      name: a set whose examples are texts and nothing else, `tiny_shakespeare`.
      data_dir: where TFDS keeps prepared sets; None: $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      cache_dir: where decoded arrays are kept; None: $JAXDL_CACHE, else ~/.cache/jaxdl.

    Raises:
      InputError: a cache that cannot be written, or a text that is not UTF-8.
      DataUnavailable: not prepared here and not to be had; says which command to run.
    """
    source = _absolute(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    tag = hashlib.sha256(source.encode()).hexdigest()[:8]
    arrays, _ = cached(
        cache_root(cache_dir) / "text" / f"{name}-{tag}", lambda new: _in_child(name, source, new)
    )
    return utf8(arrays["text"].tobytes(), name)


def _in_child(name: str, source: str, folder: Path) -> None:
    """Has the child write the text into the folder."""
    print(f"reading {name} from {source}, once ...", file=sys.stderr, flush=True)
    command = [
        sys.executable,
        "-m",
        "jaxdl.data.prepare",
        name,
        "--text",
        "--data-dir",
        source,
        "--out",
        str(folder),
    ]
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if done.returncode == UNAVAILABLE:
        raise DataUnavailable(done.stdout.strip())
    if done.returncode:
        raise DataUnavailable(
            f"{name}: the process that reads it ended with code {done.returncode}"
        )
