"""Constants and output of the programs that train to 99 % on MNIST."""

import json

#: Test accuracy that ends a run.
GOAL = 0.99

#: The small recipe: one-cycle Adam.
EPOCHS = 1.75
BATCH_SIZE = 128
LEARNING_RATE = 1e-2


def report(epoch: float, accuracy: float) -> None:
    """Prints one line for the parent process, which measures the time."""
    print(json.dumps({"epoch": epoch, "accuracy": accuracy}), flush=True)
