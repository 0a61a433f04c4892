"""An ONNX model in headless Chromium with onnxruntime-web: the labels of the live function.

The page is the snippet of docs/export.md. The folder of the npm package is looked for in
`ONNXRUNTIME_WEB`, and else `npm pack onnxruntime-web` gets it.
"""

import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.export import to_onnx
from tests.export.test_stablehlo import DOCS

pytest.importorskip("onnx", reason="needs onnx: pip install jaxdl[export]")

PAGE = """<!doctype html>
<pre id="labels">none</pre>
{snippet}
<script>
  fetch("digits.json").then(r => r.json())
    .then(digits => labels(digits.flat(Infinity), digits.length))
    .then(found => {{ document.getElementById("labels").textContent = JSON.stringify(found); }})
    .catch(e => {{ document.getElementById("labels").textContent = "error: " + e; }});
</script>
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints nothing and has the type of modules."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on this machine; yields the address."""
    handler = partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def browser() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return path


@pytest.fixture
def web_runtime(tmp_path: Path) -> Path:
    """The folder `dist` of onnxruntime-web."""
    if "ONNXRUNTIME_WEB" in os.environ:
        return Path(os.environ["ONNXRUNTIME_WEB"])
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs onnxruntime-web: install npm, or set ONNXRUNTIME_WEB")
    command = [npm, "pack", "--silent", "onnxruntime-web"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    archives = list(tmp_path.glob("onnxruntime-web-*.tgz"))
    if done.returncode or not archives:
        pytest.skip(f"npm cannot get onnxruntime-web: {done.stderr.strip()[-100:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "package" / "dist"


@pytest.mark.slow
def test_a_browser_finds_the_labels_of_the_live_function(browser, web_runtime, tmp_path):
    data, test = jaxdl.data.load("digits")
    stages = (jaxdl.models.Stage(8), jaxdl.models.Stage(16))
    task = jaxdl.tasks.classify(jaxdl.models.CNN(stages, (32,), norm="batch"))
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=100)
    predict = jaxdl.bind(task.predict, state)
    digits = np.asarray(test["input"][:100])
    expected = np.asarray(predict(digits)).argmax(1)
    assert (expected == test["label"][:100]).mean() > 0.8

    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "ort").symlink_to(web_runtime, target_is_directory=True)
    (folder / "digits.onnx").write_bytes(to_onnx(predict, digits))
    (folder / "digits.json").write_text(json.dumps(digits.tolist()))
    snippet = re.findall(r"```html\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]
    (folder / "page.html").write_text(PAGE.format(snippet=snippet))
    with served(folder) as address:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000"]
        command += ["--timeout=60000", "--dump-dom", f"{address}/page.html"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = re.search(r'<pre id="labels">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-500:]
    assert found[1].startswith("["), found[1]
    np.testing.assert_array_equal(json.loads(found[1]), expected)
