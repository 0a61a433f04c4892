"""Statistics of a deep network by layer, units that are always 0, and linear networks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxdl.errors import InputError, integers
from jaxdl.nn import activation, initializer, tap

#: Standard normal numbers at which expectations are summed, and their weights.
_Z = np.linspace(-10, 10, 20_001)
_WEIGHTS = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()

#: Variance of a standard normal number within [-2, 2].
_TRUNCATED = 0.7737413035


class Signal(NamedTuple):
    """Statistics of a layer over examples, positions and units.

    Attributes:
      mean: mean of the values.
      variance: their variance.
      zero: share of the values that are 0.
      dead: share of the units that are 0 for all examples and positions.
    """

    mean: Float[Array, ""]
    variance: Float[Array, ""]
    zero: Float[Array, ""]
    dead: Float[Array, ""]


class Predicted(NamedTuple):
    """Variances of a deep network at its initialization by the theory of wide layers.

    Attributes:
      before: `[L]`, variance before the activation of each hidden layer.
      after: `[L]`, variance after it.
    """

    before: Float[np.ndarray, " L"]
    after: Float[np.ndarray, " L"]


def signal(model: nn.Module, variables: Any, x: Float[Array, "B ..."]) -> dict[str, Signal]:
    """Computes statistics of all activations of a network, by the name of the layer.

    The function is pure and works inside `jax.jit` and `jax.vmap`, such as over many networks.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      x: `[B, ...]`, inputs.

    Returns:
      `{name: Signal}` with the names of `jaxdl.explain.layers`. `dense_0` is before the activation
      of an `MLP` and `activation_0` after it.

    Example:
      >>> from jaxdl.models import MLP
      >>> import jax
      >>> model = MLP((500, 500), 10)
      >>> x = jax.random.normal(jax.random.key(0), (50, 500))
      >>> variables = model.init(jax.random.key(1), x, train=False)
      >>> found = signal(model, variables, x)
      >>> round(float(found["dense_1"].variance)), round(float(found["activation_1"].zero), 1)
      (2, 0.5)
    """
    seen = tap(model, variables, train=False)(x)[1]
    return {name: _statistics(value) for name, value in seen.items()}


def _statistics(value: Float[Array, "B ... U"]) -> Signal:
    units = value.reshape(-1, value.shape[-1])
    zero = (units == 0).astype(jnp.float32)
    return Signal(units.mean(), units.var(), zero.mean(), zero.min(0).mean())


def dead_units(
    model: nn.Module, variables: Any, x: Float[Array, "B ..."], names: Sequence[str] = ()
) -> dict[str, Bool[Array, " U"]]:
    """Returns the units that are 0 for all examples and positions, by layer.

    A ReLU that is 0 for all examples has no gradient. So it stays 0, unless layers before it change
    its inputs. Of other activations only those that are 0 in an interval can have such units.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      x: `[B, ...]`, inputs.
      names: names of layers, see `jaxdl.explain.layers`. None of them means all layers whose name
        begins with `activation`.

    Returns:
      `{name: [U]}`, True for a dead unit.

    Raises:
      InputError: an unknown name, or a network without such layers.

    Example:
      >>> from jaxdl.models import MLP
      >>> import jax
      >>> model = MLP((2,), 2)
      >>> params = model.init(jax.random.key(0), jnp.ones((1, 3)), train=False)["params"]
      >>> params["dense_0"]["kernel"] = jnp.array([[1.0, -1.0]] * 3)
      >>> dead_units(model, {"params": params}, jnp.ones((4, 3)))["activation_0"].tolist()
      [False, True]
    """
    seen = tap(model, variables, *names, train=False)(x)[1]
    chosen = names or [each for each in seen if each.split("/")[-1].startswith("activation")]
    if not chosen:
        raise InputError("model", type(model).__name__, "a network with layers named activation_0")
    return {name: (seen[name].reshape(-1, seen[name].shape[-1]) == 0).all(0) for name in chosen}


def predicted_variances(
    name: str, kernel_init: str, widths: Sequence[int], *, square: float = 1.0
) -> Predicted:
    """Computes the variances of a deep MLP at its initialization, for wide layers.

        q_1 = n_0 v_1 E[x^2],    q_{i+1} = n_i v_{i+1} E[f(z)^2],    z ~ N(0, q_i)

    Here v_i is the variance of a weight of layer i and n_i its number of inputs. Biases are 0. For
    ReLUs E[f(z)^2] is q / 2. So q stays constant for he_normal, and is halved by each layer for
    lecun_normal and for glorot_normal with equal widths.

    Args:
      name: name of the activation f, see `jaxdl.nn.activation`.
      kernel_init: name of the initializer, see `jaxdl.nn.initializer`.
      widths: number of inputs n_0, and width of each hidden layer.
      square: E[x^2], the mean square of the inputs.

    Returns:
      The variances before and after the activation of each of the L hidden layers.

    Raises:
      InputError: an unknown name, fewer than two widths, or a square that is not above 0.

    Example:
      >>> predicted_variances("relu", "he_normal", (784, 256, 256)).before.round(3).tolist()
      [2.0, 2.0]
      >>> predicted_variances("relu", "glorot_normal", (256, 256, 256)).before.round(3).tolist()
      [1.0, 0.5]

    Source: He et al. 2015, Delving deep into rectifiers; Poole et al. 2016, Exponential
    expressivity in deep neural networks through transient chaos.
    """
    f = activation(name)
    sizes = integers("widths", widths, None, "(inputs, width, ...)")
    if len(sizes) < 2:
        raise InputError("widths", widths, "(inputs, width, ...) with one hidden layer or more")
    if not (np.isfinite(square) and square > 0):
        raise InputError("square", square, "a finite number above 0")
    initializer(kernel_init)
    before = []
    after = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        before.append(inputs * _weight_variance(kernel_init, inputs, outputs) * square)
        z = np.sqrt(before[-1]) * _Z
        y = np.asarray(f(jnp.asarray(z, jnp.float32)), np.float64)
        square = float(_WEIGHTS @ y**2)
        after.append(square - float(_WEIGHTS @ y) ** 2)
    return Predicted(np.array(before), np.array(after))


def _weight_variance(kernel_init: str, inputs: int, outputs: int) -> float:
    """Returns the variance of a weight of a layer."""
    kind = kernel_init.split("_")[0]
    if kind == "truncated":
        return 0.1**2 * _TRUNCATED
    return {"he": 2 / inputs, "lecun": 1 / inputs, "glorot": 2 / (inputs + outputs)}[kind]


def collapse(params: Any) -> tuple[Float[Array, "D K"], Float[Array, " K"]]:
    """Multiplies the layers of a deep linear network into one matrix and one bias.

        W = W_1 W_2 ... W_n,    b = (... (b_1 W_2 + b_2) W_3 + ...) W_n + b_n

    So `MLP(hidden, activation="linear")` computes `x W + b` for any number of layers.

    Args:
      params: parameters of an `MLP` without norms: `dense_0`, `dense_1`, ..., `out`.

    Returns:
      `(W [D, K], b [K])`.

    Raises:
      InputError: other layers than those, or a layer with other parameters than kernel and bias.

    Example:
      >>> from jaxdl.models import MLP
      >>> import jax
      >>> model = MLP((5, 7), 3, activation="linear")
      >>> x = jax.random.normal(jax.random.key(0), (2, 4))
      >>> variables = model.init(jax.random.key(1), x, train=False)
      >>> kernel, bias = collapse(variables["params"])
      >>> difference = x @ kernel + bias[None] - model.apply(variables, x, train=False)
      >>> bool(jnp.abs(difference).max() < 1e-5)
      True

    Source: Saxe, McClelland, Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks.
    """
    names = [f"dense_{i}" for i in range(len(params) - 1)] + ["out"]
    for name in params:
        if name not in names or set(params[name]) != {"kernel", "bias"}:
            allowed = (
                "layers dense_0, dense_1, ..., out with kernel and bias, as of MLP without norm"
            )
            raise InputError("params", name, allowed)
    kernel = params[names[0]]["kernel"]
    bias = params[names[0]]["bias"]
    for name in names[1:]:
        following = params[name]["kernel"]
        kernel = jnp.matmul(kernel, following, precision="highest")
        bias = jnp.matmul(bias, following, precision="highest") + params[name]["bias"]
    return kernel, bias
