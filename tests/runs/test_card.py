"""Tests of the model card: a head in valid YAML, and the numbers of the result."""

import pytest

from jaxdl.runs.card import model_card

RESULT = {
    "experiment": "cnn",
    "metrics": {"test/accuracy": 0.987654321, "test/loss": float("nan")},
    "metrics_std": {"test/accuracy": 0.01, "test/loss": 0.0},
    "steps": 1234,
    "seed": 3,
    "seeds": [3, 4],
    "data": {"train": {"name": 'my: "set" # 1', "size": 1000}, "test": {"name": "t", "size": 10}},
    "warnings": ["labels start at 1"],
}


def card(task, shape, **fields):
    model = {"task": {"task": task}, "fields": {"input": {"shape": shape}, **fields}}
    return model_card("runs/a", RESULT, model)


def test_the_numbers_are_those_of_the_result():
    text = card("classify", [8, 8, 1])
    assert "| test/accuracy | 0.987654 ± 0.01 |" in text
    assert "1,234 steps, seed 3, 4" in text
    assert "- labels start at 1" in text
    assert "network = jaxdl.load('runs/a')" in text


@pytest.mark.parametrize(
    ("task", "shape", "fields", "pipeline"),
    [
        ("classify", [8, 8, 1], {}, "image-classification"),
        ("classify", [20], {"length": {}}, "text-classification"),
        ("classify", [4], {}, "tabular-classification"),
        ("vae", [8, 8, 1], {}, "unconditional-image-generation"),
        ("language", [20], {}, "text-generation"),
        ("regress", [9, 2, 2, 2], {}, None),
    ],
)
def test_the_head_is_yaml_with_the_kind_of_use(task, shape, fields, pipeline):
    yaml = pytest.importorskip("yaml")
    head = yaml.safe_load(card(task, shape, **fields).split("---")[1])
    assert head.get("pipeline_tag") == pipeline
    found = head["model-index"][0]["results"][0]
    assert found["dataset"]["name"] == 'my: "set" # 1'
    # NaN is no number of a hub.
    assert [metric["name"] for metric in found["metrics"]] == ["test/accuracy"]
