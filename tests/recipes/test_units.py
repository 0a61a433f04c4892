"""Units that follow a feature of the text: correlations, features, and the choice of the part."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.core import learner
from jaxdl.data import Vocabulary
from jaxdl.models import OneHot, SequenceNet
from jaxdl.nn import RNN
from jaxdl.recipes.units import (
    best_correlated,
    correlated_units,
    inside_quotations,
    last_layer,
    most_varied_part,
    positions_in_line,
    text_features,
    unit_heatmap,
)
from jaxdl.tasks import language
from tests.plots.pictures import pixels
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
TEXT = 'He wrote: "No."\nThen “yes, I do”, and left.\n' * 12


def test_the_best_correlated_unit():
    memory = RNG.normal(size=(50, 6))
    values = RNG.normal(size=50)
    expected = [np.corrcoef(unit, values)[0, 1] for unit in memory.T]
    unit, r = best_correlated(memory, values)
    assert unit == np.abs(expected).argmax()
    assert r == pytest.approx(expected[unit])
    assert best_correlated(memory, np.ones(50))[1] == 0


def test_features_of_a_text():
    marks = [i for i, symbol in enumerate(TEXT) if symbol in '"“”']
    opened = [sum(mark <= i for mark in marks) % 2 == 1 for i in range(len(TEXT))]
    assert inside_quotations(TEXT) == opened
    expected = [min(len(TEXT[:i].split("\n")[-1]), 20) for i in range(len(TEXT))]
    assert positions_in_line(TEXT, 20) == expected
    features = text_features(TEXT, 20)
    assert list(features) == ["quotations", "the position in a line", "capitals"]
    np.testing.assert_array_equal(features["capitals"], [c.isupper() for c in TEXT])
    assert list(text_features("abc", 5)) == ["the position in a line"]
    assert list(text_features("a", 5)) == ["any feature"]


@pytest.mark.parametrize("size", [5, 60, 61, 500])
def test_the_part_with_the_largest_deviation(size):
    values = RNG.integers(0, 2, size) * RNG.random(size)
    part = most_varied_part(values, 10)
    assert part.start % 10 == 0
    assert part.stop == part.start + 60
    starts = range(0, max(1, size - 60), 10)
    assert values[part].std() == max(values[i : i + 60].std() for i in starts)


def test_no_unit_is_named_that_an_untrained_network_has_as_well():
    a = RNG.normal(size=200)
    noise = RNG.normal(size=(200, 2))
    layer = {"h": np.stack([noise[:, 0], a + 1.5 * noise[:, 1]], 1)}
    follows = "state of unit 1 follows first"
    (title,) = correlated_units(layer, {"first": a}, {"h": noise})
    assert title.startswith(follows)
    # An untrained unit that is as good is enough, also with another sign.
    for untrained in (layer["h"], -layer["h"][:, ::-1]):
        (title,) = correlated_units(layer, {"first": a}, {"h": untrained})
        assert title.startswith("no unit follows first; state of unit 1, the closest (r = 0.")
    rows = correlated_units({"h": noise}, {"first": a, "second": a**2}, {"h": noise})
    assert len(rows) == 1 and "no unit follows first" in next(iter(rows))


def test_weak_correlations_are_left_out():
    a = RNG.normal(size=200)
    noise = RNG.normal(size=(200, 2))
    layer = {"h": np.stack([noise[:, 0], a], 1), "forget": RNG.random((200, 2))}
    untrained = {"h": np.ones((200, 2))}
    features = {"first": -a, "strong": a, "weak": noise[:, 1]}
    rows = correlated_units(layer, features, untrained)
    assert list(rows) == [
        "state of unit 1 follows first (r = −1.00, untrained 0.00)",
        "forget gate of unit 1: 1 keeps, 0 forgets",
        "state of unit 1 follows strong (r = 1.00, untrained 0.00)",
    ]
    for row, values in zip(rows.values(), (a, layer["forget"][:, 1], a), strict=True):
        np.testing.assert_array_equal(row, values)
    (title,) = correlated_units({"h": layer["h"]}, {"weak": noise[:, 1]}, untrained)
    assert title.startswith("no unit follows weak; state of unit ")
    cell = correlated_units({**layer, "cell": layer["h"]}, {"first": a}, untrained)
    np.testing.assert_allclose(next(iter(cell.values())), np.tanh(a), rtol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_last_layer_and_its_picture(cell, tmp_path):
    vocabulary = Vocabulary.build(TEXT)
    ids = vocabulary.encode(TEXT)
    model = SequenceNet(OneHot(len(vocabulary)), RNN(cell, 5, 2), len(vocabulary))
    task = language(model, carried=True)
    batch = {"input": jnp.asarray(ids[None, :-1]), "label": jnp.asarray(ids[None, 1:])}
    state = learner(task.init, *task.updates(optax.sgd(0.1))).init(KEY, batch)
    layer = last_layer(model, state, ids)
    x = jax.nn.one_hot(ids[None], len(vocabulary))
    body = {"params": state.params["body"]}
    expected, _ = RNN(cell, 5, 2).apply(body, x, False)
    np.testing.assert_allclose(layer["h"], expected[0], atol=1e-5)
    assert ("forget" in layer) == (cell == "lstm")
    path = unit_heatmap(model, state, vocabulary, ids, tmp_path / "units.png")
    assert pixels(path).shape[0] > 100
