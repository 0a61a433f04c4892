"""Trained networks as files for other programs: StableHLO for JAX."""

from jaxdl.export.stablehlo import from_stablehlo, to_stablehlo

__all__ = ["from_stablehlo", "to_stablehlo"]
