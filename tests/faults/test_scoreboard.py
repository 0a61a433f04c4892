"""Tests of the scoreboard, and of the page and the results that it has written."""

import json

from tests.faults import scoreboard
from tests.faults.resume import ROOT


def test_the_page_shows_the_stored_results():
    results = json.loads(scoreboard.RESULTS.read_text())
    assert results.keys() <= scoreboard.ROWS.keys()
    assert scoreboard.PAGE.read_text() == scoreboard.page(results)


def test_every_row_is_a_command():
    for row in scoreboard.ROWS.values():
        file = ROOT / (row.module.replace(".", "/") + ".py")
        assert file.exists() or row.module == "pytest", row.module
    modules = {
        path.stem for path in (ROOT / "tests" / "faults").glob("*.py") if path.stem != "__init__"
    }
    commands = {name for name in modules if f"python -m tests.faults.{name}" in _docstring(name)}
    # `resume` needs no row, because `kill` tests the same at random steps.
    assert commands - {"scoreboard", "resume"} <= scoreboard.ROWS.keys()


def _docstring(name: str) -> str:
    return (ROOT / "tests" / "faults" / f"{name}.py").read_text().split('"""')[1]


def test_a_failing_command_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(scoreboard, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(scoreboard, "PAGE", tmp_path / "page.md")
    monkeypatch.setitem(scoreboard.ROWS, "long", scoreboard.Row("what", "calendar", ("nonsense",)))
    monkeypatch.setattr("sys.argv", ["scoreboard", "--only", "long"])
    assert scoreboard.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "scoreboard: 0/1 commands passed"
    assert "| **no** | what | `calendar nonsense` |" in (tmp_path / "page.md").read_text()
