"""Pages in one file: a template of the package with data as JSON."""

import html
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any


def html_page(
    template: str, data: Mapping[str, Any], title: str, path: str | os.PathLike[str]
) -> Path:
    """Writes a page from a template of this package; no text in its data becomes an element.

    Args:
      template: name of the template, which has the places `{{title}}` and, later, `{{data}}`.
      data: values that JSON has, without NaN and infinities.
      title: title of the window, any text.
      path: path of the HTML file; its directory is created if missing.

    Returns:
      The path.

    Raises:
      OSError: the file cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "page.html"
      ...     text = html_page("play.html", {"a": "</script>"}, "<b>", path).read_text()
      >>> "&lt;b&gt;" in text, '{"a":"\\\\u003c/script>"}' in text
      (True, True)
    """
    source = resources.files("jaxdl.plots").joinpath(template).read_text(encoding="utf-8")
    # No text can end the element of the script.
    stored = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    # The place of the title comes first, so neither text is taken for a place.
    page = source.replace("{{data}}", stored, 1).replace("{{title}}", html.escape(title), 1)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page, encoding="utf-8", errors="replace")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
