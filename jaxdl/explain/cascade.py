"""The cascade of random layers: does an explanation depend on what the network has learned?"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key

from jaxdl.errors import InputError, not_in_jit
from jaxdl.explain.baselines import Baseline, check_baseline
from jaxdl.explain.faithfulness import check_maps
from jaxdl.explain.layers import Prepare, layers
from jaxdl.explain.scores import Target, check_target, logits
from jaxdl.nn.tap import train_kwargs
from jaxdl.rng import check_single_key, stream

#: An explanation: (scores as a function of images, images, target) to maps.
Method = Callable[[Partial, Any, Any], Float[np.ndarray, "N H W D"]]


class Cascade(NamedTuple):
    """Maps of a method while the layers of a network become random, from its output.

    Attributes:
      names: of the L + 1 networks: "trained", then the layer that became random last.
      correlation: `[L+1]`, mean rank correlation with the map of the trained network.
      correlations: `[L+1, N]`, that of each image.
      maps: `[L+1, N, H, W, D]`, the maps of each network.

    Example: see `cascade`.
    """

    names: list[str]
    correlation: Float[np.ndarray, " L+1"]
    correlations: Float[np.ndarray, "L+1 N"]
    maps: Float[np.ndarray, "L+1 N H W D"]


def cascade(
    model: nn.Module,
    variables: Any,
    method: Method,
    images: Float[np.ndarray, "N H W C"],
    key: Key[Array, ""],
    *,
    target: Target = None,
    prepare: Prepare | None = None,
    baseline: Baseline = 0.0,
) -> Cascade:
    """Returns how similar a method's maps stay while layers are initialized again.

        rho_l = Spearman(map of the trained network, map with the last l layers random)

    Ranks are those of the values with their signs, at pixels that differ from the baseline in any
    channel. At other pixels a method that multiplies by the input is 0 for every network, so that
    all pixels together correlate whatever the weights are. A map that is constant there has the
    correlation 0.

    An explanation of the network should end near 0. A map of the image alone, such as `sobel`,
    stays at 1.

    Layers are the modules with parameters. They become random in the order from the output, and
    stay so. New values are those of `model.init`, with running statistics. The classes stay those
    of the trained network.

    Source: Adebayo et al. 2018, Sanity checks for saliency maps.

    Args:
      model: any Linen module whose outputs are logits.
      variables: its parameters and collections.
      method: function `(f, images, target) -> maps`, `[N, H, W, C]` or `[N, H, W, 1]`. f has the
        variables as `f.args[0]`, for methods that need the layers.
      images: `[N, H, W, C]` in [0, 1].
      key: root key of the random layers.
      target: a class, one for each image, or None for the class with the largest score.
      prepare: see `jaxdl.explain.layer`.
      baseline: a color, or an array that is broadcast over the images. Pixels that equal it do not
        count.

    Returns:
      Names, correlations and maps of all networks.

    Raises:
      InputError: bad images or target; an image without pixels that count; maps of another shape,
        or not finite; a model without parameters.

    Example:
      >>> from jaxdl.explain import sobel
      >>> from jaxdl.models import MLP
      >>> from jaxdl.rng import root
      >>> model = MLP((4,), outputs=3)
      >>> images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
      >>> variables = model.init(jax.random.key(0), images, train=False)
      >>> found = cascade(model, variables, lambda f, x, target: sobel(x), images, root(0))
      >>> found.names, found.correlation.tolist()
      (['trained', 'out', 'dense_0'], [1.0, 1.0, 1.0])
    """
    not_in_jit("cascade")
    check_single_key(key)
    f = logits(model, variables, prepare)
    classes = check_target(f, images, target)
    counts = (np.asarray(images) != check_baseline(baseline, images)).any(-1)
    empty = ~counts.any((1, 2))
    if empty.any():
        allowed = "images with a pixel that differs from the baseline; write baseline=..."
        raise InputError(f"images[{int(empty.argmax())}]", "the baseline alone", allowed)
    names = layers_from_output(model, variables, np.shape(images)[1:], prepare)
    fresh = _initial(model, images, stream(key, "cascade"), prepare)
    maps = []
    for random in range(len(names) + 1):
        changed = _replaced(variables, fresh, names[:random])
        found = method(Partial(f.func, changed), images, classes)
        check_maps(found, images)
        maps.append(np.asarray(found, np.float64))
    pairs = [
        [rank_correlation(a[c], b[c]) for a, b, c in zip(maps[0], each, counts, strict=True)]
        for each in maps
    ]
    correlations = np.array(pairs)
    return Cascade(["trained", *names], correlations.mean(1), correlations, np.stack(maps))


def layers_from_output(
    model: nn.Module, variables: Any, shape: tuple[int, ...], prepare: Prepare | None = None
) -> list[str]:
    """Returns the paths of the modules with parameters, from the output to the input.

    A module that is called several times has the place of its last call. A module inside of a
    transformation, such as `nn.scan`, has the place of the module around it.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      shape: shape of one image.
      prepare: see `jaxdl.explain.layer`.

    Raises:
      InputError: a model without parameters.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=3, norm="batch")
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> layers_from_output(model, variables, (8, 8, 1))
      ['head/out', 'norm_0', 'conv_0']
    """
    paths = jax.tree_util.tree_flatten_with_path(variables.get("params", {}))[0]
    modules = list(dict.fromkeys(_module(path) for path, _ in paths))
    if not modules:
        allowed = 'a model with parameters, {"params": ...}'
        raise InputError("variables", list(variables), allowed)
    calls = [name.split(":")[0] for name in layers(model, variables, shape, prepare)]

    def place(module: str) -> int:
        while module:
            inside = [k for k, name in enumerate(calls) if f"{name}/".startswith(f"{module}/")]
            if inside:
                return inside[-1]
            module = module.rpartition("/")[0]
        return len(calls)

    return sorted(modules, key=place, reverse=True)


def rank_correlation(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> float:
    """Returns Spearman's rank correlation of two arrays; 0 if one of them is constant.

    Equal values share the mean of their ranks.

    Example:
      >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 27.0]))
      1.0
      >>> rank_correlation(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
      0.0
    """
    not_in_jit("rank_correlation")
    if np.size(a) != np.size(b):
        raise InputError("b", f"{np.size(b)} values", f"as many as a, {np.size(a)}")
    if not all(np.isfinite(each).all() for each in (a, b)):
        raise InputError("a, b", "NaN or infinity", "finite numbers")
    centered = [_ranks(np.ravel(each)) - (np.size(each) - 1) / 2 for each in (a, b)]
    squares = [float((each**2).sum()) for each in centered]
    if min(squares) == 0:
        return 0.0
    if (centered[0] == centered[1]).all():
        return 1.0
    return float((centered[0] * centered[1]).sum() / np.sqrt(squares[0] * squares[1]))


def _ranks(values: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
    """Returns ranks from 0; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]


def _module(path: tuple[Any, ...]) -> str:
    """Returns the path of the module that a leaf belongs to."""
    return "/".join(str(part.key) for part in path[:-1])


def _initial(
    model: nn.Module,
    images: Float[np.ndarray, "N H W C"],
    key: Key[Array, ""],
    prepare: Prepare | None,
) -> Any:
    """Returns new variables of a model."""

    def init(key: Key[Array, ""], image: Float[Array, "1 H W C"]) -> Any:
        if prepare is not None:
            image = prepare(image)
        return model.init(key, image, **train_kwargs(model, False))

    return jax.jit(init)(key, jnp.asarray(images[:1], jnp.float32))


def _replaced(variables: Any, fresh: Any, modules: list[str]) -> Any:
    """Returns variables with new values for some modules, in every collection."""
    chosen = set(modules)
    given = dict(jax.tree_util.tree_flatten_with_path(fresh)[0])

    def leaf(path: tuple[Any, ...], value: Any) -> Any:
        # The first part of the path is the collection.
        if _module(path[1:]) in chosen and path in given:
            return given[path]
        return value

    return jax.tree_util.tree_map_with_path(leaf, variables)
