"""MNIST with Keras 3 on JAX: `fit` of the lectures' 3x3 network, from imports to 99 % accuracy.

    python -m contenders.mnist_keras seed mnist.npz

`to_99.py` starts this program.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
from keras import layers

from contenders.mnist import BATCH_SIZE, GOAL, report


def main(seed: int, file: str) -> None:
    """Trains epoch by epoch until the test accuracy reaches the goal."""
    keras.utils.set_random_seed(seed)
    with np.load(file) as arrays:
        x, x_test = (arrays[f"{part}_input"].astype("float32") / 255 for part in ("train", "test"))
        y, y_test = (arrays[f"{part}_label"] for part in ("train", "test"))
    net = keras.Sequential(
        [
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(1, 21):
        net.fit(x, y, BATCH_SIZE, epochs=1, verbose=0)
        accuracy = float(net.evaluate(x_test, y_test, 500, verbose=0)[1])
        report(epoch, accuracy)
        if accuracy >= GOAL:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
