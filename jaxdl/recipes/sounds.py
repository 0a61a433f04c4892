"""Networks that predict sound sample by sample: sets, generated sounds and their spectra."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl import data, plots
from jaxdl.core import State
from jaxdl.data.dataset import Dataset
from jaxdl.data.sound import FREQUENCIES, RATE
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.functions import bind
from jaxdl.rng import root, stream
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run
from jaxdl.tasks import Task

#: Generated sets. Any other name is a path of a `.wav` file.
GENERATED = ("sines", "plucked")

#: Share of a file that is the test set.
TEST_SHARE = 0.15

#: Least number of windows of each part.
LEAST_WINDOWS = 4

#: Distance of two peaks of a spectrum in Hz.
BETWEEN_PEAKS = 20.0


@dataclasses.dataclass(frozen=True)
class SoundOptions(RunOptions):
    """Options of a run on sound."""

    data: str = "sines"
    """sines: three sines in noise, whose entropy is known; plucked: plucked strings;
    or the path of a .wav file of 16 bits with one channel."""
    batch_size: int = 8
    """Windows per step."""

    def validate(self) -> None:
        super().validate()
        if not self.data.endswith(".wav"):
            one_of("data", self.data, [*GENERATED, "a path that ends in .wav"])


class SoundSets(NamedTuple):
    """Windows of sound as levels.

    Attributes:
      sets: `train`, `test` and perhaps `validation`, with `input` and `label [N, T]`. The first
        samples of a test window have the `mask` 0, because too little precedes them.
      optimum: least possible bits per sample of the test set; None if it is not known.
      rate: samples per second.
      prompt: levels `[P]` that a generated sound continues.
      frequencies: frequencies of the sound in Hz; empty if they are not known.
    """

    sets: dict[str, Dataset]
    optimum: float | None
    rate: int
    prompt: Int[np.ndarray, " P"]
    frequencies: Sequence[float]


def sound_sets(
    run: RunOptions, levels: int, window: int, context: int, count: int = 2000
) -> SoundSets:
    """Returns the windows of a generated sound or of a file.

    Args:
      run: options of the run.
      levels: number of levels of the mu-law coding.
      window: T, number of samples of a window, more than `context`.
      context: number of samples at the start of a test window that do not count.
      count: number of windows of a generated training set.

    Raises:
      InputError: a window that is too short, or a file that is too short or of another format.

    Example:
      >>> found = sound_sets(SoundOptions(), 256, 96, 64, count=20)
      >>> found.sets["test"]["input"].shape, round(found.optimum, 1)
      ((40, 96), 5.3)
    """
    at_least("window", window, context + 1)
    optimum = None
    rate = RATE
    if run.data in GENERATED:
        make = getattr(data, run.data)
        tested = make(40, window + 1, 1)
        parts = {"train": make(count, window + 1, 0).samples, "test": tested.samples}
        if run.data == "sines":
            # Every seventh sample is enough for a mean.
            clean = tested.clean[:, context + 1 :].ravel()[::7]
            optimum = data.level_entropy(clean, levels=levels)
    else:
        parts, rate = _parts_of_file(run, window)
    sets = {part: _as_set(each, levels, run.data) for part, each in parts.items()}
    if run.validation and "validation" not in sets:
        sets["train"], sets["validation"] = data.split(sets["train"], root(0), run.validation)
    for part in sets.keys() - {"train"}:
        mask = np.ones(np.shape(sets[part]["input"]), np.float32)
        mask[:, :context] = 0
        arrays = {**sets[part].arrays, "mask": mask}
        sets[part] = dataclasses.replace(sets[part], arrays=arrays)
    prompt = np.asarray(sets["test"]["input"])[0]
    frequencies = FREQUENCIES if run.data == "sines" else ()
    return SoundSets(sets, optimum, rate, prompt, frequencies)


def _parts_of_file(run: RunOptions, window: int) -> tuple[dict[str, np.ndarray], int]:
    """Returns the windows of each part of a file, which is cut in time, and its rate."""
    samples, rate = data.read_wav(run.data)
    end = int(len(samples) * (1 - TEST_SHARE))
    cut = end
    if run.validation:
        cut -= round(end * run.validation)
    sounds = {"train": samples[:cut], "test": samples[end:]}
    if run.validation:
        sounds["validation"] = samples[cut:end]
    parts = {}
    for part, sound in sounds.items():
        # Windows of the training set overlap.
        stride = window // 2 if part == "train" else window
        starts = np.arange(0, len(sound) - window, stride)
        if len(starts) < LEAST_WINDOWS:
            least = window + (LEAST_WINDOWS - 1) * stride + 1
            allowed = f"at least {least}, for {LEAST_WINDOWS} windows; use a longer file, "
            allowed += "a smaller --window or another --validation"
            raise InputError(f"samples of the {part} set", len(sound), allowed)
        parts[part] = sound[starts[:, None] + np.arange(window + 1)[None]]
    return parts, rate


def _as_set(samples: Float[np.ndarray, "N T"], levels: int, name: str) -> Dataset:
    ids = data.mu_law(samples, levels)
    return Dataset({"input": ids[:, :-1], "label": ids[:, 1:]}, name)


def generated_sound(
    task: Task, state: State, seed: int, prompt: Int[np.ndarray, " P"], length: int, levels: int
) -> Float[np.ndarray, " T"]:
    """Returns a sound that continues a prompt sample by sample.

    Args:
      task: a `jaxdl.tasks.language` of levels.
      state: the trained state of one run.
      seed: seed of the sound.
      prompt: the first levels.
      length: number of samples.
      levels: number of levels.
    """
    generate = bind(task.generate, state)
    key = stream(root(seed), "sample")
    ids = np.asarray(generate(prompt[None], key, length=length))[0]
    if ids.min() < 0:
        return np.full(length, np.nan, np.float32)
    return data.mu_law_inverse(ids, levels)


def spectrum(
    samples: Float[np.ndarray, " T"], rate: int
) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """Returns frequencies in Hz, and the power at each of them in dB below the largest.

    Args:
      samples: `[T]`, at least 2.
      rate: samples per second.

    Returns:
      The frequencies and powers `[T // 2 + 1]`. All powers of silence are -120 dB.

    Example:
      >>> frequencies, power = spectrum(np.sin(np.arange(800.0)), 800)
      >>> round(float(frequencies[power.argmax()]))
      127
    """
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    largest = max(float(power.max()), np.finfo(np.float32).tiny)
    power = 10 * np.log10(np.maximum(power / largest, 1e-12))
    return np.fft.rfftfreq(len(samples), 1 / rate), power


def peaks(
    frequencies: Float[np.ndarray, " F"], power: Float[np.ndarray, " F"], count: int
) -> list[float]:
    """Returns the frequencies of the highest peaks of a spectrum, in ascending order.

    Example:
      >>> peaks(np.arange(0.0, 100.0, 5.0), np.r_[np.zeros(3), 9.0, np.zeros(9), 5, np.zeros(6)], 2)
      [15.0, 65.0]
    """
    left = power.copy()
    found = []
    for _ in range(count):
        highest = frequencies[left.argmax()]
        found.append(float(highest))
        left[np.abs(frequencies - highest) < BETWEEN_PEAKS] = -np.inf
    return sorted(found)


def write_sounds(
    run: Run[Options],
    task: Task,
    members: Sequence[State],
    sounds: SoundSets,
    levels: int,
    seconds: float,
) -> dict[str, Any]:
    """Generates a sound for each seed, writes the first finite one, and measures the peaks.

    Args:
      run: run of the files and pictures.
      task: a `jaxdl.tasks.language` of levels.
      members: the trained state of each seed.
      sounds: the sets.
      levels: number of levels.
      seconds: duration of a generated sound.

    Returns:
      `samples/peak_error`, the largest relative error of the frequencies, if they are known and
      the sound has at least 0.1 seconds. It is NaN for a seed whose sound is not finite, of which
      the run warns.
    """
    length = max(2, round(seconds * sounds.rate))
    made = [
        generated_sound(task, member, seed, sounds.prompt, length, levels)
        for seed, member in zip(run.seeds, members, strict=True)
    ]
    finite = [bool(np.isfinite(each).all()) for each in made]
    for seed, is_finite in zip(run.seeds, finite, strict=True):
        if not is_finite:
            run.warn(f"seed {seed}: the generated sound is not finite")
    if any(finite):
        _write_sound(run, made[finite.index(True)], sounds, levels)
    # A shorter sound does not separate two peaks.
    if not sounds.frequencies or length < 2 * sounds.rate / BETWEEN_PEAKS:
        return {}
    wanted = np.sort(sounds.frequencies)
    errors = [np.nan] * len(made)
    for i in np.flatnonzero(finite):
        found = np.array(peaks(*spectrum(made[i], sounds.rate), len(wanted)))
        errors[i] = np.abs(found / wanted - 1).max()
    return {"samples/peak_error": run.per_seed(errors)}


def _write_sound(
    run: Run[Options], first: Float[np.ndarray, " T"], sounds: SoundSets, levels: int
) -> None:
    """Writes and draws a generated sound beside the real one."""
    data.write_wav(run.sample("generated.wav"), first, sounds.rate)
    real = data.mu_law_inverse(sounds.prompt, levels)
    data.write_wav(run.sample("real.wav"), real, sounds.rate)
    lines = {"real": real, "generated": first[: len(real)]}
    plots.waves(lines, sounds.rate, run.figure("waves"))
    plots.spectra(
        {"generated": spectrum(first, sounds.rate)}, run.figure("spectrum"), sounds.frequencies
    )
