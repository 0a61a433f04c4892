"""Conditional against joining its vectors to the input by hand, and wrong labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Conditional, Stage
from jaxdl.models.conditional import check_label, label_kwargs, num_classes

RNG = np.random.default_rng(0)
X, IMAGES = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((5, 3), (5, 4, 6, 2)))
LABEL = jnp.array([2, 0, 3, 2, 1])
VECTORS = Conditional(MLP((6,), 2), 4, 7)
PLANES = Conditional(CNN((Stage(3),), outputs=2), 4)


def init(model, x, label=LABEL):
    return jax.jit(lambda: model.init(jax.random.key(1), x, train=False, label=label))()


@pytest.mark.parametrize(
    ("model", "x", "beside"), [(VECTORS, X, (5, 7)), (PLANES, IMAGES, (5, 4, 6, 1))]
)
def test_is_the_body_of_the_input_and_the_row_of_its_class(model, x, beside):
    params = init(model, x)["params"]
    assert set(params) == {"body", "embed"}
    assert set(params["embed"]) == {"kernel"}
    assert params["embed"]["kernel"].shape == (4, np.prod(beside[1:]))
    rows = np.asarray(params["embed"]["kernel"])[np.asarray(LABEL)].reshape(beside)
    y = model.body.apply(
        {"params": params["body"]}, jnp.concatenate([x, jnp.asarray(rows)], -1), train=False
    )
    run = jax.jit(lambda label: model.apply({"params": params}, x, train=False, label=label))
    np.testing.assert_allclose(run(LABEL), y, rtol=1e-5, atol=1e-6)
    # A label outside the classes gives NaN for its example and changes no other.
    for label in (-1, 4, 100):
        wrong = run(LABEL.at[3].set(label))
        assert np.isnan(wrong[3]).all()
        np.testing.assert_array_equal(np.delete(wrong, 3, 0), np.delete(run(LABEL), 3, 0))


@pytest.mark.parametrize("classes", [10, 400])
def test_vectors_start_with_the_scale_of_the_input(classes):
    kernel = init(Conditional(MLP(), classes, 64), X)["params"]["embed"]["kernel"]
    assert float(kernel.std()) == pytest.approx(1, abs=4 / (2 * kernel.size) ** 0.5)


def test_the_row_of_a_class_learns_from_its_own_examples_only():
    params = init(VECTORS, X)["params"]
    label = jnp.array([2, 0, 2, 2, 0])

    def loss(params):
        return (VECTORS.apply({"params": params}, X, train=True, label=label) ** 2).sum()

    slopes = np.abs(jax.jit(jax.grad(loss))(params)["embed"]["kernel"]).max(1)
    assert (slopes > 0).tolist() == [True, False, True, False]


def test_the_body_hears_whether_this_is_training():
    model = Conditional(MLP((6,), 2, norm="batch"), 4)
    variables = init(model, X)
    before = variables["batch_stats"]["body"]["norm_0"]["mean"]
    for train in (True, False):
        moved = model.apply(variables, X, train=train, label=LABEL, mutable=["batch_stats"])[1]
        assert (
            np.asarray(moved["batch_stats"]["body"]["norm_0"]["mean"]) != np.asarray(before)
        ).all() == train


def test_only_conditional_parts_are_told():
    assert label_kwargs(MLP(), LABEL) == {}
    assert label_kwargs(VECTORS, LABEL)["label"] is LABEL
    assert label_kwargs(VECTORS, None) == {"label": None}


def test_classes_are_those_of_the_conditional_parts():
    assert num_classes() is num_classes(MLP(), CNN(())) is None
    assert num_classes(VECTORS) == num_classes(MLP(), PLANES, VECTORS) == 4


def test_a_label_is_given_exactly_where_there_are_classes():
    check_label(None, None)
    check_label(4, LABEL)
    check_label(4, 0)


BAD = [
    (lambda: Conditional(MLP(), 1), "classes: got 1, allowed: at least 2"),
    (lambda: Conditional(MLP(), 2.5), "classes: got 2.5, allowed: an integer, at least 2"),
    (lambda: Conditional(MLP(), 3, 0), "features: got 0, allowed: at least 1"),
    (
        lambda: init(VECTORS, X, None),
        "label: got None, allowed: the class of each example, in [0, 4)",
    ),
    (lambda: init(VECTORS, X[:, None]), "x: got [5, 1, 3], allowed: [B, D] or images [B, H, W, C]"),
    (lambda: init(VECTORS, X[:, 0]), "x: got [5], allowed: [B, D] or images [B, H, W, C]"),
    (
        lambda: init(VECTORS, X, LABEL.astype(jnp.float32)),
        "label: got 'float32[5]', allowed: integers [5], one per example",
    ),
    (
        lambda: init(VECTORS, X, LABEL[:2]),
        "label: got 'int32[2]', allowed: integers [5], one per example",
    ),
    (
        lambda: num_classes(VECTORS, MLP(), Conditional(MLP(), 3)),
        "classes: got [3, 4], allowed: the same number for all parts",
    ),
    (lambda: check_label(None, 0), "label: got 0, allowed: None, for a network without classes"),
    (
        lambda: check_label(4, None),
        "label: got None, allowed: the class of each example, in [0, 4)",
    ),
]


@pytest.mark.parametrize(("call", "line"), BAD, ids=[line.split(", allowed")[0] for _, line in BAD])
def test_says_in_one_line_what_is_allowed(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line
