"""Operations of a step, as XLA counts them."""

import jax
from jaxtyping import Array, Key

from jaxdl.core import Learner, Sweep
from jaxdl.data.source import Source
from jaxdl.training.program import example_of, traced_step


def step_flops(
    learner: Learner | Sweep, data: Source, key: Key[Array, "*N"], batch_size: int
) -> float | None:
    """Counts the floating-point operations of one step of one run.

    The count is XLA's, of the program before its optimization. A loop of unknown length, such as
    a scan, counts as one pass of its body.

    Args:
      learner: the learner.
      data: training set.
      key: root key, or those of an ensemble.
      batch_size: examples of a batch.

    Returns:
      The operations; None on a platform that counts none.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP((32,), outputs=10))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
      >>> 1e5 < step_flops(net, data, jaxdl.root(0), 16) < 1e6
      True
    """
    example = example_of(next(data.training(key, batch_size, 0, lambda host: host)))
    try:
        counted = traced_step(learner, example).lower().cost_analysis() or {}
    except jax.errors.JaxRuntimeError:
        return None
    return counted.get("flops")
