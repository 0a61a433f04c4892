"""Reconstruction: a thing through a bottleneck, or out of noise."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxdl import losses
from jaxdl.core import Batch, Params
from jaxdl.errors import InputError, in_range
from jaxdl.metrics import Metrics, mean, total
from jaxdl.tasks.likelihoods import likelihood as likelihood_called
from jaxdl.tasks.linen import apply, init_variables

Corruption = Callable[[Key[Array, ""], Float[Array, "*D"]], Float[Array, "*D"]]


class Reconstructor(NamedTuple):
    """What `reconstruct` returns: pure functions, to use together or alone.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      encode: `encode(params, extra, inputs [B, ...]) -> codes`.
      decode: `decode(params, extra, codes) -> things [B, ...]`.
      reconstruct: `reconstruct(params, extra, inputs [B, ...]) -> things [B, ...]`; given noisy ones, clean ones.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    encode: Callable[[Params, Any, Float[Array, "B ..."]], Any]
    decode: Callable[[Params, Any, Any], Float[Array, "B ..."]]
    reconstruct: Callable[[Params, Any, Float[Array, "B ..."]], Float[Array, "B ..."]]


def reconstruct(
    model: nn.Module, *, likelihood: str = "bernoulli", corrupt: Corruption | None = None
) -> Reconstructor:
    """The task of giving back what came in; with a corruption, what was there before it: a denoising autoencoder.

        L = -1/|B| sum_i m_i log p(x_i | f(c(x_i)))

    Source: Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders.

    Args:
      model: an `Autoencoder`, or a module with the same `encode` and `decode`; its collections travel in `extra`.
      likelihood: "bernoulli", "continuous_bernoulli" or "gaussian", see `jaxdl.tasks.likelihood`.
      corrupt: `corrupt(key, thing) -> thing` for one of them, in training and in evaluation; None: nothing.

    Returns:
      A `Reconstructor`. A batch has `input [B, ...]` and, if some rows do not count, `mask [B]`. Metrics: `loss` in
      nats, and `mse`, the mean squared error of the expected pixels.

    Raises:
      InputError: an unknown likelihood, or a conditional model.

    Example:
      >>> import jaxdl
      >>> from jaxdl.models import MLP, Autoencoder, Reshaped
      >>> task = reconstruct(Autoencoder(MLP((8,), 2), Reshaped(MLP((8,), 64), (8, 8, 1))))
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> params, extra = task.init(jaxdl.root(0), {"input": x})
      >>> task.encode(params, extra, x).shape, task.reconstruct(params, extra, x).shape
      ((3, 2), (3, 8, 8, 1))
    """
    nll, expected = likelihood_called(likelihood)
    if getattr(model, "classes", None) is not None:
        raise InputError(
            "model", "Conditional", "an autoencoder without classes; a conditional one is a `VAE`"
        )

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        return init_variables(model, key, {"input": batch["input"]})

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        clean = seen = batch["input"]
        dropout = jax.random.fold_in(key, 0)
        noise = jax.random.fold_in(key, 1)
        if corrupt is not None:
            seen = jax.vmap(corrupt)(jax.random.split(noise, clean.shape[0]), clean)
        y, extra = apply(model, params, extra, seen, dropout, train=train)
        each = {"loss": jax.vmap(nll)(y, clean), "mse": jax.vmap(losses.mse)(expected(y), clean)}
        metrics = {name: total(values, batch.get("mask")) for name, values in each.items()}
        return mean(metrics["loss"]), (extra, metrics)

    def encode(params: Params, extra: Any, inputs: Float[Array, "B ..."]) -> Any:
        return model.apply({"params": params, **extra}, inputs, train=False, method="encode")

    def decode(params: Params, extra: Any, codes: Any) -> Float[Array, "B ..."]:
        outputs: Any = model.apply({"params": params, **extra}, codes, train=False, method="decode")
        return expected(outputs)

    def reconstructed(
        params: Params, extra: Any, inputs: Float[Array, "B ..."]
    ) -> Float[Array, "B ..."]:
        return decode(params, extra, encode(params, extra, inputs))

    return Reconstructor(init, loss, encode, decode, reconstructed)


def gaussian_noise(sigma: float) -> Corruption:
    """A corruption: adds normal numbers to every pixel. The result is not cut to [0, 1].

    Args:
      sigma: their standard deviation, at least 0.

    Returns:
      `corrupt(key, thing) -> thing`.

    Raises:
      InputError: for another sigma.

    Example:
      >>> import jaxdl
      >>> gaussian_noise(0.5)(jaxdl.root(0), jnp.zeros((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("sigma", sigma, 0, float("inf"))
    return lambda key, x: x + sigma * jax.random.normal(key, x.shape, x.dtype)


def salt_and_pepper(share: float) -> Corruption:
    """A corruption: makes some pixels white and as many black.

    Args:
      share: of pixels, both together, in [0, 1).

    Returns:
      `corrupt(key, thing) -> thing`.

    Raises:
      InputError: for another share.

    Example:
      >>> import jaxdl
      >>> sorted(set(salt_and_pepper(0.5)(jaxdl.root(0), jnp.full(100, 0.5)).tolist()))
      [0.0, 0.5, 1.0]
    """
    in_range("share", share, 0, 1)

    def corrupt(key: Key[Array, ""], x: Float[Array, "*D"]) -> Float[Array, "*D"]:
        u = jax.random.uniform(key, x.shape)
        return jnp.where(u < share / 2, 0.0, jnp.where(u < share, 1.0, x)).astype(x.dtype)

    return corrupt
