"""A character-level language model next to PyTorch: the same losses step by step, and the time of the same recipe.

    python experiments/benchmarks/language.py sherlock.txt
    python experiments/benchmarks/language.py sherlock.txt --only same --same-epochs 5
    python experiments/benchmarks/language.py sherlock.txt --only time --epochs 30

`same`: both start from the same weights and see the same batches under the same schedule, without dropout; printed
are the largest difference of the training losses of 50 steps (bar 1e-4), and the held-out losses (bar 1 %). `time`:
each in a process of its own, one after the other, with dropout; printed are seconds from the start of the process, and
bits per held-out character (bar: 1.93 on The Adventures of Sherlock Holmes, in less time than PyTorch). Ends with
exit code 1 below a bar. Both get the same arrays, rates, order and first weights in a file, and PyTorch imports no
JAX. The network: one-hot characters, two LSTM layers of 128, batches of 32 windows of 64 characters with carried state,
one-cycle Adam, the last tenth of the text held out.

The Adventures of Sherlock Holmes, two cores of an AMD EPYC: losses of 50 steps apart by at most 6.7e-6; after 5 epochs
1.3867 held-out nats, PyTorch 1.3878, apart by 0.08 %; 30 epochs with dropout: jaxdl 1.890 bits in 188 s, PyTorch 1.898
bits in 239 s.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LAYERS = 2
FEATURES = 128
BATCH = 32
LENGTH = 64
CONTEXT = 256
RATE = 2e-2
DROPOUT = 0.1
CLIP = 1.0


class Recipe(NamedTuple):
    """What both are given: arrays, so that who has no JAX needs none.

    Attributes:
      train: `input` and `label` of the training windows `[N, T]`.
      test: those of the held-out windows, and which of their tokens count, `mask`.
      order: the rows of each step `[S, B]`, as jaxdl reads them.
      rates: the learning rate of each step `[S]`.
      weights: the first ones, by jaxdl's names.
      vocabulary: how many characters there are.
    """

    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    order: np.ndarray
    rates: np.ndarray
    weights: dict[str, np.ndarray]
    vocabulary: int


def recipe(path: str, epochs: int) -> Recipe:
    """The recipe for a text."""
    import jax
    from flax.traverse_util import flatten_dict

    import jaxdl
    from jaxdl import data
    from jaxdl.data.order import contiguous_order

    train, test = data.split_text(data.read_text(path), 0.1)
    known = data.Vocabulary.of(train)
    windows = data.contiguous_windows(known.encode(train), LENGTH, "train")
    judged = data.text_evaluation_windows(known.encode(test), 2 * CONTEXT, CONTEXT, "test")
    steps = epochs * (windows.size // BATCH)
    order = np.concatenate(
        [contiguous_order(epoch, windows.size, BATCH) for epoch in range(epochs)]
    )
    rates = np.asarray(
        jax.vmap(jaxdl.optimizers.schedule("one_cycle", RATE, steps))(np.arange(steps))
    )
    batch = {name: windows[name][:BATCH] for name in ("input", "label")}
    _, net = jaxdl_net(len(known), steps, 0.0)
    params = net.init(jaxdl.stream(jaxdl.root(0), "init"), batch).params
    weights = {"/".join(name): np.asarray(x) for name, x in flatten_dict(params).items()}
    return Recipe(dict(windows.arrays), dict(judged.arrays), order, rates, weights, len(known))


def jaxdl_net(vocabulary: int, steps: int, dropout: float) -> tuple[Any, Any]:
    """The task and the learner."""
    import jax

    from jaxdl import Update, learner, optimizers, tasks
    from jaxdl.models import OneHot, SequenceNet
    from jaxdl.nn import RNN

    body = RNN(
        "lstm", FEATURES, LAYERS, dropout=dropout, kernel_init=jax.nn.initializers.normal(0.5)
    )
    task = tasks.language(
        SequenceNet(OneHot(vocabulary), body, vocabulary, dropout=dropout), carried=True
    )
    adam = optimizers.optimizer("adam", optimizers.schedule("one_cycle", RATE, steps), clip=CLIP)
    return task, learner(task.init, Update(task.loss, adam))


class TorchNet:
    """The same in PyTorch, from the same weights; biases that are only added to another one do not train."""

    def __init__(self, recipe: Recipe, dropout: float):
        import torch

        self.torch = torch
        self.recipe = recipe
        self.lstm = torch.nn.LSTM(
            recipe.vocabulary, FEATURES, LAYERS, batch_first=True, dropout=dropout
        )
        self.drop = torch.nn.Dropout(dropout)
        self.out = torch.nn.Linear(FEATURES, recipe.vocabulary)
        for i in range(LAYERS):
            layer = f"body/lstm_{i}"
            self._set(self.lstm, f"weight_ih_l{i}", recipe.weights[f"{layer}/kernel"].T)
            self._set(self.lstm, f"weight_hh_l{i}", recipe.weights[f"{layer}/recurrent_kernel"].T)
            self._set(self.lstm, f"bias_ih_l{i}", recipe.weights[f"{layer}/bias"])
            getattr(self.lstm, f"bias_hh_l{i}").requires_grad_(False).zero_()
        self._set(self.out, "weight", recipe.weights["out/kernel"].T)
        self._set(self.out, "bias", recipe.weights["out/bias"])
        self.params = [
            p for part in (self.lstm, self.out) for p in part.parameters() if p.requires_grad
        ]
        self.adam = torch.optim.Adam(self.params, RATE)
        self.carry = None
        self.steps_done = 0

    def _set(self, part: Any, name: str, value: np.ndarray) -> None:
        getattr(part, name).data = self.torch.tensor(np.ascontiguousarray(value))

    def losses(self, batch: dict[str, np.ndarray], carry: Any) -> tuple[Any, Any]:
        """Nats of every character `[B T]`, and the carry."""
        inputs, label = (self.torch.tensor(batch[name]).long() for name in ("input", "label"))
        hot = self.torch.nn.functional.one_hot(inputs, self.recipe.vocabulary).float()
        ys, carry = self.lstm(hot, carry)
        logits = self.out(self.drop(ys)).reshape(-1, self.recipe.vocabulary)
        each = self.torch.nn.functional.cross_entropy(logits, label.reshape(-1), reduction="none")
        return each, tuple(part.detach() for part in carry)

    def step(self) -> Any:
        """One update; returns its loss, still on the way."""
        rows = self.recipe.order[self.steps_done]
        for group in self.adam.param_groups:
            group["lr"] = float(self.recipe.rates[self.steps_done])
        each, self.carry = self.losses(
            {name: x[rows] for name, x in self.recipe.train.items()}, self.carry
        )
        loss = each.mean()
        self.adam.zero_grad()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.params, CLIP)
        self.adam.step()
        self.steps_done += 1
        return loss.detach()

    def judge(self) -> float:
        """Nats per held-out character."""
        total = 0.0
        count = 0.0
        test = self.recipe.test
        self.drop.eval(), self.lstm.eval()
        with self.torch.no_grad():
            for i in range(0, len(test["input"]), BATCH):
                batch = {name: x[i : i + BATCH] for name, x in test.items()}
                each = self.losses(batch, None)[0].numpy() * batch["mask"].reshape(-1)
                total = total + float(each.sum())
                count = count + float(batch["mask"].sum())
        self.drop.train(), self.lstm.train()
        return total / count


def same(path: str, epochs: int) -> dict[str, float]:
    """Both networks from the same weights, side by side."""
    import jax

    import jaxdl
    from jaxdl.data import Dataset

    given = recipe(path, epochs)
    _, net = jaxdl_net(given.vocabulary, len(given.order), 0.0)
    other = TorchNet(given, 0.0)
    key = jaxdl.root(0)
    step = jax.jit(net.step)
    apart = 0.0
    training = jaxdl.stream(key, "train")
    state = net.init(
        jaxdl.stream(key, "init"), {name: x[:BATCH] for name, x in given.train.items()}
    )
    for i, rows in enumerate(given.order):
        state, metrics = step(state, {name: x[rows] for name, x in given.train.items()}, training)
        loss = other.step()
        if i < 50:
            apart = max(apart, abs(float(metrics["loss"][0] / metrics["loss"][1]) - float(loss)))
        if i % 200 == 0:
            print(
                f"step {i} of {len(given.order)}, losses of the first 50 apart by {apart:.1e}",
                file=sys.stderr,
            )
    ours = jaxdl.evaluate(net, state, Dataset(given.test, "test"), batch_size=BATCH)["loss"]
    return {"apart": apart, "jaxdl": ours, "torch": other.judge()}


def timed(who: str, file: Path) -> dict[str, float]:
    """One framework's whole run in a process of its own, which reads the recipe from a file."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, str(file), "--child", who], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return {
        "loss": json.loads(done.stdout.splitlines()[-1]),
        "seconds": time.perf_counter() - began,
    }


