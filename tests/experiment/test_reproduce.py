"""A finished run from its result alone; and results that are not what a run writes."""

import dataclasses
import json
import sys

import pytest

import jaxdl
from jaxdl.errors import InputError, JaxdlError, RunError
from jaxdl.experiment import reproduce
from jaxdl.experiment.options import OWN_TO_THE_CALLER
from tests.experiment.scripts import EXPERIMENTS, script
