"""Sound: mu-law levels, entropies against samples, and `.wav` files."""

import errno
import wave

import numpy as np
import pytest

from jaxdl.data import level_entropy, mu_law, mu_law_inverse, plucked, read_wav, sines, write_wav
from jaxdl.data.sound import RATE
from jaxdl.errors import InputError


@pytest.mark.parametrize("levels", [2, 16, 255, 256])
def test_a_level_contains_its_middle(levels):
    ids = np.arange(levels)
    np.testing.assert_array_equal(mu_law(mu_law_inverse(ids, levels), levels), ids)


def test_levels_are_those_of_the_formula():
    x = np.random.default_rng(0).uniform(-1, 1, 1000)
    expected = [
        min(255, int((np.sign(v) * np.log(1 + 255 * abs(v)) / np.log(256) + 1) * 128)) for v in x
    ]
    np.testing.assert_array_equal(mu_law(x), expected)
    assert mu_law(np.array([-3.0, 3.0])).tolist() == [0, 255]
    assert np.abs(mu_law_inverse(mu_law(x)) - x).max() < 0.025


def test_the_entropy_is_that_of_many_samples():
    rng = np.random.default_rng(0)
    for clean in (0.0, 0.2, -0.9):
        ids = mu_law(clean + 0.05 * rng.normal(size=400_000), 64)
        p = np.bincount(ids, minlength=64) / len(ids)
        expected = -(p[p > 0] * np.log2(p[p > 0])).sum()
        assert level_entropy(np.array([clean]), 0.05, 64) == pytest.approx(expected, abs=5e-3)


def test_sines_have_their_frequencies():
    sounds = sines(2, RATE, noise=0.0)
    np.testing.assert_array_equal(sounds.samples, sounds.clean)
    power = np.abs(np.fft.rfft(sounds.clean[0])) ** 2
    assert sorted(np.argsort(power)[-3:]) == [220, 345, 590]
    again = sines(2, 50, seed=3)
    np.testing.assert_array_equal(again.samples, sines(2, 50, seed=3).samples)
    assert np.abs(again.samples - sines(2, 50, seed=4).samples).max() > 0.01


def test_a_plucked_string_follows_from_its_last_period():
    clean = plucked(3, 500, noise=0.0).clean
    for each in clean:
        fits = [
            p
            for p in range(20, 80)
            if np.allclose(each[p + 1 :], (each[1:-p] + each[: -p - 1]) / 2, atol=1e-6)
        ]
        assert len(fits) == 1


@pytest.mark.parametrize("dtype", [np.int8, np.float16])
def test_levels_do_not_depend_on_the_dtype_of_samples(dtype):
    samples = np.array([-1, 0, 1])
    for levels in (4, 256, 65_536):
        found = mu_law(samples.astype(dtype), levels)
        np.testing.assert_array_equal(found, mu_law(samples.astype(np.float64), levels))


def test_files_keep_16_bits(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 300).astype(np.float32)
    found, rate = read_wav(write_wav(tmp_path / "a.wav", samples, 11025))
    assert rate == 11025
    assert np.abs(found - samples).max() <= 0.6 / 32767


def test_files_of_another_format_are_refused_in_one_line(tmp_path):
    for channels, width in ((2, 2), (1, 1)):
        path = tmp_path / f"{channels}{width}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(8000)
            file.writeframes(bytes(64))
        with pytest.raises(InputError, match=f"{8 * width} bits, {channels} channels', allowed"):
            read_wav(path)
        with pytest.raises(InputError, match="ffmpeg -i SOUND"):
            read_wav(path)
    path = tmp_path / "text.wav"
    for content, got in ((b"no sound at all", "RIFF"), (b"", "a file that ends too early")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{got}.*', allowed: a .wav file of 16-bit PCM"):
            read_wav(path)
    whole = bytearray(write_wav(path, np.zeros(9)).read_bytes())
    # Bytes 24 to 27 are the rate.
    whole[24:28] = bytes(4)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"text.wav: got '0 samples per second', allowed: at leas"):
        read_wav(path)
    with pytest.raises(InputError, match="got 'no such file', allowed: a .wav"):
        read_wav(tmp_path / "missing.wav")


def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", np.ones(3))
    before = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(InputError, match=r"folder.wav', allowed: .* \(Is a directory\); write ano"):
        write_wav(tmp_path / "folder.wav", np.zeros(2))
    with pytest.raises(InputError, match="File name too long"):
        write_wav(tmp_path / ("a" * 300), np.zeros(2))

    def refused(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(InputError, match=r"a.wav', allowed: .* \(Permission denied\); write"):
        write_wav(tmp_path / "a.wav", np.zeros(2))
    monkeypatch.undo()
    assert (tmp_path / "a.wav").read_bytes() == before


@pytest.mark.parametrize("lost", [1, 2, 7])
def test_a_file_that_ends_too_early_is_refused_in_one_line(tmp_path, lost):
    path = write_wav(tmp_path / "a.wav", np.zeros(32))
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=f"{64 - lost} of 64 bytes of sound', allowed: a .wav"):
        read_wav(path)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: mu_law_inverse(np.array([3, 256])), r"level: got 256, allowed: .* in \[0, 256\)"),
        (lambda: mu_law_inverse(np.array([-1])), "level: got -1"),
        (lambda: mu_law(np.array([np.nan])), "samples: got 'nan or infinite'"),
        (lambda: mu_law(np.zeros(1), 1), "levels: got 1"),
        (lambda: mu_law(np.array(["a"])), "samples: got '<U1', allowed: real numbers"),
        (lambda: mu_law(np.zeros(1), 10**11), "levels: got 100000000000, allowed: at most 65536"),
        (lambda: mu_law_inverse(np.array([0.5])), "level: got 'float64', allowed: integers"),
        (lambda: mu_law_inverse(np.array([0]), 1), "levels: got 1, allowed: at least 2"),
        (lambda: level_entropy(np.zeros(1), 0.0), "noise: got 0.0"),
        (lambda: level_entropy(np.zeros(0)), "samples: got 0, allowed: at least 1"),
        (lambda: level_entropy(np.array([np.nan])), "samples: got 'nan or infinite'"),
        (lambda: sines(0, 5), "count: got 0"),
        (lambda: sines(1, 5, -1), "seed: got -1"),
        (lambda: sines(1, 5, noise=np.nan), "noise: got nan"),
        (lambda: sines(1, 5, frequencies=()), "frequencies: got 0"),
        (lambda: sines(1, 5, frequencies=(9000.0,)), "frequency: got 9000.0"),
        (lambda: plucked(1, 5, noise=-1.0), "noise: got -1.0"),
        (lambda: write_wav("a.wav", np.zeros(2), 10**11), "rate: got 100000000000, allowed: at m"),
        (lambda: write_wav("a.wav", np.zeros(2, complex)), "samples: got 'complex128'"),
        (lambda: write_wav("a.wav", np.zeros((2, 2))), r"samples: got \[2, 2\]"),
        (lambda: write_wav("a.wav", np.zeros(2), 0), "rate: got 0, allowed: at least 1"),
        (lambda: write_wav("none/a.wav", np.zeros(2)), "path: got 'none/a.wav', allowed: .* none"),
    ],
)
def test_bad_values_are_refused(call, error):
    with pytest.raises(InputError, match=error):
        call()
