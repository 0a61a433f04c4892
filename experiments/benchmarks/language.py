"""A character-level language model next to PyTorch: the same losses step by step, and the time of the same recipe.

    python experiments/benchmarks/language.py sherlock.txt
    python experiments/benchmarks/language.py sherlock.txt --only same --same-epochs 5
    python experiments/benchmarks/language.py sherlock.txt --only time --epochs 30

`same`: both start from the same weights and see the same batches under the same schedule, without dropout; printed
are the largest difference of the training losses of 50 steps (bar 1e-4), and the held-out losses (bar 1 %). `time`:
each in a process of its own, one after the other, with dropout; printed are seconds from the start of the process, and
bits per held-out character (bar: 1.93 on The Adventures of Sherlock Holmes, in less time than PyTorch). Ends with
exit code 1 below a bar. The network: one-hot characters, two LSTM layers of 128, batches of 32 windows of 64 characters
with carried state, one-cycle Adam, the last tenth of the text held out.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

LAYERS, FEATURES, BATCH, LENGTH, CONTEXT = 2, 128, 32, 64, 256
RATE, DROPOUT, CLIP = 2e-2, 0.1, 1.0


def sets(path: str) -> tuple[Any, Any, int]:
    """The training windows, the held-out ones, and how many characters there are."""
    from jaxdl import data

    train, test = data.held_out(data.read_text(path), 0.1)
    known = data.Vocabulary.of(train)
    return (
        data.streams(known.encode(train), LENGTH, "train"),
        data.judged(known.encode(test), 2 * CONTEXT, CONTEXT, "test"),
        len(known),
    )


def rates(steps: int) -> Any:
    """The learning rate of each step, by jaxdl's schedule."""
    from jaxdl import optimizers

    return optimizers.schedule("one_cycle", RATE, steps)


