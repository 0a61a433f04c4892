"""Bad command lines: an experiment, its arguments, and the message without `error: `."""

from tests.bad_inputs import (
    options_of_classifiers,
    options_of_generators,
    options_of_networks,
    options_of_toolbox,
)

#: Experiment, arguments and the error message.
BAD = [
    *options_of_classifiers.BAD,
    *options_of_generators.BAD,
    *options_of_networks.BAD,
    *options_of_toolbox.BAD,
]
