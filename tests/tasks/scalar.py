"""Losses as scalars, for gradients and comparisons in tests."""

from jaxdl.metrics import mean


def scalar(loss):
    """Returns a loss whose value is the mean instead of `(sum, count)`."""

    def mean_loss(*arguments, **options):
        pair, aux = loss(*arguments, **options)
        return mean(pair), aux

    return mean_loss
