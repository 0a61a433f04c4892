"""Reconstruction of inputs: autoencoders and denoising autoencoders."""

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
from jaxdl.tasks import likelihoods
from jaxdl.tasks.linen import apply, init_variables

Corruption = Callable[[Key[Array, ""], Float[Array, "*D"]], Float[Array, "*D"]]


class Reconstructor(NamedTuple):
    """Pure functions for an autoencoder, returned by `reconstruct`.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      encode: `encode(params, extra, inputs [B, ...]) -> latents`.
      decode: `decode(params, extra, latents) -> reconstructions [B, ...]`.
      reconstruct: `reconstruct(params, extra, inputs [B, ...]) -> reconstructions [B, ...]`. A
        denoising autoencoder returns clean reconstructions of noisy inputs.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    encode: Callable[[Params, Any, Float[Array, "B ..."]], Any]
    decode: Callable[[Params, Any, Any], Float[Array, "B ..."]]
    reconstruct: Callable[[Params, Any, Float[Array, "B ..."]], Float[Array, "B ..."]]


def reconstruct(
    model: nn.Module, *, likelihood: str = "bernoulli", corrupt: Corruption | None = None
) -> Reconstructor:
    """Returns the functions that train and apply an autoencoder.

        L = -1/|B| sum_i m_i log p(x_i | f(c(x_i)))

    With a corruption c, the target is the input before the corruption: a denoising autoencoder.

    Source: Vincent et al. 2008, Extracting and composing robust features with denoising
    autoencoders.

    Args:
      model: an `Autoencoder`, or a module with the same `encode` and `decode`. Its collections
        other than `params` are stored in `extra`.
      likelihood: "bernoulli", "continuous_bernoulli" or "gaussian", see `jaxdl.tasks.likelihood`.
      corrupt: `corrupt(key, example) -> example` for one example, in training and in evaluation.
        None means no corruption.

    Returns:
      A `Reconstructor`. A batch has `input [B, ...]`, and `mask [B]` if some rows do not count. The
      metrics are `loss` in nats, and `mse`, the mean squared error of the expected pixels.

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
    nll, expected = likelihoods.likelihood(likelihood)
    if getattr(model, "classes", None) is not None:
        raise InputError(
            "model", "Conditional", "an autoencoder without classes; only a VAE can be conditional"
        )

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        return init_variables(model, key, {"input": batch["input"]})

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        clean = batch["input"]
        inputs = clean
        dropout_key = jax.random.fold_in(key, 0)
        noise_key = jax.random.fold_in(key, 1)
        if corrupt is not None:
            inputs = jax.vmap(corrupt)(jax.random.split(noise_key, clean.shape[0]), clean)
        y, extra = apply(model, params, extra, inputs, dropout_key, train=train)
        values = {"loss": jax.vmap(nll)(y, clean), "mse": jax.vmap(losses.mse)(expected(y), clean)}
        metrics = {name: total(x, batch.get("mask")) for name, x in values.items()}
        return mean(metrics["loss"]), (extra, metrics)

    def encode(params: Params, extra: Any, inputs: Float[Array, "B ..."]) -> Any:
        return model.apply({"params": params, **extra}, inputs, train=False, method="encode")

    def decode(params: Params, extra: Any, codes: Any) -> Float[Array, "B ..."]:
        outputs: Any = model.apply({"params": params, **extra}, codes, train=False, method="decode")
        return expected(outputs)

    def reconstruct_inputs(
        params: Params, extra: Any, inputs: Float[Array, "B ..."]
    ) -> Float[Array, "B ..."]:
        return decode(params, extra, encode(params, extra, inputs))

    return Reconstructor(init, loss, encode, decode, reconstruct_inputs)


def gaussian_noise(sigma: float) -> Corruption:
    """Returns a corruption that adds Gaussian noise to every pixel.

    The result is not clipped to [0, 1].

    Args:
      sigma: standard deviation of the noise, at least 0.

    Returns:
      `corrupt(key, example) -> example`.

    Raises:
      InputError: a sigma outside [0, inf).

    Example:
      >>> import jaxdl
      >>> gaussian_noise(0.5)(jaxdl.root(0), jnp.zeros((8, 8, 1))).shape
      (8, 8, 1)
    """
    in_range("sigma", sigma, 0, float("inf"))
    return lambda key, x: x + sigma * jax.random.normal(key, x.shape, x.dtype)


def salt_and_pepper(share: float) -> Corruption:
    """Returns a corruption that makes some pixels white and as many black.

    Args:
      share: expected fraction of changed pixels, black and white together, in [0, 1).

    Returns:
      `corrupt(key, example) -> example`.

    Raises:
      InputError: a share outside [0, 1).

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
