"""An experiment that is run several times with different options."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxdl.runs.options import C, run_directory, with_options
from jaxdl.runs.run import Run, run_experiment


def run_variants(
    config: C,
    variants: Mapping[str, Mapping[str, Any]],
    experiment: Callable[[Run[C]], dict[str, Any]],
) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Runs an experiment once for each variant, in separate directories.

    Finished variants are not run again.

    Args:
      config: options; `out`, or its default, is the parent directory.
      variants: options that each variant changes, by the name of its directory.
      experiment: function from a `Run` to the result of `Run.finish`.

    Returns:
      The parent directory, and the results by name. Variants that `stop_after` left unfinished
      have no result.
    """
    out = run_directory(config, experiment)[1]
    results = {}
    for name, changes in variants.items():
        print(f"\n{name}")
        options = with_options(config, **changes, out=str(out / name))
        results[name] = run_experiment(options, experiment)
    return out, {name: result for name, result in results.items() if result}
