"""Image to image from pairs: pix2pix."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from jaxdl.errors import InputError, in_range, one_of
from jaxdl.losses.adversarial import AdversarialLosses, adversarial_losses
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.nn.norm import network
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    init_variables,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params, Update


class _Pairs(NamedTuple):
    """The networks and weights of `translate`."""

    generator: nn.Module
    discriminator: nn.Module | None
    of_scores: AdversarialLosses
    l1: float


@recorded
def translate(
    generator: nn.Module,
    discriminator: nn.Module | None = None,
    *,
    loss: str = "nonsaturating",
    l1: float = 100.0,
) -> Task:
    """Returns the functions of a network G that translates images, learned from pairs (x, t).

        L_D = 1/2 E real(D(x, t)) + 1/2 E fake(D(x, G(x)))
        L_G = E generator(D(x, G(x))) + l1 E |t - G(x)|

    The losses of scores are those of `jaxdl.losses.adversarial_losses`. D scores the pair of both
    images, as channels of one. Without a discriminator, L_G is the absolute error alone: the
    outputs are medians of all images that are possible, which are blurred.

    Args:
      generator: a module called as `generator(x, train=bool) -> images`, such as a `UNet`.
      discriminator: a module called as `discriminator(images, train=bool) -> scores`, one or more
        per image, such as `jaxdl.models.patch_discriminator()`. None trains without one.
      loss: "nonsaturating", "least_squares" or "hinge".
      l1: weight of the absolute error, at least 0; above 0 without a discriminator.

    Returns:
      A task whose `updates` take the optimizers of discriminator and generator, or the only one
      without a discriminator. `predict(params, extra, inputs [B, H, W, C])` returns the images.

      A batch has `input` and `target`, and `mask [B]` if some rows do not count. The metrics are
      `l1`, and with a discriminator `generator_loss`, `discriminator_loss`, and the mean scores
      `score_real` and `score_fake`.

    Raises:
      InputError: an unknown loss or a number out of range; while tracing, images whose shape is not
        that of the targets.

    Source: Isola et al. 2017, Image-to-image translation with conditional adversarial networks.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import UNet, patch_discriminator
      >>> task = translate(UNet((4, 8)), patch_discriminator((8,)))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-4), optax.adam(2e-4)))
      >>> batch = {"input": jnp.zeros((2, 8, 8, 1)), "target": jnp.ones((2, 8, 8, 1))}
      >>> state, metrics = net.step(net.init(jaxdl.root(0), batch), batch, jaxdl.root(0))
      >>> task.predict(state.params, state.extra, batch["input"]).shape, sorted(metrics)
      ((2, 8, 8, 1), ['discriminator_loss', 'generator_loss', 'l1', 'score_fake', 'score_real'])
    """
    check_model(generator, "generator")
    check_bounded(loss)
    in_range("l1", l1, 0, float("inf"))
    if discriminator is None and not l1:
        raise InputError("l1", l1, "a number above 0, without a discriminator")
    if discriminator is not None:
        check_model(discriminator, "discriminator")
    settings = _Pairs(generator, discriminator, adversarial_losses(loss), l1)
    generator_loss = with_sown_losses(partial(_pairs_generator_loss, settings), "generator_")
    discriminator_loss = with_sown_losses(partial(_pairs_discriminator_loss, settings))

    def updates(*optimizers: optax.GradientTransformation) -> tuple[Update, ...]:
        expected = 1 if discriminator is None else 2
        if len(optimizers) != expected:
            raise InputError("optimizers", len(optimizers), f"{expected}, one for each network")
        update = Update(generator_loss, optimizers[-1], "generator")
        if discriminator is None:
            return (update,)
        return Update(discriminator_loss, optimizers[0], "discriminator"), update

    def predict(params: Params, extra: Any, inputs: Float[Array, "B H W C"]) -> Array:
        return _applied(generator, "generator", params, extra, inputs, None, train=False)[0]

    functions: dict[str, Callable[..., Any]] = {
        "generator_loss": generator_loss,
        "predict": predict,
    }
    if discriminator is not None:
        functions["discriminator_loss"] = discriminator_loss
    return Task(partial(_init_pairs, settings), updates, functions)


def check_bounded(loss: str) -> None:
    """Raises InputError for a loss whose scores grow without a bound, or an unknown one.

    Example:
      >>> check_bounded("wasserstein")
      Traceback (most recent call last):
      jaxdl.errors.InputError: loss: got 'wasserstein', allowed: hinge, least_squares, nonsaturating
    """
    one_of("loss", loss, ["hinge", "least_squares", "nonsaturating"])


def _init_pairs(settings: _Pairs, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    """Returns the initial parameters and other collections of both networks, by network."""
    check_fields(batch, "input", "target")
    x = batch["input"]
    target = batch["target"]
    networks = {"generator": (settings.generator, x)}
    if settings.discriminator is not None:
        if x.shape[:3] != target.shape[:3]:
            allowed = f"images as large as the input, {list(x.shape[1:3])}, with a discriminator"
            raise InputError("target", list(target.shape[1:3]), allowed)
        networks["discriminator"] = settings.discriminator, jnp.concatenate([x, target], -1)
    params, extra = init_networks(networks, key)
    y = jax.eval_shape(lambda: _generated(settings, params, extra, x, None, train=False)[0])
    _check_outputs(y, target)
    return params, extra


def _check_outputs(y: Any, target: Any) -> None:
    """Raises InputError for targets of another shape, which an error would broadcast."""
    if y.shape != target.shape:
        allowed = f"the shape of the targets, {list(target.shape)}"
        raise InputError("generator", list(y.shape), allowed)


def init_networks(
    networks: dict[str, tuple[nn.Module, Array]], key: Key[Array, ""]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the parameters and the other collections of networks, by name.

    Args:
      networks: each network with an example of its input.
      key: PRNG key of all parameters.

    Example:
      >>> from jaxdl.models import MLP
      >>> params, extra = init_networks({"a": (MLP((3,)), jnp.ones((1, 2)))}, jax.random.key(0))
      >>> sorted(params), extra
      (['a'], {})
    """
    params = {}
    extra = {}
    for i, (name, (model, x)) in enumerate(networks.items()):
        params[name], collections = init_variables(model, jax.random.fold_in(key, i), {"input": x})
        if collections:
            extra[name] = collections
    return params, extra


