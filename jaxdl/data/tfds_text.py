"""A text of TensorFlow Datasets, without TensorFlow in this process.

A child process (`jaxdl.data.prepare --text`) reads a prepared set once and writes its text into the
cache.
"""

import hashlib
import os

from jaxdl.data.cache import cache_root, load_or_build
from jaxdl.data.files import decode_utf8
from jaxdl.data.images import absolute_path, run_prepare


def tfds_text(name: str, data_dir: str | None = None, cache_dir: str | None = None) -> str:
    """Returns the whole text of a set: its training, validation and test part, in this order.

    The first call takes seconds. Later calls read the cache, which has an entry for each name and
    `data_dir` and is verified on every call.

    Args:
      name: a set that contains only texts, such as `tiny_shakespeare`.
      data_dir: directory of the prepared TFDS sets. None means $TFDS_DATA_DIR, or
        ~/tensorflow_datasets if that is not set.
      cache_dir: directory of decoded arrays. None means $JAXDL_CACHE, or ~/.cache/jaxdl if that is
        not set.

    Raises:
      InputError: a cache that cannot be written, or a text that is not UTF-8.
      DataUnavailable: the set is not prepared and cannot be prepared here; the message contains
        the command that prepares it.
    """
    source = absolute_path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    tag = hashlib.sha256(source.encode()).hexdigest()[:8]
    folder = cache_root(cache_dir) / "text" / f"{name}-{tag}"
    arrays, _ = load_or_build(folder, lambda new: run_prepare(name, source, new, text=True))
    return decode_utf8(arrays["text"].tobytes(), name)
