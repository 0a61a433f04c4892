"""Average pooling in place of max pooling, for smoother pictures."""

import dataclasses

from jaxdl.errors import of_kind
from jaxdl.models import CNN


def average_pooled(model: CNN) -> CNN:
    """Returns a CNN whose max poolings are average poolings, with the same parameters.

    The gradient of max pooling reaches one pixel of each window. Pictures made by it have dots and
    checkerboards, which average pooling avoids.

    Source: Gatys, Ecker, Bethge 2016, Image style transfer using convolutional neural networks.

    Args:
      model: any `CNN`.

    Raises:
      InputError: another module.

    Example:
      >>> from jaxdl.models import Stage
      >>> [stage.pool for stage in average_pooled(CNN((Stage(4), Stage(8, pool=None)))).stages]
      ['average', None]
    """
    of_kind("model", model, CNN, "a CNN, whose stages have the poolings")
    stages = [
        dataclasses.replace(stage, pool="average") if stage.pool == "max" else stage
        for stage in model.stages
    ]
    return model.clone(stages=tuple(stages))
