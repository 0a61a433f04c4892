"""Tests of LIME: exact laws of linear scores, scikit-learn, loops over samples, and recall."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.lime import _coins, lime
from jaxdl.rng import fold, root, stream
from tests.explain.networks import images
from tests.explain.recall import recall

SHAPE = (8, 6, 2)
IMAGES = images(3, SHAPE)
RNG = np.random.default_rng(7)
LABELS = np.concatenate([np.arange(9), RNG.integers(0, 9, 39)]).reshape(8, 6)
KEY = root(5)


def linear(seed=0, classes=3):
    """Returns random weights `[K, H, W, C]` and their scores as a function of images."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(classes, *SHAPE)).astype(np.float32)
    bias = rng.normal(size=(1, classes)).astype(np.float32)
    return weights, lambda x: jnp.einsum("bhwc,khwc->bk", x, weights) + bias


def curved(x):
    """Returns scores with products of pixels, which no linear model has."""
    y = x.reshape(len(x), -1)
    weights = np.random.default_rng(3).normal(size=(96, 5)).astype(np.float32)
    hidden = jnp.tanh(y @ weights / 2)
    return jnp.stack([hidden[:, 0] * hidden[:, 1], hidden[:, 2] * hidden[:, 3] + hidden[:, 4]], 1)


def mean_colors(labels):
    """Returns the mean color of each segment, by a loop."""
    filled = np.zeros_like(IMAGES)
    for n, label in enumerate(labels):
        for k in np.unique(label):
            filled[n, label == k] = IMAGES[n, label == k].mean(0)
    return filled


def masked(n, fill, labels, z):
    """Returns images that keep some segments, by a loop."""
    made = np.array([fill[n]] * len(z))
    for image, row in zip(made, z, strict=True):
        for k in np.flatnonzero(row):
            image[labels == k] = IMAGES[n][labels == k]
    return made


def kernel(z):
    cosine = z.sum(1) / np.maximum(np.sqrt(z.sum(1) * z.shape[1]), 1e-30)
    return np.exp(-((1 - cosine) ** 2) / (2 * 0.25**2))


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("kind", ["mean", "number", "color", "images"])
def test_coefficients_of_a_linear_score_are_exact(kind, per_image):
    weights, f = linear()
    labels = np.broadcast_to(LABELS, (3, 8, 6))
    if per_image:
        labels = np.stack([RNG.permuted(LABELS.ravel()).reshape(8, 6) for _ in range(3)])
    given = {"mean": None, "number": 0.3, "color": np.array([0.1, 0.9]), "images": 1 - IMAGES}[kind]
    fill = mean_colors(labels) if given is None else np.zeros_like(IMAGES) + given
    target = np.array([2, 0, 1])
    found = lime(f, IMAGES, target, key=KEY, segments=labels, baseline=given, samples=200)
    change = (weights[target].astype(np.float64) * (IMAGES - fill)).sum(-1)
    expected = [[change[n][labels[n] == k].sum() for k in range(9)] for n in range(3)]
    np.testing.assert_allclose(
        found.coefficients, expected, rtol=0, atol=1e-6 * np.abs(expected).max()
    )
    np.testing.assert_allclose(found.r2, 1.0, rtol=0, atol=1e-9)
    assert found.agreement.tolist() == [1.0] * 3
    assert found.samples.tolist() == [200] * 3
    for n in range(3):
        expected = found.coefficients[n][labels[n]].astype(np.float32)
        np.testing.assert_array_equal(found.maps[n, ..., 0], expected)


def test_the_model_is_that_of_scikit_learn():
    """The coins are those of the library; images, weights, fit and R^2 are computed here."""
    found = lime(
        curved, IMAGES, 1, key=KEY, segments=LABELS, baseline=0.2, samples=150, agreement=0.0
    )
    for n in range(3):
        z = _coins(fold(stream(KEY, "lime"), n), 9, 0, 150)
        y = np.asarray(curved(masked(n, np.full_like(IMAGES, 0.2), LABELS, z)))[:, 1]
        y = y.astype(np.float64)
        model = LinearRegression().fit(z, y, kernel(z))
        np.testing.assert_allclose(found.coefficients[n], model.coef_, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.r2[n], model.score(z, y, kernel(z)), rtol=1e-5)


