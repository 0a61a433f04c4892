"""Hostile checkpoints: any file in them and any checksum may be forged."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from jaxdl.training import Checkpoint, Directory, state_sha256
from jaxdl.training.manifest import _body_hash, _files
from tests.faults.hostile_data import DEEP
from tests.faults.hostile_npz import Row
from tests.training.linear import abstract, state_at


def saved(path: Path, *steps: int) -> Path:
    """Saves checkpoints of these steps in a directory and returns its path."""
    store = Directory(path)
    for step in steps:
        store.save(Checkpoint(state_at(step), [(step, 0.5)]))
    store.close()
    return path


def restored(path: Path, step: int | None = 1) -> Any:
    """Restores a step; with its number given, no other step may be restored instead."""
    return Directory(path).restore(abstract(state_at(0)), step)


def changed(change: Callable[[Path], Any]) -> Row:
    """Restores step 1 after a change to its directory."""

    def row(here: Path) -> Callable[[], Any]:
        saved(here / "run", 1)
        change(here / "run" / "1")
        return lambda: restored(here / "run")

    return row


def manifest_text(content: str) -> Row:
    """Restores step 1 with another manifest."""
    return changed(lambda step: (step / "manifest.json").write_text(content))


def forge(
    step: Path, change: Callable[[dict[str, Any]], Any] = lambda body: None, refresh: bool = False
) -> None:
    """Changes the manifest and corrects its hash.

    Args:
      step: directory of the checkpoint.
      change: changes the body of the manifest in place.
      refresh: if True, the hashes of the files are corrected too.
    """
    body = json.loads((step / "manifest.json").read_text())
    body.pop("sha256")
    if refresh:
        body["files"] = _files(step)
    change(body)
    (step / "manifest.json").write_text(json.dumps({**body, "sha256": _body_hash(body)}))


def forged(change: Callable[[dict[str, Any]], Any]) -> Row:
    """Restores step 1 with a changed manifest whose hash is right."""
    return changed(lambda step: forge(step, change))


def fields(**new: Any) -> Row:
    """Restores step 1 with other fields in its manifest."""
    return forged(lambda body: body.update(new))


def largest_file(step: Path) -> Path:
    """Returns the largest file of a checkpoint."""
    files = [path for path in step.rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


def move_outside(path: Path) -> None:
    """Moves a file or directory outside and replaces it with a link."""
    root = next(parent for parent in path.parents if parent.name == "here").parent
    target = root / "outside" / "moved"
    shutil.move(path, target)
    path.symlink_to(target)


def linked(use: Callable[[Path], Any]) -> Row:
    """Uses a directory whose step 1 is a link to a checkpoint of another directory."""

    def row(here: Path) -> Callable[[], Any]:
        outside = saved(here.parent / "outside" / "other", 1)
        (here / "run").mkdir()
        (here / "run" / "1").symlink_to(outside / "1")
        return lambda: use(here / "run")

    return row


def other_shapes_in_metadata(here: Path) -> Callable[[], Any]:
    """Changes the shapes in Orbax's metadata, with right hashes; the arrays must not change."""
    step = saved(here / "run", 1) / "1"
    for path in step.rglob("*"):
        if not path.is_file() or path.name == "manifest.json":
            continue
        content = path.read_bytes()
        if b"[4" in content:
            path.write_bytes(content.replace(b"[4", b"[9"))
    forge(step, refresh=True)

    def use() -> None:
        assert state_sha256(restored(here / "run")[0]) == state_sha256(state_at(1))

    return use


def other_shapes(step: Path) -> None:
    """Replaces arrays with arrays of other shapes, under a manifest with the old layout."""
    store = Directory(step.parent / "other")
    state = state_at(1)
    store.save(Checkpoint(state.replace(params={**state.params, "w": jnp.zeros((5, 3))}), []))
    store.close()
    shutil.rmtree(step / "state")
    shutil.move(step.parent / "other" / "1" / "state", step / "state")
    forge(step, refresh=True)


def other_handler(step: Path) -> None:
    """Replaces the handler in Orbax's metadata with a module that would run code."""
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


