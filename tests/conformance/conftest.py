"""Leaves the cases of ONNX out of the search for tests, because `onnx` is optional."""

import importlib.util

collect_ignore = []
if importlib.util.find_spec("onnx") is None:
    collect_ignore.append("onnx_cases.py")
