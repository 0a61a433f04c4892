"""Sound: mu-law coding, `.wav` files, and generated sounds whose entropy is known."""

import io
import math
import os
import wave
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl.data.files import expand_path, write_atomically
from jaxdl.errors import InputError, at_least, in_range, positive

#: Samples per second of the generated sounds.
RATE = 8000

#: Frequencies of the three sines in Hz.
FREQUENCIES = (220.0, 345.0, 590.0)

#: Range of the amplitude of a sine, and the standard deviation of the noise.
AMPLITUDES = (0.05, 0.25)
NOISE = 0.05

#: Most levels of the mu-law coding: those of 16 bits.
MAX_LEVELS = 65_536

#: Most samples per second of a `.wav` file, whose bytes per second have 32 bits.
MAX_RATE = 2**31 - 1

#: The files that are read, and a command that makes one of them from any other sound.
WAV = "a .wav file of 16-bit PCM with one channel"
CONVERT = "ffmpeg -i SOUND -ac 1 -c:a pcm_s16le NEW.wav converts a sound"


def mu_law(x: Float[np.ndarray, "*N"], levels: int = 256) -> Int[np.ndarray, "*N"]:
    """Returns the levels of samples, which are close together for quiet sounds.

        f(x) = sign(x) ln(1 + m |x|) / ln(1 + m),    m = levels - 1

    [-1, 1] of f is divided into equal parts.

    Source: ITU-T G.711, Pulse code modulation of voice frequencies.

    Args:
      x: samples in [-1, 1]; others are clipped.
      levels: number of levels, from 2 to 65,536.

    Returns:
      int32 in [0, levels).

    Raises:
      InputError: another number of levels, or samples that are no finite numbers.

    Example:
      >>> mu_law(np.array([-1.0, -0.01, 0.0, 0.5, 1.0])).tolist()
      [0, 98, 128, 240, 255]
    """
    check_levels(levels)
    x = _finite(x)
    m = levels - 1
    clipped = np.clip(x, -1, 1)
    f = np.sign(clipped) * np.log1p(m * np.abs(clipped)) / np.log1p(m)
    return np.minimum((f + 1) / 2 * levels, m).astype(np.int32)


def check_levels(levels: int) -> None:
    """Raises InputError unless the number of levels is from 2 to 65,536.

    Example:
      >>> check_levels(1)
      Traceback (most recent call last):
      jaxdl.errors.InputError: levels: got 1, allowed: at least 2
    """
    at_least("levels", levels, 2)
    if levels > MAX_LEVELS:
        raise InputError("levels", levels, f"at most {MAX_LEVELS}, the levels of 16 bits")


def _finite(samples: Any) -> np.ndarray:
    """Returns samples as floats; raises InputError unless they are finite real numbers."""
    samples = np.asarray(samples)
    if samples.dtype.kind not in "fiu":
        raise InputError("samples", str(samples.dtype), "real numbers in [-1, 1]")
    if not np.isfinite(samples).all():
        raise InputError("samples", "nan or infinite", "finite numbers in [-1, 1]")
    # The levels of 16 bits are too many for numbers with less precision.
    return samples.astype(np.result_type(samples, np.float32))


def mu_law_inverse(ids: Int[np.ndarray, "*N"], levels: int = 256) -> Float[np.ndarray, "*N"]:
    """Returns the sample in the middle of each level.

    Args:
      ids: levels in [0, levels).
      levels: number of levels, from 2 to 65,536.

    Returns:
      float32 in [-1, 1].

    Raises:
      InputError: another number of levels, or a level that is no integer in the range.

    Example:
      >>> [round(x, 3) for x in mu_law_inverse(np.array([0, 128, 255])).tolist()]
      [-0.978, 0.0, 0.978]
    """
    check_levels(levels)
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu":
        raise InputError("level", str(ids.dtype), "integers, such as those of mu_law")
    outside = (ids < 0) | (ids >= levels)
    if outside.any():
        raise InputError("level", int(ids[outside][0]), f"an integer in [0, {levels})")
    return _expanded((2 * ids + 1) / levels - 1, levels).astype(np.float32)


