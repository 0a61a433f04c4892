"""Rosenblatt's rule for one neuron, Novikoff's bound of its mistakes, and cycles of its weights."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxdl.classic.checks import finite_rows, with_features
from jaxdl.errors import InputError, at_least, is_traced, of_kind, positive, real_array

#: Examples `[N, D]` and their labels `[N]`, which are -1 or 1.
Inputs = Float[Array | np.ndarray, "N D"]
Labels = Int[Array | np.ndarray, " N"]


class Perceptron(NamedTuple):
    """A perceptron that was trained by Rosenblatt's rule, with each of its mistakes, as arrays.

    M is the largest number of mistakes and E that of passes. The last rows of the arrays are
    repeated after the last mistake and the last pass.

    Attributes:
      weights: `[D]`, final weights w.
      bias: final bias b.
      mistakes: number of mistakes.
      examples: `[M]`, row of the example of each mistake; -1 after the last one.
      lines: `[M + 1, D + 1]`, weights and bias after each mistake. The first row is the start, 0.
      epochs: number of passes over the examples, with the one without a mistake.
      passes: `[E + 1, D + 1]`, weights and bias after each pass. The first row is the start, 0.
      totals: `[E + 1]`, number of mistakes until the end of each pass, from 0 on.
      converged: True if the last pass had no mistake.
    """

    weights: Float[Array, " D"]
    bias: Float[Array, ""]
    mistakes: Int[Array, ""]
    examples: Int[Array, " M"]
    lines: Float[Array, "M1 D1"]
    epochs: Int[Array, ""]
    passes: Float[Array, "E1 D1"]
    totals: Int[Array, " E1"]
    converged: Bool[Array, ""]

    def predict(self, inputs: Inputs) -> Int[Array, " B"]:
        """Returns 1 where w x + b > 0, and -1 elsewhere.

        Example:
          >>> found = perceptron([[0.0], [1.0]], [-1, 1])
          >>> found.predict(jnp.array([[-2.0], [3.0]])).tolist()
          [-1, 1]
        """
        x = with_features("inputs", inputs, self.weights.shape[-1]).astype(self.weights.dtype)
        return jnp.where(x @ self.weights + self.bias > 0, 1, -1)


class Cycle(NamedTuple):
    """A repetition of the weights of a perceptron.

    Attributes:
      start: number of passes before the cycle.
      epochs: number of passes until the weights return.
      mistakes: number of mistakes in these passes.
    """

    start: int
    epochs: int
    mistakes: int


def perceptron(
    inputs: Inputs,
    labels: Labels,
    *,
    epochs: int = 100,
    max_mistakes: int = 1000,
    rate: float = 1.0,
) -> Perceptron:
    """Trains one neuron by Rosenblatt's rule, example by example in their order.

        if y_i (w x_i + b) <= 0:    w <- w + rate y_i x_i,    b <- b + rate y_i

    It starts at w = 0 and b = 0. So the rate only scales the weights, and the mistakes are the
    same for each rate. The function is one compiled loop, pure, and works inside `jax.vmap`.

    Args:
      inputs: `[N, D]`, float.
      labels: `[N]`, -1 or 1.
      epochs: largest number of passes.
      max_mistakes: number of mistakes after which the loop stops.
      rate: learning rate, above 0.

    Returns:
      A `Perceptron` with the dtype of the inputs.

    Raises:
      InputError: other shapes, values that are not finite, other labels, or numbers out of range.

    Example:
      >>> found = perceptron([[2.0, 0.0], [0.0, 2.0]], [1, -1])
      >>> found.weights.tolist(), float(found.bias), int(found.mistakes), bool(found.converged)
      ([2.0, -2.0], 0.0, 2, True)

    Source: Rosenblatt 1958, The perceptron: a probabilistic model for information storage and
    organization in the brain.
    """
    inputs, labels = _checked(inputs, labels)
    at_least("epochs", epochs, 1)
    at_least("max_mistakes", max_mistakes, 1)
    positive("rate", rate)
    return _train(inputs, labels, jnp.asarray(rate, inputs.dtype), int(epochs), int(max_mistakes))


@partial(jax.jit, static_argnums=(3, 4))
def _train(
    inputs: Float[Array, "N D"],
    labels: Float[Array, " N"],
    rate: Float[Array, ""],
    epochs: int,
    max_mistakes: int,
) -> Perceptron:
    size, features = inputs.shape
    rows = jnp.concatenate([inputs, jnp.ones((size, 1), inputs.dtype)], 1)
    start = jnp.zeros(features + 1, inputs.dtype)

    def one_example(state: Any, i: Array) -> tuple[Any, None]:
        line, count, examples, lines = state
        x = rows[i]
        y = labels[i]
        wrong = (y * (line @ x) <= 0) & (count < max_mistakes)
        line = jnp.where(wrong, line + rate * y * x, line)
        # The row beyond the end receives what is no mistake, and is cut off.
        row = jnp.where(wrong, count, max_mistakes)
        examples = examples.at[row].set(i)
        lines = lines.at[row].set(line)
        return (line, count + wrong.astype(jnp.int32), examples, lines), None

    def one_pass(state: Any) -> Any:
        line, count, examples, lines, epoch, passes, totals, _ = state
        order = jnp.arange(size, dtype=jnp.int32)
        state, _ = lax.scan(one_example, (line, count, examples, lines), order)
        line, after, examples, lines = state
        passes = passes.at[epoch].set(line)
        totals = totals.at[epoch].set(after)
        return line, after, examples, lines, epoch + 1, passes, totals, after == count

    def goes_on(state: Any) -> Array:
        _, count, _, _, epoch, _, _, converged = state
        return (epoch < epochs) & ~converged & (count < max_mistakes)

    state = (
        start,
        jnp.int32(0),
        jnp.full(max_mistakes + 1, -1, jnp.int32),
        jnp.zeros((max_mistakes + 1, features + 1), inputs.dtype),
        jnp.int32(0),
        jnp.zeros((epochs, features + 1), inputs.dtype),
        jnp.zeros(epochs, jnp.int32),
        jnp.bool_(False),
    )
    state = lax.while_loop(goes_on, one_pass, state)
    line, count, examples, lines, epoch, passes, totals, converged = state
    return Perceptron(
        line[:-1],
        line[-1],
        count,
        jnp.where(jnp.arange(max_mistakes, dtype=jnp.int32) < count, examples[:-1], -1),
        _with_start(start, lines[:-1], line, count),
        epoch,
        _with_start(start, passes, line, epoch),
        _with_start(jnp.int32(0), totals, count, epoch),
        converged,
    )


def _with_start(start: Array, rows: Array, last: Array, count: Array) -> Array:
    """Returns rows after the start, with the last one in place of those that are not filled."""
    filled = (jnp.arange(len(rows), dtype=jnp.int32) < count).reshape(-1, *[1] * (rows.ndim - 1))
    return jnp.concatenate([start[None], jnp.where(filled, rows, last[None])])


def widest_separator(inputs: Inputs, labels: Labels) -> tuple[Float[np.ndarray, " D"], float]:
    """Computes the separator with the largest margin, where the bias counts as a weight.

        min ||w||^2 + b^2    with    y_i (w x_i + b) >= 1 for all i

    Args:
      inputs: `[N, D]`, float.
      labels: `[N]`, -1 or 1.

    Returns:
      `(w, b)` in float64, scaled so that the smallest y_i (w x_i + b) is 1.

    Raises:
      InputError: as `perceptron`; or no line separates the classes.

    Example:
      >>> w, b = widest_separator([[2.0, 0.0], [0.0, 2.0]], [1, -1])
      >>> w.round(6).tolist(), abs(round(b, 6))
      ([0.5, -0.5], 0.0)

    Source: Lawson, Hanson 1974, Solving least squares problems, chapter 23: least distance
    programming by least squares with non-negative coefficients.
    """
    from scipy.optimize import nnls

    rows, y = _rows(inputs, labels)
    # A common unit does not change the separator, and keeps the numbers near 1.
    scale = np.abs(rows).max()
    signed = y[:, None] * rows / scale
    wanted = np.zeros(rows.shape[1] + 1)
    wanted[-1] = 1
    matrix = np.concatenate([signed.T, np.ones((1, len(y)))])
    found, _ = nnls(matrix, wanted, maxiter=100 * len(y))
    residual = matrix @ found - wanted
    line = np.zeros(rows.shape[1])
    # Without a separator the residual is 0, up to rounding.
    if np.abs(residual[-1]) > 1e-14:
        line = -residual[:-1] / residual[-1]
    least = (signed @ line).min()
    if not least > 0:
        raise InputError("labels", "classes that no line separates", _SEPARABLE)
    line = line / least / scale
    return line[:-1], float(line[-1])


_SEPARABLE = "classes on the two sides of a line; add features, such as squares"


def novikoff_bound(
    inputs: Inputs,
    labels: Labels,
    separator: tuple[Any, Any] | None = None,
) -> float:
    """Computes Novikoff's bound of the number of mistakes of a perceptron.

        (R / gamma)^2,    R^2 = max_i ||x_i||^2 + 1,    gamma = min_i y_i (w x_i + b) / ||(w, b)||

    The bias is the weight of a feature that is 1, which the 1 in R counts. The bound holds for any
    separator, and is least for the one of `widest_separator`.

    Args:
      inputs: `[N, D]`, float.
      labels: `[N]`, -1 or 1.
      separator: `(w [D], b)` with y_i (w x_i + b) > 0 for all i. None means `widest_separator`.

    Returns:
      The bound, which `perceptron` never exceeds.

    Raises:
      InputError: as `perceptron`; no line separates the classes, or the given one does not.

    Example:
      >>> round(novikoff_bound([[2.0, 0.0], [0.0, 2.0]], [1, -1]), 6)
      2.5

    Source: Novikoff 1962, On convergence proofs on perceptrons.
    """
    rows, y = _rows(inputs, labels)
    if separator is None:
        separator = widest_separator(inputs, labels)
    line = _line(separator, rows.shape[1] - 1)
    if line.shape != rows.shape[1:] or not np.isfinite(line).all():
        allowed = f"(weights [{rows.shape[1] - 1}], bias) of finite numbers"
        raise InputError("separator", f"{len(line) - 1} weights", allowed)
    margins = y * (rows @ line)
    if not margins.min() > 0:
        row = int(margins.argmin())
        allowed = f"a line with all examples on their side; example {row} is on the other"
        raise InputError("separator", line.tolist(), allowed)
    return float((rows**2).sum(1).max() * (line @ line) / margins.min() ** 2)


def _line(separator: tuple[Any, Any], features: int) -> Float[np.ndarray, " D1"]:
    """Returns weights and bias of a separator as one array."""
    try:
        weights, bias = separator
        return np.append(np.asarray(weights, np.float64), float(bias))
    except (TypeError, ValueError):
        allowed = f"(weights [{features}], bias) of finite numbers"
        raise InputError("separator", separator, allowed) from None


def find_cycle(found: Perceptron) -> Cycle | None:
    """Returns the first cycle of the weights, which proves that the rule never ends.

    The weights after a pass determine all later passes. So the same weights return again and again.

    Args:
      found: result of `perceptron`.

    Returns:
      The cycle, or None if no weights returned.

    Example:
      >>> xor = jnp.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
      >>> find_cycle(perceptron(xor, [-1, 1, 1, -1]))
      Cycle(start=0, epochs=1, mistakes=4)

    Source: Minsky, Papert 1969, Perceptrons, section 11.6.
    """
    of_kind("found", found, Perceptron, "the result of perceptron(inputs, labels)")
    if found.converged:
        return None
    seen: dict[bytes, int] = {}
    passes = np.asarray(found.passes)[: int(found.epochs) + 1]
    # The loop may have stopped within the last pass.
    limit = len(found.examples)
    if int(found.mistakes) == limit:
        passes = passes[:-1]
    for epoch, line in enumerate(passes):
        # 0 and -0 are equal numbers.
        key = (line + 0.0).tobytes()
        if key in seen:
            start = seen[key]
            totals = np.asarray(found.totals)
            return Cycle(start, epoch - start, int(totals[epoch] - totals[start]))
        seen[key] = epoch
    return None


def _checked(inputs: Any, labels: Any) -> tuple[Float[Array, "N D"], Float[Array, " N"]]:
    """Returns inputs and labels as floats of one dtype; raises an error for other ones."""
    inputs = finite_rows("inputs", inputs, 2, "numbers [N, D], N and D at least 1")
    allowed = f"one for each of {len(inputs)} examples"
    labels = real_array("labels", labels, allowed)
    if labels.shape != inputs.shape[:1]:
        raise InputError("labels", list(labels.shape), allowed)
    if not is_traced(labels):
        bad = ~np.isin(np.asarray(labels), (-1, 1))
        if bad.any():
            row = int(bad.argmax())
            allowed = "-1 or 1, such as 2 * label - 1 for labels 0 and 1"
            raise InputError(f"labels[{row}]", np.asarray(labels)[row].item(), allowed)
    return inputs, labels.astype(inputs.dtype)


def _rows(inputs: Any, labels: Any) -> tuple[Float[np.ndarray, "N D1"], Float[np.ndarray, " N"]]:
    """Returns the inputs with a feature that is 1, and the labels, in float64."""
    _checked(inputs, labels)
    rows = np.asarray(inputs, np.float64)
    ones = np.ones((len(rows), 1))
    return np.concatenate([rows, ones], 1), np.asarray(labels, np.float64)
