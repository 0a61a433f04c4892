"""The options of a GAN: both learning rates, the augmentation, and the discriminator's norm."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.recipes import GANOptions, GANTrainingOptions

W = {"w": jnp.array([1.0, 2.0])}


def rates(options: GANTrainingOptions, critic_steps: int, steps: int, after: int) -> list[float]:
    """Returns the learning rates of both networks after a number of their updates."""
    used = []
    for optimizer in options.make_optimizers(critic_steps, steps):
        state = optimizer.init(W)
        for _ in range(after + 1):
            _, state = optimizer.update(W, state, W)
        used.append(float(state.hyperparams["learning_rate"]))
    return used


def test_each_network_has_its_rate():
    options = GANTrainingOptions(
        learning_rate=0.5, discriminator_learning_rate=0.25, schedule="constant"
    )
    assert rates(options, 1, 10, 3) == pytest.approx([0.25, 0.5])


def test_both_schedules_end_with_the_run():
    """With four updates of the discriminator per step, its schedule counts each of them."""
    options = GANTrainingOptions(
        learning_rate=0.5, discriminator_learning_rate=0.25, schedule="cosine"
    )
    assert rates(options, 4, 10, 5) == pytest.approx(
        [0.25 * 0.9619, 0.5 * 0.5], rel=1e-3
    )  # after 5 of 40 updates, and after 5 of 10


@pytest.mark.parametrize("augment", [None, "shift=1"])
def test_the_discriminator_sees_shifted_and_unshifted_images(augment):
    options = {}
    with mock.patch("jaxdl.tasks.gan", lambda *networks, **given: options.update(given)):
        GANOptions(augment=augment).make_task(None, None)
    if augment is None:
        assert options["augment"] is None
        return
    image = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6, 1)), jnp.float32)
    augmented = jax.jit(jax.vmap(options["augment"], (0, None)))(
        jax.random.split(jax.random.key(0), 900), image
    )
    unshifted = (np.asarray(augmented) == np.asarray(image)).all((1, 2, 3)).mean()
    # One of the nine shifts is by 0 pixels.
    assert unshifted == pytest.approx(1 / 2 + 1 / 18, abs=0.08)


def test_mixtures_are_refused():
    options = GANOptions(augment="mixup=1")
    with pytest.raises(InputError) as raised:
        options.make_task(None, None)
    allowed = "neither mixup nor cutmix in this experiment"
    assert str(raised.value) == f"augment: got 'mixup=1', allowed: {allowed}"


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({}, "batch"),
        ({"loss": "hinge"}, "batch"),
        ({"spectral_norm": True}, None),
        ({"r1": 1.0}, None),
        ({"penalty": 10.0}, None),
        ({"loss": "wasserstein"}, None),
    ],
)
def test_the_norm_of_the_discriminator(options, norm):
    assert GANOptions(**options).norm == norm