def _expanded(f: Float[np.ndarray, "*N"], levels: int) -> Float[np.ndarray, "*N"]:
    m = levels - 1
    return np.sign(f) * np.expm1(np.abs(f) * np.log1p(m)) / m


def level_entropy(clean: Float[np.ndarray, " N"], noise: float = NOISE, levels: int = 256) -> float:
    """Computes the mean entropy of the levels of a known sound with normal noise, in bits.

        H = -1/N sum_n sum_k p_nk log2 p_nk,    p_nk = P(level of x_n + s e is k)

    No predictor of the levels can need fewer bits per sample.

    Args:
      clean: samples x without noise, at least one.
      noise: s, the standard deviation of the noise, above 0.
      levels: number of levels of `mu_law`.

    Returns:
      The entropy H.

    Raises:
      InputError: a value out of range, or samples that are no finite numbers.

    Example:
      >>> round(level_entropy(np.zeros(1), 0.05), 2), round(level_entropy(np.zeros(1), 0.1), 2)
      (7.16, 7.3)
    """
    positive("noise", noise)
    check_levels(levels)
    clean = _finite(clean)
    at_least("samples", clean.size, 1)
    from scipy.special import ndtr, xlogy

    edges = _expanded(2 * np.arange(1, levels) / levels - 1, levels)
    below = ndtr((edges[None] - clean.astype(np.float64).ravel()[:, None]) / noise)
    count = len(below)
    p = np.diff(np.concatenate([np.zeros((count, 1)), below, np.ones((count, 1))], 1), axis=1)
    return float(-xlogy(p, p).sum(1).mean() / math.log(2))


class Sounds(NamedTuple):
    """Generated sounds.

    Attributes:
      samples: `[N, T]` in [-1, 1], float32.
      clean: the same without noise.
    """

    samples: Float[np.ndarray, "N T"]
    clean: Float[np.ndarray, "N T"]


def _check_sounds(count: int, length: int, seed: int, noise: float) -> None:
    """Raises InputError for a value that is out of range."""
    at_least("count", count, 1)
    at_least("length", length, 1)
    at_least("seed", seed, 0)
    in_range("noise", noise, 0, math.inf)


def sines(
    count: int,
    length: int,
    seed: int = 0,
    noise: float = NOISE,
    frequencies: tuple[float, ...] = FREQUENCIES,
) -> Sounds:
    """Returns sums of sines with random phases and amplitudes, plus noise.

        x_t = sum_k a_k sin(2 pi f_k t / rate + p_k) + s e_t

    Args:
      count: N, number of sounds.
      length: T, number of samples of each.
      seed: seed of phases, amplitudes and noise, at least 0.
      noise: s, at least 0.
      frequencies: f, at least one, in (0, 4000) Hz.

    Returns:
      The sounds, with 8,000 samples per second.

    Raises:
      InputError: a value out of range.

    Example:
      >>> sounds = sines(3, 100)
      >>> sounds.samples.shape, bool(abs(sounds.samples - sounds.clean).std() < 0.06)
      ((3, 100), True)
    """
    _check_sounds(count, length, seed, noise)
    at_least("frequencies", len(frequencies), 1)
    for each in frequencies:
        positive("frequency", each)
        in_range("frequency", each, 0, RATE / 2)
    rng = np.random.default_rng(seed)
    shape = (count, len(frequencies), 1)
    amplitudes = rng.uniform(*AMPLITUDES, shape)
    phases = rng.uniform(0, 2 * np.pi, shape)
    times = np.arange(length) / RATE
    angles = 2 * np.pi * np.asarray(frequencies)[None, :, None] * times + phases
    clean = (amplitudes * np.sin(angles)).sum(1)
    samples = clean + noise * rng.normal(size=clean.shape)
    return Sounds(samples.clip(-1, 1).astype(np.float32), clean.astype(np.float32))


