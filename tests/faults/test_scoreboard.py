"""The scoreboard is the page that its commands have written."""

import json

from tests.faults import scoreboard
from tests.faults.resume import ROOT


def test_the_page_is_what_is_kept():
    kept = json.loads(scoreboard.KEPT.read_text())
    assert kept.keys() <= scoreboard.ROWS.keys()
    assert scoreboard.PAGE.read_text() == scoreboard.page(kept)


def test_every_row_is_a_command():
    for row in scoreboard.ROWS.values():
        file = ROOT / (row.module.replace(".", "/") + ".py")
        assert file.exists() or row.module == "pytest", row.module
    modules = {
        path.stem for path in (ROOT / "tests" / "faults").glob("*.py") if path.stem != "__init__"
    }
    commands = {name for name in modules if f"python -m tests.faults.{name}" in _docstring(name)}
    # `resume` is what `kill` does at every step, one by one.
    assert commands - {"scoreboard", "resume"} <= scoreboard.ROWS.keys()


def _docstring(name: str) -> str:
    return (ROOT / "tests" / "faults" / f"{name}.py").read_text().split('"""')[1]


def test_a_command_that_fails_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(scoreboard, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(scoreboard, "PAGE", tmp_path / "page.md")
    monkeypatch.setitem(scoreboard.ROWS, "long", scoreboard.Row("what", "calendar", ("nonsense",)))
    monkeypatch.setattr("sys.argv", ["scoreboard", "--only", "long"])
    assert scoreboard.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "scoreboard: 0/1 commands are content"
    assert "| **no** | what | `calendar nonsense` |" in (tmp_path / "page.md").read_text()