def write(given: Recipe, file: Path) -> None:
    """The recipe as one file of arrays."""
    parts = {"train": given.train, "test": given.test, "weights": given.weights}
    arrays = {f"{part}:{name}": x for part, each in parts.items() for name, x in each.items()}
    np.savez(file, order=given.order, rates=given.rates, vocabulary=given.vocabulary, **arrays)


def read(file: Path) -> Recipe:
    """What `write` wrote."""
    with np.load(file, allow_pickle=False) as arrays:
        parts: dict[str, dict[str, np.ndarray]] = {"train": {}, "test": {}, "weights": {}}
        for name in arrays.files:
            part, _, field = name.partition(":")
            if field:
                parts[part][field] = arrays[name]
        rest = arrays["order"], arrays["rates"]
        return Recipe(
            parts["train"], parts["test"], *rest, parts["weights"], int(arrays["vocabulary"])
        )


def child(who: str, file: Path) -> float:
    """Trains and tests one of them; nats per held-out character."""
    given = read(file)
    if who == "torch":
        net = TorchNet(given, DROPOUT)
        for _ in given.order:
            net.step()
        return net.judge()
    import jax

    import jaxdl
    from jaxdl.data import Dataset

    jax.config.update("jax_num_cpu_devices", 2)
    steps = len(given.order)
    key = jaxdl.root(0)
    _, learner = jaxdl_net(given.vocabulary, steps, DROPOUT)
    train = Dataset(given.train, "train", contiguous=True)
    state = jaxdl.train(learner, train, key=key, steps=steps, batch_size=BATCH, log_every=1000)
    return jaxdl.evaluate(learner, state, Dataset(given.test, "test"), batch_size=BATCH)["loss"]


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", help="a text file")
    parser.add_argument("--only", choices=["same", "time"])
    parser.add_argument("--same-epochs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--child", choices=["jaxdl", "torch"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, Path(options.text))))
        return 0
    good = True
    if options.only != "time":
        found = same(options.text, options.same_epochs)
        off = abs(found["jaxdl"] / found["torch"] - 1)
        good &= found["apart"] <= 1e-4 and off <= 0.01
        print(f"training losses of 50 steps: apart by at most {found['apart']:.1e} (bar 1e-4)")
        print(
            f"held-out nats after {options.same_epochs} epochs: {found['jaxdl']:.4f}, PyTorch {found['torch']:.4f}"
        )
        print(f"  apart by {100 * off:.2f} % (bar 1 %)")
    if options.only != "same":
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "recipe.npz"
            write(recipe(options.text, options.epochs), file)
            ours, theirs = (timed(who, file) for who in ("jaxdl", "torch"))
        bits = ours["loss"] / math.log(2)
        good &= bits <= 1.93 and ours["seconds"] < theirs["seconds"]
        print(
            f"jaxdl   {bits:.3f} bits per held-out character in {ours['seconds']:.0f} s (bar 1.93)"
        )
        print(
            f"PyTorch {theirs['loss'] / math.log(2):.3f} bits per held-out character in {theirs['seconds']:.0f} s"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
