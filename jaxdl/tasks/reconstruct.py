"""Reconstruction of inputs: autoencoders and denoising autoencoders."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from jaxdl import losses
from jaxdl.augment import Augment, augment_batch
from jaxdl.errors import InputError
from jaxdl.metrics import total
from jaxdl.tasks import likelihoods
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    init_variables,
    one_update,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params


@recorded
def reconstruct(
    model: nn.Module,
    *,
    likelihood: str = "bernoulli",
    corrupt: Augment | None = None,
    augment: Augment | None = None,
) -> Task:
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
      augment: `augment(key, example) -> example` for one example. The changed example is the target
        too, and is corrupted afterwards. Only used in training.

    Returns:
      A `Task` with `loss` and three inference functions:

      - `encode(params, extra, inputs [B, ...]) -> latents`.
      - `decode(params, extra, latents) -> reconstructions [B, ...]`.
      - `reconstruct(params, extra, inputs [B, ...]) -> reconstructions [B, ...]`. A denoising
        autoencoder returns clean reconstructions of noisy inputs.

      A batch has `input [B, ...]`, and `mask [B]` if some rows do not count. The metrics are `loss`
      in nats, and `mse`, the mean squared error of the expected pixels.

    Raises:
      InputError: an unknown likelihood, or a conditional model.

    Example:
      >>> import jaxdl, jax.numpy as jnp
      >>> from jaxdl.models import MLP, Autoencoder, Reshaped
      >>> task = reconstruct(Autoencoder(MLP((8,), 2), Reshaped(MLP((8,), 64), (8, 8, 1))))
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> params, extra = task.init(jaxdl.root(0), {"input": x})
      >>> task.encode(params, extra, x).shape, task.reconstruct(params, extra, x).shape
      ((3, 2), (3, 8, 8, 1))
    """
    check_model(model)
    nll, expected = likelihoods.likelihood(likelihood)
    if getattr(model, "classes", None) is not None:
        raise InputError(
            "model", "Conditional", "an autoencoder without classes; only a VAE can be conditional"
        )

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        check_fields(batch, "input")
        return init_variables(model, key, {"input": batch["input"]})

    @with_sown_losses
    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        batch = without_padding(batch)
        clean = batch["input"]
        dropout_key = jax.random.fold_in(key, 0)
        noise_key = jax.random.fold_in(key, 1)
        if train and augment is not None:
            clean = augment_batch(augment, jax.random.fold_in(key, 2), clean)
        inputs = clean
        if corrupt is not None:
            inputs = augment_batch(corrupt, noise_key, clean)
        y, extra = apply(model, params, extra, inputs, dropout_key, train=train)
        values = {"loss": jax.vmap(nll)(y, clean), "mse": jax.vmap(losses.mse)(expected(y), clean)}
        metrics = {name: total(x, batch.get("mask")) for name, x in values.items()}
        return metrics["loss"], (extra, metrics)

    def encode(params: Params, extra: Any, inputs: Float[Array, "B ..."]) -> Any:
        return apply(model, params, extra, inputs, None, train=False, method="encode")[0]

    def decode(params: Params, extra: Any, codes: Any) -> Float[Array, "B ..."]:
        outputs, _ = apply(model, params, extra, codes, None, train=False, method="decode")
        return expected(outputs)

    def reconstruct_inputs(
        params: Params, extra: Any, inputs: Float[Array, "B ..."]
    ) -> Float[Array, "B ..."]:
        return decode(params, extra, encode(params, extra, inputs))

    functions: dict[str, Callable[..., Any]] = {
        "loss": loss,
        "encode": encode,
        "decode": decode,
        "reconstruct": reconstruct_inputs,
    }
    return Task(init, one_update(loss), functions)
