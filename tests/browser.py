"""A headless Chromium for tests of pages, driven through a pipe without further packages."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Names of the program.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Program that gives the two ends of the pipe the numbers that the browser expects.
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

#: Code and text of keys that have no character.
KEYS = {"Enter": (13, "\r"), "ArrowLeft": (37, ""), "ArrowUp": (38, "")}
KEYS |= {"ArrowRight": (39, ""), "ArrowDown": (40, ""), "Tab": (9, "")}


class Page:
    """An open page.

    Attributes:
      errors: messages of errors and warnings of the console, and of exceptions.
    """

    def __init__(self, requests: int, answers: int) -> None:
        self.requests = requests
        self.answers = answers
        self.waiting = b""
        self.count = 0
        self.session: str | None = None
        self.errors: list[str] = []
        self.loaded = False

    def open(self, path: Path, width: int, height: int, dark: bool) -> None:
        """Opens a file in a new tab, and waits for it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for part in ("Runtime", "Log", "Page"):
            self.call(f"{part}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.loaded:
            self._receive()

    def call(self, method: str, **parameters: Any) -> Any:
        """Calls a method of the browser's protocol and returns its result."""
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        """Returns the next message of the browser; notes errors of the page."""
        while b"\0" not in self.waiting:
            part = os.read(self.answers, 1 << 16)
            assert part, "the browser has ended"
            self.waiting += part
        text, _, self.waiting = self.waiting.partition(b"\0")
        message = json.loads(text)
        method = message.get("method")
        parameters = message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.errors.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.errors.append(json.dumps(parameters["args"]))
        return message

    def value(self, expression: str) -> Any:
        """Returns the value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses and releases keys, one after the other."""
        for key in keys:
            code, text = KEYS.get(key, (ord(key[0].upper()), key))
            event = {"key": key, "windowsVirtualKeyCode": code}
            kind = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
            self.call("Input.dispatchKeyEvent", **event, **kind)
            self.call("Input.dispatchKeyEvent", **event, type="keyUp")

    def screenshot(self, path: Path) -> None:
        """Writes a picture of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def opened(path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Page]:
    """Yields a file as an open page, or skips the test if there is no browser.

    Args:
      path: the HTML file.
      width: width of the window in pixels; below 600 that of a phone.
      height: height of the window.
      dark: if True, the dark theme is preferred.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium is installed; write apt-get install chromium")
    ours = os.pipe()
    theirs = os.pipe()
    # Numbers above those that the launcher assigns.
    ends = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (ours[0], theirs[1])]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"]
        words += ["--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
        command = [sys.executable, "-I", "-S", "-c", LAUNCHER, *map(str, ends), program, *words]
        process = subprocess.Popen(command, pass_fds=ends, stderr=subprocess.DEVNULL)
        for each in (ours[0], theirs[1], *ends):
            os.close(each)
        try:
            page = Page(ours[1], theirs[0])
            page.open(path, width, height, dark)
            yield page
            page.session = None
            page.call("Browser.close")
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            os.close(ours[1])
            os.close(theirs[0])
