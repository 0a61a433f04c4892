"""Weights of examples, as the field `mask` of a set."""

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError


def class_weights(label: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Returns a weight for each example, so that all classes weigh the same.

        w_i = N / (K N_c),    c the class of example i, N_c its examples, K the classes that occur

    As the field `mask` of a set they weigh the examples in loss and metrics. Only the training set
    needs them; the accuracy of a set with them is the mean of the accuracies of its classes.

    Args:
      label: integers `[N]`, N at least 1.

    Returns:
      `[N]` float32, with sum N.

    Raises:
      InputError: labels that are not integers `[N]`.

    Example:
      >>> class_weights(np.array([0, 0, 0, 1])).tolist()
      [0.6666666865348816, 0.6666666865348816, 0.6666666865348816, 2.0]

    Source: the weights "balanced" of scikit-learn; King and Zeng, "Logistic Regression in Rare
    Events Data", 2001.
    """
    label = np.asarray(label)
    if label.ndim != 1 or label.dtype.kind not in "iu" or not label.size:
        raise InputError("label", f"{label.dtype}{list(label.shape)}", "integers [N], N at least 1")
    _, place, counts = np.unique(label, return_inverse=True, return_counts=True)
    return (len(label) / (len(counts) * counts[place])).astype(np.float32)
