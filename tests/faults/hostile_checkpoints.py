"""Hostile checkpoints: every file in them and every checksum may be forged."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from jaxdl.training import Directory, state_sha256
from jaxdl.training.manifest import _body_hash, _files
from tests.faults.hostile_data import DEEP
from tests.faults.hostile_npz import Row
from tests.training.linear import abstract, state_at


def saved(path: Path, *steps: int) -> Path:
    """A directory with checkpoints."""
    store = Directory(path)
    for step in steps:
        store.save(state_at(step), [(step, 0.5)])
    store.close()
    return path


def restored(path: Path, step: int | None = 1) -> Any:
    """The state of the only step, asked for by its number: then nothing else may be given instead."""
    return Directory(path).restore(abstract(state_at(0)), step)


def of(change: Callable[[Path], Any]) -> Row:
    """Restores step 1 after its directory was changed."""

    def row(here: Path) -> Callable[[], Any]:
        saved(here / "run", 1)
        change(here / "run" / "1")
        return lambda: restored(here / "run")

    return row


def text(content: str) -> Row:
    """Restores step 1 with another manifest."""
    return of(lambda step: (step / "manifest.json").write_text(content))


def forge(
    step: Path, change: Callable[[dict[str, Any]], Any] = lambda body: None, refresh: bool = False
) -> None:
    """Changes the manifest and makes its hash right, and with `refresh` those of the files."""
    body = json.loads((step / "manifest.json").read_text())
    body.pop("sha256")
    if refresh:
        body["files"] = _files(step)
    change(body)
    (step / "manifest.json").write_text(json.dumps({**body, "sha256": _body_hash(body)}))


def forged(change: Callable[[dict[str, Any]], Any]) -> Row:
    """Restores step 1 with a changed manifest whose hash is right."""
    return of(lambda step: forge(step, change))


def field(**changed: Any) -> Row:
    """Restores step 1 with other fields in its manifest."""
    return forged(lambda body: body.update(changed))


def a_file(step: Path) -> Path:
    """The largest file of a state."""
    return max(
        (path for path in step.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


def moved(path: Path) -> None:
    """Puts a link in the place of something, which is now outside."""
    target = (
        next(parent for parent in path.parents if parent.name == "here").parent
        / "outside"
        / "moved"
    )
    shutil.move(path, target)
    path.symlink_to(target)


def linked(use: Callable[[Path], Any]) -> Row:
    """Uses a directory whose step 1 is a link to somebody else's checkpoint."""

    def row(here: Path) -> Callable[[], Any]:
        outside = saved(here.parent / "outside" / "other", 1)
        (here / "run").mkdir()
        (here / "run" / "1").symlink_to(outside / "1")
        return lambda: use(here / "run")

    return row


def metadata(here: Path) -> Callable[[], Any]:
    """Says in Orbax's own files, with right hashes, that arrays have other shapes: what they hold is what counts."""
    step = saved(here / "run", 1) / "1"
    for path in step.rglob("*"):
        if (
            path.is_file()
            and path.name != "manifest.json"
            and b"[4" in (content := path.read_bytes())
        ):
            path.write_bytes(content.replace(b"[4", b"[9"))
    forge(step, refresh=True)

    def use() -> None:
        assert state_sha256(restored(here / "run")[0]) == state_sha256(state_at(1))

    return use


def reshaped(step: Path) -> None:
    """Puts in arrays of other shapes, under a manifest that says they are as they were."""
    store = Directory(step.parent / "other")
    state = state_at(1)
    store.save(state.replace(params={**state.params, "w": jnp.zeros((5, 3))}), [])
    store.close()
    shutil.rmtree(step / "state")
    shutil.move(step.parent / "other" / "1" / "state", step / "state")
    forge(step, refresh=True)


