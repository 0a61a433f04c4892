"""Trained networks as files for other programs: StableHLO for JAX, ONNX for other runtimes."""

from jaxdl.export.networks import Exportable, exportable
from jaxdl.export.onnx import to_onnx
from jaxdl.export.stablehlo import from_stablehlo, to_stablehlo

__all__ = ["Exportable", "exportable", "from_stablehlo", "to_onnx", "to_stablehlo"]
