"""Networks over sequences against their parts composed by hand, and each sequence alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN1D, OneHot, SequenceNet, tcn
from jaxdl.nn import RNN, Embedding
from tests.models.random_variables import random_variables

V = 5
B = 4
T = 8
K = 3
RNG = np.random.default_rng(0)
IDS = jnp.asarray(RNG.integers(0, V, (B, T)), jnp.int32)
LENGTHS = np.array([8, 1, 5, 2])
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)

BODIES = {
    "gru": RNN("gru", 6),
    "lstm": RNN("lstm", 6, 2),
    "both_ways": RNN("simple", 6, bidirectional=True),
    "tcn": tcn((6, 6), 2),
    "conv1d": CNN1D((6,), 3),
}
bodies = pytest.mark.parametrize("body", BODIES)
pooled = [
    (body, pool)
    for body in BODIES
    for pool in ("last", "mean", "max")
    if body != "conv1d" or pool == "max"
]


def net(body: str, pool: str | None = None, **fields) -> SequenceNet:
    return SequenceNet(Embedding(V, 4), BODIES[body], K, pool, **fields)


@functools.cache
def made(body: str, pool: str | None = None):
    """Returns variables and the compiled network.

    The network is `(variables, ids, lengths, carry) -> (outputs, carry)`.
    """
    model = net(body, pool)

    def run(variables, ids, lengths=None, carry=None):
        return model.apply(
            variables, ids, train=False, lengths=lengths, carry=carry, method="resume"
        )

    return random_variables(model, IDS), jax.jit(run)


@functools.cache
def body_alone(body: str):
    """Returns the compiled body, `(parameters, x [B, T, D]) -> (outputs, carry)`."""
    return jax.jit(lambda params, x: BODIES[body].apply({"params": params}, x, False))


# One-hot vectors.


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 2)])
@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8])
def test_one_hot_rows_are_those_of_the_identity(shape, dtype):
    ids = RNG.integers(0, V, shape)
    for train in (True, False):
        found = OneHot(V).apply({}, jnp.asarray(ids, dtype), train)
        np.testing.assert_array_equal(found, np.eye(V)[ids])
    assert OneHot(V, jnp.bfloat16).apply({}, jnp.asarray(ids, dtype), False).dtype == jnp.bfloat16


def test_an_id_outside_of_the_vocabulary_is_nan():
    found = np.asarray(
        jax.jit(lambda x: OneHot(V).apply({}, x, False))(jnp.array([0, -1, V - 1, V, 10**9]))
    )
    assert np.isnan(found[[1, 3, 4]]).all()
    np.testing.assert_array_equal(found[[0, 2]], np.eye(V)[[0, V - 1]])


def test_one_hot_wants_integers():
    with pytest.raises(InputError) as caught:
        OneHot(V).apply({}, jnp.ones((2, 3)), False)
    assert str(caught.value) == "ids dtype: got 'float32', allowed: integers"


# The network.


def by_hand(body: str, pool: str | None, variables, ids, length: int | None = None) -> np.ndarray:
    """Computes the output for one sequence: lookup, body, a loop for the pool, a product."""
    p = variables["params"]
    x = np.asarray(p["embed"]["embedding"])[np.asarray(ids)][None, :length]
    ys = np.asarray(body_alone(body)(p["body"], x)[0], np.float64)[0]
    if pool == "last":
        ys = ys[-1]
    elif pool == "mean":
        ys = sum(ys) / len(ys)
    elif pool == "max":
        ys = np.array([max(row[i] for row in ys) for i in range(ys.shape[1])])
    return ys @ np.asarray(p["out"]["kernel"], np.float64) + np.asarray(
        p["out"]["bias"], np.float64
    )


@bodies
def test_is_its_parts_one_after_the_other(body):
    for pool in (None, "mean"):
        variables, run = made(body, pool)
        y, _ = run(variables, IDS)
        assert y.dtype == jnp.float32
        for b in range(2):
            close(y[b], by_hand(body, pool, variables, IDS[b]))


@pytest.mark.parametrize(("body", "pool"), pooled)
def test_padded_is_each_sequence_alone(body, pool):
    variables, run = made(body, pool)
    dirty = jnp.where(jnp.arange(T)[None] < LENGTHS[:, None], IDS, (IDS + 1) % V)
    found = [run(variables, x, jnp.asarray(LENGTHS))[0] for x in (IDS, dirty)]
    np.testing.assert_array_equal(*found)
    for b, length in enumerate(LENGTHS):
        close(found[0][b], by_hand(body, pool, variables, IDS[b], length))


@pytest.mark.parametrize("body", ["gru", "lstm", "both_ways", "tcn"])
def test_padded_answers_at_every_step_are_each_sequences_own(body):
    variables, run = made(body)
    y, carry = run(variables, IDS, jnp.asarray(LENGTHS))
    for b, length in enumerate(LENGTHS):
        close(y[b, :length], by_hand(body, None, variables, IDS[b], length))
        p = variables["params"]
        _, alone = body_alone(body)(p["body"], p["embed"]["embedding"][IDS[b : b + 1, :length]])
        jax.tree.map(close, jax.tree.map(lambda x: x[b : b + 1], carry), alone)


@pytest.mark.parametrize("body", ["gru", "lstm"])
def test_two_parts_are_one_sequence(body):
    variables, run = made(body)
    whole, end = run(variables, IDS)
    first, carry = run(variables, IDS[:, :3])
    second, last = run(variables, IDS[:, 3:], None, carry)
    jax.tree.map(close, (jnp.concatenate([first, second], 1), last), (whole, end))
    with pytest.raises(AssertionError):
        close(run(variables, IDS[:, 3:])[0], second)


def test_a_call_is_the_first_half_of_resume():
    variables, run = made("gru", "mean")
    lengths = jnp.asarray(LENGTHS)
    called = jax.jit(lambda v: net("gru", "mean").apply(v, IDS, train=False, lengths=lengths))(
        variables
    )
    np.testing.assert_array_equal(called, run(variables, IDS, lengths)[0])


@pytest.mark.parametrize("pool", [None, "last", "mean", "max"])
@pytest.mark.parametrize("body", ["gru", "tcn"])
def test_a_length_out_of_range_is_nan_where_it_is_not_seen(body, pool):
    variables, run = made(body, pool)
    y = np.asarray(run(variables, IDS, jnp.array([0, 8, 9, -1]))[0])
    assert np.isnan(y[[0, 2, 3]]).all()
    close(y[1], by_hand(body, pool, variables, IDS[1]))
    with pytest.raises(InputError) as caught:
        net(body, pool).apply(variables, IDS, train=False, lengths=jnp.array([8, 8, 9, 1]))
    assert str(caught.value) == "length[2]: got 9, allowed: an integer in [1, 8]"


def test_a_body_may_give_one_vector_itself():
    model = SequenceNet(Embedding(V, 4), RNN("gru", 6, return_sequences=False), K)
    variables, run = made("gru", "last")
    for lengths in (None, jnp.asarray(LENGTHS)):
        close(
            model.apply(variables, IDS, train=False, lengths=lengths),
            run(variables, IDS, lengths)[0],
        )
    bad = jax.jit(lambda n: model.apply(variables, IDS, train=False, lengths=n))(
        jnp.array([8, 0, 1, 9])
    )
    assert np.isnan(bad).all(1).tolist() == [False, True, False, True]


def test_vectors_need_no_embedding():
    variables, run = made("gru")
    x = variables["params"]["embed"]["embedding"][IDS]
    rest = {"params": {name: p for name, p in variables["params"].items() if name != "embed"}}
    close(SequenceNet(None, BODIES["gru"], K).apply(rest, x, train=False), run(variables, IDS)[0])


def test_dropout_falls_on_what_the_body_gives_in_training_only():
    model = net("gru", "last", dropout=0.5)
    variables, run = made("gru", "last")
    params = variables["params"]
    # With a kernel of ones every output is the sum of what is left.
    shown = {"params": {**params, "out": {"kernel": jnp.ones((6, K)), "bias": jnp.zeros(K)}}}
    quiet = model.apply(shown, IDS, train=False)
    np.testing.assert_array_equal(quiet, run(shown, IDS)[0])
    ys, _ = model.body.apply({"params": params["body"]}, params["embed"]["embedding"][IDS], False)
    subsets = (
        2
        * np.array([[(n >> i) & 1 for i in range(6)] for n in range(64)])
        @ np.asarray(ys)[:, -1].T
    )
    seen = set()
    for seed in range(3):
        noisy = np.asarray(
            model.apply(shown, IDS, train=True, rngs={"dropout": jax.random.key(seed)})
        )
        distance = np.abs(noisy[:, 0] - subsets)
        assert (distance.min(0) < 1e-3).all()
        seen.add(tuple(distance.argmin(0).tolist()))
    assert len(seen) == 3


def message(model: SequenceNet, **call) -> str:
    with pytest.raises(InputError) as caught:
        model.init(jax.random.key(0), **{"inputs": IDS, "train": False, **call})
    return str(caught.value)


def test_wrong_parts_and_fields_are_named():
    with pytest.raises(InputError) as caught:
        net("gru", "lsat")
    assert str(caught.value) == "pool: got 'lsat', allowed: last, max, mean (did you mean 'last'?)"
    with pytest.raises(InputError) as caught:
        SequenceNet(None, BODIES["gru"], 0)
    assert str(caught.value) == "outputs: got 0, allowed: at least 1"
    with pytest.raises(InputError) as caught:
        net("gru", dropout=1.0)
    assert str(caught.value) == "dropout: got 1.0, allowed: a number in [0, 1)"
    one = SequenceNet(Embedding(V, 4), RNN("gru", 6, return_sequences=False), K, "mean")
    assert (
        message(one)
        == "pool: got 'mean', allowed: None, for a body that returns one vector per sequence"
    )
    shorter = "allowed: max, for sequences with lengths and a body that shortens them"
    assert (
        message(net("conv1d", "mean"), lengths=jnp.asarray(LENGTHS))
        == f"pool: got 'mean', {shorter}"
    )
    assert (
        message(net("gru"), inputs=jnp.ones((2, 3)))
        == "ids dtype: got 'float32', allowed: integers"
    )


def test_tied_outputs_and_their_gradients_are_pytorchs():
    torch = pytest.importorskip("torch")
    model = SequenceNet(Embedding(V, 4), RNN("simple", 4), V, tied=True)
    variables = random_variables(model, IDS)
    params = variables["params"]
    assert set(params) == {"embed", "body"}
    g = RNG.normal(size=(B, T, V)).astype(np.float32)
    embed = torch.nn.Embedding(V, 4)
    body = torch.nn.RNN(4, 4, batch_first=True)
    out = torch.nn.Linear(4, V, bias=False)
    out.weight = embed.weight
    cell = params["body"]["simple_0"]
    with torch.no_grad():
        embed.weight.copy_(torch.tensor(np.array(params["embed"]["embedding"])))
        body.weight_ih_l0.copy_(torch.tensor(np.array(cell["kernel"]).T))
        body.weight_hh_l0.copy_(torch.tensor(np.array(cell["recurrent_kernel"]).T))
        body.bias_ih_l0.copy_(torch.tensor(np.array(cell["bias"])))
        body.bias_hh_l0.zero_()
    expected = out(body(embed(torch.tensor(np.array(IDS))))[0])
    expected.backward(torch.tensor(g))
    y, back = jax.vjp(lambda params: model.apply({"params": params}, IDS, train=False), params)
    close(y, expected.detach().numpy())
    (gradients,) = back(jnp.asarray(g))
    found = gradients["embed"]["embedding"]
    np.testing.assert_allclose(found, embed.weight.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_tied_outputs_compute_in_their_dtype():
    model = SequenceNet(Embedding(V, 4), tcn((4,), 2), V, tied=True)
    variables = random_variables(model, IDS)
    exact = model.apply(variables, IDS, train=False)
    rounded = model.clone(dtype=jnp.bfloat16).apply(variables, IDS, train=False)
    assert rounded.dtype == jnp.float32
    assert 0 < float(jnp.abs(exact - rounded).max()) < 0.05 * float(jnp.abs(exact).max())


def test_tied_outputs_need_a_table_that_fits():
    body = RNN("gru", 4)
    cases = [
        (
            lambda: SequenceNet(OneHot(V), body, V, tied=True),
            "tied: got True, allowed: False, or a jaxdl.nn.Embedding as embed",
        ),
        (
            lambda: SequenceNet(Embedding(V, 4), body, V + 1, tied=True),
            "outputs: got 6, allowed: 5, the vocabulary of the tied embedding",
        ),
        (
            lambda: SequenceNet(Embedding(V, 3), body, V, tied=True).init(
                jax.random.key(0), IDS, False
            ),
            "embed features: got 3, allowed: 4, the features of the body, if the outputs are tied",
        ),
    ]
    for make, line in cases:
        with pytest.raises(InputError) as caught:
            make()
        assert str(caught.value) == line
