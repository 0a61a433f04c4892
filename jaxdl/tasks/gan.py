"""Generative adversarial networks: one network draws, another tells the drawn from the real."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.nn import relu, softplus
from jaxtyping import Array, Float, Key

from jaxdl.core import Batch, Params, Update
from jaxdl.errors import InputError, at_least, in_range, is_zero, one_of
from jaxdl.metrics import Metrics, mean, total
from jaxdl.models.autoencoder import Labels
from jaxdl.models.conditional import check_label, label_kwargs, num_classes
from jaxdl.nn import spectral
from jaxdl.tasks.classify import Augment
from jaxdl.tasks.linen import apply


class Adversarial(NamedTuple):
    """What `gan` returns: pure functions, to use together or alone. `label [B]` is for conditional networks.

    Attributes:
      init: `init(key, batch) -> (params, extra)`, both by player: "discriminator" and "generator".
      discriminator_loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      generator_loss: of the same signature.
      updates: `updates(discriminator's optimizer, generator's optimizer, critic_steps=1)`, the two updates of a learner:
        `critic` steps of the discriminator, each with noise of its own, then one of the generator.
      sample: `sample(params, extra, key, n, label=None) -> things [n, ...]`.
      generate: `generate(params, extra, latent [B, Z], label=None) -> things [B, ...]`.
      score: `score(params, extra, inputs [B, ...], label=None) -> [B]`, the discriminator's, large for the real.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    discriminator_loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    generator_loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    updates: Callable[..., tuple[Update, Update]]
    sample: Callable[..., Float[Array, "N ..."]]
    generate: Callable[..., Float[Array, "B ..."]]
    score: Callable[..., Float[Array, " B"]]


