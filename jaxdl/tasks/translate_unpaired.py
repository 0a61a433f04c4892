"""Image to image without pairs: CycleGAN."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from jaxdl.errors import InputError, at_least, in_range
from jaxdl.losses.adversarial import AdversarialLosses, adversarial_losses
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.nn.norm import network
from jaxdl.replicas import gather_rows
from jaxdl.ring import Ring, push_all, ring
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.tasks.translate import check_bounded, init_networks, means_of_images
from jaxdl.updates import Batch, Params, Update

GENERATORS = "generators"
DISCRIMINATORS = "discriminators"


class _Cycle(NamedTuple):
    """The networks and weights of `translate_unpaired`."""

    generator: nn.Module
    backward: nn.Module
    discriminator: nn.Module
    of_scores: AdversarialLosses
    cycle: float
    identity: float
    pool: int


class _Direction(NamedTuple):
    """A direction of translation: from the domain `here` to `there`."""

    here: str
    there: str
    forth: str
    back: str


DIRECTIONS = (_Direction("a", "b", "a_to_b", "b_to_a"), _Direction("b", "a", "b_to_a", "a_to_b"))


@recorded
def translate_unpaired(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    backward: nn.Module | None = None,
    loss: str = "least_squares",
    cycle: float = 10.0,
    identity: float = 0.5,
    pool: int = 50,
) -> Task:
    """Returns the functions of two networks that translate between two sets without pairs.

        L_G = sum over directions of  E generator(D_B(G(a))) + cycle E |a - F(G(a))|
                                      + cycle identity E |b - G(b)|
        L_D = sum over domains of     1/2 E real(D_B(b)) + 1/2 E fake(D_B(G(a)))

    G translates from domain a to b, and F from b to a. Each of the four networks has its own
    weights. The images that a discriminator sees as fake are new ones or, with probability 1/2,
    earlier ones from a pool.

    Every one-to-one map between the domains has a perfect cycle. The identity loss prefers the one
    that changes little. A cycle can also be perfect because the image in the middle hides a
    message: see `jaxdl.recipes.translation.hidden_message`.

    Args:
      generator: a module called as `generator(x, train=bool) -> images`, such as a `UNet`.
      discriminator: a module called as `discriminator(images, train=bool) -> scores`, one or more
        per image, such as `jaxdl.models.patch_discriminator()`.
      backward: F, if domain a has another number of channels than b; None means one like G.
      loss: "least_squares", "nonsaturating" or "hinge".
      cycle: weight of the cycle, at least 0.
      identity: weight of the identity loss relative to the cycle, at least 0. Above 0 both domains
        need images of one shape.
      pool: number of earlier images of each domain, at least 0.

    Returns:
      A task whose `updates` take the optimizers of the discriminators and of the generators. Its
      functions are `predict(params, extra, inputs)` from a to b, and `back(params, extra, inputs)`.

      A batch is that of `jaxdl.data.paired(a, b)`, with `input_a` and `input_b`, and `mask_a`,
      `mask_b`, or `mask` for both, if some rows do not count. The metrics are
      `generator_loss`, `discriminator_loss`, `cycle` (mean absolute error of both cycles),
      `identity`, and the mean scores `score_real` and `score_fake`.

    Raises:
      InputError: an unknown loss or a number out of range; while tracing, images whose shape is not
        that of the other domain.

    Source: Zhu et al. 2017, Unpaired image-to-image translation using cycle-consistent adversarial
    networks; Shrivastava et al. 2017 (pool).

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import UNet, patch_discriminator
      >>> task = translate_unpaired(UNet((4, 8)), patch_discriminator((8,)), pool=4)
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-4), optax.adam(2e-4)))
      >>> batch = {"input_a": jnp.zeros((2, 8, 8, 1)), "input_b": jnp.ones((2, 8, 8, 1))}
      >>> state, metrics = net.step(net.init(jaxdl.root(0), batch), batch, jaxdl.root(0))
      >>> task.back(state.params, state.extra, batch["input_b"]).shape, sorted(metrics)[:4]
      ((2, 8, 8, 1), ['cycle', 'discriminator_loss', 'generator_loss', 'identity'])
    """
    check_model(generator, "generator")
    check_model(discriminator, "discriminator")
    check_bounded(loss)
    if backward is not None:
        check_model(backward, "backward")
    for field, value in (("cycle", cycle), ("identity", identity)):
        in_range(field, value, 0, float("inf"))
    at_least("pool", pool, 0)
    of_scores = adversarial_losses(loss)
    settings = _Cycle(
        generator, backward or generator, discriminator, of_scores, cycle, identity, pool
    )
    generator_loss = with_sown_losses(partial(_cycle_generator_loss, settings), "generator_")
    discriminator_loss = with_sown_losses(partial(_cycle_discriminator_loss, settings))

    def updates(
        discriminator_optimizer: optax.GradientTransformation,
        generator_optimizer: optax.GradientTransformation,
    ) -> tuple[Update, ...]:
        return (
            Update(discriminator_loss, discriminator_optimizer, DISCRIMINATORS),
            Update(generator_loss, generator_optimizer, GENERATORS),
        )

    def predict(params: Params, extra: Any, inputs: Float[Array, "B H W C"]) -> Array:
        return _translated(settings, params, extra, inputs, "a_to_b", None, train=False)[0]

    def back(params: Params, extra: Any, inputs: Float[Array, "B H W C"]) -> Array:
        return _translated(settings, params, extra, inputs, "b_to_a", None, train=False)[0]

    functions = {
        "generator_loss": generator_loss,
        "discriminator_loss": discriminator_loss,
        "predict": predict,
        "back": back,
    }
    return Task(partial(_init_cycle, settings), updates, functions)


def _init_cycle(settings: _Cycle, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    """Returns the initial parameters of all networks, and empty pools."""
    check_fields(batch, "input_a", "input_b")
    a = batch["input_a"]
    b = batch["input_b"]
    networks = {
        "a_to_b": (settings.generator, a),
        "b_to_a": (settings.backward, b),
        "a": (settings.discriminator, a),
        "b": (settings.discriminator, b),
    }
    found, extra = init_networks(networks, key)
    params = {
        GENERATORS: {name: found[name] for name in ("a_to_b", "b_to_a")},
        DISCRIMINATORS: {name: found[name] for name in ("a", "b")},
    }
    for name, x, target in (("a_to_b", a, b), ("b_to_a", b, a)):
        y = jax.eval_shape(partial(_shape_of, settings, params, extra, name), x)
        if y.shape[1:] != target.shape[1:]:
            allowed = f"images like those of domain {name[-1]}, {list(target.shape[1:])}"
            raise InputError(f"generator {name}", list(y.shape[1:]), allowed)
    if settings.identity and a.shape[1:] != b.shape[1:]:
        allowed = "0, for domains whose images have different shapes"
        raise InputError("identity", settings.identity, allowed)
    if settings.pool:
        extra["pool"] = {"a": ring(a[0], settings.pool), "b": ring(b[0], settings.pool)}
    return params, extra


def _shape_of(settings: _Cycle, params: Params, extra: Any, name: str, x: Array) -> Array:
    return _translated(settings, params, extra, x, name, None, train=False)[0]


def _part(
    model: nn.Module,
    group: str,
    name: str,
    params: Params,
    extra: Any,
    x: Array,
    key: Any,
    *,
    train: bool,
) -> tuple[Array, Any]:
    """Applies one network of a group; returns its outputs and the updated `extra`."""
    with network(f"{group}/{name}"):
        y, updated = apply(model, params[group][name], extra.get(name, {}), x, key, train=train)
    if updated:
        extra = {**extra, name: updated}
    return y, extra


def _translated(
    settings: _Cycle, params: Params, extra: Any, x: Array, name: str, key: Any, *, train: bool
) -> tuple[Array, Any]:
    """Translates images in the direction "a_to_b" or "b_to_a"."""
    model = {"a_to_b": settings.generator, "b_to_a": settings.backward}[name]
    return _part(model, GENERATORS, name, params, extra, x, key, train=train)


def _scored(
    settings: _Cycle, params: Params, extra: Any, x: Array, name: str, key: Any, *, train: bool
) -> tuple[Array, Any]:
    """Scores images by the discriminator of domain "a" or "b"."""
    model = settings.discriminator
    return _part(model, DISCRIMINATORS, name, params, extra, x, key, train=train)


def _cycle_generator_loss(
    settings: _Cycle,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    found: list[dict[str, Metric]] = []
    for i, direction in enumerate(DIRECTIONS):
        losses, extra = _losses_of_direction(
            settings, params, extra, batch, direction, jax.random.fold_in(key, i), train=train
        )
        found.append(losses)
    first, second = found
    metrics = {"generator_loss": _sum_of_means(first["loss"], second["loss"])}
    for name in ("cycle", "identity"):
        if name in first:
            metrics[name] = jax.tree.map(jnp.add, first[name], second[name])
    return metrics["generator_loss"], (extra, metrics)


def _domain(batch: Batch, name: str) -> Batch:
    """Returns the images of domain "a" or "b" with their mask, if there is one."""
    domain = {"input": batch[f"input_{name}"]}
    mask = batch.get(f"mask_{name}", batch.get("mask"))
    if mask is not None:
        domain["mask"] = mask
    return without_padding(domain)


def _losses_of_direction(
    settings: _Cycle,
    params: Params,
    extra: Any,
    batch: Batch,
    direction: _Direction,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[dict[str, Metric], Any]:
    """Returns the losses of both generators for images of one domain, and the updated `extra`."""
    forth_key, back_key, score_key, same_key = jax.random.split(key, 4)
    translated = partial(_translated, settings, params, train=train)
    domain = _domain(batch, direction.here)
    x = domain["input"]
    mask = domain.get("mask")
    fake, updated = translated(extra, x, direction.forth, forth_key)
    again, updated = translated(updated, fake, direction.back, back_key)
    score, _ = _scored(settings, params, extra, fake, direction.there, score_key, train=train)
    cycle = means_of_images(jnp.abs(x - again))
    each = means_of_images(settings.of_scores.generator(score)) + settings.cycle * cycle
    losses = {"cycle": total(cycle, mask)}
    if settings.identity:
        same, updated = translated(updated, x, direction.back, same_key)
        error = means_of_images(jnp.abs(x - same))
        each = each + settings.cycle * settings.identity * error
        losses["identity"] = total(error, mask)
    return {"loss": total(each, mask), **losses}, updated


def _sum_of_means(first: Metric, second: Metric) -> Metric:
    """Returns the sum of two means as one metric, which adds up over parts of both sets.

    It is that sum for equal counts, and otherwise twice the mean over the examples of both.
    """
    return first[0] + second[0], (first[1] + second[1]) / 2


def _cycle_discriminator_loss(
    settings: _Cycle,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    found: list[dict[str, Metric]] = []
    for i, direction in enumerate(DIRECTIONS):
        losses, extra = _losses_of_domain(
            settings, params, extra, batch, direction, jax.random.fold_in(key, i), train=train
        )
        found.append(losses)
    first, second = found
    metrics = {"discriminator_loss": _sum_of_means(first["loss"], second["loss"])}
    for name in ("score_real", "score_fake"):
        metrics[name] = jax.tree.map(jnp.add, first[name], second[name])
    return metrics["discriminator_loss"], (extra, metrics)


def _losses_of_domain(
    settings: _Cycle,
    params: Params,
    extra: Any,
    batch: Batch,
    direction: _Direction,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[dict[str, Metric], Any]:
    """Returns the loss and the scores of one domain's discriminator, and the updated `extra`."""
    generator_key, pool_key, score_key = jax.random.split(key, 3)
    here, there, forth, _ = direction
    # The generators' statistics change in their own update only.
    source = _domain(batch, here)
    target = _domain(batch, there)
    fake, _ = _translated(
        settings, params, extra, source["input"], forth, generator_key, train=train
    )
    fake = jax.lax.stop_gradient(fake)
    if train and settings.pool:
        pools = extra["pool"]
        mask = source.get("mask")
        valid = None if mask is None else gather_rows(mask) > 0
        pool = push_all(pools[there], gather_rows(fake), valid)
        fake = some_earlier(pools[there], fake, pool_key)
        extra = {**extra, "pool": {**pools, there: pool}}
    scored = partial(_scored, settings, params, train=train)
    score_real, updated = scored(extra, target["input"], there, score_key)
    score_fake, updated = scored(updated, fake, there, score_key)
    of_scores = settings.of_scores
    masks = {"real": target.get("mask"), "fake": source.get("mask")}
    real = total(means_of_images(of_scores.real(score_real)) / 2, masks["real"])
    made = total(means_of_images(of_scores.fake(score_fake)) / 2, masks["fake"])
    losses = {
        "loss": _sum_of_means(real, made),
        "score_real": total(means_of_images(score_real), masks["real"]),
        "score_fake": total(means_of_images(score_fake), masks["fake"]),
    }
    return losses, updated


def some_earlier(pool: Ring, fake: Array, key: Key[Array, ""]) -> Array:
    """Returns images in whose place an earlier one is with probability 1/2, if there are any.

    Args:
      pool: earlier images.
      fake: new images, `[B, H, W, C]`.
      key: PRNG key of coins and places.

    Example:
      >>> empty = ring(jnp.zeros((2, 2, 1)), 4)
      >>> some_earlier(empty, jnp.ones((3, 2, 2, 1)), jax.random.key(0)).min().item()
      1.0
    """
    coin_key, place_key = jax.random.split(key)
    rows = len(fake)
    place = jax.random.randint(place_key, (rows,), 0, jnp.maximum(pool.size, 1), jnp.int32)
    earlier = jax.random.bernoulli(coin_key, 0.5, (rows,)) & (pool.size > 0)
    return jnp.where(earlier[:, None, None, None], pool.items[place], fake)
