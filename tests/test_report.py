"""Tests of `python -m jaxdl.report`: contents, hostile names, damaged runs, a browser."""

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jaxdl.report import embedded, main, pictures_of, report_data, series_of
from jaxdl.runs.stored import stored_runs
from jaxdl.training.writers import read_metrics
from tests.browser import opened
from tests.stored import write_run

HOSTILE = "<script>alert(1)<"


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def page_of(tmp_path, *directories):
    """Returns the text of the page of some runs and its data."""
    path = tmp_path / "page.html"
    assert main([*map(str, directories), "--out", str(path)]) == 0
    text = path.read_text()
    found = re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL)
    return text, json.loads(found[1])


def test_five_runs_have_all_their_values_in_one_small_page(tmp_path):
    rng = np.random.default_rng(0)
    directories = [write_run(tmp_path / f"run{i}", rng, learning_rate=i) for i in range(5)]
    text, data = page_of(tmp_path, *directories)
    assert len(text) < 3_000_000
    assert [run["name"] for run in data["runs"]] == [f"run{i}" for i in range(5)]
    assert data["differ"] == {"learning_rate": ["0", "1", "2", "3", "4"]}
    for run, directory in zip(data["runs"], directories, strict=True):
        records = read_metrics(directory / "metrics.jsonl")
        names = {name for record in records for name in record} - {"step"}
        assert run["series"].keys() == names
        for name, (steps, values) in run["series"].items():
            assert steps == [record["step"] for record in records if name in record]
            assert values == [record[name] for record in records if name in record]
        assert [step for step, _ in run["samples"]] == [10, 20]
        assert list(run["figures"]) == ["confusion", "mistakes", "curves"]
        assert run["repeat"].endswith(f"{directory}/result.json")
        assert run["metrics"]["test/accuracy"].endswith("%")


