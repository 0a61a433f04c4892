"""Report of runs as a page in one file: `python -m jaxdl.report RUN ...`.

    python -m jaxdl.report runs/mine
    python -m jaxdl.report runs/a runs/b --out compared.html

A RUN is the directory of a run, finished or not, or one that holds several. The page has curves,
samples by step, figures, results, options and the environment. It needs no network and no server.
`jaxdl.reports` computes numbers of classifiers, which is another task.
"""

import argparse
import base64
import io
import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.compare import best_line, metric_text, option_text, step_text
from jaxdl.data.files import escapes_root, expand_path, read_bytes
from jaxdl.errors import InputError, RunError, one_line
from jaxdl.output import command
from jaxdl.plots.html_page import html_page
from jaxdl.runs.comparison import flat
from jaxdl.runs.directory import read_json
from jaxdl.runs.stored import StoredRun, differing_options, stored_runs

#: Bytes that all pictures together may have, before they become text, which adds a third.
PICTURE_BYTES = 1_500_000

#: Numbers that the curves of all runs together may have.
MOST_NUMBERS = 30_000

#: Widths, as a fraction of the original, that are tried until a picture fits.
SCALES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.1)

#: Longest side in pixels that a WebP picture can have.
LONGEST_SIDE = 16_383

#: Most pixels of a picture that is decoded.
MOST_PIXELS = 64_000_000

