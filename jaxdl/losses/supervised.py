"""Losses of one example, to be mapped over a batch with `jax.vmap`.

`jaxdl.metrics.total` turns the losses of a batch into a metric.

Likelihoods and divergences (cross-entropies, KL) are summed over the features of the example, so
that they add up to a bound. Errors (`mse`, `mae`, `huber`) are averaged over the features.

Shapes must be equal, because `(4,)` against `(4, 1)` would broadcast to sixteen differences. All
losses are computed in float32 or a wider dtype.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from jaxdl.errors import InputError, in_range, is_traced, is_zero


def cross_entropy(
    logits: Float[Array, " C"],
    label: Int[Array, ""] | Num[Array, " C"],
    label_smoothing: float = 0.0,
) -> Float[Array, ""]:
    """Computes the cross-entropy of a softmax from its logits.

        L = -sum_c q_c log softmax(x)_c,   q = (1 - a) p + a / C

    Args:
      logits: `[C]`, any finite numbers.
      label: an integer in [0, C), which stands for a one-hot p, or p itself `[C]`. Any other
        integer, such as -1, gives NaN, which ends a run unless the mask of the example is 0.
      label_smoothing: a in [0, 1).

    Returns:
      A scalar, in nats.

    Raises:
      InputError: other shapes, a scalar label that is not an integer, or a smoothing outside of
        [0, 1).

    Source: label smoothing: Szegedy et al. (2016), Rethinking the inception architecture.

    Example:
      >>> round(float(cross_entropy(jnp.array([2.0, 0.0]), jnp.array(0))), 4)
      0.1269
      >>> round(float(cross_entropy(jnp.array([2.0, 0.0]), jnp.array([0.5, 0.5]))), 4)
      1.1269
    """
    in_range("label_smoothing", label_smoothing, 0, 1)
    logits = _wide(_vector("logits", logits))
    label = jnp.asarray(label)
    if label.shape == logits.shape:
        loss = optax.softmax_cross_entropy(logits, label.astype(logits.dtype))
    elif label.ndim == 0 and jnp.issubdtype(label.dtype, jnp.integer):
        # Optax returns NaN for labels above the last class, but counts negative ones from the end.
        loss = jnp.where(
            label < 0, jnp.nan, optax.softmax_cross_entropy_with_integer_labels(logits, label)
        )
    else:
        raise InputError(
            "label",
            f"{label.dtype}{list(label.shape)}",
            f"an integer of shape (), or shape {logits.shape}",
        )
    if is_zero(label_smoothing):
        return loss
    uniform = optax.softmax_cross_entropy(logits, jnp.full_like(logits, 1 / logits.size))
    return (1 - label_smoothing) * loss + label_smoothing * uniform


def binary_cross_entropy(logits: Float[Array, "*D"], target: Num[Array, "*D"]) -> Float[Array, ""]:
    """Computes the negative log likelihood of independent Bernoulli features from logits.

        L = -sum_d [t_d log sigmoid(x_d) + (1 - t_d) log(1 - sigmoid(x_d))]

    Args:
      logits: any shape, any finite numbers.
      target: the same shape, in [0, 1].

    Returns:
      A scalar, in nats.

    Raises:
      InputError: unequal shapes.

    Example:
      >>> round(float(binary_cross_entropy(jnp.zeros(2), jnp.array([0.0, 1.0]))), 4)
      1.3863
    """
    logits, target = _same_shape("target", logits, target)
    return optax.sigmoid_binary_cross_entropy(logits, target).sum()


def continuous_bernoulli(logits: Float[Array, "*D"], target: Num[Array, "*D"]) -> Float[Array, ""]:
    """Computes the negative log density of independent continuous Bernoulli features.

        L = -sum_d [t_d log l_d + (1 - t_d) log(1 - l_d) + log C(l_d)]
        l = sigmoid(x),   C = x / tanh(x / 2)

    The binary cross-entropy of grey pixels is not a negative log density, because exp(-L) does not
    integrate to 1 over [0, 1]. The normalizing constant C makes this integral 1.

    Args:
      logits: x, any shape, any finite numbers.
      target: the same shape, in [0, 1].

    Returns:
      A scalar, in nats. It may be negative, because a density may exceed 1.

    Raises:
      InputError: unequal shapes.

    Source: Loaiza-Ganem and Cunningham (2019), The continuous Bernoulli.

    Example:
      >>> round(float(continuous_bernoulli(jnp.zeros(2), jnp.array([0.0, 1.0]))), 4)
      0.0
    """
    logits, target = _same_shape("target", logits, target)
    near = jnp.abs(logits) < 1e-1
    # Both branches of the last `where` stay finite, because a gradient passes through both.
    x = jnp.where(near, 1.0, logits)
    small = jnp.where(near, logits, 0.0)
    # Near 0 the quotient loses precision, so its series is used there:
    # log(x / tanh(x / 2)) = log 2 + x^2 / 12 - 7 x^4 / 1440 + ...
    log_c = jnp.where(
        near, jnp.log(2.0) + small**2 / 12 - 7 * small**4 / 1440, jnp.log(x / jnp.tanh(x / 2))
    )
    return (optax.sigmoid_binary_cross_entropy(logits, target) - log_c).sum()


def gaussian_nll(
    mean: Float[Array, "*D"], target: Num[Array, "*D"], sigma: float = 1.0
) -> Float[Array, ""]:
    """Computes the negative log density of independent Gaussian features.

        L = sum_d [(t_d - m_d)^2 / (2 s^2) + log s + log(2 pi) / 2]

    All features have the same standard deviation.

    Args:
      mean: m, any shape.
      target: t, the same shape.
      sigma: standard deviation s, a finite number above 0.

    Returns:
      A scalar, in nats. It may be negative, because a density may exceed 1.

    Raises:
      InputError: unequal shapes, or a sigma that is not a finite number above 0.

    Example:
      >>> round(float(gaussian_nll(jnp.zeros(2), jnp.array([0.0, 1.0]))), 4)
      2.3379
    """
    check_sigma(sigma)
    mean, target = _same_shape("target", mean, target)
    return (((target - mean) / sigma) ** 2 / 2 + jnp.log(sigma) + math.log(2 * math.pi) / 2).sum()


def mse(prediction: Float[Array, "*D"], target: Num[Array, "*D"]) -> Float[Array, ""]:
    """Computes the mean squared error over the features.

        L = mean_d (y_d - t_d)^2

    Args:
      prediction: any shape.
      target: the same shape.

    Returns:
      A scalar.

    Raises:
      InputError: unequal shapes.

    Example:
      >>> float(mse(jnp.array([1.0, 3.0]), jnp.zeros(2)))
      5.0
    """
    return optax.squared_error(*_same_shape("target", prediction, target)).mean()


def mae(prediction: Float[Array, "*D"], target: Num[Array, "*D"]) -> Float[Array, ""]:
    """Computes the mean absolute error over the features.

        L = mean_d |y_d - t_d|

    Args:
      prediction: any shape.
      target: the same shape.

    Returns:
      A scalar.

    Raises:
      InputError: unequal shapes.

    Example:
      >>> float(mae(jnp.array([1.0, -3.0]), jnp.zeros(2)))
      2.0
    """
    prediction, target = _same_shape("target", prediction, target)
    return jnp.abs(prediction - target).mean()


def huber(
    prediction: Float[Array, "*D"], target: Num[Array, "*D"], delta: float = 1.0
) -> Float[Array, ""]:
    """Computes the mean Huber loss over the features.

        L = mean_d h(|y_d - t_d|),   h(e) = e^2 / 2 if e <= delta, else delta (e - delta / 2)

    The loss is quadratic for errors up to `delta` and linear for larger ones.

    Args:
      prediction: any shape.
      target: the same shape.
      delta: the error at which the linear part begins, a finite number above 0. For an infinite
        one, write `mse(...) / 2`.

    Returns:
      A scalar.

    Raises:
      InputError: unequal shapes, or a delta that is not a finite number above 0.

    Source: Huber (1964), Robust estimation of a location parameter.

    Example:
      >>> float(huber(jnp.array([1.0, -3.0]), jnp.zeros(2)))
      1.5
    """
    if not is_traced(delta) and not 0 < delta < math.inf:
        raise InputError("delta", delta, "a finite number above 0; without a linear part, mse / 2")
    return optax.huber_loss(*_same_shape("target", prediction, target), delta=delta).mean()


def gaussian_kl(mean: Float[Array, "*Z"], logvar: Float[Array, "*Z"]) -> Float[Array, ""]:
    """Computes the divergence of a diagonal Gaussian from the standard normal distribution.

        KL(N(m, diag(s^2)) || N(0, I)) = 1/2 sum_z (m_z^2 + s_z^2 - 1 - log s_z^2)

    Args:
      mean: m, any shape.
      logvar: log s^2, the same shape.

    Returns:
      A scalar >= 0, in nats.

    Raises:
      InputError: unequal shapes.

    Source: Kingma and Welling (2014), Auto-encoding variational Bayes, appendix B.

    Example:
      >>> float(gaussian_kl(jnp.array([1.0, 2.0]), jnp.zeros(2)))
      2.5
    """
    mean, logvar = _same_shape("logvar", mean, logvar)
    # Unused latent dimensions have v near 0, where expm1(v) is more precise than exp(v) - 1.
    return (mean**2 + jnp.expm1(logvar) - logvar).sum() / 2


def categorical_kl(logits_p: Float[Array, " C"], logits_q: Float[Array, " C"]) -> Float[Array, ""]:
    """Computes the divergence of one softmax distribution from another.

        KL(p || q) = sum_c p_c (log p_c - log q_c),   p = softmax(x_p), q = softmax(x_q)

    Args:
      logits_p: `[C]`, any finite numbers.
      logits_q: `[C]`, any finite numbers.

    Returns:
      A scalar >= 0, in nats.

    Raises:
      InputError: unequal shapes, or logits that do not have exactly one axis.

    Example:
      >>> float(categorical_kl(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
      0.0
    """
    p, q = _same_shape("logits_q", _vector("logits_p", logits_p), logits_q)
    return optax.losses.kl_divergence_with_log_targets(jax.nn.log_softmax(q), jax.nn.log_softmax(p))


def check_sigma(sigma: float | Float[Array, ""]) -> None:
    """Raises unless sigma is a finite number above 0. A traced value is unknown and not checked.

    Example:
      >>> check_sigma(0.0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: sigma: got 0.0, allowed: a finite number above 0
    """
    if not is_traced(sigma) and not 0 < sigma < math.inf:
        raise InputError("sigma", sigma, "a finite number above 0")


def _vector(field: str, x: Any) -> Array:
    x = jnp.asarray(x)
    if x.ndim != 1:
        raise InputError(field, x.shape, "shape (C,) of one example; use vmap for a batch")
    return x


def _same_shape(field: str, x: Any, y: Any) -> tuple[Array, Array]:
    """Returns both arrays with one float dtype; raises unless `y` has the shape of `x`.

    Args:
      field: name of `y`, for the message.
      x: the first array, or a number.
      y: the second array, or a number.
    """
    x = jnp.asarray(x)
    y = jnp.asarray(y)
    if x.shape != y.shape:
        raise InputError(field, y.shape, f"shape {x.shape}")
    x = _wide(x)
    return x, y.astype(x.dtype)


def _wide(x: Array) -> Array:
    """Converts bfloat16 and float16 to float32, because a sum over features needs the precision."""
    if jnp.issubdtype(x.dtype, jnp.floating) and jnp.finfo(x.dtype).bits >= 32:
        return x
    return x.astype(jnp.float32)
