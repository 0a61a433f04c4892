# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # The same result again
#
# A result has to come out the same again, or it is no result. This notebook trains one small
# network many times: from the same seed, after an interruption, beside other seeds, in another
# process, and on four devices. Each time it compares every bit. One prediction about interruptions
# is wrong, and is repaired. It takes less than a minute on two cores.

# %%
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import models, tasks
from jaxdl.training import Directory, Memory, state_sha256

# Four devices of one CPU, for the end of this notebook. A process that has used JAX keeps its own.
with contextlib.suppress(RuntimeError):
    jax.config.update("jax_num_cpu_devices", 4)

STEPS = 120
single = jaxdl.strategy("single")
train_set, test_set = jaxdl.data.load("digits")


def network(optimizer, dropout=0.2):
    """Returns a learner: an MLP with dropout."""
    task = tasks.classify(models.MLP((32,), outputs=10, dropout=dropout))
    return jaxdl.learner(task.init, *task.updates(optimizer))


def train(net, key, **options):
    """Trains a learner; returns its state and its losses, one for each step."""
    options = {"steps": STEPS, "batch_size": 64, "log_every": 1, "strategy": single} | options
    memory = Memory()
    state = jaxdl.train(net, train_set, key=key, writers=[memory], **options)
    losses = {step: m["train/loss"] for step, m in memory.records if "train/loss" in m}
    return state, losses


adam = network(optax.adam(1e-2))

# %% [markdown]
# ## A seed and a step
#
# Three trainings: seed 0, seed 0 once more, and seed 1.

# %%
first, losses = train(adam, jaxdl.root(0))
again, losses_again = train(adam, jaxdl.root(0))
other, losses_other = train(adam, jaxdl.root(1))
figure, axes = plt.subplots(figsize=(6, 3.4))
axes.plot(*zip(*losses.items(), strict=True), lw=4, alpha=0.4, label="seed 0")
axes.plot(*zip(*losses_again.items(), strict=True), lw=1, label="seed 0 again")
axes.plot(*zip(*losses_other.items(), strict=True), lw=1, label="seed 1")
axes.set_title("two lines, because two of the three are one")
axes.set_xlabel("step")
axes.set_ylabel("loss")
axes.legend()
figure.tight_layout()
for name, state in (("seed 0", first), ("seed 0 again", again), ("seed 1", other)):
    print(f"{name:14} {state_sha256(state)[:16]}")
assert state_sha256(first) == state_sha256(again) != state_sha256(other)
assert losses == losses_again

# %% [markdown]
# The hash is over all numbers of the state: weights, moments of Adam, and the step. Everything
# random in a run is a function of its seed, a step $k$ and a name:
#
# $$\text{key}_k = \operatorname{fold}\big(\operatorname{fold}(\text{root}(s),\ \text{name}),\
# k\big).$$
#
# No generator is shared, so a new use of random numbers changes no old one. With one global
# generator it would:

# %%
generator = np.random.RandomState(0)
alone = generator.normal(size=3)
generator = np.random.RandomState(0)
generator.uniform()
after_another_draw = generator.normal(size=3)
root = jaxdl.root(0)
key_before = jax.random.key_data(jaxdl.stream(root, "init"))
jax.random.normal(jaxdl.stream(root, "data"))
key_after = jax.random.key_data(jaxdl.stream(root, "init"))
print("one generator:", alone.round(2), "and after another draw", after_another_draw.round(2))
print("streams by name:", key_before, "and after another draw", key_after)
assert not np.allclose(alone, after_another_draw)
assert (key_before == key_after).all()

# %% [markdown]
# ## After an interruption
#
# A training is interrupted after half of its steps. What has to be stored, to continue as if
# nothing had happened?
#
# **The prediction:** the weights are all that a network has learned. So they are enough.

# %%
HALF = STEPS // 2
half, losses_half = train(adam, jaxdl.root(0), stop_after=HALF)


def with_weights(params):
    """Returns a learner that starts from given weights."""
    task = tasks.classify(models.MLP((32,), outputs=10, dropout=0.2))
    return jaxdl.learner(lambda key, batch: (params, {}), *task.updates(optax.adam(1e-2)))


