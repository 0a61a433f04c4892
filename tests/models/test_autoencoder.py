"""Autoencoder and VAE against their two halves applied by hand, with and without classes."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import (
    CNN,
    MLP,
    VAE,
    Autoencoder,
    Conditional,
    ConvDecoder,
    Reshaped,
    Stage,
    UpStage,
    conv_autoencoder,
    encoder_decoder,
)
from tests.models.random_variables import random_variables

X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 6, 1)), jnp.float32)
FLAT = X.reshape(5, 24)
LABEL = jnp.array([2, 0, 1, 2, 1])
HALVES = ("encoder", "decoder")
ENCODER = MLP((7,), 4, activation="tanh")
DECODER = MLP((6,), 24, activation="tanh")


def part(model, params, name, *inputs, **label_argument):
    return getattr(model, name).apply(
        {"params": params[name]}, *inputs, train=False, **label_argument
    )


def test_is_the_decoder_of_the_encoder():
    model = Autoencoder(CNN((Stage(3),), outputs=None), ConvDecoder((UpStage(1),)))
    variables = random_variables(model, X)
    params = variables["params"]
    assert set(params) == {"encoder", "decoder"}
    z = part(model, params, "encoder", X)
    assert z.shape == (5, 2, 3, 3)
    y = part(model, params, "decoder", z)
    assert y.shape == X.shape
    np.testing.assert_allclose(
        model.apply(variables, X, train=False, method="encode"), z, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        model.apply(variables, z, train=False, method="decode"), y, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(model.apply(variables, X, train=False), y, rtol=1e-5, atol=1e-6)


def test_a_vae_says_mean_then_logvar_and_draws_from_the_mean():
    model = VAE(ENCODER, Reshaped(DECODER, (4, 6, 1)), latent=2)
    variables = random_variables(model, X)
    params = variables["params"]
    code = part(model, params, "encoder", X)
    mean, logvar = model.apply(variables, X, train=False, method="encode")
    np.testing.assert_allclose(mean, code[:, :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logvar, code[:, 2:], rtol=1e-5, atol=1e-6)
    y = part(model, params, "decoder", code[:, :2])
    np.testing.assert_allclose(model.apply(variables, X, train=False), y, rtol=1e-5, atol=1e-6)
    assert float(jnp.abs(y - part(model, params, "decoder", code[:, 2:])).max()) > 0.1


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_both_kinds_of_halves_fit_each_other(kind):
    shape = (8, 12, 3)
    encoder, decoder = encoder_decoder(shape, 6, kind, (9, 5), "tanh")
    x = jnp.zeros((2, *shape))
    shapes = jax.eval_shape(
        lambda: VAE(encoder, decoder, latent=3).init_with_output(jax.random.key(0), x, train=False)
    )
    assert shapes[0].shape == x.shape
    kernels = {
        half: [w.shape for w in jax.tree.leaves(shapes[1]["params"][half]) if w.ndim > 1]
        for half in HALVES
    }
    if kind == "dense":
        assert kernels == {
            "encoder": [(288, 9), (9, 5), (5, 6)],
            "decoder": [(3, 5), (5, 9), (9, 288)],
        }
    else:
        assert kernels["encoder"] == [
            (4, 4, 3, 32),
            (4, 4, 32, 64),
            (2 * 3 * 64, 9),
            (9, 5),
            (5, 6),
        ]
        assert kernels["decoder"] == [
            (9, 2 * 3 * 64),
            (3, 5),
            (5, 9),
            (4, 4, 64, 32),
            (4, 4, 32, 3),
        ]


def test_codes_of_a_convolutional_autoencoder_are_maps():
    model = conv_autoencoder(3, features=5, extra_layers=2)
    x = jnp.zeros((2, 12, 8, 3))
    y, variables = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x, train=False))
    assert y.shape == x.shape
    code = jax.eval_shape(
        lambda variables: model.apply(variables, x, train=False, method="encode"), variables
    )
    assert code.shape == (2, 3, 2, 5)
    kernels = [w.shape for w in jax.tree.leaves(variables["params"]["decoder"]) if w.ndim > 1]
    assert sorted(kernels) == sorted(
        [(3, 3, 5, 5), (3, 3, 5, 5), (4, 4, 5, 5), (4, 4, 5, 5), (3, 3, 5, 3)]
    )


def test_halves_that_cannot_be():
    with pytest.raises(
        InputError, match="shape: got \\(8, 6, 1\\), allowed: sides that are multiples of 4"
    ):
        encoder_decoder((8, 6, 1), 4, "conv")
    with pytest.raises(InputError, match="kind: got 'wide', allowed: conv, dense"):
        encoder_decoder((8, 8, 1), 4, "wide")


@pytest.mark.parametrize("train", [True, False])
def test_both_halves_hear_whether_this_is_training(train):
    model = VAE(MLP((7,), 4, norm="batch"), MLP((6,), 24, norm="batch"), latent=2)
    variables = random_variables(model, FLAT)
    moved = model.apply(variables, FLAT, train=train, mutable=["batch_stats"])[1]["batch_stats"]
    for half in ("encoder", "decoder"):
        before, after = (
            stats[half]["norm_0"]["mean"] for stats in (variables["batch_stats"], moved)
        )
        assert (np.asarray(before) != np.asarray(after)).all() == train


@pytest.mark.parametrize("kind", [Autoencoder, VAE])
@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_the_label_goes_to_the_conditional_parts_only(kind, first, second):
    encoder = ENCODER
    encoder_label = {}
    if first:
        encoder = Conditional(ENCODER, 3, 5)
        encoder_label = {"label": LABEL}
    decoder = DECODER
    decoder_label = {}
    if second:
        decoder = Conditional(DECODER, 3, 6)
        decoder_label = {"label": LABEL}
    model = kind(encoder, decoder)
    params = random_variables(
        SimpleNamespace(init=functools.partial(model.init, label=LABEL)), FLAT
    )["params"]
    z = part(model, params, "encoder", FLAT, **encoder_label)
    if kind is VAE:
        z = z[:, :2]
    y = part(model, params, "decoder", z, **decoder_label)
    run = jax.jit(lambda label: model.apply({"params": params}, FLAT, train=False, label=label))
    np.testing.assert_allclose(run(LABEL), y, rtol=1e-5, atol=1e-6)
    assert (jnp.abs(run((LABEL + 1) % 3) - y).max(1) > 1e-2).all()
    with pytest.raises(InputError) as caught:
        model.apply({"params": params}, FLAT, train=False)
    assert str(caught.value) == "label: got None, allowed: the class of each example, in [0, 3)"


def test_a_label_has_no_effect_if_no_part_is_conditional():
    model = Autoencoder(ENCODER, DECODER)
    variables = random_variables(model, FLAT)
    plain, labelled = (
        model.apply(variables, FLAT, train=False, label=label) for label in (None, LABEL)
    )
    np.testing.assert_array_equal(plain, labelled)


def test_number_of_classes():
    known = Conditional(ENCODER, 3)
    for kind in (Autoencoder, VAE):
        assert kind(ENCODER, DECODER).classes is None
        assert (
            kind(known, DECODER).classes
            == kind(ENCODER, known).classes
            == kind(known, known).classes
            == 3
        )
        with pytest.raises(InputError) as caught:
            _ = kind(known, Conditional(DECODER, 4)).classes
        assert str(caught.value) == "classes: got [3, 4], allowed: the same number for all parts"


def init(model, x):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))


TWICE = "a mean and a log variance per latent dimension"
BAD = [
    (lambda: VAE(ENCODER, DECODER, latent=0), "latent: got 0, allowed: at least 1"),
    (lambda: VAE(ENCODER, DECODER, latent=2.0), "latent: got 2.0, allowed: an integer, at least 1"),
    (
        lambda: init(VAE(ENCODER, DECODER, latent=4), X),
        f"encoder: got [5, 4], allowed: [B, 8], {TWICE}",
    ),
    (
        lambda: init(VAE(CNN((Stage(4),), outputs=None), DECODER), X),
        f"encoder: got [5, 2, 3, 4], allowed: [B, 4], {TWICE}",
    ),
]


@pytest.mark.parametrize(("call", "line"), BAD, ids=[line.split(", allowed")[0] for _, line in BAD])
def test_says_in_one_line_what_is_allowed(call, line):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == line