#: Figures that come first.
FIRST = ("overview", "confusion", "mistakes")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jaxdl.report`; returns its exit code, 2 for an error in one line."""
    parser = argparse.ArgumentParser(
        "python -m jaxdl.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", help="directories of runs, or directories of such ones")
    parser.add_argument("--out", default="report.html", help="page; default: report.html")
    options = parser.parse_args(arguments)
    return command(lambda: _report(options.runs, options.out))


def _report(paths: Sequence[str], out: str) -> None:
    """Writes the page of the runs in some directories, and prints its path."""
    target = expand_path(out, "out")
    if target.suffix.lower() not in (".html", ".htm") or target.is_dir():
        raise InputError("out", out, "a name of a file that ends in .html")
    report_page(stored_runs(paths), target)
    print(f"page: {one_line(target)} ({target.stat().st_size / 1e6:.1f} MB)")


def report_page(runs: Sequence[StoredRun], path: Path) -> Path:
    """Writes the report of runs as a page in one file.

    Args:
      runs: the runs, side by side.
      path: path of the HTML file.

    Returns:
      The path.

    Raises:
      RunError: the file cannot be written.

    Example:
      >>> import tempfile
      >>> run = StoredRun("a", Path("a"), {"seed": 0}, [{"step": 1, "train/loss": 2.0}], {})
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     "train/loss" in report_page([run], Path(directory) / "a.html").read_text()
      True
    """
    data = report_data(runs)
    try:
        return html_page("report.html", data, data["title"], path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None


def report_data(runs: Sequence[StoredRun]) -> dict[str, Any]:
    """Returns what the page shows of runs, as values that JSON has.

    Example:
      >>> data = report_data([StoredRun("a", Path("a"), {"seed": 0}, [], {})])
      >>> data["title"], data["runs"][0]["state"]
      ('Report of a', 'not finished, step 0')
    """
    title = f"Report of {len(runs)} runs"
    if len(runs) == 1:
        title = f"Report of {one_line(runs[0].name)}"
    numbers = sum(len(record) for run in runs for record in run.records)
    every = max(1, math.ceil(numbers / MOST_NUMBERS))
    files = {run.name: pictures_of(run.directory) for run in runs}
    count = sum(map(len, files.values()))
    options = differing_options(runs)
    data: dict[str, Any] = {"title": title, "every": every, "best": ""}
    if len(runs) > 1:
        data["best"] = best_line(runs)
    data["differ"] = {name: list(map(option_text, values)) for name, values in options.items()}
    data["runs"] = [
        _run_data(run, every)
        | _pictures(run.directory, files[run.name], PICTURE_BYTES // max(1, count))
        for run in runs
    ]
    return data


def _run_data(run: StoredRun, every: int) -> dict[str, Any]:
    """Returns the texts and curves of a run."""
    result = run.result
    state = f"not finished, step {step_text(run).removesuffix(' …')}"
    repeat = "The command that started the run resumes it."
    if result:
        state = f"finished, {step_text(run)} steps"
        file = shlex.quote(str(run.directory / "result.json"))
        repeat = f"python -m jaxdl.reproduce {file}"
    environment = result.get("environment") or _environment(run.directory)
    seconds = result.get("seconds", {})
    return {
        "name": run.name,
        "experiment": str(result.get("experiment", "")),
        "state": state,
        "repeat": repeat,
        "finished": bool(result),
        "metrics": {name: metric_text(run, name) for name in result.get("metrics", {})},
        "seconds": {name: f"{value:,.1f} s" for name, value in seconds.items()},
        "warnings": [str(each) for each in result.get("warnings", [])],
        "data": _sets(result),
        "config": {name: option_text(value) for name, value in run.config.items()},
        "environment": {name: str(value) for name, value in flat(environment).items()},
        "series": series_of(run.records, every),
    }


def _sets(result: Mapping[str, Any]) -> dict[str, str]:
    """Returns the name, size and hash of each set of a result, as text."""
    sets = result.get("data", {})
    texts = {}
    for part, each in sets.items():
        size = "simulated"
        if each["size"] != sys.maxsize:
            size = f"{each['size']:,} examples"
        texts[part] = f"{each['name']}, {size}, sha256 {str(each['sha256'])[:12]}"
    return texts


def _environment(directory: Path) -> dict[str, Any]:
    """Returns the environment in which an unfinished run was started; empty if it is unknown."""
    file = directory / "environment.json"
    if not file.exists():
        return {}
    return read_json(file)


def series_of(
    records: Sequence[Mapping[str, float]], every: int = 1
) -> dict[str, list[list[float | None]]]:
    """Returns the steps and values of each metric; NaN and infinities, which JSON lacks, are None.

    Args:
      records: records as `read_metrics` returns them.
      every: interval of the values that are kept; the last one of each metric always is.

    Example:
      >>> series_of([{"step": 1, "a": 2.0}, {"step": 2, "a": math.nan}])
      {'a': [[1, 2], [2.0, None]]}
    """
    pairs: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for name, value in record.items():
            if name != "step":
                pairs.setdefault(name, []).append((record["step"], value))
    kept = {
        name: [pair for i, pair in enumerate(each) if i % every == 0 or i == len(each) - 1]
        for name, each in pairs.items()
    }
    return {
        name: [
            [step for step, _ in each],
            [value if math.isfinite(value) else None for _, value in each],
        ]
        for name, each in kept.items()
    }


def pictures_of(directory: Path) -> list[Path]:
    """Returns the pictures of a run: its samples by step, then its figures.

    Links that leave the directory are left out.
    """
    found = [
        path
        for path in sorted(directory.rglob("*"))
        if path.suffix.lower() in (".png", ".gif")
        and path.relative_to(directory).parts[0] != "checkpoints"
    ]
    found = [path for path in found if path.is_file() and not escapes_root(path, directory)]
    return sorted(found, key=_order)


def _order(path: Path) -> tuple[int, int, str]:
    """Returns the place of a picture among the others of a run."""
    step = step_of(path)
    if step is not None:
        return 0, step, ""
    first = len(FIRST)
    if path.stem in FIRST:
        first = FIRST.index(path.stem)
    return 1, first, str(path)


def step_of(path: Path) -> int | None:
    """Returns the step of a file such as `samples/step-000100.png`; None for another one.

    Example:
      >>> step_of(Path("samples/step-000100.png")), step_of(Path("figures/curves.png"))
      (100, None)
    """
    match = re.fullmatch(r"step[-_]?0*([0-9]{1,12})", path.stem)
    if match and path.parent.name == "samples":
        return int(match[1])
    return None


def _pictures(directory: Path, files: Sequence[Path], limit: int) -> dict[str, Any]:
    """Returns the samples by step and the other pictures of a run, and those that are damaged."""
    samples: list[Any] = []
    figures: dict[str, str] = {}
    damaged = []
    for file in files:
        name = file.relative_to(directory).as_posix().removeprefix("figures/")
        # A film may have the name of a picture.
        name = name.removesuffix(".png")
        uri = embedded(file, limit)
        step = step_of(file)
        if uri is None:
            damaged.append(file.relative_to(directory).as_posix())
        elif step is not None:
            samples.append([step, uri])
        else:
            figures[name] = uri
    return {"samples": samples, "figures": figures, "damaged": damaged}


def embedded(path: Path, limit: int) -> str | None:
    """Returns a picture as a `data:` address of at most `limit` bytes before the encoding.

    A larger picture is compressed, and then made smaller. Of a film that is too large, the page has
    the last picture.

    Args:
      path: a PNG or GIF file.
      limit: largest number of bytes.

    Returns:
      The address; None for a file that is damaged or too large at every scale.
    """
    from PIL import Image

    try:
        content = read_bytes(path)
        with Image.open(io.BytesIO(content), formats=["PNG", "GIF"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                return None
            picture.seek(getattr(picture, "n_frames", 1) - 1)
            picture.load()
            kind = str(picture.format).lower()
            if len(content) <= limit:
                return _address(kind, content)
            image = picture.convert("RGBA")
    except Exception:
        # Pillow raises errors of many kinds for files that are cut or changed.
        return None
    for scale in SCALES:
        width = max(1, round(scale * image.width))
        height = max(1, round(scale * image.height))
        if max(width, height) > LONGEST_SIDE:
            continue
        buffer = io.BytesIO()
        image.resize((width, height)).save(buffer, "WEBP", quality=80)
        if buffer.tell() <= limit:
            return _address("webp", buffer.getvalue())
    return None


def _address(kind: str, content: bytes) -> str:
    """Returns bytes of a picture as a `data:` address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


if __name__ == "__main__":
    sys.exit(main())