#: Of a score: what a real one costs the discriminator, what a drawn one costs it, what a drawn one costs the generator.
LOSSES: dict[str, tuple[Callable, Callable, Callable]] = {
    "nonsaturating": (lambda d: softplus(-d), softplus, lambda d: softplus(-d)),
    "hinge": (lambda d: relu(1 - d), lambda d: relu(1 + d), lambda d: -d),
    "wasserstein": (lambda d: -d, lambda d: d, lambda d: -d),
}


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
) -> Adversarial:
    """The game of a generator G and a discriminator D.

        nonsaturating:  L_D = E softplus(-D(x)) + E softplus(D(G(z))),    L_G = E softplus(-D(G(z)))
        hinge:          L_D = E (1 - D(x))_+    + E (1 + D(G(z)))_+,      L_G = -E D(G(z))
        wasserstein:    L_D = E D(G(z)) - E D(x),                         L_G = -E D(G(z))
        and in L_D      + penalty E (|dD/dx'| - 1)^2,   x' = u x + (1 - u) G(z)         + r1/2 E |dD/dx|^2

    Each player's running statistics (`batch_stats`) move in its own update only. The discriminator sees the real things
    and the drawn ones as two batches.

    Source: Goodfellow et al. 2014; Lim, Ye 2017 (hinge); Arjovsky et al. 2017, Gulrajani et al. 2017 (Wasserstein,
    penalty); Salimans et al. 2016 (one-sided smoothing); Mescheder et al. 2018 (R1); Miyato et al. 2018 (spectral
    norm); Zhao et al. 2020, Differentiable augmentation for data-efficient GAN training.

    Args:
      generator: called as `generator(z [B, latent], train=bool) -> things`. `Conditional` networks get the batch's
        `label`.
      discriminator: called as `discriminator(things, train=bool) -> scores [B, 1]`.
      latent: how many normal numbers a thing is made of, at least 1.
      loss: "nonsaturating", "hinge" or "wasserstein".
      label_smoothing: one-sided: the probability of being drawn that the discriminator should give to real things, in
        [0, 1), in training only; only for the nonsaturating cost.
      penalty: weight of the gradient penalty between real and drawn things, in training only.
      r1: weight of the gradient penalty at real things, in training only.
      spectral_norm: the discriminator's kernels are divided by their largest singular value (`jaxdl.nn.spectral_norm`); the
        vectors of its power iteration are `extra["spectral"]` and move in the discriminator's update.
      augment: `augment(key, thing) -> thing`, what the discriminator sees of each thing, real or drawn, in training
        only: it then cannot learn the real ones by heart. Gradients go through it to the generator.

    Returns:
      An `Adversarial`. A batch has `input [B, ...]`, `label [B]` for conditional networks, and `mask [B]` if some rows
      do not count. Metrics: `discriminator_loss`, `generator_loss`, and the mean scores `score_real` and `score_fake`.

    Raises:
      InputError: an unknown cost, a number out of range, smoothing for another cost; while tracing, drawn things of
        another shape than the data's, a discriminator that says more than one number, or one with a norm over the
        batch under a penalty.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import MLP, Reshaped
      >>> task, x = gan(Reshaped(MLP((16,), 64), (8, 8, 1)), MLP((16,), 1), latent=8), jnp.zeros((4, 8, 8, 1))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3), optax.adam(1e-3)))
      >>> state, metrics = net.step(net.init(jaxdl.root(0), {"input": x}), {"input": x}, jaxdl.root(0))
      >>> task.sample(state.params, state.extra, jaxdl.root(1), 2).shape, sorted(metrics)
      ((2, 8, 8, 1), ['discriminator_loss', 'generator_loss', 'score_fake', 'score_real'])
    """
    at_least("latent", latent, 1)
    one_of("loss", loss, LOSSES)
    in_range("label_smoothing", label_smoothing, 0, 1)
    if not is_zero(label_smoothing) and loss != "nonsaturating":
        raise InputError("label_smoothing", label_smoothing, f"0, with the loss {loss}")
    in_range("penalty", penalty, 0, float("inf"))
    in_range("r1", r1, 0, float("inf"))
    of_real, of_drawn, of_generator = LOSSES[loss]
    classes = num_classes(generator, discriminator)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        x = batch["input"]
        label = batch.get("label")
        z = jnp.zeros((x.shape[0], latent))
        made = {
            "discriminator": dict(_init(discriminator, jax.random.fold_in(key, 0), x, label)),
            "generator": dict(_init(generator, jax.random.fold_in(key, 1), z, label)),
        }
        if "batch_stats" in made["discriminator"] and not (is_zero(penalty) and is_zero(r1)):
            raise InputError(
                "discriminator",
                "a norm over the batch",
                "none, with a penalty on each thing's gradient",
            )
        params = {player: variables.pop("params") for player, variables in made.items()}
        extra = {player: rest for player, rest in made.items() if rest}
        if spectral_norm:
            extra["spectral"] = spectral.spectral_vectors(
                params["discriminator"], jax.random.fold_in(key, 2)
            )
        return params, extra

    def normalize_kernels(params: Params, extra: Any, *, train: bool) -> tuple[Params, Any]:
        """The discriminator with kernels of spectral norm 1, if that is asked for; in training the vectors move."""
        if not spectral_norm:
            return params, extra
        normalized, vectors = spectral.spectral_norm(params["discriminator"], extra["spectral"])
        return {**params, "discriminator": normalized}, {
            **extra,
            "spectral": vectors,
        } if train else extra

    def apply_network(
        player: str, params: Params, extra: Any, x: Array, label: Labels, key: Any, *, train: bool
    ):
        """What one of the two says, and `extra` after it."""
        net = generator if player == "generator" else discriminator
        if train and augment is not None and player == "discriminator":
            key, changes = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
            x = jax.vmap(augment)(jax.random.split(changes, x.shape[0]), x)
        y, moved = apply(
            net,
            params[player],
            extra.get(player, {}),
            x,
            key,
            train=train,
            **label_kwargs(net, label),
        )
        if player == "discriminator" and y.size != x.shape[0]:
            raise InputError(player, list(y.shape), f"one score for each thing, [{x.shape[0]}, 1]")
        return y, {**extra, player: moved} if player in extra else extra

    def draw(params: Params, extra: Any, batch: Batch, key: Any, *, train: bool):
        x = batch["input"]
        label = batch.get("label")
        z = jax.random.normal(jax.random.fold_in(key, 0), (x.shape[0], latent))
        y, extra = apply_network(
            "generator", params, extra, z, label, jax.random.fold_in(key, 1), train=train
        )
        if y.shape != x.shape:
            raise InputError("generator", list(y.shape), f"things as the data's, {list(x.shape)}")
        return y, extra

    def discriminator_loss(
        params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool
    ):
        x = batch["input"]
        label = batch.get("label")
        mask = batch.get("mask")
        keys = [jax.random.fold_in(key, i) for i in range(3)]
        params, extra = normalize_kernels(params, extra, train=train)
        # The generator is another player: its statistics stay, and no gradient goes there.
        drawn = jax.lax.stop_gradient(draw(params, extra, batch, keys[0], train=train)[0])
        real_score, moved = apply_network(
            "discriminator", params, extra, x, label, keys[1], train=train
        )
        drawn_score, moved = apply_network(
            "discriminator", params, moved, drawn, label, keys[1], train=train
        )
        real_score = real_score.reshape(-1)
        drawn_score = drawn_score.reshape(-1)
        each = of_real(real_score) + of_drawn(drawn_score)
        if train and not is_zero(label_smoothing):
            each = each + label_smoothing * (of_drawn(real_score) - of_real(real_score))

        def slope(at: Array) -> Array:
            """The norm of the gradient of each score in its own thing, squared."""

            def scores(x: Array) -> Array:
                return apply_network(
                    "discriminator", params, extra, x, label, keys[1], train=train
                )[0].sum()

            return (jax.grad(scores)(at) ** 2).reshape(at.shape[0], -1).sum(-1)

        if train and not is_zero(penalty):
            u = jax.random.uniform(keys[2], (x.shape[0],) + (1,) * (x.ndim - 1))
            # The root has no slope at 0.
            each = each + penalty * (jnp.sqrt(slope(u * x + (1 - u) * drawn) + 1e-12) - 1) ** 2
        if train and not is_zero(r1):
            each = each + r1 / 2 * slope(x)
        parts = {"discriminator_loss": each, "score_real": real_score, "score_fake": drawn_score}
        metrics = {name: total(values, mask) for name, values in parts.items()}
        return mean(metrics["discriminator_loss"]), (moved, metrics)

    def generator_loss(
        params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool
    ):
        drawn, moved = draw(params, extra, batch, jax.random.fold_in(key, 0), train=train)
        label = batch.get("label")
        dropout = jax.random.fold_in(key, 1)
        params, _ = normalize_kernels(params, extra, train=train)
        score, _ = apply_network("discriminator", params, extra, drawn, label, dropout, train=train)
        metrics = {"generator_loss": total(of_generator(score.reshape(-1)), batch.get("mask"))}
        return mean(metrics["generator_loss"]), (moved, metrics)

    def updates(
        first: optax.GradientTransformation,
        second: optax.GradientTransformation,
        critic_steps: int = 1,
    ):
        at_least("critic_steps", critic_steps, 1)
        return (
            Update(discriminator_loss, first, on="discriminator", times=critic_steps),
            Update(generator_loss, second, on="generator"),
        )

    def generate(params: Params, extra: Any, z: Float[Array, "B Z"], label: Labels = None):
        check_label(classes, label)
        return apply_network("generator", params, extra, z, label, None, train=False)[0]

    def sample(params: Params, extra: Any, key: Key[Array, ""], n: int, label: Labels = None):
        at_least("n", n, 1)
        return generate(params, extra, jax.random.normal(key, (n, latent)), label)

    def score(params: Params, extra: Any, x: Float[Array, "B ..."], label: Labels = None):
        check_label(classes, label)
        params, _ = normalize_kernels(params, extra, train=False)
        return apply_network("discriminator", params, extra, x, label, None, train=False)[
            0
        ].reshape(-1)

    return Adversarial(init, discriminator_loss, generator_loss, updates, sample, generate, score)


def _init(net: nn.Module, key: Any, x: Array, label: Labels) -> Any:
    return net.init(key, x, train=False, **label_kwargs(net, label))
