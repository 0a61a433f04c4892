"""Variables of a model drawn with NumPy: nothing to compile, and no number at a special value such as 0 or 1."""

import jax
import jax.numpy as jnp
import numpy as np


def drawn(model, x, seed=1):
    """`{"params": ..., "batch_stats": ...}`; running statistics start as a model's own do."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[0].key == "batch_stats":
            return jnp.full(leaf.shape, float(path[-1].key == "var"))
        fan_in = max(1, leaf.size // leaf.shape[-1]) if path[-1].key == "kernel" else 9
        value = rng.normal(scale=fan_in**-0.5, size=leaf.shape) + (path[-1].key == "scale")
        return jnp.asarray(value, leaf.dtype)

    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    return jax.tree_util.tree_map_with_path(draw, shapes)
