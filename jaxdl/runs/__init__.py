"""Runs of experiments: options, directories, resuming and results."""

from jaxdl.runs.directory import read_array
from jaxdl.runs.options import Options, launch
from jaxdl.runs.run import Run, run_experiment
from jaxdl.runs.variants import run_variants

__all__ = ["Options", "Run", "launch", "read_array", "run_experiment", "run_variants"]
