"""Variational autoencoders: a density over examples, with a latent for each."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl import losses
from jaxdl.augment import Augment, augment_batch
from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.models.autoencoder import VAE, Labels
from jaxdl.models.conditional import check_label
from jaxdl.tasks import binarization, likelihoods
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    init_variables,
    one_update,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params

#: The mean of q(z | x) and the logarithm of its variance.
Posterior = tuple[Float[Array, "B Z"], Float[Array, "B Z"]]


class _Objective(NamedTuple):
    """The parts of a loss: likelihood, changes of the images, and the weight of the divergence."""

    nll: Callable[[Array, Array], Float[Array, ""]]
    binarize_batch: Callable[[Key[Array, ""], Array], Array]
    beta: float
    warmup: int
    augment: Augment | None


@recorded
def vae(
    model: VAE,
    *,
    likelihood: str = "bernoulli",
    sigma: float = 1.0,
    beta: float = 1.0,
    warmup: int = 0,
    binarize: Literal["dynamic"] | float | None = None,
    augment: Augment | None = None,
) -> Task:
    """Returns the functions that train and apply a variational autoencoder.

        L = 1/|B| sum_i m_i [-log p(x_i | z_i) + b KL(q(z | x_i) || N(0, I))]
        z_i = mean_i + s_i e,    e ~ N(0, I)

    For b = 1, the expected loss is the negative evidence lower bound. It is an upper bound of the
    mean of -log p(x).

    Source: Kingma, Welling 2014; Higgins et al. 2017 (beta); Burda, Grosse, Salakhutdinov 2016
    (`bound`); Salakhutdinov, Murray 2008 (dynamic binarization).

    Args:
      model: a `VAE`. With `Conditional` networks, batches have a `label`.
      likelihood: "bernoulli", "continuous_bernoulli" or "gaussian", see `jaxdl.tasks.likelihood`.
      sigma: standard deviation of the Gaussian likelihood.
      beta: b, at least 0.
      warmup: number of training batches over which b rises from 0 to `beta`. Evaluation always uses
        `beta`. The batches are counted in `extra["warmup"]`; with `accumulate`, every part of a
        batch counts as one.
      binarize: "dynamic", a threshold in [0, 1), or None. "dynamic" makes every pixel white with a
        probability equal to its grey value, sampled again each time. A threshold makes the pixels
        above it white. None leaves images unchanged.
      augment: `augment(key, example) -> example` for one example, before the binarization. The
        changed example is what the model reconstructs. Only used in training.

    Returns:
      A `Task` with `loss` and five inference functions. Their `label [B]` is for conditional models
      only.

      - `encode(params, extra, inputs [B, ...], label=None) -> (mean, log s^2)`, two arrays
        `[B, Z]`.
      - `decode(params, extra, latent [B, Z], label=None) -> outputs [B, ...]`, the expected pixels.
      - `reconstruct(params, extra, inputs [B, ...], label=None) -> outputs`, decoded from the mean
        of the latent.
      - `sample(params, extra, key, n, label=None) -> samples [n, ...]`, decoded from z ~ N(0, I).
      - `bound(params, extra, inputs [B, ...], key, k, label=None) -> [B]`, an upper bound of
        -log p(x) in nats from k latents per example. It is the negative evidence lower bound for
        k = 1 and falls towards -log p(x) as k grows.

      A batch has `input [B, ...]`. It has `label [B]` for conditional models, and `mask [B]` if
      some rows do not count. The metrics are means per example in nats: the minimized `loss`, its
      terms `nll` and `kl`, and `bound`, the loss with b = 1.

    Raises:
      InputError: a model that is not a `VAE`, an unknown likelihood or binarization, a likelihood
        that excludes the binarization, a sigma that is not above 0, or a beta or warmup below 0.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import MLP, VAE, Reshaped
      >>> task = vae(VAE(MLP((8,), 4), Reshaped(MLP((8,), 64), (8, 8, 1)), latent=2))
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> key = jaxdl.root(0)
      >>> params, extra = task.init(key, {"input": x})
      >>> task.sample(params, extra, key, 5).shape, task.bound(params, extra, x, key, 10).shape
      ((5, 8, 8, 1), (3,))
    """
    nll, expected = likelihoods.likelihood(likelihood, sigma)
    of_kind("model", model, VAE, "a VAE")
    if likelihood != "bernoulli" and binarize is not None:
        raise InputError(
            "binarize",
            binarize,
            f"None, with the likelihood {likelihood}; binary pixels need bernoulli",
        )
    in_range("beta", beta, 0, float("inf"))
    at_least("warmup", warmup, 0)
    binarize_batch = binarization.binarize(binarize)
    objective = _Objective(nll, binarize_batch, beta, warmup, augment)
    loss = with_sown_losses(partial(_loss, model, objective))
    call = partial(_call, model)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        check_fields(batch, "input")
        x = {"input": batch["input"]}
        params, extra = init_variables(model, key, x, label=batch.get("label"))
        if warmup:
            extra["warmup"] = jnp.zeros((), jnp.int32)
        return params, extra

    def encode(params: Params, extra: Any, inputs: Float[Array, "B ..."], label: Labels = None):
        return call(params, extra, inputs, label, "encode")

    def decode(params: Params, extra: Any, latent: Float[Array, "B Z"], label: Labels = None):
        return expected(call(params, extra, latent, label, "decode"))

    def reconstruct(
        params: Params, extra: Any, inputs: Float[Array, "B ..."], label: Labels = None
    ):
        return decode(params, extra, encode(params, extra, inputs, label)[0], label)

    def sample(params: Params, extra: Any, key: Key[Array, ""], n: int, label: Labels = None):
        at_least("n", n, 1)
        return decode(params, extra, jax.random.normal(key, (n, model.latent)), label)

    def bound(
        params: Params,
        extra: Any,
        inputs: Float[Array, "B ..."],
        key: Key[Array, ""],
        k: int,
        label: Labels = None,
    ):
        at_least("k", k, 1)
        x = binarize_batch(jax.random.fold_in(key, 0), inputs)
        posterior = encode(params, extra, x, label)
        return _importance_weighted_bound(
            posterior,
            lambda z: call(params, extra, z, label, "decode"),
            lambda y: jax.vmap(nll)(y, x),
            key,
            k,
        )

    functions: dict[str, Callable[..., Any]] = {
        "loss": loss,
        "encode": encode,
        "decode": decode,
        "reconstruct": reconstruct,
        "sample": sample,
        "bound": bound,
    }
    return Task(init, one_update(loss), functions)


def _collections(extra: Any) -> dict[str, Any]:
    """Returns the model's collections, without the counter of the warm-up."""
    return {name: value for name, value in extra.items() if name != "warmup"}