from_weights, losses_weights = train(with_weights(half.params), jaxdl.root(0), steps=STEPS - HALF)
moved = {HALF + step: loss for step, loss in losses_weights.items()}
figure, axes = plt.subplots(figsize=(6, 3.4))
axes.plot(*zip(*losses.items(), strict=True), lw=4, alpha=0.4, label="not interrupted")
axes.plot(*zip(*moved.items(), strict=True), lw=1, label="from the weights alone")
axes.axvline(HALF, color="grey", ls=":")
axes.set_title("weights alone: another training from the interruption on")
axes.set_xlabel("step")
axes.set_ylabel("loss")
axes.legend()
figure.tight_layout()
difference = max(abs(losses[step] - moved[step]) for step in moved)
print(f"largest difference of the losses: {difference:.3f}")
assert difference > 1e-3

# %% [markdown]
# Adam had lost its means of gradients, and the run began again with the batches and dropout masks
# of step 0. The state of a run is weights, optimizer **and** step:
#
# $$S_{k+1} = \operatorname{step}(S_k,\ \text{batch}_k,\ \text{key}_k),\qquad
# S = (\theta,\ m,\ v,\ k).$$
#
# The repair: a store saves the whole state. Then the order of the data and all keys follow from
# the step.

# %%
with tempfile.TemporaryDirectory() as directory:
    train(adam, jaxdl.root(0), stop_after=HALF, store=Directory(directory))
    resumed, losses_resumed = train(adam, jaxdl.root(0), store=Directory(directory))
print("first step after the interruption:", min(losses_resumed))
assert state_sha256(resumed) == state_sha256(first)
assert all(losses[step] == loss for step, loss in losses_resumed.items())

# %% [markdown]
# ## Several seeds, and a comparison
#
# One seed is not enough to compare two choices, such as with and without dropout. Eight seeds in
# one program cost less than eight runs, and each has the bits of its run alone.

# %%
SEEDS = range(8)
members, _ = train(adam, jaxdl.root(SEEDS))
assert state_sha256(members.members()[1]) == state_sha256(other)


def accuracies(net):
    """Returns the test accuracy of each seed in percent."""
    state, _ = train(net, jaxdl.root(SEEDS))
    return 100 * np.asarray(jaxdl.evaluate(net, state, test_set, key=jaxdl.root(SEEDS))["accuracy"])


found = {rate: accuracies(network(optax.adam(1e-2), rate)) for rate in (0.0, 0.2, 0.8)}
figure, axes = plt.subplots(figsize=(6, 2.8))
for row, (rate, values) in enumerate(found.items()):
    axes.plot(values, np.full(len(values), row), "o", alpha=0.5)
    axes.plot(values.mean(), row, "|", ms=24, color="black")
    print(f"dropout {rate}: {values.mean():.2f} ± {values.std(ddof=1):.2f} %")
axes.set_yticks(range(len(found)), [f"dropout {rate}" for rate in found])
axes.set_xlabel("test accuracy (%), a dot for each seed")
axes.set_title("a difference within the spread of the seeds, and one beyond it")
axes.margins(y=0.3)
figure.tight_layout()


def error(a, b):
    """Returns the standard error of the difference of two means."""
    return np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))


small = abs(found[0.0].mean() - found[0.2].mean()) / error(found[0.0], found[0.2])
large = abs(found[0.0].mean() - found[0.8].mean()) / error(found[0.0], found[0.8])
print(f"0.0 against 0.2: {small:.1f} standard errors; 0.0 against 0.8: {large:.1f}")
assert large > 4 > small

# %% [markdown]
# A difference of two means is worth a sentence if it is several times its standard error,
#
# $$\sqrt{\frac{s_a^2 + s_b^2}{n}}.$$
#
# `python -m jaxdl.compare runs/a runs/b` prints such a table for runs, and draws a line for each.
#
# ## In another process
#
# A run writes its options, the hashes of its data and the hash of its state into `result.json`.
# `jaxdl.reproduce` trains again from this file and compares.

