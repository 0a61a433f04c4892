"""Tests of `python -m jaxdl.predict`: inputs of every kind, outputs in every form, errors."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxdl
from jaxdl.data import Dataset, Reviews, Vocabulary, encode_reviews
from jaxdl.data.tables import load_table
from jaxdl.models import MLP, Autoencoder, Conditional, OneHot, Reshaped, SequenceNet
from jaxdl.plots.images import unit_range
from jaxdl.predict import main
from tests.saved import saved

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (30, 6, 5, 1), np.uint8)
NAMES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A classifier of images, its directory, and a folder with its images."""
    directory = tmp_path_factory.mktemp("images")
    label = RANDOM.integers(0, 3, 30).astype(np.int32)
    data = Dataset({"input": PIXELS / np.float32(255), "label": label}, "a", 3, class_names=NAMES)
    network = saved(directory / "run", jaxdl.tasks.classify(MLP((4,), 3)), data)
    for i, image in enumerate(PIXELS):
        path = directory / f"folder/{NAMES[label[i]]}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    return directory, network


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_images_have_a_line_with_the_label_and_its_probability(images, capsys):
    directory, network = images
    path = next((directory / "folder").rglob("7.png"))
    assert main([str(directory / "run"), str(path)]) == 0
    probabilities = network.predict(PIXELS[7:8])[0]
    name, label, probability, *others = lines(capsys)[0].split("  ")
    assert name == str(path)
    assert label == NAMES[probabilities.argmax()]
    assert probability == f"{100 * probabilities.max():.1f} %"
    assert len(others) == 2


@pytest.mark.parametrize("batch_size", [3, 500])
def test_a_folder_becomes_a_table_of_all_probabilities(images, tmp_path, batch_size):
    directory, network = images
    out = tmp_path / "labels.csv"
    arguments = [str(directory / "run"), str(directory / "folder"), "--out", str(out)]
    assert main([*arguments, "--batch-size", str(batch_size)]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    for row in rows:
        number = int(row["input"].split("/")[-1].split(".")[0])
        expected = network.predict(PIXELS[number][None])[0]
        given = [float(row[f"p({name})"]) for name in NAMES]
        np.testing.assert_allclose(given, expected, atol=1e-6)
        assert row["label"] == NAMES[expected.argmax()]


def test_images_of_16_bits_keep_their_unit(tmp_path):
    deep = RANDOM.integers(0, 2**16, (20, 3, 2), np.uint16)
    for i, image in enumerate(deep):
        path = tmp_path / f"folder/{NAMES[i % 2]}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    Image.fromarray((deep[0] >> 8).astype(np.uint8)).save(tmp_path / "few.png")
    data, _ = jaxdl.data.load(tmp_path / "folder", cache_dir=str(tmp_path / "cache"))
    task = jaxdl.tasks.classify(MLP((4,), 2))
    network = saved(tmp_path / "run", task, data)
    out = tmp_path / "out.npz"
    files = sorted(map(str, (tmp_path / "folder").rglob("*.png")))
    assert main([str(tmp_path / "run"), *files, str(tmp_path / "few.png"), "--out", str(out)]) == 0
    rows = [int(Path(file).stem) for file in files]
    few = (deep[:1] >> 8) / np.float32(255)
    expected = network.predict(np.concatenate([deep[rows] / np.float32(65535), few])[..., None])
    np.testing.assert_array_equal(np.load(out)["output"], expected)


def test_only_grey_pixels_of_an_rgb_file_are_grey(images, tmp_path, capsys):
    directory, network = images
    Image.fromarray(PIXELS[3].repeat(3, -1)).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[4, ..., 0]).save(tmp_path / "b.png")
    out = tmp_path / "out.npz"
    assert main([str(directory / "run"), str(tmp_path), "--out", str(out)]) == 0
    np.testing.assert_array_equal(np.load(out)["output"], network.predict(PIXELS[3:5]))
    Image.new("RGB", (5, 6), "red").save(tmp_path / "c.png")
    capsys.readouterr()
    assert main([str(directory / "run"), str(tmp_path)]) == 2
    assert "c.png with colours', allowed: a grey image" in capsys.readouterr().err


def test_outputs_that_are_no_numbers_have_no_label(tmp_path, capsys):
    ids = RANDOM.integers(0, 6, (20, 3)).astype(np.int32)
    data = Dataset({"input": ids, "label": ids[:, 0] % 2}, "ids", 2)
    net = SequenceNet(OneHot(6), jaxdl.nn.RNN("gru", 3), 2, pool="last")
    saved(tmp_path, jaxdl.tasks.classify(net), data)
    ids[4, 1] = 6
    np.savez(tmp_path / "ids.npz", input=ids)
    assert main([str(tmp_path), str(tmp_path / "ids.npz")]) == 2
    assert "error: output of row 4: got 'nan or infinite'" in capsys.readouterr().err