def test_agreement_is_that_of_halves_of_six_parts():
    found = lime(curved, IMAGES, 0, key=KEY, segments=LABELS, samples=90, agreement=0.0)
    for n in range(3):
        z = _coins(fold(stream(KEY, "lime"), n), 9, 0, 90)
        y = np.asarray(curved(masked(n, mean_colors([LABELS] * 3), LABELS, z)))[:, 0]
        part = np.arange(90) % 6

        def strongest(parts, z=z, y=y, part=part):
            used = np.isin(part, parts)
            model = LinearRegression().fit(z[used], y[used], kernel(z[used]))
            return set(np.argsort(-np.abs(model.coef_))[:5])

        overlap = [
            len(strongest(half) & strongest([k for k in range(6) if k not in half])) / 5
            for half in itertools.combinations(range(6), 3)
        ]
        np.testing.assert_allclose(found.agreement[n], np.mean(overlap), atol=1e-9)
    assert found.agreement.min() < 1


def test_coins_are_fair_independent_and_follow_from_their_number():
    z = _coins(KEY, 20, 0, 4000)
    assert abs(z.mean() - 0.5) < 5 * 0.5 / np.sqrt(z.size)
    correlation = np.corrcoef(z.T)
    assert np.abs(correlation - np.eye(20)).max() < 5 / np.sqrt(4000)
    np.testing.assert_array_equal(_coins(KEY, 20, 1000, 1100), z[1000:1100])
    assert len(np.unique(z, axis=0)) > 3900


def test_one_key_has_one_result():
    options = {"segments": LABELS, "samples": 100, "most_samples": 400}
    first = lime(curved, IMAGES, 0, key=KEY, **options)
    for again, end in ((lime(curved, IMAGES, 0, key=KEY, **options), 3),):
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a[:end], b)
    other = lime(curved, IMAGES, 0, key=root(6), **options)
    assert (other.coefficients != first.coefficients).all()


def test_other_images_and_batches_do_not_change_an_image():
    """The other images have more segments, and a further image comes after them."""
    options = {"samples": 100, "most_samples": 400}
    many = np.arange(48).reshape(8, 6)
    both = lime(curved, IMAGES, 0, key=KEY, segments=np.stack([LABELS, many, LABELS]), **options)
    alone = lime(curved, IMAGES[:1], 0, key=KEY, segments=LABELS, **options)
    np.testing.assert_array_equal(both.coefficients[0, :9], alone.coefficients[0])
    assert (both.coefficients[0, 9:] == 0).all()
    for field in ("maps", "r2", "agreement", "samples"):
        np.testing.assert_array_equal(getattr(both, field)[:1], getattr(alone, field))
    small = lime(curved, IMAGES[:1], 0, key=KEY, segments=LABELS, batch_size=7, **options)
    np.testing.assert_allclose(small.coefficients, alone.coefficients, rtol=1e-4, atol=1e-6)
    assert small.samples == alone.samples


