"""Autoregressive models of images: each pixel from all pixels before it, with exact likelihoods."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, is_traced, of_kind
from jaxdl.metrics import Metric, Metrics, total
from jaxdl.models.conditional import check_label
from jaxdl.models.pixel_net import PixelNet
from jaxdl.tasks import binarization
from jaxdl.tasks.sampling import check_filters, sample_token
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

Label = Int[Array, " B"] | None


@recorded
def autoregressive(model: PixelNet, *, binarize: Literal["dynamic"] | float | None = None) -> Task:
    """Returns the functions that train and apply an autoregressive model of images.

        L = -1/M sum_i m_i sum_k log p(x_ik | x_i1 .. x_i,k-1),    M = HW sum_i m_i

    Pixels are numbered row by row, and p = softmax(f(x)) over the grey levels of the model. Grey
    values are rounded to the nearest level. The likelihood is exact, not a bound.

    Source: Larochelle, Murray 2011, The neural autoregressive distribution estimator; van den Oord,
    Kalchbrenner, Kavukcuoglu 2016, Pixel recurrent neural networks.

    Args:
      model: a `PixelCNN` or a `PixelRNN`. With `classes`, batches have a `label`.
      binarize: "dynamic", a threshold in [0, 1), or None, as in `jaxdl.tasks.binarize`. "dynamic"
        makes a pixel white with the probability of its grey value, sampled again each time.

    Returns:
      A `Task` with `loss` and three inference functions. Their `label [B]` is for conditional
      models only.

      - `predict(params, extra, inputs [B, H, W, 1], label=None) -> probabilities [B, H, W, L]` of
        each pixel's levels, given the pixels before it.
      - `nll(params, extra, inputs [B, H, W, 1], label=None) -> [B]`, -log p(x) in nats. With a
        threshold it is that of the black and white image, as in `predict` and for a prompt. With
        "dynamic", inputs are rounded, so binarize grey ones before.
      - `sample(params, extra, key, n, label=None, *, prompt=None, temperature=1.0) -> images
        [n, H, W, 1]`. `prompt [n, P]` has the first P pixels of each image, in [0, 1], and the
        other pixels are sampled. Temperature 0 selects the most likely levels. The time is about
        that of one pass over n images, in HW steps.

      A batch has `input [B, H, W, 1]` in [0, 1]. It has `label [B]` for conditional models, and
      `mask [B]` if some rows do not count. The metrics are `loss` in nats per pixel, `bits` per
      pixel and `nats` per image. A pixel outside [0, 1] gives NaN, which stops a run.

    Raises:
      InputError: a model that is no `PixelNet`, an unknown binarization, or one for more than two
        levels. `sample` raises it for a prompt that is longer than an image or has values outside
        [0, 1], and for a label that does not fit the model.

    Example:
      >>> import jaxdl
      >>> model = jaxdl.models.PixelCNN((8, 8), features=4, layers=1)
      >>> task = autoregressive(model, binarize=0.5)
      >>> x = jnp.zeros((3, 8, 8, 1))
      >>> params, extra = task.init(jaxdl.root(0), {"input": x})
      >>> half = x.reshape(3, 64)[:, :32]
      >>> task.sample(params, extra, jaxdl.root(1), 3, prompt=half).shape
      (3, 8, 8, 1)
    """
    of_kind("model", model, PixelNet, "a PixelCNN or a PixelRNN")
    if binarize is not None and model.levels != 2:
        allowed = f"None, for {model.levels} levels; two levels are white and black"
        raise InputError("binarize", binarize, allowed)
    binarize_batch = binarization.binarize(binarize)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        check_fields(batch, "input")
        return init_variables(model, key, {"input": batch["input"]}, label=_label(model, batch))

    def of_threshold(inputs: Float[Array, "*B"]) -> Float[Array, "*B"]:
        if binarize is None or binarize == "dynamic":
            return inputs
        return binarization.binarized(inputs, binarize)

    def nll(params: Params, extra: Any, inputs: Float[Array, "B H W 1"], label: Label = None):
        check_label(model.classes, label)
        inputs = of_threshold(inputs)
        logits = _logits(model, params, extra, inputs, label)
        return _entropies(logits, inputs, model.levels).sum((1, 2))

    def predict(params: Params, extra: Any, inputs: Float[Array, "B H W 1"], label: Label = None):
        check_label(model.classes, label)
        return jax.nn.softmax(_logits(model, params, extra, of_threshold(inputs), label))

    functions: dict[str, Callable[..., Any]] = {
        "loss": with_sown_losses(partial(_loss, model, binarize_batch)),
        "predict": predict,
        "nll": nll,
        "sample": _sampler(model, of_threshold),
    }
    return Task(init, one_update(functions["loss"]), functions)


def _label(model: PixelNet, batch: Batch) -> Label:
    """Returns the classes of a batch for a conditional model, else None."""
    if model.classes is None:
        return None
    return batch.get("label")


def quantized(x: Float[Array, "*B"], levels: int) -> Float[Array, "*B"]:
    """Returns grey values in [0, 1], rounded to the nearest of some levels; others become NaN.

    Example:
      >>> quantized(jnp.array([0.1, 0.4, 2.0]), 3).tolist()
      [0.0, 0.5, nan]
    """
    rounded = jnp.round(x * (levels - 1)) / (levels - 1)
    return jnp.where((x >= 0) & (x <= 1), rounded, jnp.nan)


def _logits(
    model: PixelNet, params: Params, extra: Any, x: Array, label: Label
) -> Float[Array, "B H W L"]:
    """Applies the model for inference."""
    x = quantized(x, model.levels)
    return apply(model, params, extra, x, None, train=False, label=label)[0]


def _entropies(
    logits: Float[Array, "B H W L"], x: Float[Array, "B H W 1"], levels: int
) -> Float[Array, "B H W"]:
    """Computes -log p of the level of each pixel; a pixel outside [0, 1] gives NaN."""
    x = quantized(x, levels)[..., 0]
    level = jnp.where(jnp.isnan(x), 0, x * (levels - 1)).round().astype(jnp.int32)
    # A sum over a one-hot mask replaces a gather, whose gradient is a scatter.
    of_level = jnp.where(jax.nn.one_hot(level, levels, dtype=bool), logits, 0).sum(-1)
    return jnp.where(jnp.isnan(x), jnp.nan, jax.nn.logsumexp(logits, -1) - of_level)


def _loss(
    model: PixelNet,
    binarize_batch: Callable[[Key[Array, ""], Array], Array],
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[Metric, tuple[Any, Metrics]]:
    batch = without_padding(batch)
    x = binarize_batch(jax.random.fold_in(key, 1), batch["input"])
    logits, extra = apply(
        model,
        params,
        extra,
        quantized(x, model.levels),
        jax.random.fold_in(key, 0),
        train=train,
        label=_label(model, batch),
    )
    nats = _entropies(logits, x, model.levels).sum((1, 2))
    pixels = math.prod(model.size)
    values = {"loss": nats / pixels, "bits": nats / pixels / math.log(2), "nats": nats}
    metrics = {name: total(value, batch.get("mask")) for name, value in values.items()}
    return metrics["loss"], (extra, metrics)


def _sampler(
    model: PixelNet, of_threshold: Callable[[Array], Array]
) -> Callable[..., Float[Array, "N H W 1"]]:
    """Returns the function `sample` of the task, one compiled program."""
    sample_images = jax.jit(partial(_sample_images, model), static_argnames=("greedy", "n"))

    def sample(
        params: Params,
        extra: Any,
        key: Key[Array, ""],
        n: int,
        label: Label = None,
        *,
        prompt: Float[Array, "N P"] | None = None,
        temperature: float = 1.0,
    ) -> Float[Array, "N H W 1"]:
        at_least("n", n, 1)
        check_label(model.classes, label)
        check_filters(temperature, 0, 1.0)
        if prompt is None:
            prompt = jnp.zeros((n, 0), jnp.float32)
        prompt = jnp.asarray(prompt)
        _check_prompt(prompt, n, math.prod(model.size))
        return sample_images(
            params,
            extra,
            key,
            quantized(of_threshold(prompt), model.levels).astype(jnp.float32),
            label,
            jnp.float32(temperature),
            greedy=temperature == 0,
            n=n,
        )

    return sample


def _check_prompt(prompt: Array, n: int, pixels: int) -> None:
    """Raises an InputError unless a prompt has the first pixels of n images."""
    if prompt.ndim != 2 or prompt.shape[0] != n or not jnp.issubdtype(prompt.dtype, jnp.floating):
        allowed = f"floats [{n}, P], such as images.reshape({n}, -1)[:, :P]"
        raise InputError("prompt", f"{prompt.dtype}{list(prompt.shape)}", allowed)
    if prompt.shape[1] > pixels:
        allowed = f"at most {pixels}, the pixels of an image"
        raise InputError("pixels of the prompt", prompt.shape[1], allowed)
    if is_traced(prompt):
        return
    inside = (prompt >= 0) & (prompt <= 1)
    if not bool(inside.all()):
        got = float(prompt[~inside][0])
        raise InputError("prompt", got, "grey values in [0, 1]; write level / (levels - 1)")


def _sample_images(
    model: PixelNet,
    params: Params,
    extra: Any,
    key: Key[Array, ""],
    prompt: Float[Array, "N P"],
    label: Label,
    temperature: Float[Array, ""],
    *,
    greedy: bool,
    n: int,
) -> Float[Array, "N H W 1"]:
    """Samples n images pixel by pixel; the i-th one depends on the key and i."""
    height, width = model.size
    given = prompt.shape[1]
    known = jnp.pad(prompt, ((0, 0), (0, height * width - given)))
    known = known.reshape(n, height, width).transpose(1, 2, 0)
    sample_one = partial(sample_token, temperature=0.0 if greedy else temperature)

    def call(method: str, first: Any, **more: Any) -> Any:
        return apply(model, params, extra, first, None, train=False, method=method, **more)[0]

    def sampled(logits: Float[Array, "N L"], k: Int[Array, ""]) -> Float[Array, " N"]:
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, k)))(jnp.arange(n))
        level = jax.vmap(sample_one)(logits, keys).astype(jnp.float32) / (model.levels - 1)
        return jnp.where(jnp.isfinite(logits).all(-1), level, jnp.nan)

    def sample_pixel(carry: tuple, inputs: tuple) -> tuple[tuple, tuple]:
        queues, before = carry
        context, value, k = inputs
        logits, queues, kept = call("pixel", queues, context=context, before=before)
        value = jnp.where(k < given, value, sampled(logits, k))
        pixel = jnp.stack([2 * value - 1, jnp.ones_like(value)], -1)
        return (queues, pixel), (value, pixel, kept)

    def sample_row(state: Any, inputs: tuple) -> tuple[Any, Array]:
        values, i = inputs
        state, context, queues = call("row", state, i=i, label=label)
        steps = context, values, i * width + jnp.arange(width)
        start = queues, jnp.zeros((n, 2), jnp.float32)
        _, (values, row, kept) = jax.lax.scan(sample_pixel, start, steps)
        return call("end", state, row=row.swapaxes(0, 1), kept=kept), values

    start = model.apply({"params": params, **extra}, n, method="start")
    _, images = jax.lax.scan(sample_row, start, (known, jnp.arange(height)))
    return images.transpose(2, 0, 1)[..., None]
