"""MNIST in PyTorch in the style of its tutorials: a process from its imports to 99 % test accuracy.

    python -m contenders.mnist_torch small|lecture seed mnist.npz

`to_99.py` starts this program.
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from contenders.mnist import BATCH_SIZE, EPOCHS, GOAL, LEARNING_RATE, report


def small() -> nn.Module:
    """Returns the network of `mnist_jaxdl`, with the initializers of JAX."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, 2, 2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * 32, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return net


def lecture() -> nn.Module:
    """Returns the 3x3 network of the lectures."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(12 * 12 * 64, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def main(name: str, seed: int, file: str) -> None:
    """Trains the small network for its epochs, or the lectures' until it reaches the goal."""
    torch.manual_seed(seed)
    with np.load(file) as arrays:
        images = {
            part: torch.from_numpy(arrays[f"{part}_input"]).permute(0, 3, 1, 2)
            for part in ("train", "test")
        }
        labels = {
            part: torch.from_numpy(arrays[f"{part}_label"]).long() for part in ("train", "test")
        }
    net = {"small": small, "lecture": lecture}[name]()
    count = len(images["train"])
    epoch = count // BATCH_SIZE
    steps = int(EPOCHS * count // BATCH_SIZE)
    test_interval = steps
    rate = LEARNING_RATE
    if name == "lecture":
        steps = 20 * epoch
        test_interval = epoch
        rate = 1e-3
    optimizer = torch.optim.Adam(net.parameters(), rate)
    if name == "small":  # The constructor of the schedule already lowers the rate.
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, cycle_momentum=False)
    for step in range(steps):
        if step % epoch == 0:
            shuffled = torch.randperm(count)
        rows = shuffled[step % epoch * BATCH_SIZE :][:BATCH_SIZE]
        loss = F.cross_entropy(net(images["train"][rows].float() / 255), labels["train"][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if name == "small":
            cycle.step()
        if (step + 1) % test_interval:
            continue
        net.eval()
        with torch.no_grad():
            parts = zip(images["test"].split(500), labels["test"].split(500), strict=True)
            correct = sum(int((net(x.float() / 255).argmax(1) == y).sum()) for x, y in parts)
        accuracy = correct / len(labels["test"])
        epochs = (step + 1) / epoch
        if name == "small":
            epochs = EPOCHS
        report(epochs, accuracy)
        if accuracy >= GOAL:
            return
        net.train()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
