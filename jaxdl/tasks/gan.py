"""Generative adversarial networks (GANs): a generator trained against a discriminator."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from jaxdl.augment import Augment, augment_batch
from jaxdl.errors import InputError, at_least, in_range, is_zero
from jaxdl.losses.adversarial import (
    AdversarialLosses,
    adversarial_losses,
    gradient_penalty,
    squared_gradient_norm,
)
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.models.autoencoder import Labels
from jaxdl.models.conditional import check_label, label_kwargs, num_classes
from jaxdl.nn import spectral
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


class _Networks(NamedTuple):
    """The two networks of a GAN and the options that change how they are applied."""

    generator: nn.Module
    discriminator: nn.Module
    latent: int
    spectral_norm: bool
    augment: Augment | None


class _Losses(NamedTuple):
    """The losses of scores and the options of the discriminator's loss."""

    of_scores: AdversarialLosses
    label_smoothing: float
    penalty: float
    r1: float


@recorded
def gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    latent: int = 64,
    loss: str = "nonsaturating",
    label_smoothing: float = 0.0,
    penalty: float = 0.0,
    r1: float = 0.0,
    spectral_norm: bool = False,
    augment: Augment | None = None,
    critic_steps: int = 1,
) -> Task:
    """Returns the functions that train and apply a generator G and a discriminator D.

        nonsaturating:  L_D = E softplus(-D(x)) + E softplus(D(G(z))),    L_G = E softplus(-D(G(z)))
        hinge:          L_D = E (1 - D(x))_+    + E (1 + D(G(z)))_+,      L_G = -E D(G(z))
        wasserstein:    L_D = E D(G(z)) - E D(x),                         L_G = -E D(G(z))
        least_squares:  L_D = E (D(x) - 1)^2 + E D(G(z))^2,               L_G = E (D(G(z)) - 1)^2
        added to L_D:   penalty E (|dD/dx'| - 1)^2 + r1/2 E |dD/dx|^2,    x' = u x + (1 - u) G(z)

    The running statistics (`batch_stats`) of a network change in its own update only. The
    discriminator is applied to real and generated examples as two separate batches.

    Source: Goodfellow et al. 2014; Lim, Ye 2017 (hinge); Arjovsky et al. 2017, Gulrajani et al.
    2017 (Wasserstein, penalty); Mao et al. 2017 (least squares); Salimans et al. 2016 (one-sided
    smoothing); Mescheder et al. 2018 (R1); Miyato et al. 2018 (spectral norm); Zhao et al. 2020,
    Differentiable augmentation for data-efficient GAN training.

    Args:
      generator: a module called as `generator(z [B, latent], train=bool) -> samples`. `Conditional`
        networks also get the batch's `label`.
      discriminator: a module called as `discriminator(examples, train=bool) -> scores [B, 1]`.
      latent: number of latent dimensions, at least 1.
      loss: "nonsaturating", "hinge", "wasserstein" or "least_squares".
      label_smoothing: one-sided label smoothing, in [0, 1): the target probability that a real
        example is generated. Only used in training, and only for the nonsaturating loss.
      penalty: weight of the gradient penalty between real and generated examples. Only used in
        training.
      r1: weight of the gradient penalty at real examples. Only used in training.
      spectral_norm: if True, the discriminator's kernels are divided by their largest singular
        value (`jaxdl.nn.spectral_norm`). The vectors of the power iteration are stored in
        `extra["spectral"]` and change in the discriminator's update.
      augment: `augment(key, example) -> example`, applied to every input of the discriminator, real
        or generated, so that it cannot memorize the real examples. The generator's gradient passes
        through it. Only used in training.
      critic_steps: updates of the discriminator in a step, each with new noise, before the one of
        the generator.

    Returns:
      A `Task` whose `updates(discriminator_optimizer, generator_optimizer)` are the two updates of
      a learner. Params and `extra` have an entry per network, named "discriminator" and
      "generator". The losses are `discriminator_loss` and `generator_loss`. The inference functions
      take a `label [B]` for conditional networks only:

      - `sample(params, extra, key, n, label=None) -> samples [n, ...]`.
      - `generate(params, extra, latent [B, Z], label=None) -> samples [B, ...]`.
      - `score(params, extra, inputs [B, ...], label=None) -> [B]`, the discriminator's output,
        which is large for real inputs.

      A batch has `input [B, ...]`. It has `label [B]` for conditional networks, and `mask [B]` if
      some rows do not count. The metrics are `discriminator_loss`, `generator_loss`, and the mean
      scores `score_real` and `score_fake`.

    Raises:
      InputError: an unknown loss, a number out of range, or label smoothing with another loss than
        the nonsaturating one; while tracing, generated examples whose shape differs from the data,
        a discriminator with more than one output, or one with batch normalization and a gradient
        penalty.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import MLP, Reshaped
      >>> generator = Reshaped(MLP((16,), 64), (8, 8, 1))
      >>> task = gan(generator, MLP((16,), 1), latent=8)
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3), optax.adam(1e-3)))
      >>> batch = {"input": jnp.zeros((4, 8, 8, 1))}
      >>> state, metrics = net.step(net.init(jaxdl.root(0), batch), batch, jaxdl.root(0))
      >>> task.sample(state.params, state.extra, jaxdl.root(1), 2).shape, sorted(metrics)
      ((2, 8, 8, 1), ['discriminator_loss', 'generator_loss', 'score_fake', 'score_real'])
    """
    check_model(generator, "generator")
    check_model(discriminator, "discriminator")
    at_least("latent", latent, 1)
    at_least("critic_steps", critic_steps, 1)
    in_range("label_smoothing", label_smoothing, 0, 1)
    if not is_zero(label_smoothing) and loss != "nonsaturating":
        raise InputError("label_smoothing", label_smoothing, f"0, with the loss {loss}")
    in_range("penalty", penalty, 0, float("inf"))
    in_range("r1", r1, 0, float("inf"))
    networks = _Networks(generator, discriminator, latent, spectral_norm, augment)
    loss_functions = _Losses(adversarial_losses(loss), label_smoothing, penalty, r1)
    discriminator_loss = with_sown_losses(
        partial(_discriminator_loss, networks, loss_functions), "discriminator_"
    )
    generator_loss = with_sown_losses(
        partial(_generator_loss, networks, loss_functions), "generator_"
    )
    classes = num_classes(generator, discriminator)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, extra = _init_networks(networks, key, batch)
        has_penalty = not (is_zero(penalty) and is_zero(r1))
        if has_penalty and "batch_stats" in extra.get("discriminator", {}):
            raise InputError(
                "discriminator",
                "batch normalization",
                "a network without it, if penalty or r1 is above 0",
            )
        return params, extra

    def updates(
        discriminator_optimizer: optax.GradientTransformation,
        generator_optimizer: optax.GradientTransformation,
    ) -> tuple[Update, ...]:
        return (
            Update(discriminator_loss, discriminator_optimizer, "discriminator", critic_steps),
            Update(generator_loss, generator_optimizer, "generator"),
        )

    def generate(params: Params, extra: Any, z: Float[Array, "B Z"], label: Labels = None):
        check_label(classes, label)
        return _apply_network(networks, "generator", params, extra, z, label, None, train=False)[0]

    def sample(params: Params, extra: Any, key: Key[Array, ""], n: int, label: Labels = None):
        at_least("n", n, 1)
        return generate(params, extra, jax.random.normal(key, (n, latent)), label)

    def score(params: Params, extra: Any, inputs: Float[Array, "B ..."], label: Labels = None):
        check_label(classes, label)
        params, _ = _normalize_kernels(networks, params, extra, train=False)
        scores, _ = _apply_network(
            networks, "discriminator", params, extra, inputs, label, None, train=False
        )
        return scores.reshape(-1)

    functions: dict[str, Callable[..., Any]] = {
        "discriminator_loss": discriminator_loss,
        "generator_loss": generator_loss,
        "sample": sample,
        "generate": generate,
        "score": score,
    }
    return Task(init, updates, functions)