def plucked(count: int, length: int, seed: int = 0, noise: float = 0.002) -> Sounds:
    """Returns plucked strings of random pitch: noise in a loop with an average of neighbours.

        x_t = (x_{t-P} + x_{t-P-1}) / 2 for t > P,    x_0 .. x_P random, P the period

    Without noise, each sample follows from the last period, so its entropy is 0.

    Source: Karplus, Strong 1983, Digital synthesis of plucked-string and drum timbres.

    Args:
      count: N, number of sounds.
      length: T, number of samples of each.
      seed: seed of pitches, strings and noise, at least 0.
      noise: standard deviation of normal noise that is added at the end, at least 0.

    Returns:
      The sounds, with 8,000 samples per second.

    Raises:
      InputError: a value out of range.

    Example:
      >>> plucked(2, 400).samples.shape
      (2, 400)
    """
    _check_sounds(count, length, seed, noise)
    rng = np.random.default_rng(seed)
    clean = np.zeros((count, length))
    for each in clean:
        period = int(rng.choice([36, 40, 45, 48, 54, 60]))
        string = rng.uniform(-0.5, 0.5, period + 1)
        for t in range(length):
            if t <= period:
                each[t] = string[t]
            else:
                each[t] = (each[t - period] + each[t - period - 1]) / 2
    samples = clean + noise * rng.normal(size=clean.shape)
    return Sounds(samples.clip(-1, 1).astype(np.float32), clean.astype(np.float32))


def write_wav(
    path: str | os.PathLike[str], samples: Float[np.ndarray, " T"], rate: int = RATE
) -> Path:
    """Writes samples as a `.wav` file of 16 bits with one channel.

    Args:
      path: path of the file.
      samples: `[T]` in [-1, 1]; others are clipped.
      rate: samples per second, at least 1.

    Returns:
      The path.

    Raises:
      InputError: samples of another shape, or that are no finite numbers, a rate below 1 or too
        large for the format, a folder that does not exist, or a file that cannot be written.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = write_wav(f"{directory}/a.wav", np.array([0.0, 0.5, -1.0]))
      ...     samples, rate = read_wav(path)
      >>> samples.round(3).tolist(), rate
      ([0.0, 0.5, -1.0], 8000)
    """
    samples = _finite(samples)
    if samples.ndim != 1:
        raise InputError("samples", list(samples.shape), "one channel, [T]")
    at_least("rate", rate, 1)
    if rate > MAX_RATE:
        raise InputError("rate", rate, f"at most {MAX_RATE}; a .wav file has 32 bits for it")
    path = expand_path(path, "path")
    if not path.parent.is_dir():
        raise InputError("path", str(path), f"a file in a folder that exists; create {path.parent}")
    scaled = np.round(samples.clip(-1, 1) * 32767).astype("<i2")
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(scaled.tobytes())
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        allowed = f"a file that can be written ({error.strerror}); write another path"
        raise InputError("path", str(path), allowed) from None
    return path


def read_wav(path: str | os.PathLike[str]) -> tuple[Float[np.ndarray, " T"], int]:
    """Reads a `.wav` file of 16 bits with one channel.

    Args:
      path: path of the file.

    Returns:
      The samples `[T]` in [-1, 1], float32, and their number per second.

    Raises:
      InputError: a file that is missing, no PCM `.wav` file, one of another format or without a
        rate, or one that ends too early.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     samples, rate = read_wav(write_wav(f"{directory}/a.wav", np.array([0.25, -1.0])))
      >>> samples.round(3).tolist(), samples.dtype, rate
      ([0.25, -1.0], dtype('float32'), 8000)
    """
    path = expand_path(path, "path")
    try:
        with wave.open(str(path), "rb") as file:
            channels = file.getnchannels()
            bits = 8 * file.getsampwidth()
            rate = file.getframerate()
            count = file.getnframes()
            content = file.readframes(count)
    except FileNotFoundError:
        raise InputError(str(path), "no such file", WAV) from None
    except (wave.Error, EOFError, OSError) as error:
        got = str(error) or "a file that ends too early"
        raise InputError(str(path), got, f"{WAV}; {CONVERT}") from None
    if channels != 1 or bits != 16:
        raise InputError(str(path), f"{bits} bits, {channels} channels", f"{WAV}; {CONVERT}")
    if rate < 1:
        raise InputError(str(path), f"{rate} samples per second", "at least 1; write it again")
    if len(content) != 2 * count:
        got = f"{len(content)} of {2 * count} bytes of sound"
        raise InputError(str(path), got, f"{WAV}; copy it again, it ends too early")
    return (np.frombuffer(content, "<i2") / 32767).clip(-1, 1).astype(np.float32), rate
