"""Variables of a model sampled with NumPy: nothing compiles, and no value is special."""

import jax
import jax.numpy as jnp
import numpy as np


def random_variables(model, x, seed=1, **kwargs):
    """Returns random parameters and initial statistics, `{"params": ..., "batch_stats": ...}`."""
    rng = np.random.default_rng(seed)

    def sample(path, leaf):
        if path[0].key == "batch_stats":
            return jnp.full(leaf.shape, float(path[-1].key == "var"))
        fan_in = 9
        if path[-1].key == "kernel":
            fan_in = max(1, leaf.size // leaf.shape[-1])
        value = rng.normal(scale=fan_in**-0.5, size=leaf.shape) + (path[-1].key == "scale")
        return jnp.asarray(value, leaf.dtype)

    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False, **kwargs))
    return jax.tree_util.tree_map_with_path(sample, shapes)
