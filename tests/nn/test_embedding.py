"""Embeddings against NumPy's indexing and PyTorch, and the rows that training changes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.nn.embedding import Embedding
from jaxdl.optimizers import optimizer

V = 9
D = 4
RNG = np.random.default_rng(0)
IDS = jnp.asarray(RNG.integers(0, V, (3, 7)), jnp.int32)
#: Rows 1, 4 and 8 have no vector.
VECTORS = np.where(
    np.isin(np.arange(V), [1, 4, 8])[:, None], np.nan, RNG.normal(size=(V, D))
).astype(np.float32)
KNOWN = ~np.isnan(VECTORS[:, 0])


def whole_table(layer, variables):
    """Returns all rows of the table."""
    return np.asarray(layer.apply(variables, jnp.arange(V)))


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8])
@pytest.mark.parametrize("padding", [None, 3])
def test_matches_numpys_indexing(key, dtype, padding):
    layer = Embedding(V, D, padding)
    variables = layer.init(key, IDS)
    table = np.array(variables["params"]["embedding"])
    assert table.shape == (V, D)
    assert padding is None or not table[padding].any()
    ys = jax.jit(layer.apply)(variables, IDS.astype(dtype))
    np.testing.assert_array_equal(ys, table[np.asarray(IDS)])


def test_initial_table_equals_linens(key):
    np.testing.assert_array_equal(
        Embedding(V, D).init(key, IDS)["params"]["embedding"],
        nn.Embed(V, D).init(key, IDS)["params"]["embedding"],
    )


def test_initial_rows_have_a_norm_of_about_1(key):
    table = np.asarray(Embedding(500, 64).init(key, IDS)["params"]["embedding"])
    assert abs((table**2).sum(1).mean() - 1) < 0.02


@pytest.mark.parametrize("padding", [None, 3])
def test_gradients_match_pytorch(padding):
    torch = pytest.importorskip("torch")
    table = RNG.normal(size=(V, D)).astype(np.float32)
    g = RNG.normal(size=(3, 7, D)).astype(np.float32)
    ids = IDS.at[0, :3].set(3)
    layer = torch.nn.Embedding(V, D, padding_idx=padding)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(table))
        if padding is not None:
            layer.weight[padding] = 0
    rows = layer(torch.tensor(np.array(ids)))
    rows.backward(torch.tensor(g))
    y, back = jax.vjp(
        lambda table: Embedding(V, D, padding).apply({"params": {"embedding": table}}, ids), table
    )
    np.testing.assert_array_equal(y, rows.detach().numpy())
    np.testing.assert_allclose(
        back(jnp.asarray(g))[0], layer.weight.grad.numpy(), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("train_rows", ["all", "none", "unknown"])
def test_an_id_out_of_range_gives_nan_and_no_gradient(key, train_rows):
    layer = Embedding(V, D, vectors=VECTORS, train_rows=train_rows)
    variables = layer.init(key, IDS)
    ids = jnp.array([-1, V, 0, -V, 1, 2**31 - 1], jnp.int32)
    ys = np.asarray(layer.apply(variables, ids))
    assert np.isnan(ys[[0, 1, 3, 5]]).all() and np.isfinite(ys[[2, 4]]).all()
    grads = jax.grad(lambda params: layer.apply({**variables, "params": params}, ids)[:2].sum())(
        variables.get("params", {})
    )
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize("train_rows", ["all", "none", "unknown"])
def test_vectors_are_the_initial_rows(key, train_rows):
    layer = Embedding(V, D, vectors=VECTORS, train_rows=train_rows)
    variables = jax.jit(layer.init)(key, IDS)
    table = whole_table(layer, variables)
    np.testing.assert_array_equal(table[KNOWN], VECTORS[KNOWN])
    assert np.isfinite(table).all() and (table[~KNOWN] != 0).all()
    rows = {kind: leaves["embedding"].shape[0] for kind, leaves in variables.items()}
    expected = {
        "all": {"params": V},
        "none": {"constants": V},
        "unknown": {"params": 3, "constants": 6},
    }
    assert rows == expected[train_rows]


def test_padding_is_zero_and_fixed_among_vectors(key):
    layer = Embedding(V, D, padding=1, vectors=VECTORS, train_rows="unknown")
    variables = layer.init(key, IDS)
    assert variables["params"]["embedding"].shape == (2, D)
    assert not whole_table(layer, variables)[1].any()


class Words(nn.Module):
    """A classifier of word sequences."""

    embed: Embedding

    @nn.compact
    def __call__(self, ids, train):
        return nn.Dense(3)(self.embed(ids, train).mean(1))


@pytest.mark.parametrize("train_rows", ["all", "none", "unknown"])
def test_training_changes_the_trained_rows_only(key, train_rows):
    task = jaxdl.tasks.classify(Words(Embedding(V, D, 0, VECTORS, train_rows)))
    batch = {"input": jnp.arange(2 * V).reshape(2, V) % V, "label": jnp.array([0, 2])}
    net = jaxdl.learner(task.init, *task.updates(optimizer("adamw", 0.1, weight_decay=0.1)))
    state = net.init(key, batch)
    layer = Embedding(V, D, 0, VECTORS, train_rows)

    def table(state):
        collections = {"params": state.params, **state.extra}
        variables = {
            kind: leaves["embed"] for kind, leaves in collections.items() if "embed" in leaves
        }
        return whole_table(layer, variables)

    before = table(state)
    step = jax.jit(net.step)
    for _ in range(2):
        state, _ = step(state, batch, key)
    changed = (table(state) != before).any(1)
    expected = {"all": np.arange(V) > 0, "none": np.zeros(V, bool), "unknown": ~KNOWN}[train_rows]
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize("padding", [None, 0])
@pytest.mark.parametrize("train_rows", ["all", "none", "unknown"])
def test_attend_is_the_product_with_all_rows(key, train_rows, padding):
    layer = Embedding(V, D, padding, VECTORS, train_rows)
    variables = layer.init(key, IDS)
    h = jnp.asarray(np.random.default_rng(3).normal(size=(2, 3, D)), jnp.float32)
    apply = jax.jit(lambda variables, h: layer.apply(variables, h, method="attend"))
    table = whole_table(layer, variables)
    np.testing.assert_allclose(apply(variables, h), h @ table.T, rtol=1e-5, atol=1e-6)

    def loss(params, h):
        return jnp.sin(apply({**variables, "params": params}, h)).sum()

    params = variables.get("params", {})
    g_params, g_h = jax.grad(loss, (0, 1))(params, h)
    slope = np.cos(h @ table.T)
    np.testing.assert_allclose(g_h, slope @ table, rtol=1e-4, atol=1e-5)
    expected = np.einsum("abv,abd->vd", slope, h)
    if padding is not None:
        expected[padding] = 0
    rows = {"all": np.ones(V, bool), "none": np.zeros(V, bool), "unknown": ~KNOWN}[train_rows]
    if train_rows != "none":
        found = g_params["embedding"]
        np.testing.assert_allclose(found, expected[rows], rtol=1e-4, atol=1e-5)


def test_attend_has_a_dtype_and_refuses_other_features(key):
    layer = Embedding(V, D, dtype=jnp.bfloat16)
    variables = layer.init(key, IDS)
    h = jnp.ones((2, D))
    assert layer.apply(variables, h, method="attend").dtype == jnp.bfloat16
    assert layer.apply(variables, h, jnp.float32, method="attend").dtype == jnp.float32
    with pytest.raises(InputError) as error:
        layer.apply(variables, h[:, 1:], method="attend")
    allowed = "floats [..., 4], the features of the embedding"
    assert str(error.value) == f"h: got 'float32[2, 3]', allowed: {allowed}"


def test_modules_with_vectors_can_be_compared_and_hashed():
    layer = Embedding(V, D, vectors=VECTORS)
    assert layer == layer.clone() and hash(layer) == hash(layer.clone())
    assert layer != Embedding(V, D, vectors=VECTORS.copy())
    apply = jax.jit(lambda layer, variables, ids: layer.apply(variables, ids), static_argnums=0)
    np.testing.assert_array_equal(
        apply(layer, {"params": {"embedding": jnp.ones((V, D))}}, IDS), np.ones((3, 7, D))
    )


def test_dtype_applies_to_the_output(key):
    layer = Embedding(V, D, dtype=jnp.bfloat16)
    variables = layer.init(key, IDS)
    assert variables["params"]["embedding"].dtype == jnp.float32
    assert layer.apply(variables, IDS).dtype == jnp.bfloat16


def test_vmap_over_tables_equals_a_loop():
    tables = jnp.asarray(RNG.normal(size=(3, V, D)), jnp.float32)

    def loss(table):
        return (Embedding(V, D, 2).apply({"params": {"embedding": table}}, IDS) ** 2).sum()

    grads = jax.jit(jax.vmap(jax.grad(loss)))(tables)
    for table, grad in zip(tables, grads, strict=True):
        np.testing.assert_allclose(grad, jax.grad(loss)(table), rtol=1e-6)


def test_the_loss_of_a_bad_id_is_nan(key):
    task = jaxdl.tasks.classify(Words(Embedding(V, D)))
    batch = {"input": IDS.at[1, 2].set(V), "label": jnp.array([0, 1, 2])}
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    _, metrics = jax.jit(lambda: net.step(net.init(key, batch), batch, key))()
    assert np.isnan(metrics["loss"][0])


HALF = np.where(np.arange(V * D).reshape(V, D) == 6, np.nan, 1.0)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: Embedding(0, D), "vocabulary: got 0, allowed: at least 1"),
        (lambda: Embedding(V, 0), "features: got 0, allowed: at least 1"),
        (lambda: Embedding(V, D, V), "padding: got 9, allowed: an id below 9"),
        (lambda: Embedding(V, D, -1), "padding: got -1, allowed: at least 0"),
        (
            lambda: Embedding(V, D, train_rows="some"),
            "train_rows: got 'some', allowed: all, none, unknown (did you mean 'none'?)",
        ),
        (
            lambda: Embedding(V, D, train_rows="unknown"),
            "train_rows: got 'unknown', allowed: all or none, if there are no vectors",
        ),
        (
            lambda: Embedding(V, D, vectors=VECTORS[:2]),
            "vectors: got 'float32[2, 4]', allowed: floats [9, 4]",
        ),
        (
            lambda: Embedding(V, D, vectors=np.ones((V, D), int)),
            "vectors: got 'int64[9, 4]', allowed: floats [9, 4]",
        ),
        (
            lambda: Embedding(V, D, vectors=HALF),
            "vectors[1]: got [1.0, 1.0, nan, 1.0], allowed: finite numbers, or all of them NaN",
        ),
        (
            lambda: Embedding(V, D).apply({}, jnp.zeros(3)),
            "ids dtype: got 'float32', allowed: integers",
        ),
    ],
)
def test_errors_name_the_argument_in_one_line(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == line


def test_parameters_may_be_numpy_arrays(key):
    layer = Embedding(5, 3)
    ids = jnp.array([[4, 0]])
    variables = layer.init(key, ids)
    np.testing.assert_array_equal(
        layer.apply(jax.device_get(variables), ids), layer.apply(variables, ids)
    )