def batches(train: Any, steps: int) -> Iterator[dict[str, np.ndarray]]:
    """The batches of a run, as jaxdl orders them."""
    from jaxdl.data.order import lanes

    per_epoch = train.size // BATCH
    for step in range(steps):
        if step % per_epoch == 0:
            order = lanes(step // per_epoch, train.size, BATCH)
        rows = order[step % per_epoch]
        yield {name: train[name][rows] for name in ("input", "label")}


def jaxdl_net(vocabulary: int, steps: int, dropout: float) -> tuple[Any, Any]:
    """The task and the learner."""
    import jax

    from jaxdl import Update, learner, optimizers, tasks
    from jaxdl.models import OneHot, SequenceNet
    from jaxdl.nn import RNN

    body = RNN("lstm", FEATURES, LAYERS, dropout=dropout, kernel_init=jax.nn.initializers.normal(0.5))
    task = tasks.language(SequenceNet(OneHot(vocabulary), body, vocabulary, dropout=dropout), carried=True)
    adam = optimizers.optimizer("adam", rates(steps), clip=CLIP)
    return task, learner(task.init, Update(task.loss, adam))


class TorchNet:
    """The same in PyTorch; biases that are only added to another one do not train."""

    def __init__(self, vocabulary: int, steps: int, dropout: float):
        import torch

        self.torch, self.vocabulary, self.rate = torch, vocabulary, rates(steps)
        self.lstm = torch.nn.LSTM(vocabulary, FEATURES, LAYERS, batch_first=True, dropout=dropout)
        self.drop, self.out = torch.nn.Dropout(dropout), torch.nn.Linear(FEATURES, vocabulary)
        for i in range(LAYERS):
            getattr(self.lstm, f"bias_hh_l{i}").requires_grad_(False).zero_()
            bias = getattr(self.lstm, f"bias_ih_l{i}").data.zero_()
            bias[FEATURES : 2 * FEATURES] = 1.0
        self.params = [p for part in (self.lstm, self.out) for p in part.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(self.params, RATE)
        self.carry, self.done = None, 0

    def load(self, params: Any) -> None:
        """Takes jaxdl's weights."""
        tensor = self.torch.tensor
        for i in range(LAYERS):
            layer = params["body"][f"lstm_{i}"]
            getattr(self.lstm, f"weight_ih_l{i}").data = tensor(np.array(layer["kernel"]).T.copy())
            getattr(self.lstm, f"weight_hh_l{i}").data = tensor(np.array(layer["recurrent_kernel"]).T.copy())
            getattr(self.lstm, f"bias_ih_l{i}").data = tensor(np.array(layer["bias"]))
        self.out.weight.data = tensor(np.array(params["out"]["kernel"]).T.copy())
        self.out.bias.data = tensor(np.array(params["out"]["bias"]))

    def losses(self, batch: dict[str, np.ndarray], carry: Any) -> tuple[Any, Any]:
        """Nats of every character `[B T]`, and the carry."""
        inputs, label = (self.torch.tensor(batch[name]).long() for name in ("input", "label"))
        hot = self.torch.nn.functional.one_hot(inputs, self.vocabulary).float()
        ys, carry = self.lstm(hot, carry)
        logits = self.out(self.drop(ys)).reshape(-1, self.vocabulary)
        each = self.torch.nn.functional.cross_entropy(logits, label.reshape(-1), reduction="none")
        return each, tuple(part.detach() for part in carry)

    def step(self, batch: dict[str, np.ndarray]) -> Any:
        """One update; returns its loss, still on the way."""
        for group in self.adam.param_groups:
            group["lr"] = float(self.rate(self.done))
        each, self.carry = self.losses(batch, self.carry)
        loss = each.mean()
        self.adam.zero_grad()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.params, CLIP)
        self.adam.step()
        self.done += 1
        return loss.detach()

    def judge(self, test: Any) -> float:
        """Nats per held-out character."""
        total = count = 0.0
        self.drop.eval(), self.lstm.eval()
        with self.torch.no_grad():
            for i in range(0, test.size, BATCH):
                batch = {name: test[name][i : i + BATCH] for name in ("input", "label", "mask")}
                each = self.losses(batch, None)[0].numpy() * batch["mask"].reshape(-1)
                total, count = total + float(each.sum()), count + float(batch["mask"].sum())
        self.drop.train(), self.lstm.train()
        return total / count


def same(path: str, epochs: int) -> dict[str, float]:
    """Both networks from the same weights, side by side."""
    import jax

    import jaxdl

    train, test, vocabulary = sets(path)
    steps = epochs * (train.size // BATCH)
    task, net = jaxdl_net(vocabulary, steps, 0.0)
    other, key = TorchNet(vocabulary, steps, 0.0), jaxdl.root(0)
    state = net.init(jaxdl.stream(key, "init"), next(batches(train, 1)))
    other.load(state.params)
    step, apart, training = jax.jit(net.step), 0.0, jaxdl.stream(key, "train")
    for i, batch in enumerate(batches(train, steps)):
        state, metrics = step(state, batch, training)
        loss = other.step(batch)
        if i < 50:
            apart = max(apart, abs(float(metrics["loss"][0] / metrics["loss"][1]) - float(loss)))
        if i % 200 == 0:
            print(f"step {i} of {steps}, losses apart by {apart:.1e} in the first 50", file=sys.stderr, flush=True)
    ours = jaxdl.evaluate(net, state, test)["loss"]
    return {"apart": apart, "jaxdl": ours, "torch": other.judge(test)}


def timed(who: str, path: str, epochs: int) -> dict[str, float]:
    """One framework's whole run in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, __file__, path, "--child", who, "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {"loss": json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - began}


def child(who: str, path: str, epochs: int) -> float:
    """Trains and tests one of them; nats per held-out character."""
    train, test, vocabulary = sets(path)
    steps = epochs * (train.size // BATCH)
    if who == "torch":
        net = TorchNet(vocabulary, steps, DROPOUT)
        for batch in batches(train, steps):
            net.step(batch)
        return net.judge(test)
    import jaxdl

    _, learner = jaxdl_net(vocabulary, steps, DROPOUT)
    state = jaxdl.train(learner, train, key=jaxdl.root(0), steps=steps, batch_size=BATCH, every=jaxdl.Every(log=1000))
    return jaxdl.evaluate(learner, state, test)["loss"]


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a text file")
    parser.add_argument("--only", choices=["same", "time"])
    parser.add_argument("--same-epochs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--child", choices=["jaxdl", "torch"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        if options.child == "jaxdl":
            import jax

            jax.config.update("jax_num_cpu_devices", 2)
        print(json.dumps(child(options.child, options.text, options.epochs)))
        return 0
    good = True
    if options.only != "time":
        found = same(options.text, options.same_epochs)
        off = abs(found["jaxdl"] / found["torch"] - 1)
        good &= found["apart"] <= 1e-4 and off <= 0.01
        print(f"training losses of 50 steps: apart by at most {found['apart']:.1e} (bar 1e-4)")
        print(f"held-out nats after {options.same_epochs} epochs: {found['jaxdl']:.4f}, PyTorch {found['torch']:.4f}")
        print(f"  apart by {100 * off:.2f} % (bar 1 %)")
    if options.only != "same":
        ours, theirs = (timed(who, options.text, options.epochs) for who in ("jaxdl", "torch"))
        bits = ours["loss"] / math.log(2)
        good &= bits <= 1.93 and ours["seconds"] < theirs["seconds"]
        print(f"jaxdl   {bits:.3f} bits per held-out character in {ours['seconds']:.0f} s (bar 1.93)")
        print(f"PyTorch {theirs['loss'] / math.log(2):.3f} bits per held-out character in {theirs['seconds']:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
