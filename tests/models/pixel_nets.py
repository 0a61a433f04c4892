"""Tiny networks of pixels with random weights, for the tests of their laws."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models import PixelCNN, PixelRNN

SIZE = (5, 6)
PIXELS = 30
OPTIONS = {"features": 4, "layers": 2, "classes": 3, "levels": 3, "first_size": 3}

NETWORKS = {
    "plain": partial(PixelCNN, gated=False, **OPTIONS),
    "gated": partial(PixelCNN, **OPTIONS),
    "row": partial(PixelRNN, kind="row", **OPTIONS),
    "diagonal": partial(PixelRNN, kind="diagonal", **OPTIONS),
}

RNG = np.random.default_rng(0)
IMAGES = (RNG.integers(0, 3, (2, *SIZE, 1)) / 2).astype(np.float32)
LABEL = np.array([0, 2], np.int32)


@cache
def network(name: str, size: tuple[int, int] = SIZE, **changes):
    """Returns a network and random variables of it."""
    model = NETWORKS[name](size, **changes)
    x = jnp.zeros((1, *size, 1))
    label = {} if model.classes is None else {"label": LABEL[:1]}
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False, **label))
    rng = np.random.default_rng(1)

    def weights(each):
        fan_in = max(1, np.prod(each.shape[:-1]))
        return rng.normal(0, 1.2 / np.sqrt(fan_in), each.shape).astype(np.float32)

    return model, jax.tree.map(weights, variables)


@cache
def jacobian(name: str) -> np.ndarray:
    """Returns sum_l |d logit_l of pixel i / d pixel k|, `[H W, H W]`, for one image."""
    model, variables = network(name)

    def logits(x):
        y = model.apply(variables, x.reshape(1, *SIZE, 1), train=False, label=LABEL[:1])
        return y.reshape(PIXELS, -1)

    return np.abs(jax.jit(jax.jacrev(logits))(IMAGES[0].ravel())).sum(1)