def test_arrays_become_json_or_arrays(images, tmp_path):
    directory, network = images
    np.savez(tmp_path / "x.npz", x_test=PIXELS, label=np.zeros(30))
    expected = network.predict(PIXELS)
    for ending in ("json", "npz"):
        out = tmp_path / f"out.{ending}"
        assert main([str(directory / "run"), str(tmp_path / "x.npz"), "--out", str(out)]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    np.testing.assert_allclose([row["p(owl)"] for row in rows], expected[:, 2], atol=1e-6)
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["output"], expected, atol=1e-6)


def test_images_of_another_size_are_scaled_on_request(images, tmp_path, capsys):
    directory, _ = images
    Image.fromarray(np.repeat(np.repeat(PIXELS[0, ..., 0], 4, 0), 4, 1)).save(tmp_path / "a.png")
    arguments = [str(directory / "run"), str(tmp_path / "a.png")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "error: data: got" in error and "--resize" in error
    assert main([*arguments, "--resize"]) == 0


def test_texts_and_files_of_texts(tmp_path, capsys):
    texts = ["good film", "bad film", "a good plot", "a bad plot"] * 5
    reviews = Reviews(texts, np.arange(20) % 2, ("pos", "neg"))
    vocabulary = Vocabulary.build(texts, "word")
    data = encode_reviews(reviews, vocabulary, 4)
    net = SequenceNet(OneHot(len(vocabulary)), jaxdl.nn.RNN("gru", 4), 2, pool="mean")
    network = saved(tmp_path / "run", jaxdl.tasks.classify(net), data)
    (tmp_path / "one.txt").write_text("a bad film")
    assert main([str(tmp_path / "run"), "a good film", str(tmp_path / "one.txt")]) == 0
    expected = network.predict(["a good film", "a bad film"])
    for line, row in zip(lines(capsys), expected, strict=True):
        assert line.split("  ")[1:3] == [network.classes[row.argmax()], f"{100 * row.max():.1f} %"]


def test_a_table_of_numbers(tmp_path, capsys):
    random = np.random.default_rng(1)
    rows = [f"{a:.3f},{random.choice(['x', 'y'])},{3 * a:.3f}" for a in random.normal(size=40)]
    (tmp_path / "train.csv").write_text("a,b,target\n" + "\n".join(rows))
    train, _ = load_table(tmp_path / "train.csv")
    network = saved(tmp_path / "run", jaxdl.tasks.regress(MLP((4,), 1)), train)
    (tmp_path / "new.csv").write_text("b;a\nx;0.5\ny;-1\n")
    assert main([str(tmp_path / "run"), str(tmp_path / "new.csv")]) == 0
    expected = network.predict([{"a": 0.5, "b": "x"}, {"a": -1, "b": "y"}])
    assert lines(capsys) == [
        f"line {i + 2}  {value:.6g}" for i, value in enumerate(expected[:, 0].tolist())
    ]
    (tmp_path / "new.csv").write_text("b;a\nz;0.5\n")
    assert main([str(tmp_path / "run"), str(tmp_path / "new.csv")]) == 2
    assert "line 2, column 'b': got 'z', allowed: x, y" in capsys.readouterr().err
    # 2,000 rows are a part of the table.
    many = ["b,a", *["x,1"] * 2500, "z,1"]
    (tmp_path / "many.csv").write_text("\n".join(many))
    (tmp_path / "few.csv").write_text("b,c\nx,1")
    for name, message in (
        ("many", "error: line 2502, column 'b': got 'z', allowed: x, y"),
        ("few", "error: columns: got ['b', 'c'], allowed: also 'a'"),
    ):
        assert main([str(tmp_path / "run"), str(tmp_path / f"{name}.csv")]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("shape", [(), (0, 6, 5, 1)])
def test_an_array_without_rows_is_refused(images, tmp_path, shape, capsys):
    np.savez(tmp_path / "none.npz", input=np.zeros(shape))
    assert main([str(images[0] / "run"), str(tmp_path / "none.npz")]) == 2
    assert "allowed: an array [N, ...] with N of at least 1" in capsys.readouterr().err


def test_each_of_several_classes_has_its_probability(tmp_path, capsys):
    x = RANDOM.normal(size=(30, 3)).astype(np.float32)
    label = (x > 0).astype(np.int32)
    data = Dataset({"input": x, "label": label}, "a", 3, class_names=NAMES)
    task = jaxdl.tasks.classify(MLP((16,), 3), multi_label=True)
    network = saved(tmp_path / "run", task, data, steps=150)
    inputs = np.array([[2, -2, 1], [-3, -3, -3]], np.float32)
    np.savez(tmp_path / "x.npz", input=inputs)
    assert main([str(tmp_path / "run"), str(tmp_path / "x.npz")]) == 0
    first, second = [line.split("  ") for line in lines(capsys)]
    p = network.predict(inputs)
    assert first[1] == " ".join(np.array(NAMES)[p[0] > 0.5]) == "cat owl"
    order = np.argsort(-p[0])
    assert first[2:] == [f"({NAMES[i]} {100 * p[0, i]:.1f} %)" for i in order]
    assert second[1] == "no class"


def test_a_conditional_network_generates_each_class_in_turn(tmp_path):
    images = PIXELS / np.float32(255)
    data = Dataset({"input": images, "label": np.arange(30) % 3}, "a", 3)
    generator = Conditional(Reshaped(MLP((4,), 30), (6, 5, 1)), 3)
    task = jaxdl.tasks.gan(generator, Conditional(MLP((4,), 1), 3), latent=3)
    network = saved(tmp_path / "run", task, data)
    out = tmp_path / "out.npz"
    assert main([str(tmp_path / "run"), "--samples", "5", "--out", str(out)]) == 0
    expected = network.sample(jaxdl.root(0), 5, np.array([0, 1, 2, 0, 1]))
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["output"], expected)


def test_images_are_reconstructed_and_generated(tmp_path, capsys):
    data = Dataset({"input": PIXELS / np.float32(255)}, "a")
    np.savez(tmp_path / "x.npz", x=PIXELS)
    decoder = Reshaped(MLP((4,), 30), (6, 5, 1))
    task = jaxdl.tasks.reconstruct(Autoencoder(MLP((4,), 2), decoder))
    network = saved(tmp_path / "ae", task, data)
    out = tmp_path / "out.npz"
    assert main([str(tmp_path / "ae"), str(tmp_path / "x.npz"), "--out", str(out)]) == 0
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["output"], network.reconstruct(PIXELS), atol=1e-6)
    saved(tmp_path / "gan", jaxdl.tasks.gan(decoder, MLP((4,), 1), latent=3), data)
    for ending in ("png", "npz"):
        out = tmp_path / f"samples.{ending}"
        assert main([str(tmp_path / "gan"), "--samples", "7", "--out", str(out)]) == 0
    with np.load(out) as arrays:
        assert arrays["output"].shape == (7, 6, 5, 1)
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.width > 50
    capsys.readouterr()
    assert main([str(tmp_path / "gan"), "--samples", "7"]) == 2
    assert (
        "allowed: --out with a file that ends in .png, .npz; or a folder" in capsys.readouterr().err
    )
    assert main([str(tmp_path / "gan"), str(tmp_path / "x.npz")]) == 2
    assert "--samples N" in capsys.readouterr().err


