"""Tests of deletion and insertion: a loop over steps, the ends of the curves, ties and orders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain import deletion, insertion
from jaxdl.explain.faithfulness import ranks
from jaxdl.rng import root
from tests.explain.networks import images

SHAPE = (5, 6, 2)
IMAGES = images(4, SHAPE)
RNG = np.random.default_rng(1)
MAPS = RNG.normal(size=IMAGES.shape)
BLURRED = images(4, SHAPE, seed=9)
CURVES = {"deletion": explain.deletion, "insertion": explain.insertion}


def scores(x):
    """Returns scores that are not linear."""
    y = x.reshape(len(x), -1)
    weights = np.random.default_rng(2).normal(size=(60, 3)).astype(np.float32)
    return 3 * jnp.sin(y @ weights)


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("score", ["probability", "raw"])
@pytest.mark.parametrize("steps", [1, 7, 30])
@pytest.mark.parametrize("baseline", [0.3, BLURRED])
def test_curves_are_those_of_a_loop(kind, score, steps, baseline):
    target = [2, 0, 1, 1]
    options = {"steps": steps, "score": score, "baseline": baseline, "batch_size": 5}
    found = CURVES[kind](scores, IMAGES, MAPS, target, **options)
    other = np.zeros_like(IMAGES) + np.asarray(baseline, np.float32)
    for n in range(4):
        order = sorted(range(30), key=lambda p: -MAPS[n].sum(-1).ravel()[p])
        expected = []
        shares = []
        for step in range(steps + 1):
            count = step * 30 // steps
            a, b = (IMAGES[n], other[n]) if kind == "deletion" else (other[n], IMAGES[n])
            x = a.copy().reshape(30, 2)
            x[order[:count]] = b.reshape(30, 2)[order[:count]]
            y = np.asarray(scores(x.reshape(1, *SHAPE)), np.float64)[0]
            expected.append((y if score == "raw" else special.softmax(y))[target[n]])
            shares.append(count / 30)
        np.testing.assert_allclose(found.scores[n], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.share, shares)
        np.testing.assert_allclose(
            found.area[n], np.trapezoid(expected, shares), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("score", ["probability", "raw"])
def test_the_ends_are_the_scores_of_image_and_baseline(score):
    def value(x):
        y = scores(jnp.asarray(x))
        return np.asarray(y if score == "raw" else jax.nn.softmax(y))[:, 1]

    options = {"baseline": BLURRED, "score": score, "steps": 8}
    deleted = explain.deletion(scores, IMAGES, MAPS, 1, **options).scores
    inserted = explain.insertion(scores, IMAGES, MAPS, 1, **options).scores
    near = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(deleted[:, 0], value(IMAGES), **near)
    np.testing.assert_allclose(deleted[:, -1], value(BLURRED), **near)
    np.testing.assert_allclose(inserted[:, 0], value(BLURRED), **near)
    np.testing.assert_allclose(inserted[:, -1], value(IMAGES), **near)


def test_deletion_is_insertion_with_image_and_baseline_exchanged():
    options = {"steps": 10}
    deleted = explain.deletion(scores, IMAGES, MAPS, 1, baseline=BLURRED, **options)
    inserted = explain.insertion(scores, BLURRED, MAPS, 1, baseline=IMAGES, **options)
    np.testing.assert_array_equal(deleted.scores, inserted.scores)


def test_the_order_has_every_pixel_once_and_follows_the_sign():
    order = ranks(MAPS)
    assert np.sort(order.reshape(4, -1), 1).tolist() == [list(range(30))] * 4
    total = MAPS.sum(-1)
    for n in range(4):
        by_rank = total[n].ravel()[np.argsort(order[n].ravel())]
        assert (np.diff(by_rank) <= 0).all()


def test_equal_values_are_in_a_random_order():
    """The first pixels of the picture are not the first zeros of the order."""
    maps = np.zeros((200, 20, 20, 1))
    maps[:, 3, 4] = 1.0
    order = ranks(maps)
    assert (order[:, 3, 4] == 0).all()
    top = order[:, :10].mean((1, 2))
    # The mean of half of the ranks 0..399 has this standard deviation.
    deviation = np.sqrt((400**2 - 1) / 12 / 200 * (1 - 200 / 399))
    assert np.abs(top.mean() - 199.5) < 5 * deviation / np.sqrt(200)
    np.testing.assert_allclose(top.std(), deviation, rtol=0.3)
    np.testing.assert_array_equal(order, ranks(maps))
    np.testing.assert_array_equal(order[:3], ranks(maps[:3]))
    assert (order != ranks(maps, root(1))).mean() > 0.9


def test_a_perfect_order_beats_random_ones_for_few_used_pixels():
    used = np.zeros((8, 8), np.float32)
    used.flat[np.random.default_rng(3).permutation(64)[:5]] = 1.0

    def f(x):
        return jnp.stack([(x[..., 0] * used[None]).sum((1, 2)), jnp.zeros(len(x))], 1)

    x = 0.5 + images(6, (8, 8, 1)) / 2
    perfect = x * used[None, ..., None]
    orders = [explain.random_order(x, root(seed)) for seed in range(5)]
    for maps in orders:
        deletion = explain.deletion(f, x, maps, 0).area - explain.deletion(f, x, perfect, 0).area
        insertion = explain.insertion(f, x, perfect, 0).area - explain.insertion(f, x, maps, 0).area
        for gain in (deletion, insertion):
            assert (gain > 0).all()
            assert gain.mean() > 0.1
    # No order is better than the perfect one, and none is worse than its opposite.
    worst = explain.deletion(f, x, -perfect, 0).area
    assert all((explain.deletion(f, x, maps, 0).area <= worst).all() for maps in orders)


def test_random_orders_follow_from_the_key_and_the_index():
    maps = explain.random_order(IMAGES, root(0))
    assert maps.shape == (4, 5, 6, 1)
    np.testing.assert_array_equal(maps[:2], explain.random_order(IMAGES[:2], root(0)))
    assert len(np.unique(maps)) == 120
    assert (maps != explain.random_order(IMAGES, root(1))).all()


def test_other_images_do_not_change_a_curve():
    full = explain.deletion(scores, IMAGES, MAPS, 0, steps=9)
    alone = explain.deletion(scores, IMAGES[:1], MAPS[:1], 0, steps=9, batch_size=3)
    np.testing.assert_allclose(full.scores[:1], alone.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (MAPS[:2], {}, r"^maps: got \[2, 5, 6, 2\], allowed: \[4, 5, 6, 1\] or \[4, 5, 6, 2\]"),
        (MAPS[..., 0], {}, r"^maps: got \[4, 5, 6\]"),
        (MAPS * np.nan, {}, "^maps: got 'NaN or infinity', allowed: finite numbers"),
        (MAPS > 0, {}, "^maps: got 'bool', allowed: numbers; write maps.astype"),
        (MAPS, {"steps": 0}, "^steps: got 0"),
        (MAPS, {"steps": 31}, "^steps: got 31, allowed: at most 30, the number of pixels"),
        (MAPS, {"score": "logit"}, "^score: got 'logit', allowed: probability, raw"),
        (MAPS, {"baseline": np.zeros(5)}, r"^baseline: got \[5\]"),
        (MAPS, {"target": 3}, "^target: got 3"),
        (MAPS, {"key": 1}, "^key: got 1"),
        (MAPS, {"batch_size": 0}, "^batch_size: got 0"),
    ],
)
@pytest.mark.parametrize("kind", CURVES)
def test_bad_options_are_refused(kind, maps, options, message):
    with pytest.raises(InputError, match=message):
        CURVES[kind](scores, IMAGES, maps, **{"steps": 5, **options})


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="^scores: got 'NaN or infinity'"):
        explain.deletion(lambda x: jnp.log(x[:, 0, 0]), IMAGES, MAPS, 0, steps=5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("method", [deletion, insertion])
def test_scores_that_are_not_finite_are_one_line(method, bad):
    x = np.random.default_rng(1).random((3, 6, 6, 1), np.float32)
    weights = np.random.default_rng(0).normal(size=(36, 4)).astype(np.float32)

    def f(x):
        return jnp.tanh(x.reshape(len(x), -1) @ weights) * bad

    with pytest.raises(InputError, match="^scores: got 'NaN or infinity'"):
        method(f, x, x, 0, steps=1)


def test_the_probability_of_a_single_score_is_refused():
    x = np.random.default_rng(1).random((2, 3, 3, 1), np.float32)
    with pytest.raises(InputError, match="^score: got 'probability', allowed: 'raw'"):
        deletion(lambda x: x.sum((1, 2)), x, x, steps=4)
    curves = deletion(lambda x: x.sum((1, 2)), x, x, steps=4, score="raw")
    np.testing.assert_allclose(curves.scores[:, 0], x.sum((1, 2, 3)), rtol=1e-6)
