"""Tests of `python -m jaxdl.predict` on texts and sounds, which a network continues."""

import json

import numpy as np
import pytest

import jaxdl
from jaxdl.data import Dataset, Vocabulary, mu_law, read_wav, write_wav
from jaxdl.data.encoding import TextEncoding
from jaxdl.models import OneHot, SequenceNet
from jaxdl.predict import main
from tests.saved import saved

RANDOM = np.random.default_rng(0)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_a_language_model_continues_texts(tmp_path, capsys):
    vocabulary = Vocabulary.build("to be or not to be")
    ids = RANDOM.integers(2, len(vocabulary), (8, 9)).astype(np.int32)
    arrays = {"input": ids[:, :-1], "label": ids[:, 1:]}
    data = Dataset(arrays, "text", contiguous=True, text=TextEncoding(vocabulary, 8))
    model = SequenceNet(OneHot(len(vocabulary)), jaxdl.nn.RNN("gru", 4), len(vocabulary))
    saved(tmp_path / "run", jaxdl.tasks.language(model, carried=True), data)
    arguments = [str(tmp_path / "run"), "to be", "or", "--length", "12"]
    assert main(arguments) == 0
    first = lines(capsys)
    assert [line.split("|")[0] for line in first] == ["to be", "or"]
    assert all(len(line.split("|")[1]) == 12 for line in first)
    assert main(arguments) == 0 and lines(capsys) == first
    assert main([*arguments, "--seed", "1"]) == 0 and lines(capsys) != first
    assert main([*arguments, "--out", str(tmp_path / "out.json")]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [f"{row['input']}|{row['continuation']}" for row in rows] == first


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """The directory of a network that predicts 16 levels of sound."""
    directory = tmp_path_factory.mktemp("levels")
    ids = RANDOM.integers(0, 16, (8, 9)).astype(np.int32)
    data = Dataset({"input": ids[:, :-1], "label": ids[:, 1:]}, "sound")
    model = SequenceNet(OneHot(16), jaxdl.nn.RNN("gru", 4), 16)
    saved(directory / "run", jaxdl.tasks.language(model), data)
    return directory / "run"


def test_a_network_of_levels_continues_a_sound(levels, tmp_path):
    samples = RANDOM.uniform(-0.5, 0.5, 40)
    sound = str(write_wav(tmp_path / "a.wav", samples, 11025))
    words = [str(levels), sound, "--length", "30", "--temperature", "0.5", "--out"]
    assert main([*words, str(tmp_path / "more.wav")]) == 0
    made, rate = read_wav(tmp_path / "more.wav")
    assert (made.shape, rate) == ((30,), 11025)
    assert main([*words, str(tmp_path / "more.npz")]) == 0
    with np.load(tmp_path / "more.npz") as arrays:
        ids = arrays["output"]
    assert mu_law(made, 16).tolist() == ids[0].tolist()
    key = jaxdl.stream(jaxdl.root(0), "sample")
    expected = jaxdl.load(levels).generate(
        mu_law(read_wav(sound)[0], 16)[None, -8:], key, length=30, temperature=0.5
    )
    np.testing.assert_array_equal(ids, expected)
    np.savez(tmp_path / "ids.npz", np.array([[1, 2, 3], [3, 2, 1]], np.int32))
    words[1] = str(tmp_path / "ids.npz")
    assert main([*words, str(tmp_path / "both.npz")]) == 0
    with np.load(tmp_path / "both.npz") as arrays:
        assert arrays["output"].shape == (2, 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wide.npz", "--out", "a.npz"], "inputs: got 'int64 [1, 2] up to 16'"),
        (["hello", "--out", "a.wav"], "inputs: got 'texts', allowed: one .wav file, or a .npz"),
        (["a.wav", "b.wav", "--out", "c.wav"], "inputs: got 'sounds', allowed: one .wav file"),
        (["missing.wav", "--out", "a.wav"], "missing.wav: got 'no such file'"),
        (["a.wav"], "out: got None, allowed: --out with a file that ends in .wav, .npz"),
        (["a.wav", "--out", "a.txt"], "a file that ends in .wav, .npz"),
        (["real.wav", "--out", "b.wav", "--temperature", "-1"], "temperature: got -1.0"),
        (["real.wav", "--out", "b.wav", "--length", "0"], "length: got 0"),
        (["silent.wav", "--out", "b.wav"], "[1, 0] up to 0', allowed: at least one id in [0, 16)"),
    ],
)
def test_errors_of_sounds_are_one_line(levels, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_wav("real.wav", np.zeros(8))
    write_wav("silent.wav", np.zeros(0))
    np.savez("wide.npz", np.array([[3, 16]]))
    assert main([str(levels), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