def _applied(
    model: nn.Module, name: str, params: Params, extra: Any, x: Array, key: Any, *, train: bool
) -> tuple[Array, Any]:
    """Applies the network of a name; returns its outputs and the updated `extra`."""
    with network(name):
        y, updated = apply(model, params[name], extra.get(name, {}), x, key, train=train)
    if updated:
        extra = {**extra, name: updated}
    return y, extra


def _generated(
    settings: _Pairs, params: Params, extra: Any, x: Array, key: Any, *, train: bool
) -> tuple[Array, Any]:
    return _applied(settings.generator, "generator", params, extra, x, key, train=train)


def means_of_images(x: Float[Array, "B ..."]) -> Float[Array, " B"]:
    """Returns the mean of each example, such as that of the scores of its patches.

    Example:
      >>> means_of_images(jnp.array([[1.0, 3.0], [0.0, 1.0]])).tolist()
      [2.0, 0.5]
    """
    return x.reshape(x.shape[0], -1).mean(1)


def _scores(
    settings: _Pairs, params: Params, extra: Any, x: Array, y: Array, key: Any, *, train: bool
) -> tuple[Array, Any]:
    """Returns the scores of pairs of images, and the updated `extra`."""
    assert settings.discriminator is not None
    pair = jnp.concatenate([x, y], -1)
    return _applied(settings.discriminator, "discriminator", params, extra, pair, key, train=train)


def _pairs_discriminator_loss(
    settings: _Pairs,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    batch = without_padding(batch)
    x = batch["input"]
    generator_key, key = jax.random.split(key)
    # The generator's statistics change in its own update only.
    fake, _ = _generated(settings, params, extra, x, generator_key, train=train)
    fake = jax.lax.stop_gradient(fake)
    score_real, updated = _scores(settings, params, extra, x, batch["target"], key, train=train)
    score_fake, updated = _scores(settings, params, updated, x, fake, key, train=train)
    losses = settings.of_scores
    each = (means_of_images(losses.real(score_real)) + means_of_images(losses.fake(score_fake))) / 2
    values = {"discriminator_loss": each}
    values |= {"score_real": means_of_images(score_real), "score_fake": means_of_images(score_fake)}
    metrics = {name: total(value, batch.get("mask")) for name, value in values.items()}
    return metrics["discriminator_loss"], (updated, metrics)


def _pairs_generator_loss(
    settings: _Pairs,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    batch = without_padding(batch)
    x = batch["input"]
    generator_key, key = jax.random.split(key)
    y, updated = _generated(settings, params, extra, x, generator_key, train=train)
    _check_outputs(y, batch["target"])
    error = means_of_images(jnp.abs(batch["target"] - y))
    metrics = {"l1": total(error, batch.get("mask"))}
    if settings.discriminator is None:
        loss = total(settings.l1 * error, batch.get("mask"))
        return loss, (updated, {"loss": loss, **metrics})
    score, _ = _scores(settings, params, extra, x, y, key, train=train)
    each = means_of_images(settings.of_scores.generator(score)) + settings.l1 * error
    metrics["generator_loss"] = total(each, batch.get("mask"))
    return metrics["generator_loss"], (updated, metrics)