# %%
command = [sys.executable, "-m", "jaxdl"]
environment = dict(os.environ, JAX_NUM_CPU_DEVICES="1")
with tempfile.TemporaryDirectory() as directory:
    out = Path(directory) / "run"
    options = ["--data", "moons", "--hidden", "16", "--smoke", "--out", str(out)]
    done = subprocess.run(
        [*command, "run", "mlp", *options], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    done = subprocess.run(
        [*command, "reproduce", str(out / "result.json")],
        capture_output=True,
        text=True,
        env=environment,
    )
print(done.stdout)
assert done.returncode == 0 and result["state_sha256"][:12] in done.stdout

# %% [markdown]
# ## On four devices
#
# Several devices divide a batch: each computes the gradient of its part, and these are added. The
# sum has another order. Numbers of 32 bits are rounded after each addition, so the order matters:

# %%
terms = np.random.RandomState(0).normal(size=1000).astype(np.float32)
sums = {"one by one": np.float32(0)}
for term in terms:
    sums["one by one"] += term
sums["four parts"] = np.float32(sum(part.sum() for part in terms.reshape(4, 250)))
print(sums, "exactly:", terms.astype(float).sum())
assert len(set(sums.values())) == 2

# %% [markdown]
# Does such a difference grow? The picture has the difference of the losses, on one device and on
# four, for plain gradient descent and for Adam.

# %%
devices = len(jax.devices())
four = jaxdl.strategy("sharded")
figure, axes = plt.subplots(figsize=(6, 3.4))
differences = {}
for name, optimizer in (("gradient descent", optax.sgd(0.1)), ("Adam", optax.adam(1e-2))):
    net = network(optimizer)
    _, on_one = train(net, jaxdl.root(0))
    _, on_four = train(net, jaxdl.root(0), strategy=four)
    differences[name] = np.array([abs(on_one[step] - on_four[step]) for step in on_one])
    axes.semilogy(list(on_one), differences[name] + 1e-9, label=name)
axes.set_title(f"difference of the loss on one device and on {devices}")
axes.set_xlabel("step")
axes.set_ylabel("difference + 1e-9")
axes.legend()
figure.tight_layout()
for name, values in differences.items():
    print(f"{name}: {values[:10].max():.1e} in ten steps, {values.max():.1e} in {STEPS}")
assert max(values.max() for values in differences.values()) < 1e-4

# %% [markdown]
# It stays as small as rounding in this network. In a deep one it can grow within twenty steps, and
# `docs/reproducibility.md` has examples. Data, batches and dropout masks are the same. That is the
# strategy `sharded`, in which the program computes with the whole batch. With `pmap` each device
# has a separate program. It draws a mask for each device, so it is another run, and not a worse
# one:

# %%
_, mapped = train(adam, jaxdl.root(0), strategy=jaxdl.strategy("pmap"))
apart = max(abs(losses[step] - mapped[step]) for step in losses)
print(f"pmap with dropout on {devices} devices: the losses differ by up to {apart:.3f}")
assert apart > 1e-3 or devices == 1
plain = network(optax.sgd(0.1), dropout=0.0)
_, one = train(plain, jaxdl.root(0))
_, mapped = train(plain, jaxdl.root(0), strategy=jaxdl.strategy("pmap"))
apart = max(abs(one[step] - mapped[step]) for step in one)
print(f"pmap without dropout: {apart:.1e}")
assert apart < 1e-4

# %% [markdown]
# ## Exercises
#
# **1.** Train with `batch_size=32` and with `batch_size=64` from the same seed. Is the first batch
# of 32 a half of the first batch of 64?
#
# <details><summary>Answer</summary>
#
# Yes: the order of an epoch depends on the key and the epoch. The batch size cuts it.
#
# </details>
#
# **2.** Save the state with `Directory`, and continue from it with another seed. What happens?
#
# <details><summary>Answer</summary>
#
# An error: the store belongs to a run with another key. A run is its seed, data and options.
#
# </details>
#
# **3.** Which of the two sums of 1,000 numbers is nearer to the exact one, and why?
#
# <details><summary>Answer</summary>
#
# The sum of four parts. Its additions have smaller operands, since a part is shorter, and NumPy
# adds the numbers of a part in pairs. A small operand has a small rounding error.
#
# </details>
