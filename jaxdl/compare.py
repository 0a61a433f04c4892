"""Comparison of runs: `python -m jaxdl.compare RUN RUN ...`.

    python -m jaxdl.compare runs/a runs/b
    python -m jaxdl.compare runs/sweep --out sweep.png

A RUN is the directory of a run, finished or not, or one that holds several. Printed are the options
in which the runs differ, and their results with the standard deviation over seeds. The picture has
a line for each run. `python -m jaxdl.reproduce` compares a run with its repetition.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jaxdl.data.files import expand_path
from jaxdl.errors import InputError, RunError, one_line
from jaxdl.output import command
from jaxdl.plots.comparison import LARGEST, best_run, comparison_curves
from jaxdl.plots.page import SMOKE, stamped
from jaxdl.runs.card import formatted
from jaxdl.runs.options import PLACEMENT
from jaxdl.runs.stored import StoredRun, differing_options, stored_runs

#: Widest column of the table.
WIDEST = 28

#: Options that state little about a run, so labels prefer the others.
RARELY = ("seed", "seeds", "epochs", "steps", "log_every", "save_every", "smoke", *PLACEMENT)

#: Metrics that name the best run, the first one that all finished runs have.
RANKED = (
    *("greedy_return", "test/accuracy", "test/r2", "test/loss"),
    *("samples/fid_classifier", "validation/loss"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `python -m jaxdl.compare`; returns its exit code, 2 for an error in one line."""
    parser = argparse.ArgumentParser(
        "python -m jaxdl.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", help="directories of runs, or directories of such ones")
    parser.add_argument("--out", default="comparison.png", help="picture; default: comparison.png")
    options = parser.parse_args(arguments)
    return command(lambda: _compare(options.runs, options.out))


def _compare(paths: Sequence[str], out: str) -> None:
    """Prints the tables of runs and writes their picture."""
    picture = expand_path(out, "out")
    if picture.suffix.lower() != ".png" or picture.is_dir():
        raise InputError("out", out, "a name of a file that ends in .png")
    runs = stored_runs(paths)
    print(comparison_table(runs))
    words = SMOKE if any(run.config.get("smoke") for run in runs) else ""
    try:
        with stamped(words):
            comparison_curves(labelled(runs), picture)
    except OSError as error:
        raise RunError(f"{picture} cannot be written: {error.strerror}") from None
    print(f"picture: {one_line(picture)}")


def comparison_table(runs: Sequence[StoredRun]) -> str:
    """Returns the options in which runs differ, and their results, as text.

    Args:
      runs: the runs, one for each column.

    Returns:
      The options, the last step, the number of seeds and the metrics, in one row each. A metric of
      several seeds is their mean ± standard deviation. The last line names the best run.

    Example:
      >>> from pathlib import Path
      >>> result = {"metrics": {"test/loss": 0.5}, "steps": 3, "seed": 0}
      >>> first = StoredRun("a", Path("a"), {"width": 8}, [], result)
      >>> second = StoredRun("b", Path("b"), {"width": 16}, [], {})
      >>> print(comparison_table([first, second]))
                 a         b
      options that differ
      width      8        16
      results
      steps      3       0 …
      seeds      1         1
      test/loss  0.5000    –
      … a run that is not finished
      best: a, test/loss 0.5000 (smallest of 1)
    """
    options = differing_options(runs)
    rows = [["", *(one_line(run.name) for run in runs)], ["options that differ"]]
    rows += [[one_line(name), *map(option_text, values)] for name, values in options.items()]
    if not options:
        rows[-1] = ["no options differ"]
    rows += [["results"], ["steps", *map(step_text, runs)], ["seeds", *map(_seeds, runs)]]
    metrics = dict.fromkeys(name for run in runs for name in run.result.get("metrics", {}))
    rows += [[one_line(name), *(metric_text(run, name) for run in runs)] for name in metrics]
    wide = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*wide, strict=True)]
    lines = []
    for first, *cells in rows:
        texts = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=False)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *texts]).rstrip())
    if any(not run.result for run in runs):
        lines.append("… a run that is not finished")
    return "\n".join([*lines, best_line(runs)])


