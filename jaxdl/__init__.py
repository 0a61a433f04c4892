"""jaxdl: the classic networks of deep learning, as pure functions in JAX."""

from jaxdl.output import quiet_interrupt

with quiet_interrupt():
    from jaxdl import (
        art,
        augment,
        classic,
        data,
        explain,
        filters,
        landscape,
        losses,
        metrics,
        models,
        nn,
        optimizers,
        plots,
        reports,
        rl,
        scores,
        selection,
        tasks,
        training,
    )
    from jaxdl.core import Learner, State, Sweep, inference, learner
    from jaxdl.functions import bind, predict_batched
    from jaxdl.network import Network, load
    from jaxdl.rng import root, stream
    from jaxdl.saving import save
    from jaxdl.training import Patience, evaluate, state_sha256, strategy, train
    from jaxdl.transfer import freeze, with_initial
    from jaxdl.updates import Rule, Update
    from jaxdl.version import __version__
    from jaxdl.wrappers import accumulate, skip_nonfinite, sweep, with_ema

__all__ = [
    "Learner",
    "Network",
    "Patience",
    "Rule",
    "State",
    "Sweep",
    "Update",
    "__version__",
    "accumulate",
    "art",
    "augment",
    "bind",
    "classic",
    "data",
    "evaluate",
    "explain",
    "filters",
    "freeze",
    "inference",
    "landscape",
    "learner",
    "load",
    "losses",
    "metrics",
    "models",
    "nn",
    "optimizers",
    "plots",
    "predict_batched",
    "reports",
    "rl",
    "root",
    "save",
    "scores",
    "selection",
    "skip_nonfinite",
    "state_sha256",
    "strategy",
    "stream",
    "sweep",
    "tasks",
    "train",
    "training",
    "with_ema",
    "with_initial",
]
