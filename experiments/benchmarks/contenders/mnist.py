"""What the ways to 99 % on MNIST share."""

import json

#: Test accuracy that ends the race.
GOAL = 0.99

#: The small recipe: one-cycle Adam.
EPOCHS = 1.75
BATCH_SIZE = 128
LEARNING_RATE = 1e-2


def said(epoch: float, accuracy: float) -> None:
    """One line for the parent, which has the clock."""
    print(json.dumps({"epoch": epoch, "accuracy": accuracy}), flush=True)
