"""Networks of pixels: causality, the blind spot, and rows and pixels one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import PixelCNN, PixelRNN
from tests.models.pixel_nets import IMAGES, LABEL, NETWORKS, PIXELS, SIZE, jacobian, network

each_network = pytest.mark.parametrize("name", NETWORKS)


@each_network
def test_no_output_depends_on_its_pixel_or_on_a_later_one(name):
    found = jacobian(name)
    assert np.triu(found).max() == 0
    assert (np.tril(found, -1) > 0).sum() > PIXELS


def in_reach(reach: int, blind: bool) -> np.ndarray:
    """Returns the pairs of pixels (i, k) with k before i and within the reach, by a loop.

    `blind` leaves out the triangle to the upper right that a plain stack with windows of 3 pixels
    does not see.
    """
    found = np.zeros((PIXELS, PIXELS), bool)
    for i in range(PIXELS):
        for k in range(i):
            up = i // SIZE[1] - k // SIZE[1]
            right = k % SIZE[1] - i % SIZE[1]
            seen = up <= reach and abs(right) <= reach
            found[i, k] = seen and not (blind and right > up)
    return found


def test_the_plain_network_has_a_blind_spot():
    found = jacobian("plain") > 0
    np.testing.assert_array_equal(found, in_reach(3, blind=True))


def test_the_gated_network_sees_every_earlier_pixel_in_reach():
    model, _ = network("gated")
    assert model.reach == 3
    np.testing.assert_array_equal(jacobian("gated") > 0, in_reach(3, blind=False))


def test_the_diagonal_network_sees_every_earlier_pixel():
    earlier = np.tril(np.ones((PIXELS, PIXELS), bool), -1)
    np.testing.assert_array_equal(jacobian("diagonal") > 0, earlier)


@each_network
def test_rows_and_pixels_one_by_one_are_the_whole_image(name):
    model, variables = network(name)
    expected = model.apply(variables, IMAGES, train=False, label=LABEL)
    inputs = np.concatenate([2 * IMAGES - 1, np.ones_like(IMAGES)], -1)

    @jax.jit
    def row(state, i, inputs):
        state, context, queues = model.apply(variables, state, i, LABEL, method="row")

        def step(carry, given):
            queues, before = carry
            context, pixel = given
            logits, queues, kept = model.apply(variables, queues, context, before, method="pixel")
            return (queues, pixel), (logits, kept)

        start = queues, jnp.zeros((2, 2))
        _, (logits, kept) = jax.lax.scan(step, start, (context, inputs.swapaxes(0, 1)))
        return model.apply(variables, state, inputs, kept, method="end"), logits.swapaxes(0, 1)

    state = model.apply(variables, 2, method="start")
    for i in range(SIZE[0]):
        state, logits = row(state, i, inputs[:, i])
        np.testing.assert_allclose(logits, expected[:, i], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PixelCNN((4, 4), levels=1), "levels: got 1"),
        (lambda: PixelCNN((4, 4), levels=257), "levels: got 257, allowed: at most 256"),
        (lambda: PixelCNN((4, 4), kernel_size=4), "kernel_size: got 4, allowed: an odd number"),
        (lambda: PixelCNN((4,)), "size: got"),
        (lambda: PixelRNN((4, 4), kind="column"), "kind: got 'column'"),
        (lambda: PixelRNN((4, 4), first_size=2), "first_size: got 2"),
        (lambda: PixelRNN((4, 4), classes=1), "classes: got 1"),
    ],
)
def test_invalid_fields_are_refused(make, error):
    with pytest.raises(InputError, match=error):
        make()


@pytest.mark.parametrize(
    ("images", "label", "error"),
    [
        (IMAGES[:, 1:], LABEL, "images: got"),
        (IMAGES, None, "label: got None, allowed: the class of each image"),
        (IMAGES, LABEL[:1], "label: got"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(images, label, error):
    model, variables = network("gated")
    with pytest.raises(InputError, match=error):
        model.apply(variables, images, train=False, label=label)