def other_metadata(step: Path) -> None:
    """Replaces Orbax's metadata with other JSON, with right hashes."""
    for path in step.rglob("*METADATA*"):
        path.write_text('{"tree_metadata": ["os.system"], "x": ' + "[" * 900 + "]" * 900 + "}")
    forge(step, refresh=True)


def listed_file(name: str) -> Row:
    """Lists a file in the manifest that is not part of the checkpoint."""

    def change(body: dict[str, Any]) -> None:
        body["files"][name] = hashlib.sha256(b"precious").hexdigest()

    return forged(change)


def manifest_pipe(step: Path) -> None:
    """Replaces the manifest with a pipe."""
    (step / "manifest.json").unlink()
    os.mkfifo(step / "manifest.json")


def forged_file_link(step: Path) -> None:
    """Replaces the largest file with a link and corrects the hash of the manifest."""
    move_outside(largest_file(step))
    forge(step)


def state_link_without_files(step: Path) -> None:
    """Replaces the state with a link, under a manifest that lists no files."""
    move_outside(step / "state")
    forge(step, lambda body: body.update(files={}))


REFUSED_MANIFESTS: dict[str, Row] = {
    "manifest: a list": manifest_text("[]"),
    "manifest: 100,000 levels": manifest_text(DEEP),
    "manifest: 300 levels of history": manifest_text(
        f'{{"files": {{}}, "layout": {{}}, "history": {DEEP[:300]}{DEEP[-300:]}}}'
    ),
    "manifest: a pipe": changed(manifest_pipe),
    "manifest: files that are a list": fields(files=[]),
    "manifest: files that are numbers": fields(files={"state/x": 7}),
    "manifest: layout that is a list": fields(layout=[["params/w", "float32[4, 3]"]]),
    "manifest: layout of lists": fields(layout={"params/w": [[]]}),
    "manifest: history that is a number": fields(history=7),
    "manifest: history of three": fields(history=[[1, 2, 3]]),
    "manifest: history of text": fields(history=[["one", "two"]]),
    "manifest: history at infinity": fields(history=[[float("inf"), "0.5"]]),
    "manifest: history beyond floats": fields(history=[[1, 10**400]]),
    "manifest: a file that leads out": listed_file("../../../outside/precious.txt"),
    "manifest: an absolute file": listed_file("/etc/passwd"),
    "manifest: a file with control characters": listed_file("\x1b[2J\n"),
    "manifest: a file with a NUL byte": listed_file("a\0b"),
    "manifest: no files": fields(files={}),
}

REFUSED: dict[str, Row] = {
    **REFUSED_MANIFESTS,
    "checkpoint: a file that is a link": changed(lambda step: move_outside(largest_file(step))),
    "checkpoint: a file that is a link, hash forged": changed(forged_file_link),
    "checkpoint: a state that is a link": changed(lambda step: move_outside(step / "state")),
    "checkpoint: a state that is a link, no files": changed(state_link_without_files),
    "checkpoint: a step that is a link": linked(restored),
    "checkpoint: a pipe in the state": changed(lambda step: os.mkfifo(step / "state" / "pipe")),
    "checkpoint: arrays of other shapes": changed(other_shapes),
    "checkpoint: other JSON in Orbax's metadata": changed(other_metadata),
    "checkpoint: saving if a step is a link": linked(lambda path: saved(path, 1)),
}

ODD_STEP = "\x1b[2J\n5"


def odd_directories(here: Path) -> Callable[[], Any]:
    """Restores the newest valid step from among directories that are not steps."""
    saved(here / "run", 1)
    for name in ("9" * 200, "٣", "2", "..x", ODD_STEP):
        (here / "run" / name).mkdir()
        (here / "run" / name / "manifest.json").write_text("[]")

    def use() -> None:
        newest = restored(here / "run", None)
        assert newest is not None and int(newest[0].step) == 1

    return use


HARMLESS: dict[str, Row] = {
    "checkpoint: other shapes in Orbax's metadata": other_shapes_in_metadata,
    "checkpoint: another handler in Orbax's metadata": changed(other_handler),
    "checkpoint: cleaning up if a step is a link": linked(lambda path: saved(path, 2, 3, 4, 5)),
    "checkpoint: directories that are not steps": odd_directories,
}
