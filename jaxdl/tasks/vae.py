"""Variational autoencoders: a density of things, with a code for each."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl import losses
from jaxdl.core import Batch, Params
from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.metrics import Metrics, mean, total
from jaxdl.models.autoencoder import VAE, Labels
from jaxdl.models.conditional import check_label
from jaxdl.tasks.likelihoods import likelihood as likelihood_called
from jaxdl.tasks.linen import apply


class Variational(NamedTuple):
    """What `vae` returns: pure functions, to use together or alone. `label [B]` is for conditional models.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      encode: `encode(params, extra, inputs [B, ...], label=None) -> (mean, log s^2)`, `[B, Z]` each.
      decode: `decode(params, extra, latent [B, Z], label=None) -> things [B, ...]`, those expected.
      reconstruct: `reconstruct(params, extra, inputs [B, ...], label=None) -> things`, from the mean of the code.
      sample: `sample(params, extra, key, n, label=None) -> things [n, ...]` of z ~ N(0, I).
      bound: `bound(params, extra, inputs [B, ...], key, k, label=None) -> [B]`, an upper bound of -log p(x) in nats
        from k codes each; k = 1 is the negative evidence bound, and it falls towards -log p(x) as k grows.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    encode: Callable[..., tuple[Float[Array, "B Z"], Float[Array, "B Z"]]]
    decode: Callable[..., Float[Array, "B ..."]]
    reconstruct: Callable[..., Float[Array, "B ..."]]
    sample: Callable[..., Float[Array, "N ..."]]
    bound: Callable[..., Float[Array, " B"]]


