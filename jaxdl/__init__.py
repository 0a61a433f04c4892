"""jaxdl: the classic networks of deep learning, as pure functions in JAX."""

from jaxdl.output import quiet_interrupt

with quiet_interrupt():
    from jaxdl import (
        augment,
        data,
        losses,
        metrics,
        models,
        nn,
        optimizers,
        plots,
        scores,
        tasks,
        training,
    )
    from jaxdl.core import Learner, State, Sweep, Update, inference, learner
    from jaxdl.predict import bind, predict_batched
    from jaxdl.rng import root, stream
    from jaxdl.training import Patience, evaluate, state_sha256, strategy, train
    from jaxdl.version import __version__
    from jaxdl.wrappers import accumulate, skip_nonfinite, sweep, with_ema

__all__ = [
    "Learner",
    "Patience",
    "State",
    "Sweep",
    "Update",
    "__version__",
    "accumulate",
    "augment",
    "bind",
    "data",
    "evaluate",
    "inference",
    "learner",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "plots",
    "predict_batched",
    "root",
    "scores",
    "skip_nonfinite",
    "state_sha256",
    "strategy",
    "stream",
    "sweep",
    "tasks",
    "train",
    "training",
    "with_ema",
]