def handler(step: Path) -> None:
    """Names a module of one's own as what reads the state."""
    (step.parents[1] / "evil.py").write_text(
        "import os\nos.mkdir('executed')\nclass Handler: pass\n"
    )
    for path in step.rglob("_CHECKPOINT_METADATA"):
        path.write_text(
            path.read_text().replace(
                "orbax.checkpoint.experimental.v1._src.handlers.pytree_handler", "evil"
            )
        )
        assert "evil." in path.read_text()
    forge(step, refresh=True)


def broken(step: Path) -> None:
    """Makes Orbax's metadata something else, with right hashes."""
    for path in step.rglob("*METADATA*"):
        path.write_text('{"tree_metadata": ["os.system"], "x": ' + "[" * 900 + "]" * 900 + "}")
    forge(step, refresh=True)


def unpicked(name: str) -> Row:
    """Writes a file into the manifest that is no part of the step."""

    def change(body: dict[str, Any]) -> None:
        body["files"][name] = hashlib.sha256(b"precious").hexdigest()

    return forged(change)


REFUSED: dict[str, Row] = {
    "manifest: a list": text("[]"),
    "manifest: 100,000 levels": text(DEEP),
    "manifest: 300 levels of history": text(
        f'{{"files": {{}}, "layout": {{}}, "history": {DEEP[:300]}{DEEP[-300:]}}}'
    ),
    "manifest: a pipe": of(
        lambda step: ((step / "manifest.json").unlink(), os.mkfifo(step / "manifest.json"))
    ),
    "manifest: files that are a list": field(files=[]),
    "manifest: files that are numbers": field(files={"state/x": 7}),
    "manifest: layout that is a list": field(layout=[["params/w", "float32[4, 3]"]]),
    "manifest: layout of lists": field(layout={"params/w": [[]]}),
    "manifest: history that is a number": field(history=7),
    "manifest: history of three": field(history=[[1, 2, 3]]),
    "manifest: history of text": field(history=[["one", "two"]]),
    "manifest: history at infinity": field(history=[[float("inf"), "0.5"]]),
    "manifest: history beyond floats": field(history=[[1, 10**400]]),
    "manifest: a file that leads out": unpicked("../../../outside/precious.txt"),
    "manifest: an absolute file": unpicked("/etc/passwd"),
    "manifest: a file of control characters": unpicked("\x1b[2J\n"),
    "manifest: a file with a NUL byte": unpicked("a\0b"),
    "manifest: no files": field(files={}),
    "checkpoint: a file that is a link": of(lambda step: moved(a_file(step))),
    "checkpoint: a file that is a link, hashes forged": of(
        lambda step: (moved(a_file(step)), forge(step))
    ),
    "checkpoint: a state that is a link": of(lambda step: moved(step / "state")),
    "checkpoint: a state that is a link, no files": of(
        lambda step: (moved(step / "state"), forge(step, lambda body: body.update(files={})))
    ),
    "checkpoint: a step that is a link": linked(restored),
    "checkpoint: a pipe in the state": of(lambda step: os.mkfifo(step / "state" / "pipe")),
    "checkpoint: arrays of other shapes": of(reshaped),
    "checkpoint: Orbax's metadata are something else": of(broken),
    "checkpoint: saving where a step is a link": linked(lambda path: saved(path, 1)),
}

ODD_STEP = "\x1b[2J\n5"


def passed_over(here: Path) -> Callable[[], Any]:
    """Whatever else lies there, the newest good step is found."""
    saved(here / "run", 1)
    for name in ("9" * 200, "٣", "2", "..x", ODD_STEP):
        (here / "run" / name).mkdir()
        (here / "run" / name / "manifest.json").write_text("[]")

    def use() -> None:
        found = restored(here / "run", None)
        assert found is not None and int(found[0].step) == 1

    return use


HARMLESS: dict[str, Row] = {
    "checkpoint: other shapes in Orbax's metadata": metadata,
    "checkpoint: another handler in Orbax's metadata": of(handler),
    "checkpoint: tidying where a step is a link": linked(lambda path: saved(path, 2, 3, 4, 5)),
    "checkpoint: directories that are no steps": passed_over,
}