def best_line(runs: Sequence[StoredRun]) -> str:
    """Returns a line that names the best of the finished runs, and what it is measured by."""
    finished = [run for run in runs if run.result]
    for name in RANKED:
        values = {
            run.name: run.result["metrics"][name]
            for run in finished
            if name in run.result["metrics"]
        }
        best = best_run(values, name)
        if len(values) < len(finished) or best is None:
            continue
        run = next(run for run in finished if run.name == best)
        order = "largest" if name.endswith(LARGEST) else "smallest"
        text = f"best: {one_line(best)}, {name} {metric_text(run, name)} ({order} of {len(values)})"
        close = [each for each in finished if each is not run and _overlaps(run, each, name)]
        if close:
            names = ", ".join(one_line(each.name) for each in close)
            text += f"; within one standard deviation: {names}"
        return text
    if not finished:
        return "best: not determined, as no run is finished"
    return "best: not determined, as the finished runs share no metric that orders them"


def _overlaps(first: StoredRun, second: StoredRun, metric: str) -> bool:
    """Returns True if two means are closer than the larger standard deviation over seeds."""
    results = [each.result for each in (first, second)]
    spreads = [each.get("metrics_std", {}).get(metric, -1.0) for each in results]
    return abs(results[0]["metrics"][metric] - results[1]["metrics"][metric]) <= max(spreads)


def labelled(runs: Sequence[StoredRun]) -> dict[str, Any]:
    """Returns the records of runs, by their name and the options in which they differ.

    An option is left out if its values are words in the names, such as the network of `gru-25`.
    """
    options = differing_options(runs)
    parts = [{run.name, *run.name.split("-"), *run.name.split("_")} for run in runs]
    # A number in a name may be the value of another option.
    names = [
        name
        for name in sorted(options, key=lambda name: name in RARELY)
        if any(
            option_text(value).isdigit() or option_text(value) not in part
            for value, part in zip(options[name], parts, strict=True)
        )
    ]
    shown = {name: options[name] for name in names[:2]}
    labels = []
    for i, run in enumerate(runs):
        words = [f"{name} {option_text(values[i])}" for name, values in shown.items()]
        labels.append(f"{run.name}: {', '.join(words)}" if words else run.name)
    return {label: run.records for label, run in zip(labels, runs, strict=True)}


def option_text(value: Any) -> str:
    """Returns the value of an option as text, cut to the widest column."""
    text = one_line(value)
    if isinstance(value, list):
        text = ",".join(map(one_line, value)) or "none"
    if value is None:
        text = "none"
    if len(text) > WIDEST:
        text = f"{text[: WIDEST - 1]}…"
    return text


def step_text(run: StoredRun) -> str:
    """Returns the steps of a run; marks those of an unfinished one."""
    if run.result:
        return f"{run.result['steps']:,}"
    last = run.records[-1]["step"] if run.records else 0
    return f"{int(last):,} …"


def _seeds(run: StoredRun) -> str:
    """Returns the number of seeds of a run, and of its folds if it has any."""
    folds = run.result.get("folds", 1)
    seeds = len(run.result.get("members", [])) // folds or run.config.get("seeds", 1)
    return f"{seeds} × {folds} folds" if folds > 1 else str(seeds)


def metric_text(run: StoredRun, name: str) -> str:
    """Returns a metric of a run with its standard deviation over seeds; a dash without it."""
    metrics: Mapping[str, float] = run.result.get("metrics", {})
    if name not in metrics:
        return "–"
    text = formatted(name, metrics[name])
    deviation = run.result.get("metrics_std", {}).get(name, math.nan)
    if math.isfinite(deviation):
        text += f" ± {formatted(name, deviation)}"
    return text


if __name__ == "__main__":
    sys.exit(main())