def pairs_of(networks):
    """Returns a translation without pairs if there are several networks, else one with pairs."""
    x = PIXELS / np.float32(255)
    data = Dataset({"input": x, "target": 1 - x}, "pairs")
    if len(networks) == 1:
        return jaxdl.tasks.translate(*networks), data
    both = jaxdl.data.paired(data, Dataset({"input": 1 - x}, "negatives"))
    return jaxdl.tasks.translate_unpaired(*networks, pool=2), both


@pytest.mark.parametrize("networks", [1, 2])
def test_a_translated_image_has_the_name_of_its_input(tmp_path, networks, capsys):
    modules = [Reshaped(MLP((4,), 30), (6, 5, 1)), MLP((4,), 1)][:networks]
    network = saved(tmp_path / "run", *pairs_of(modules), steps=0)
    for i, name in enumerate(["cat/one.png", "cat/two.jpeg.png", "dog/one.png"]):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[i, ..., 0]).save(path)
    # Outputs outside [0, 1] are scaled for pictures.
    outputs = network.predict(PIXELS[:3])
    expected = np.stack([np.round(255 * unit_range(each)) for each in outputs])
    arguments = [str(tmp_path / "run"), str(tmp_path / "folder"), "--out"]
    assert main([*arguments, str(tmp_path / "translated")]) == 0
    assert lines(capsys) == [str(tmp_path / "translated")]
    for i, name in enumerate(["cat/one.png", "cat/two.jpeg.png", "dog/one.png"]):
        with Image.open(tmp_path / "translated" / name) as picture:
            np.testing.assert_allclose(np.asarray(picture), expected[i, ..., 0], atol=1)
    assert len(list((tmp_path / "translated").rglob("*.*"))) == 3
    assert main([*arguments, str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["output"], outputs, atol=1e-6)
    assert main([*arguments, str(tmp_path / "page.png")]) == 0
    for out, message in (
        ("out.csv", "out.csv', allowed: a file that ends in .png, .npz; or a folder"),
        ("folder", "allowed: another folder; "),
        ("none/translated", "in a directory that exists"),
    ):
        assert main([*arguments, str(tmp_path / out)]) == 2
        assert message in capsys.readouterr().err
    assert main(arguments[:2]) == 2
    assert "allowed: --out with a file" in capsys.readouterr().err


def test_rows_of_an_array_become_numbered_images(tmp_path):
    task = jaxdl.tasks.reconstruct(Autoencoder(MLP((4,), 2), Reshaped(MLP((4,), 30), (6, 5, 1))))
    saved(tmp_path / "run", task, Dataset({"input": PIXELS / np.float32(255)}, "a"), steps=0)
    np.savez(tmp_path / "x.npz", x=PIXELS[:2])
    arguments = [str(tmp_path / "run"), str(tmp_path / "x.npz"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["row 0.png", "row 1.png"]


def test_reconstructed_numbers_are_rows(tmp_path, capsys):
    x = RANDOM.normal(size=(20, 3)).astype(np.float32)
    task = jaxdl.tasks.reconstruct(Autoencoder(MLP((4,), 2), MLP((4,), 3)))
    network = saved(tmp_path / "run", task, Dataset({"input": x}, "numbers"), steps=0)
    np.savez(tmp_path / "x.npz", x=x[:1])
    assert main([str(tmp_path / "run"), str(tmp_path / "x.npz")]) == 0
    expected = [f"{value:.6g}" for value in network.reconstruct(x[:1])[0].tolist()]
    assert lines(capsys) == ["  ".join(["row 0", *expected])]


@pytest.mark.parametrize("classes", [None, 3])
def test_an_autoregressive_model_gives_likelihoods(tmp_path, classes, capsys):
    label = (np.arange(30) % 3).astype(np.int32)
    x = PIXELS / np.float32(255)
    data = Dataset({"input": x, "label": label}, "a", 3, class_names=NAMES)
    model = jaxdl.models.PixelCNN((6, 5), features=3, layers=1, first_size=3, classes=classes)
    network = saved(tmp_path / "run", jaxdl.tasks.autoregressive(model), data, steps=0)
    Image.fromarray(PIXELS[3, ..., 0]).save(tmp_path / "a.png")
    arguments = [str(tmp_path / "run"), str(tmp_path / "a.png")]
    assert main([*arguments, "--out", str(tmp_path / "out.json")]) == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())
    name = row["input"]
    if classes is None:
        nats = float(network.nll(x[3:4])[0])
        assert set(row) == {"input", "nats", "bits_per_pixel"}
    else:
        each = network.nll(np.repeat(x[3:4], 3, 0), np.arange(3, dtype=np.int32))
        nats = each.min()
        assert row["label"] == NAMES[each.argmin()]
        np.testing.assert_allclose([row[f"nats({c})"] for c in NAMES], each, rtol=1e-5)
        name += f"  {row['label']}"
    assert row["nats"] == pytest.approx(nats, rel=1e-5)
    assert row["bits_per_pixel"] == pytest.approx(nats / np.log(2) / 30, rel=1e-5)
    capsys.readouterr()
    assert main(arguments) == 0
    numbers = f"{row['nats']:.6g} nats  {row['bits_per_pixel']:.6g} bits per pixel"
    assert lines(capsys) == [f"{name}  {numbers}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "inputs: got 'none'"),
        (["a text"], "this network reads no texts"),
        (["a.wav"], "this network reads no sounds"),
        (["nowhere.png"], "an image that can be read"),
        (["nowhere.npz"], "an .npz file that exists"),
        (["a.png", "b.npz"], "one kind: images"),
        (["a.npz", "b.npz"], "one kind: images"),
        (["--samples", "3"], "this network generates nothing"),
        (["a.png", "--out", "labels.xlsx"], "a file that ends in .csv, .json, .npz"),
        (["a.png", "--out", "nowhere/labels.csv"], "in a directory that exists"),
        (["a.png", "--member", "1"], "member: got 1"),
        (["a.png", "--temperature", "0.5"], "no --temperature; predict of this network has none"),
        (["a.png", "--batch-size", "0"], "batch_size: got 0"),
        (["table.csv"], "a file that exists"),
    ],
)
def test_errors_are_one_line(images, capsys, arguments, message):
    assert main([str(images[0] / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert message in error
