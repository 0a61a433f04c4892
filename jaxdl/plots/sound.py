"""Pictures of sound: waves over time, and spectra."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.page import BLUE, RED, page


def waves(
    sounds: Mapping[str, Float[np.ndarray, " T"]], rate: int, path: str | os.PathLike[str]
) -> Path:
    """Draws sounds below each other, over the time in milliseconds.

    Args:
      sounds: `[T]` in [-1, 1] by name.
      rate: samples per second.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: no sounds.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     waves({"sine": np.sin(np.arange(80.0))}, 8000, f"{directory}/waves.png").name
      'waves.png'
    """
    if not sounds:
        raise InputError("sounds", {}, "at least one sound")
    largest = max(np.abs(each).max() for each in sounds.values())
    with page(path, 7, 1.6 * len(sounds) + 0.4) as figure:
        axes = figure.subplots(len(sounds), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, (name, samples) in zip(axes, sounds.items(), strict=True):
            ax.plot(1000 * np.arange(len(samples)) / rate, samples, linewidth=0.8, color=BLUE)
            ax.set_title(f"{name}: {len(samples):,} samples, root mean square {_rms(samples):.3f}")
            ax.set_ylabel("amplitude")
            ax.set_ylim(-1.1 * largest - 1e-6, 1.1 * largest + 1e-6)
        axes[-1].set_xlabel("time (ms)")
    return Path(path)


def _rms(samples: Float[np.ndarray, " T"]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def spectra(
    found: Mapping[str, tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]],
    path: str | os.PathLike[str],
    marked: Sequence[float] = (),
    highest: float = 1500.0,
) -> Path:
    """Draws the power of sounds by frequency, with a line at each known frequency.

    Args:
      found: frequencies in Hz and power in dB by name.
      path: path of the PNG file.
      marked: known frequencies in Hz.
      highest: largest frequency in the picture.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> one = np.arange(9.0), -np.arange(9.0)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     spectra({"one": one}, f"{directory}/spectrum.png", [3.0]).name
      'spectrum.png'
    """
    with page(path, 7, 2.2 * len(found) + 0.5) as figure:
        axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (name, (frequencies, power)) in zip(axes, found.items(), strict=True):
            shown = frequencies <= highest
            for each in marked:
                ax.axvline(each, color=RED, linewidth=1, linestyle="--")
            ax.plot(frequencies[shown], power[shown], linewidth=0.8, color=BLUE)
            title = f"{name}: highest power at {frequencies[power.argmax()]:.1f} Hz"
            if len(marked):
                title += f"; true frequencies dashed: {', '.join(f'{f:g}' for f in marked)} Hz"
            ax.set_title(title, fontsize=9)
            ax.set_ylim(bottom=-80)
            ax.set_ylabel("power (dB)")
        axes[-1].set_xlabel("frequency (Hz)")
    return Path(path)
