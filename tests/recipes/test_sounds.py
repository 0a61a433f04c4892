"""Sets of sound, and the peaks of spectra."""

import numpy as np
import pytest

from jaxdl import data
from jaxdl.errors import InputError
from jaxdl.recipes import sounds
from jaxdl.recipes.sounds import SoundOptions, peaks, sound_sets, spectrum
from jaxdl.runs import Options, Run


def test_the_first_samples_of_test_windows_do_not_count():
    found = sound_sets(SoundOptions(validation=0.2), 64, 50, 30, count=20)
    assert {part: each.size for part, each in found.sets.items()} == {
        "train": 16,
        "validation": 4,
        "test": 40,
    }
    assert "mask" not in found.sets["train"].arrays
    np.testing.assert_array_equal(found.sets["test"]["mask"], np.arange(50)[None] >= [[30]] * 40)
    np.testing.assert_array_equal(
        found.sets["test"]["input"][:, 1:], found.sets["test"]["label"][:, :-1]
    )
    clean = data.sines(40, 51, 1).clean[:, 31:].ravel()[::7]
    assert found.optimum == pytest.approx(data.level_entropy(clean, levels=64))
    plucked = sound_sets(SoundOptions(data="plucked", validation=0.0), 64, 50, 30, count=20)
    assert plucked.optimum is None
    assert set(plucked.sets) == {"train", "test"}


def test_a_file_becomes_windows(tmp_path):
    samples = np.sin(np.arange(4000) / 9) * 0.9
    path = data.write_wav(tmp_path / "a.wav", samples, 4000)
    found = sound_sets(SoundOptions(data=str(path), validation=0.0), 256, 100, 50)
    assert found.rate == 4000
    assert found.sets["train"].size == 66
    assert found.sets["test"].size == 5
    read, _ = data.read_wav(path)
    ids = data.mu_law(read)
    np.testing.assert_array_equal(found.sets["train"]["input"][1], ids[50:150])
    np.testing.assert_array_equal(found.sets["test"]["label"][0], ids[3401:3501])
    with pytest.raises(
        InputError, match="samples of the test set: got 600, allowed: at least 2001"
    ):
        sound_sets(SoundOptions(data=str(path)), 256, 500, 50)


def test_no_sample_of_a_file_is_in_two_parts(tmp_path):
    # Each sample of a rising line has its own level.
    path = data.write_wav(tmp_path / "a.wav", np.linspace(-1, 1, 4000), 4000)
    found = sound_sets(SoundOptions(data=str(path), validation=0.2), 60_000, 100, 50)
    assert set(found.sets) == {"train", "validation", "test"}
    ends = []
    for part in ("train", "validation", "test"):
        ids = np.asarray(found.sets[part]["label"])
        ends += [np.asarray(found.sets[part]["input"]).min(), ids.max()]
    assert ends == sorted(set(ends))
    assert found.sets["validation"].size == 6
    assert not np.asarray(found.sets["validation"]["mask"])[:, :50].any()


def test_a_sound_that_is_not_finite_is_a_warning_and_nan(monkeypatch, tmp_path):
    run = Run(Options(SoundOptions(seeds=3)), tmp_path, "sound")
    found = sound_sets(SoundOptions(validation=0.0), 64, 50, 30, count=4)
    good = data.sines(1, 4000, noise=0.0).samples[0]
    made = {0: np.full(4000, np.nan), 1: good, 2: np.full(4000, np.nan)}
    monkeypatch.setattr(sounds, "generated_sound", lambda task, state, seed, *_: made[seed])
    for name in ("waves", "spectra"):
        monkeypatch.setattr(sounds.plots, name, lambda *_: None)
    metrics = sounds.write_sounds(run, None, [None] * 3, found, 64, 0.5)
    assert np.isnan(metrics["samples/peak_error"]).tolist() == [True, False, True]
    assert metrics["samples/peak_error"][1] < 0.01
    assert run.warnings == [f"seed {seed}: the generated sound is not finite" for seed in (0, 2)]
    written, _ = data.read_wav(tmp_path / "samples" / "generated.wav")
    np.testing.assert_allclose(written, good, atol=1e-4)


def test_peaks_are_the_frequencies_of_sines():
    samples = data.sines(1, 16000, noise=0.02).samples[0]
    found = peaks(*spectrum(samples, 8000), 3)
    np.testing.assert_allclose(found, [220, 345, 590], rtol=2e-3)