def _call(model: VAE, params: Params, extra: Any, x: Array, label: Labels, method: str) -> Any:
    """Applies `encode` or `decode` of the model for inference."""
    check_label(model.classes, label)
    extra = _collections(extra)
    return apply(model, params, extra, x, None, train=False, label=label, method=method)[0]


def _loss(
    model: VAE,
    objective: _Objective,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    nll, binarize_batch, beta, warmup, augment = objective
    batch = without_padding(batch)
    dropout_key = jax.random.fold_in(key, 0)
    noise_key = jax.random.fold_in(key, 1)
    pixel_key = jax.random.fold_in(key, 2)
    x = batch["input"]
    if train and augment is not None:
        x = augment_batch(augment, jax.random.fold_in(key, 3), x)
    x = binarize_batch(pixel_key, x)
    label = batch.get("label")
    collections = _collections(extra)
    posterior, y, updated = _autoencode(
        model, params, collections, x, label, dropout_key, noise_key, train=train
    )
    weight: Any = beta
    if warmup and train:
        weight = beta * jnp.minimum(1.0, extra["warmup"] / warmup)
    if warmup:
        updated = {**updated, "warmup": extra["warmup"] + int(train)}
    nlls = jax.vmap(nll)(y, x)
    kls = jax.vmap(losses.gaussian_kl)(*posterior)
    values = {"loss": nlls + weight * kls, "bound": nlls + kls, "nll": nlls, "kl": kls}
    metrics = {name: total(value, batch.get("mask")) for name, value in values.items()}
    return metrics["loss"], (updated, metrics)


def _autoencode(
    model: VAE,
    params: Params,
    extra: Any,
    x: Float[Array, "B ..."],
    label: Labels,
    dropout_key: Key[Array, ""],
    noise_key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Posterior, Array, Any]:
    """Encodes `x`, samples latents and decodes them.

    Returns:
      `((mean, log s^2), outputs, extra)`.
    """
    (m, logvar), extra = apply(
        model, params, extra, x, dropout_key, train=train, method="encode", label=label
    )
    z = m + jnp.exp(logvar / 2) * jax.random.normal(noise_key, m.shape, m.dtype)
    decoder_key = jax.random.fold_in(dropout_key, 1)
    y, extra = apply(
        model, params, extra, z, decoder_key, train=train, method="decode", label=label
    )
    return (m, logvar), y, extra


def _importance_weighted_bound(
    posterior: Posterior,
    decode: Callable[[Float[Array, "B Z"]], Array],
    nll: Callable[[Array], Float[Array, " B"]],
    key: Key[Array, ""],
    k: int,
) -> Float[Array, " B"]:
    """Returns an upper bound of -log p(x) for each example, from k latents.

        log k - log sum_j p(x | z_j) p(z_j) / q(z_j | x),    z_j ~ q(z | x)

    Args:
      posterior: the mean of q(z | x) and the logarithm of its variance.
      decode: `decode(z) -> outputs`.
      nll: `nll(outputs) -> -log p(x | z)`.
      key: PRNG key of the `bound`; latent j uses the key `fold_in(fold_in(key, 1), j)`.
      k: number of latents per example.
    """
    m, logvar = posterior

    def add_latent(
        log_sum: Float[Array, " B"], i: Int[Array, ""]
    ) -> tuple[Float[Array, " B"], None]:
        e = jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 1), i), m.shape)
        z = m + jnp.exp(logvar / 2) * e
        y = decode(z)
        # log p(x | z) + log p(z) - log q(z | x). The constants of the normal densities cancel.
        log_ratio = (e**2 + logvar - z**2).sum(-1) / 2 - nll(y)
        return jnp.logaddexp(log_sum, log_ratio), None

    log_sum, _ = jax.lax.scan(add_latent, jnp.full(m.shape[0], -jnp.inf), jnp.arange(k))
    return jnp.log(k) - log_sum
