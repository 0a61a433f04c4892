"""Metrics: exact merging for any division into batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import metrics

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=17).astype(np.float32)
MASK = RNG.uniform(size=17) < 0.6


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int32])
def test_total_counts_values_where_the_mask_is_true(dtype):
    value, count = metrics.total(jnp.asarray(VALUES), jnp.asarray(MASK.astype(dtype)))
    assert value.dtype == count.dtype == jnp.float32
    assert float(value) == pytest.approx(VALUES[MASK].sum(), rel=1e-6)
    assert float(count) == MASK.sum()


@pytest.mark.parametrize("shape", [(), (17,), (3, 5)])
def test_total_without_a_mask_counts_all_values(shape):
    values = np.asarray(np.random.default_rng(1).normal(size=shape), np.float32)
    value, count = metrics.total(jnp.asarray(values))
    assert float(value) == pytest.approx(values.sum(), rel=1e-5)
    assert float(count) == values.size


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_masked_values_may_be_nan_or_infinite(bad):
    values = jnp.array([1.0, bad, 3.0])
    mask = jnp.array([1.0, 0.0, 1.0])
    assert float(metrics.total(values, mask)[0]) == 4.0
    assert float(metrics.total(values)[0]) != 4.0
    assert np.isnan(metrics.total(values.at[0].set(jnp.nan), mask)[0])


def test_total_of_small_dtypes_is_in_float32():
    many = jnp.ones(4097, jnp.bfloat16)  # in bfloat16 4096 + 1 is 4096
    assert float(metrics.total(many)[0]) == 4097.0
    assert float(metrics.total(jnp.array([True, False, True]))[0]) == 2.0


def test_ragged_batches_merge_to_the_mean_of_all():
    merged: metrics.Metrics = {}
    for part, mask in zip(np.split(VALUES, [5, 16]), np.split(MASK, [5, 16]), strict=True):
        merged = metrics.merge(
            merged, {"loss": metrics.total(jnp.asarray(part), jnp.asarray(mask))}
        )
    assert metrics.means(merged)["loss"] == pytest.approx(VALUES[MASK].mean(), rel=1e-5)
    of_means = np.mean([part.mean() for part in np.split(VALUES, [5, 16])])
    assert abs(of_means - VALUES.mean()) > 0.01, "a mean of means would pass this test"


def test_merge_copies_single_names_and_changes_no_argument():
    a = {"x": (1.0, 2.0), "a": (3.0, 1.0)}
    b = {"x": (10.0, 5.0), "b": (4.0, 2.0)}
    assert metrics.merge(a, b) == {"x": (11.0, 7.0), "a": (3.0, 1.0), "b": (4.0, 2.0)}
    assert metrics.merge(b, a) == metrics.merge(a, b)
    assert a == {"x": (1.0, 2.0), "a": (3.0, 1.0)}
    assert b == {"x": (10.0, 5.0), "b": (4.0, 2.0)}


def test_mean_of_no_values_is_zero_on_the_device_and_nan_on_the_host():
    empty = metrics.total(jnp.array([1.0, 2.0]), jnp.zeros(2))
    assert float(metrics.mean(empty)) == 0.0
    assert np.isnan(metrics.means({"loss": empty})["loss"])


def test_mean_and_its_gradient_divide_by_the_count():
    def loss(values):
        return metrics.mean(metrics.total(values, jnp.asarray(MASK)))

    value, grad = jax.value_and_grad(loss)(jnp.asarray(VALUES))
    assert float(value) == pytest.approx(VALUES[MASK].mean(), rel=1e-5)
    np.testing.assert_allclose(grad, MASK / MASK.sum(), rtol=1e-6)


def test_means_are_python_floats():
    means = metrics.means({"a": (jnp.array(3.0), jnp.array(4.0)), "b": (np.float32(1), 2.0)})
    assert means == {"a": 0.75, "b": 0.5}
    assert all(type(value) is float for value in means.values())


def test_accuracy_and_top_k_agree_with_sorting():
    rng = np.random.default_rng(1)
    logits = rng.permuted(np.tile(np.arange(9, dtype=np.float32), (40, 1)), axis=1)
    label = rng.integers(0, 9, 40)
    rank = (logits > logits[np.arange(40), label][:, None]).sum(1)
    np.testing.assert_array_equal(jax.vmap(metrics.accuracy)(logits, label), rank == 0)
    for k in (1, 3, 9):
        hits = jax.vmap(lambda x, y, k=k: metrics.top_k(x, y, k))(logits, label)
        np.testing.assert_array_equal(hits, rank < k)
    assert 0 < (rank == 0).sum() < 40


@pytest.mark.parametrize("count", [0.05, 0.4, 1.0, 3.0])
def test_the_mean_divides_by_any_count(count):
    weights = np.full(7, count / 7, np.float32)
    pair = metrics.total(jnp.asarray(VALUES[:7]), jnp.asarray(weights))
    assert float(metrics.mean(pair)) == pytest.approx(VALUES[:7].mean(), rel=1e-5)
    assert float(metrics.mean((jnp.zeros(()), jnp.zeros(())))) == 0
    assert np.isnan(metrics.mean((jnp.ones(()), jnp.full((), jnp.nan))))


def test_negative_weights_count_in_sum_and_count():
    weights = np.array([1.0, -0.5, 0.0, 2.0], np.float32)
    value, count = metrics.total(jnp.asarray(VALUES[:4]), jnp.asarray(weights))
    assert float(value) == pytest.approx(float((VALUES[:4] * weights).sum()), rel=1e-5)
    assert float(count) == 2.5


@pytest.mark.parametrize("mask", [None, MASK])
def test_totals_of_doubles_are_doubles(mask):
    values = np.random.default_rng(3).normal(size=17)
    with jax.enable_x64(True):
        pair = metrics.total(jnp.asarray(values), mask if mask is None else jnp.asarray(mask))
        narrow = metrics.total(jnp.asarray(MASK))
    expected = values.sum() if mask is None else values[mask].sum()
    assert [x.dtype for x in pair] == [jnp.float64] * 2
    assert float(pair[0]) == pytest.approx(expected, rel=1e-14)
    assert [x.dtype for x in narrow] == [jnp.float32] * 2


#: Numbers that float32 rounds, and those of small dtypes.
EXACT = {
    "int32": ([2**24 + 1, -(2**31), 2**31 - 1, 0, 5], np.int32),
    "uint32": ([2**32 - 1, 1, 2**24 + 3, 0, 7], np.uint32),
    "int8": ([-128, 127, 0, 1, 2], np.int8),
    "bool": ([1, 0, 1, 1, 0], bool),
    "bfloat16": ([1.5, -0.25, 0.0, 3.0, 2.0], jnp.bfloat16),
    "float32": ([np.nan, np.inf, -0.0, 1e-40, 1 / 3], np.float32),
}


@pytest.mark.parametrize("name", EXACT)
def test_rows_of_a_dispatch_keep_every_number(name):
    values, dtype = EXACT[name]
    given = np.asarray(values, dtype)

    @jax.jit
    def run(values):
        step = {"a": (values[0], jnp.ones(())), "b": (values[:3], jnp.ones(3))}
        shapes = jax.eval_shape(lambda: step)

        def body(i, rows):
            return metrics.write_row(
                rows, i, {"a": (values[i], jnp.ones(())), "b": (values[:3], jnp.ones(3))}
            )

        return metrics.unpack_rows(
            jax.lax.fori_loop(0, 5, body, metrics.empty_rows(shapes, 6)), shapes
        )

    rows = run(jnp.asarray(given))
    np.testing.assert_array_equal(rows["a"][0][:5], given.astype(rows["a"][0].dtype))
    assert rows["b"][0].shape == (6, 3)
    np.testing.assert_array_equal(rows["b"][0][4], given[:3].astype(rows["b"][0].dtype))


def test_rows_of_doubles_keep_every_number():
    given = np.array([1 / 3, -1e300, np.nan])
    with jax.enable_x64(True):
        step = {"a": (jnp.asarray(given), jnp.asarray(2**53 - 1))}
        rows = metrics.write_row(metrics.empty_rows(step, 2), jnp.asarray(1), step)
        unpacked = metrics.unpack_rows(rows, step)
        np.testing.assert_array_equal(unpacked["a"][0][1], given)
        assert int(unpacked["a"][1][1]) == 2**53 - 1


def test_integers_are_added_exactly_over_steps():
    large = 2**24 + 1
    rows = {"n": (np.full((1, 1000), large, np.int32), np.ones((1, 1000), np.float32))}
    assert metrics.total_rows([rows, rows])["n"][0].tolist() == [2000 * large]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        *((dtype, jnp.float32) for dtype in (bool, np.int32, np.uint8, jnp.bfloat16, np.float16)),
        (np.float32, jnp.float32),
    ],
)
def test_sums_have_at_least_32_bits(dtype, expected):
    assert metrics.wide_dtype(jnp.dtype(dtype)) == expected
    values = jnp.asarray(VALUES > 0).astype(dtype)
    assert metrics.wide(values).dtype == expected
    np.testing.assert_array_equal(metrics.wide(values).astype(bool), VALUES > 0)