def vae(
    model: VAE,
    *,
    likelihood: str = "bernoulli",
    sigma: float = 1.0,
    beta: float = 1.0,
    warmup: int = 0,
    binarize: Literal["dynamic"] | float | None = None,
) -> Variational:
    """The task of a variational autoencoder.

        L = 1/|B| sum_i m_i [-log p(x_i | z_i) + b KL(q(z | x_i) || N(0, I))],    z_i = mean_i + s_i e,  e ~ N(0, I)

    With b = 1 it is the negative evidence lower bound, of which -log p(x) is at most the mean.

    Source: Kingma, Welling 2014; Higgins et al. 2017 (beta); Burda, Grosse, Salakhutdinov 2016 (`bound`);
    Salakhutdinov, Murray 2008 (dynamic binarization).

    Args:
      model: a `VAE`; with `Conditional` networks batches have a `label`.
      likelihood: "bernoulli", "continuous_bernoulli" or "gaussian", see `jaxdl.tasks.likelihood`.
      sigma: of the Gaussian likelihood.
      beta: b, at least 0.
      warmup: over this many batches of training b rises from 0 to `beta`; evaluation has `beta` from the start. Their
        count is `extra["warmup"]`; under `accumulate` every part of a batch counts.
      binarize: "dynamic": every pixel is white with the probability of its grey, drawn anew each time; a threshold in
        [0, 1); None: as it is.

    Returns:
      A `Variational`. A batch has `input [B, ...]`, `label [B]` for conditional models, and `mask [B]` if some rows do
      not count. Metrics, means per thing in nats: `loss`, what is minimised; `bound`, the same with b = 1; `nll` and
      `kl`, its parts.

    Raises:
      InputError: a model that is no `VAE`, an unknown likelihood or binarization, one that do not go together, a sigma
        that is not above 0, a beta or a warmup below 0.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import MLP, VAE, Reshaped
      >>> task = vae(VAE(MLP((8,), 4), Reshaped(MLP((8,), 64), (8, 8, 1)), latent=2))
      >>> x, key = jnp.zeros((3, 8, 8, 1)), jaxdl.root(0)
      >>> params, extra = task.init(key, {"input": x})
      >>> task.sample(params, extra, key, 5).shape, task.bound(params, extra, x, key, 10).shape
      ((5, 8, 8, 1), (3,))
    """
    nll, expected = likelihood_called(likelihood, sigma)
    of_kind("model", model, VAE, "a VAE")
    if likelihood != "bernoulli" and binarize is not None:
        raise InputError(
            "binarize",
            binarize,
            f"None, with the likelihood {likelihood}: black and white is no density",
        )
    in_range("beta", beta, 0, float("inf"))
    at_least("warmup", warmup, 0)
    black_or_white = binarized(binarize)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        extra = dict(model.init(key, batch["input"], train=False, label=batch.get("label")))
        params = extra.pop("params", {})
        return params, {**extra, "warmup": jnp.zeros((), jnp.int32)} if warmup else extra

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        dropout, noise, pixels = (jax.random.fold_in(key, i) for i in range(3))
        x = black_or_white(pixels, batch["input"])
        more = {"label": batch.get("label")}
        collections = _collections(extra)
        (m, logvar), moved = apply(
            model, params, collections, x, dropout, train=train, method="encode", **more
        )
        z = m + jnp.exp(logvar / 2) * jax.random.normal(noise, m.shape, m.dtype)
        y, moved = apply(
            model,
            params,
            moved,
            z,
            jax.random.fold_in(dropout, 1),
            train=train,
            method="decode",
            **more,
        )
        b: Any = beta
        if warmup and train:
            b = beta * jnp.minimum(1.0, extra["warmup"] / warmup)
        if warmup:
            moved = {**moved, "warmup": extra["warmup"] + int(train)}
        parts = {"nll": jax.vmap(nll)(y, x), "kl": jax.vmap(losses.gaussian_kl)(m, logvar)}
        each = {
            "loss": parts["nll"] + b * parts["kl"],
            "bound": parts["nll"] + parts["kl"],
            **parts,
        }
        metrics = {name: total(values, batch.get("mask")) for name, values in each.items()}
        return mean(metrics["loss"]), (moved, metrics)

    def call(params: Params, extra: Any, x: Array, label: Labels, method: str) -> Any:
        check_label(model.classes, label)
        return model.apply(
            {"params": params, **_collections(extra)}, x, train=False, label=label, method=method
        )

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
        label=None,
    ):
        at_least("k", k, 1)
        x = black_or_white(jax.random.fold_in(key, 0), inputs)
        m, logvar = encode(params, extra, x, label)

        def one(weight: Float[Array, " B"], i: Int[Array, ""]) -> tuple[Float[Array, " B"], None]:
            e = jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, 1), i), m.shape)
            z = m + jnp.exp(logvar / 2) * e
            y = call(params, extra, z, label, "decode")
            # log p(x | z) + log p(z) - log q(z | x); the normal densities' constants cancel.
            ratio = (e**2 + logvar - z**2).sum(-1) / 2 - jax.vmap(nll)(y, x)
            return jnp.logaddexp(weight, ratio), None

        weight, _ = jax.lax.scan(one, jnp.full(x.shape[0], -jnp.inf), jnp.arange(k))
        return jnp.log(k) - weight

    return Variational(init, loss, encode, decode, reconstruct, sample, bound)


def binarized(how: Literal["dynamic"] | float | None) -> Callable[[Key[Array, ""], Array], Array]:
    """Grey images in black and white.

    Args:
      how: "dynamic": a pixel is white with the probability of its grey; a threshold in [0, 1): above it; None: no.

    Returns:
      `(key, images in [0, 1]) -> images`; a pixel outside of [0, 1] becomes NaN, which stops a run.

    Raises:
      InputError: for anything else.

    Example:
      >>> import jaxdl
      >>> binarized(0.5)(jaxdl.root(0), jnp.array([0.2, 0.7])).tolist()
      [0.0, 1.0]
    """
    if how is None:
        return lambda key, x: x
    if how != "dynamic" and not (isinstance(how, int | float) and 0 <= how < 1):
        raise InputError("binarize", how, "'dynamic', a threshold in [0, 1) or None")

    def drawn(key: Key[Array, ""], x: Array) -> Array:
        white = jax.random.uniform(key, x.shape) < x if how == "dynamic" else x > how
        return jnp.where((x >= 0) & (x <= 1), white.astype(x.dtype), jnp.nan)

    return drawn


def _collections(extra: Any) -> dict[str, Any]:
    """What of it is the model's."""
    return {name: value for name, value in extra.items() if name != "warmup"}
