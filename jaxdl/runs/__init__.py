"""Runs of experiments: options, directories, resuming and results."""

from jaxdl.runs.command_line import launch
from jaxdl.runs.directory import read_array
from jaxdl.runs.options import (
    DeviceOptions,
    Options,
    RunOptions,
    flat_options,
    with_options,
)
from jaxdl.runs.run import Run, run_experiment
from jaxdl.runs.variants import run_variants

__all__ = [
    "DeviceOptions",
    "Options",
    "Run",
    "RunOptions",
    "flat_options",
    "launch",
    "read_array",
    "run_experiment",
    "run_variants",
    "with_options",
]