def _init_networks(
    networks: _Networks, key: Key[Array, ""], batch: Batch
) -> tuple[Params, dict[str, Any]]:
    """Returns the initial parameters and other collections of both networks, by network."""
    check_fields(batch, "input")
    x = batch["input"]
    label = batch.get("label")
    z = jnp.zeros((x.shape[0], networks.latent))
    inputs = {"discriminator": x, "generator": z}
    params = {}
    extra = {}
    for i, (name, value) in enumerate(inputs.items()):
        net = getattr(networks, name)
        kwargs = label_kwargs(net, label)
        net_key = jax.random.fold_in(key, i)
        params[name], collections = init_variables(net, net_key, {"input": value}, **kwargs)
        if collections:
            extra[name] = collections
    if networks.spectral_norm:
        extra["spectral"] = spectral.spectral_vectors(
            params["discriminator"], jax.random.fold_in(key, 2)
        )
    return params, extra


def _normalize_kernels(
    networks: _Networks, params: Params, extra: Any, *, train: bool
) -> tuple[Params, Any]:
    """Applies spectral normalization to the discriminator's kernels, if that option is set.

    Returns:
      The parameters and `extra`, in which the vectors of the power iteration change in training.
    """
    if not networks.spectral_norm:
        return params, extra
    normalized, vectors = spectral.spectral_norm(params["discriminator"], extra["spectral"])
    if train:
        extra = {**extra, "spectral": vectors}
    return {**params, "discriminator": normalized}, extra