def test_samples_are_doubled_until_the_strongest_segments_agree():
    pairs = np.arange(48).reshape(8, 6) // 2
    options = {"key": KEY, "segments": pairs, "baseline": 0.0, "samples": 100}
    limited = lime(curved, IMAGES, 0, most_samples=300, agreement=1.0, **options)
    assert limited.samples.tolist() == [300] * 3
    assert (limited.agreement < 1).all()
    reached = lime(curved, IMAGES, 0, most_samples=50_000, agreement=0.8, **options)
    assert (reached.agreement >= 0.8).all()
    for n in range(3):
        assert reached.samples[n] in 100 * 2 ** np.arange(1, 9)
        half = {**options, "samples": int(reached.samples[n]) // 2, "agreement": 0.0}
        before = lime(curved, IMAGES[: n + 1], 0, **half)
        assert before.agreement[n] < 0.8
        assert before.samples[n] == reached.samples[n] // 2


def test_numbers_without_pixels_have_no_effect():
    _, f = linear()
    spread = 3 * LABELS + 2
    plain = lime(f, IMAGES, key=KEY, segments=LABELS, samples=100)
    gaps = lime(f, IMAGES, key=KEY, segments=spread, samples=100)
    np.testing.assert_array_equal(gaps.coefficients[:, 2::3], plain.coefficients)
    assert (gaps.coefficients[:, 0::3] == 0).all()
    assert (gaps.coefficients[:, 1::3] == 0).all()
    np.testing.assert_array_equal(gaps.maps, plain.maps)


@pytest.mark.parametrize("segments", [1, 3, 9])
def test_few_segments_and_unused_ones_agree(segments):
    """Only one segment has an effect; the order of the others is that of rounding."""
    labels = np.arange(48).reshape(8, 6) % segments

    def f(x):
        return jnp.tanh(x[:, :1, :1].sum((1, 2)))

    found = lime(f, IMAGES, 0, key=KEY, segments=labels, baseline=0.0, samples=200)
    assert found.agreement.tolist() == [1.0] * 3
    np.testing.assert_allclose(found.coefficients[:, 0], np.tanh(IMAGES[:, 0, 0, 0]), rtol=1e-5)
    np.testing.assert_allclose(found.coefficients[:, 1:], 0, atol=1e-6)


def test_a_constant_score_has_no_coefficients():
    found = lime(lambda x: 0 * x.sum((1, 2)) + 2, IMAGES, 0, key=KEY, segments=LABELS)
    np.testing.assert_allclose(found.coefficients, 0, atol=1e-6)
    assert found.r2.tolist() == [1.0] * 3
    assert found.agreement.tolist() == [1.0] * 3


def test_segments_of_one_pixel_do_not_change_their_mean():
    found = lime(curved, IMAGES, 0, key=KEY, segments=np.arange(48).reshape(8, 6))
    assert (found.maps == 0).all()
    assert found.agreement.tolist() == [1.0] * 3
    assert found.samples.tolist() == [0] * 3


def test_segments_that_equal_the_baseline_have_no_coins():
    """The result is that of the other segments alone."""
    x = IMAGES.copy()
    x[:, LABELS % 3 == 1] = 0.25
    options = {"key": KEY, "baseline": 0.25, "samples": 100, "agreement": 0.0}
    found = lime(curved, x, 0, segments=LABELS, **options)
    assert (found.coefficients[:, 1::3] == 0).all()
    kept = np.where(LABELS % 3 == 1, 0, LABELS - LABELS // 3 - (LABELS % 3 == 2))
    fewer = lime(curved, x, 0, segments=kept, **options)
    rest = [0, 2, 3, 5, 6, 8]
    np.testing.assert_array_equal(found.coefficients[:, rest], fewer.coefficients)
    assert np.abs(found.coefficients).max() > 0


def test_segments_are_superpixels_by_default():
    color = images(1, (24, 24, 3))

    def f(x):
        return jnp.tanh(x.sum((1, 2)) / 99)

    found = lime(f, color, key=KEY, samples=200, agreement=0.0)
    segments = explain.superpixels(color)
    expected = lime(f, color, key=KEY, segments=segments, samples=200, agreement=0.0)
    np.testing.assert_array_equal(found.maps, expected.maps)


def test_the_features_of_sparse_models_are_found():
    """The experiment of Ribeiro et al. 2016, section 5.2, on digits in place of reviews."""
    assert recall(instances=40) >= 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "^samples: got 1, allowed: at least 2"),
        ({"samples": 19}, "^samples: got 19, allowed: at least 20, twice the segments plus 2"),
        ({"samples": 50, "most_samples": 40}, "^most_samples: got 40, allowed: at least 50"),
        ({"agreement": 1.5}, r"^agreement: got 1.5, allowed: a number in \[0, 1\]"),
        ({"agreement": -0.1}, "^agreement: got -0.1"),
        ({"agreement": None}, "^agreement: got None"),
        ({"agreement": float("nan")}, "^agreement: got nan"),
        ({"width": 0}, "^width: got 0"),
        ({"batch_size": 0}, "^batch_size: got 0"),
        ({"baseline": np.nan}, "^baseline: got"),
        ({"target": 3}, r"^target: got 3, allowed: a class in \[0, 3\)"),
        ({"segments": LABELS[:3]}, r"^segments: got .*\[3, 6\]"),
        ({"segments": LABELS / 2}, "^segments: got 'float64"),
        ({"key": 0}, "^key: got 0, allowed: root"),
    ],
)
def test_bad_options_are_refused(options, message):
    _, f = linear()
    with pytest.raises(InputError, match=message) as raised:
        lime(f, IMAGES, **{"key": KEY, "segments": LABELS, **options})
    assert "\n" not in str(raised.value)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="^scores: got 'NaN or infinity', allowed: finite"):
        lime(lambda x: jnp.log(x[:, 0, 0]), IMAGES, 0, key=KEY, segments=LABELS, baseline=0.0)


def test_a_call_inside_of_jit_is_refused():
    with pytest.raises(InputError, match="^lime: got 'a call inside of jax.jit'"):
        jax.jit(lambda x: lime(curved, x, key=KEY).maps)(IMAGES)
