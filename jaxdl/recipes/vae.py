"""Variational autoencoders: the importance-weighted bound of a set, and pictures."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float

from jaxdl import plots
from jaxdl.core import State
from jaxdl.functions import bind, predict_batched
from jaxdl.recipes.latents import write_interpolation
from jaxdl.recipes.sample_quality import latent_noise
from jaxdl.rng import root, stream
from jaxdl.tasks import Task


def importance_bound(
    bound: Callable[..., Any], inputs: Sequence[np.ndarray], samples: int
) -> float:
    """Computes the importance-weighted bound of a set, as the mean over its examples in nats.

    The noise is the same for every network.

    Args:
      bound: `bind(task.bound, state)` of a `jaxdl.tasks.vae`.
      inputs: `[N, ...]` examples and, for a conditional model, their labels `[N]`.
      samples: number of latents for each example.

    Returns:
      An upper bound of the mean of -log p(x).
    """
    x, *label = inputs
    rows = np.arange(len(x), dtype=np.int32)
    f = Partial(partial(_bound_of_rows, samples=samples), Partial(bound))
    return float(predict_batched(f, x, rows, *label, batch_size=250).mean())


def _bound_of_rows(bound: Callable[..., Any], x: Any, row: Any, *label: Any, samples: int) -> Any:
    return bound(x, jax.random.fold_in(stream(root(0), "eval"), row[0]), samples, *label)


def write_posterior_samples(
    encode: Callable[..., Any],
    decode: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    noise: Float[np.ndarray, "N K Z"],
    path: str | os.PathLike[str],
) -> None:
    """Draws images beside K images that were decoded from samples of their posteriors.

    Args:
      encode: `encode(*inputs) -> (mean, log s^2)`, two arrays `[N, Z]`.
      decode: `decode(latents [B, Z], *label) -> images [B, H, W, C]`.
      inputs: images `[N, H, W, C]` and, for a conditional network, their labels `[N]`.
      noise: standard normal numbers `[N, K, Z]`.
      path: path of the PNG file.
    """
    images, *label = inputs
    count, samples, _ = noise.shape
    mean, logvar = predict_batched(encode, *inputs)
    latents = mean[:, None] + np.exp(logvar / 2)[:, None] * noise
    repeated = (np.repeat(each, samples) for each in label)
    decoded = predict_batched(decode, latents.reshape(count * samples, -1), *repeated)
    plots.posterior_samples(images, decoded.reshape(count, samples, *images.shape[1:]), path)


def write_pictures(
    task: Task,
    state: State,
    inputs: Sequence[np.ndarray],
    seed: int,
    figure: Callable[[str], Path],
) -> None:
    """Draws reconstructions, posterior samples and interpolations.

    Args:
      task: the `jaxdl.tasks.vae` of the network.
      state: the trained state of one run.
      inputs: at least 20 test images `[N, H, W, C]` and, for a conditional network, their labels.
      seed: seed of the noise.
      figure: path of a picture by its name, such as `Run.figure`.
    """
    encode = bind(task.encode, state)
    decode = bind(task.decode, state)
    outputs = predict_batched(bind(task.reconstruct, state), *inputs)
    plots.reconstructions(inputs[0], outputs, figure("reconstructions"))
    images, *label = (each[:12] for each in inputs)
    mean = predict_batched(encode, images, *label)[0]
    # A conditional network decodes a whole row with the class of its first image.
    classes = [each[::2] for each in label]
    write_interpolation(decode, mean[::2], mean[1::2], figure("interpolation"), *classes)
    noise = latent_noise(seed, mean.shape[1], 4 * 9).reshape(4, 9, -1)
    some = [each[:4] for each in inputs]
    write_posterior_samples(encode, decode, some, noise, figure("posterior_samples"))
