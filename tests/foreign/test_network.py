"""Tests of imported networks as ordinary ones: photographs, saving, commands, exports."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import jaxdl
import jaxdl.export.__main__
import jaxdl.predict
from jaxdl.errors import InputError
from jaxdl.foreign.network import imagenet_classes
from tests.foreign import twins

RNG = np.random.default_rng(0)
PHOTOS = [RNG.integers(0, 256, shape, np.uint8) for shape in ((300, 250, 3), (224, 224, 3))]


@pytest.fixture(scope="module")
def network(files):
    return jaxdl.load(files["old.pth"])


def test_photographs_of_any_size_have_probabilities(network):
    probabilities = network.predict(PHOTOS)
    assert probabilities.shape == (2, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(network.predict(np.stack(PHOTOS[1:])), probabilities[1:], rtol=1e-5)
    floats = [photo / np.float32(255) for photo in PHOTOS]
    # Pillow rounds uint8 pixels to uint8 after each of its two passes.
    np.testing.assert_allclose(network.predict(floats), probabilities, atol=0.02)


def test_functions_are_pure_functions_of_prepared_images(network):
    (prepared,) = network.prepare(PHOTOS)
    assert prepared.shape == (2, 224, 224, 3)
    found = jax.jit(network.functions["predict"])(prepared)
    np.testing.assert_allclose(found, network.predict(PHOTOS), rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (PHOTOS[0], "write .image. for one"),
        ([], "at least one image"),
        ([np.zeros((8, 8), np.uint8)], "RGB images"),
        ([np.zeros((8, 8, 3), np.int32)], "uint8, or floats in"),
        ([np.full((8, 8, 3), 255.0)], r"pixels in \[0, 1\], or in uint8"),
        (["photo.jpg"], "RGB images"),
        (3, "a list of images"),
    ],
)
def test_other_inputs_are_refused(network, inputs, message):
    with pytest.raises(InputError, match=message):
        network.predict(inputs)


@pytest.mark.parametrize("name", ["old.pth", "body"])
def test_a_saved_network_is_the_same(files, twin, tmp_path, name):
    path = files.get(name)
    if path is None:
        path = tmp_path / "body.npz"
        arrays = twins.arrays_of(twin)
        np.savez(path, **{key: arrays[key] for key in arrays if key.startswith("features")})
    network = jaxdl.load(path)
    network.save(tmp_path / "saved")
    again = jaxdl.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict(PHOTOS), network.predict(PHOTOS))
    assert again.preprocessing.crop == network.preprocessing.crop
    assert again.model == network.model


def test_the_command_predict_reads_a_weights_file(files, network, tmp_path, capsys):
    for i, photo in enumerate(PHOTOS):
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    Image.fromarray(PHOTOS[0][..., 0]).save(tmp_path / "grey.png")
    out = tmp_path / "out.json"
    arguments = [str(files["old.pth"]), str(tmp_path), "--out", str(out)]
    assert jaxdl.predict.main(arguments) == 0
    capsys.readouterr()
    rows = json.loads(out.read_text())
    assert [row["input"].rpartition("/")[2] for row in rows] == ["0.png", "1.png", "grey.png"]
    grey = np.repeat(PHOTOS[0][..., :1], 3, -1)
    expected = network.predict([*PHOTOS, grey])
    for row, probabilities in zip(rows, expected, strict=True):
        found = [row[f"p({i})"] for i in range(10)]
        np.testing.assert_allclose(found, probabilities, rtol=1e-4, atol=1e-6)


def test_a_file_with_code_ends_the_command_in_one_line(tmp_path, capsys):
    path = tmp_path / "x.pth"
    path.write_bytes(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    assert jaxdl.predict.main([str(path), "photo.png"]) == 2
    assert "os.system" in capsys.readouterr().err


def test_exports_compute_the_same(files, network, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("flatbuffers")
    path = tmp_path / "vgg.pth"
    path.write_bytes(files["new.pth"].read_bytes())
    assert jaxdl.export.__main__.main([str(path)]) == 0
    capsys.readouterr()
    out = tmp_path / "vgg-export"
    pixels = PHOTOS[1][None] / np.float32(255)
    expected = network.predict(pixels)
    session = onnxruntime.InferenceSession(out / "predict.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: pixels})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    exported = jax.export.deserialize(bytearray((out / "predict.stablehlo").read_bytes()))
    np.testing.assert_allclose(exported.call(pixels), expected, rtol=1e-4, atol=1e-6)
    assert (out / "weights.safetensors").is_file()


def test_a_member_or_task_of_a_weights_file_is_refused(files, network):
    for arguments in ({"member": 1}, {"task": network.task}, {"model": network.model}):
        with pytest.raises(InputError, match="a run, with a member, a task or modules"):
            jaxdl.load(files["old.pth"], **arguments)


def test_a_thousand_outputs_have_the_names_of_imagenet(tmp_path):
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    known = {0: "tench", 281: "tabby", 698: "palace", 985: "daisy", 999: "toilet tissue"}
    assert {i: names[i] for i in known} == known
    path = tmp_path / "x.npz"
    np.savez(path, **twins.arrays_of(twins.vgg(outputs=1000)))
    assert jaxdl.load(path).classes == names