def test_no_name_becomes_an_element_and_nothing_comes_from_elsewhere(tmp_path):
    rng = np.random.default_rng(1)
    options = {HOSTILE: HOSTILE, "data": "</script><img src=x onerror=alert(1)>"}
    directory = write_run(tmp_path / HOSTILE, rng, metric=f"train/{HOSTILE}", **options)
    text, data = page_of(tmp_path, directory)
    elements = Elements(text).found
    scripts = [attributes for tag, attributes in elements if tag == "script"]
    assert scripts == [{"id": "data", "type": "application/json"}, {}]
    assert not [tag for tag, _ in elements if tag in ("img", "iframe", "object", "base", "form")]
    assert not [each for _, each in elements if "src" in each]
    links = [each["href"] for _, each in elements if "href" in each]
    assert links == ["data:,"]
    assert re.findall(r"https?:[^\"' ]*", text) == ["http://www.w3.org/2000/svg"]
    policy = next(each["content"] for _, each in elements if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")
    assert data["runs"][0]["name"] == HOSTILE
    assert data["runs"][0]["config"][HOSTILE] == HOSTILE


def test_large_pictures_and_long_runs_still_fit(tmp_path):
    rng = np.random.default_rng(2)
    directory = write_run(tmp_path / "run", rng, steps=60_000)
    for i in range(20):
        noise = rng.integers(0, 256, (300, 300, 3), np.uint8)
        Image.fromarray(noise).save(directory / f"figures/noise{i}.png")
    text, data = page_of(tmp_path, directory)
    assert len(text) < 3_000_000
    assert data["every"] > 1
    steps, values = data["runs"][0]["series"]["train/loss"]
    records = read_metrics(directory / "metrics.jsonl")
    assert (steps[-1], values[-1]) == (records[-1]["step"], records[-1]["train/loss"])
    stored = {record["step"]: record["train/loss"] for record in records}
    assert all(stored[step] == value for step, value in zip(steps, values, strict=True))
    assert data["runs"][0]["figures"]["noise3"].startswith("data:image/webp")


def test_values_that_json_lacks():
    records = [{"step": 1, "a": math.inf}, {"step": 2, "a": math.nan}, {"step": 3, "b": 1.0}]
    assert series_of(records) == {"a": [[1, 2], [None, None]], "b": [[3], [1.0]]}


def test_unfinished_runs_and_damaged_pictures_show_what_there_is(tmp_path):
    directory = write_run(tmp_path / "run", np.random.default_rng(3))
    (directory / "result.json").unlink()
    (directory / "figures/curves.png").write_bytes(b"\x89PNG\r\n\x1a\ncut")
    (directory / "figures/mistakes.png").unlink()
    (directory / "figures/mistakes.png").symlink_to("/etc/hostname")
    data = report_data(stored_runs([directory]))
    (run,) = data["runs"]
    assert (run["state"], run["finished"]) == ("not finished, step 20", False)
    assert (list(run["figures"]), run["damaged"]) == (["confusion"], ["figures/curves.png"])
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text("{}")
    (run,) = report_data(stored_runs([bare]))["runs"]
    assert (run["series"], run["samples"], run["figures"]) == ({}, [], {})
    assert pictures_of(bare) == []


def test_a_film_that_is_too_large_is_its_last_picture(tmp_path):
    rng = np.random.default_rng(4)
    frames = [Image.fromarray(rng.integers(0, 256, (60, 60), np.uint8)) for _ in range(5)]
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert embedded(path, 1_000_000).startswith("data:image/gif")
    assert embedded(path, 3_000).startswith("data:image/webp")
    assert embedded(path, 3) is None


@pytest.mark.parametrize("damage", ["result.json", "config.json"])
def test_a_damaged_file_is_one_line(damage, tmp_path, capsys):
    directory = write_run(tmp_path / "run", np.random.default_rng(5))
    (directory / damage).write_text("{")
    assert main([str(directory), "--out", str(tmp_path / "p.html")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {directory / damage} cannot be read")
    assert not (tmp_path / "p.html").exists()


def test_bad_calls_are_one_line(tmp_path, capsys):
    directory = write_run(tmp_path / "run", np.random.default_rng(6))
    (tmp_path / "empty").mkdir()
    out = str(tmp_path / "p.html")
    for arguments, words in [
        ([str(tmp_path / "none"), "--out", out], "an existing directory of a run"),
        ([str(tmp_path / "empty"), "--out", out], "which holds a config.json"),
        ([str(directory), str(directory), "--out", out], "each run once"),
        ([str(directory), "--out", str(tmp_path / "p.png")], "ends in .html"),
        ([str(directory), "--out", str(directory / "config.json/p.html")], "cannot be written"),
    ]:
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


SAMPLE = "document.querySelector('.samples img').src"
FOCUS = "document.activeElement.id"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_keys_reach_the_slider_and_the_curves_in_a_browser(width, dark, tmp_path):
    rng = np.random.default_rng(7)
    directories = [write_run(tmp_path / name, rng) for name in (HOSTILE, "b", "c", "d", "e")]
    page_of(tmp_path, *directories)
    with opened(tmp_path / "page.html", width, dark=dark) as page:
        for _ in range(60):
            page.press("Tab")
            if page.value(FOCUS) == "step":
                break
        assert page.value(FOCUS) == "step"
        assert page.value("document.querySelector('#step').matches(':focus-visible')")
        last = page.value(SAMPLE)
        page.press("ArrowLeft")
        first = page.value(SAMPLE)
        assert first != last and first.startswith("data:image/png")
        assert page.value("document.querySelector('output').textContent") == "step 10 of 20"
        page.value("document.querySelector('svg').focus()")
        page.press("ArrowLeft")
        assert page.value("document.querySelector('.read').textContent").startswith("step 15")
        assert page.value("[...document.images].every((each) => each.naturalWidth > 0)")
        assert page.value("document.documentElement.scrollWidth") <= width
        assert page.value("document.querySelectorAll('script').length") == 2
        assert page.errors == []


def test_a_film_and_a_picture_of_one_name_below_a_folder_of_checkpoints(tmp_path):
    rng = np.random.default_rng(0)
    directory = write_run(tmp_path / "checkpoints" / "run", rng)
    frames = [Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)) for _ in range(3)]
    path = directory / "figures" / "curves.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    _, data = page_of(tmp_path, directory)
    figures = data["runs"][0]["figures"]
    assert {"curves", "curves.gif"} <= figures.keys()
    assert figures["curves.gif"].startswith("data:image/gif")
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert embedded(path, 10_000) is None or cut > 13