def _apply_network(
    networks: _Networks,
    name: str,
    params: Params,
    extra: Any,
    x: Array,
    label: Labels,
    key: Any,
    *,
    train: bool,
) -> tuple[Array, Any]:
    """Applies the network `name`; returns its outputs and the updated `extra` of both networks."""
    net = getattr(networks, name)
    if train and networks.augment is not None and name == "discriminator":
        x = augment_batch(networks.augment, jax.random.fold_in(key, 1), x)
        key = jax.random.fold_in(key, 0)
    kwargs = label_kwargs(net, label)
    with network(name):
        y, updated = apply(net, params[name], extra.get(name, {}), x, key, train=train, **kwargs)
    if name == "discriminator" and y.size != x.shape[0]:
        raise InputError(name, list(y.shape), f"one score per example, [{x.shape[0]}, 1]")
    if updated:
        extra = {**extra, name: updated}
    return y, extra


def _generate_batch(
    networks: _Networks, params: Params, extra: Any, batch: Batch, key: Any, *, train: bool
) -> tuple[Array, Any]:
    """Returns as many generated examples as the batch has rows, and the updated `extra`."""
    x = batch["input"]
    z = jax.random.normal(jax.random.fold_in(key, 0), (x.shape[0], networks.latent))
    key = jax.random.fold_in(key, 1)
    label = batch.get("label")
    y, extra = _apply_network(networks, "generator", params, extra, z, label, key, train=train)
    if y.shape != x.shape:
        raise InputError("generator", list(y.shape), f"the shape of the data, {list(x.shape)}")
    return y, extra


def _discriminator_loss(
    networks: _Networks,
    losses: _Losses,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    batch = without_padding(batch)
    x = batch["input"]
    label = batch.get("label")
    generator_key = jax.random.fold_in(key, 0)
    dropout_key = jax.random.fold_in(key, 1)
    penalty_key = jax.random.fold_in(key, 2)
    params, extra = _normalize_kernels(networks, params, extra, train=train)
    # This loss does not train the generator, so the generator's statistics stay as they are.
    fake, _ = _generate_batch(networks, params, extra, batch, generator_key, train=train)
    fake = jax.lax.stop_gradient(fake)

    def score(x: Array, extra: Any) -> tuple[Array, Any]:
        return _apply_network(
            networks, "discriminator", params, extra, x, label, dropout_key, train=train
        )

    def score_only(x: Array) -> Array:
        return score(x, extra)[0]

    score_real, updated = score(x, extra)
    score_fake, updated = score(fake, updated)
    score_real = score_real.reshape(-1)
    score_fake = score_fake.reshape(-1)
    loss = losses.of_scores.real(score_real) + losses.of_scores.fake(score_fake)
    if train and not is_zero(losses.label_smoothing):
        difference = losses.of_scores.fake(score_real) - losses.of_scores.real(score_real)
        loss = loss + losses.label_smoothing * difference
    if train and not is_zero(losses.penalty):
        loss = loss + losses.penalty * gradient_penalty(score_only, x, fake, penalty_key)
    if train and not is_zero(losses.r1):
        loss = loss + losses.r1 / 2 * squared_gradient_norm(score_only, x)
    values = {"discriminator_loss": loss, "score_real": score_real, "score_fake": score_fake}
    metrics = {name: total(value, batch.get("mask")) for name, value in values.items()}
    return metrics["discriminator_loss"], (updated, metrics)


def _generator_loss(
    networks: _Networks,
    losses: _Losses,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    batch = without_padding(batch)
    generator_key = jax.random.fold_in(key, 0)
    fake, updated = _generate_batch(networks, params, extra, batch, generator_key, train=train)
    label = batch.get("label")
    dropout_key = jax.random.fold_in(key, 1)
    params, _ = _normalize_kernels(networks, params, extra, train=train)
    score, _ = _apply_network(
        networks, "discriminator", params, extra, fake, label, dropout_key, train=train
    )
    metrics = {
        "generator_loss": total(losses.of_scores.generator(score.reshape(-1)), batch.get("mask"))
    }
    return metrics["generator_loss"], (updated, metrics)
