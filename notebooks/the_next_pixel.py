# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # The next pixel
#
# A network that predicts the next pixel from all pixels before it can draw. It draws one pixel,
# looks at the result, and predicts again. It also knows the exact probability of every
# image. This notebook trains such networks on small digits, finds a corner that they cannot see,
# lets them complete half a digit, and ends with sound. Four predictions are wrong at first, and
# each one is repaired. It takes about a minute on two cores.

# %%
import itertools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import models, plots, tasks
from jaxdl.data import Dataset, level_entropy, mu_law, mu_law_inverse, sines

train, test = jaxdl.data.load("digits")


def black_and_white(data):
    """Returns a set whose pixels are 0 or 1."""
    images = (np.asarray(data["input"]) > 0.5).astype(np.float32)
    return Dataset({"input": images, "label": np.asarray(data["label"])}, "black and white")


train = black_and_white(train)
test = black_and_white(test)


def show(images, title, columns=10):
    """Draws images in a grid."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(figsize=(0.6 * columns, 0.6 * rows + 0.4))
    plots.draw_image_grid(axes, np.asarray(images), columns)
    axes.set_title(title, fontsize=9)


show(train["input"][:20], "twenty digits, black and white")

# %% [markdown]
# ## Every pixel for itself
#
# **The prediction:** each pixel has a probability of being white. If we know all 64
# probabilities, we can make digits.

# %%
p = np.asarray(train["input"]).mean(0).clip(0.002, 0.998)
rng = np.random.default_rng(0)
alone = (rng.uniform(size=(20, 8, 8, 1)) < p).astype(np.float32)
show(alone, "twenty images of independent pixels")
white = np.asarray(test["input"])
nats_alone = -(white * np.log(p) + (1 - white) * np.log(1 - p)).sum((1, 2, 3)).mean()
print(f"independent pixels: {nats_alone:.1f} nats per test image")

# %% [markdown]
# No digit appears. Whether a pixel is white depends on the others. The probability of an image is
# a product, without any approximation:
#
# $$p(x) = p(x_1) \, p(x_2 \mid x_1) \cdots p(x_{64} \mid x_1, \dots, x_{63}).$$
#
# One network can compute all 64 factors in one pass, if each output depends on earlier pixels
# only. A **masked convolution** has zeros in its kernel at the pixel itself and at all later ones.

# %%
kernel = np.ones((3, 3))
kernel[1, 1:] = 0
kernel[2] = 0
figure, axes = plt.subplots(figsize=(2, 2))
axes.imshow(kernel, cmap="gray", vmin=-0.5, vmax=1)
axes.set_xticks([0.5, 1.5], [])
axes.set_yticks([0.5, 1.5], [])
axes.grid(color="black")
axes.set_title("mask of the first layer: white is 1", fontsize=9)

# %% [markdown]
# ## A corner that cannot be seen
#
# **The prediction:** many such layers, one above the other, see every earlier pixel. Each layer
# looks one row further up. Let us measure it: the gradient of one output with respect to every
# pixel, for random weights.


# %%
def reach(model, pixel=(7, 5)):
    """Returns the absolute gradient of the logits of one pixel by every pixel."""
    image = jax.random.uniform(jax.random.key(1), (11, 11, 1))
    variables = model.init(jax.random.key(0), image[None], train=False)

    def logits(image):
        return model.apply(variables, image[None], train=False)[0][pixel]

    return np.abs(jax.jit(jax.jacrev(logits))(image)).sum((0, 3))


shape = {"features": 8, "layers": 3, "first_size": 3}
maps = {
    "one stack": reach(models.PixelCNN((11, 11), gated=False, **shape)),
    "two stacks": reach(models.PixelCNN((11, 11), **shape)),
}
figure, all_axes = plt.subplots(1, 2, figsize=(8, 3.4))
for axes, (name, each) in zip(all_axes, maps.items(), strict=True):
    axes.imshow(np.where(each > 0, np.log(each + 1e-30), np.nan))
    axes.plot(5, 7, "rs")
    axes.set_title(f"{name}: {(each > 0).sum()} pixels have an influence", fontsize=9)

# %% [markdown]
# White pixels have no influence on the red one. The left network misses a triangle to the upper
# right: a step up can go one pixel to the right, but a step within a row only to the left. More
# layers make the triangle larger.
#
# The repair is two stacks. The **vertical** one reads whole rows above, in both directions. The
# **horizontal** one reads the pixels to the left, and the vertical stack. Both have gates:
#
# $$h' = h + \tanh(a) \, \sigma(b).$$

# %%
one, two = maps.values()
rows, columns = np.indices((11, 11))
later = (rows > 7) | ((rows == 7) & (columns >= 5))
assert not one[later].any()
assert not two[later].any()
near = ~later & (7 - rows <= 4) & (abs(columns - 5) <= 4)
assert (two[near] > 0).all()
triangle = near & (columns - 5 > 7 - rows)
assert not one[triangle].any()
print(f"the blind spot has {triangle.sum()} pixels here")

# %% [markdown]
# ## All images of nine pixels
#
# Is it really a probability? There are 512 black and white images of 3 × 3 pixels. A network with
# random weights gives each of them a probability, and they must sum to 1.

# %%
tiny = tasks.autoregressive(models.PixelCNN((3, 3), features=4, layers=1, first_size=3))
everything = np.array(list(itertools.product([0.0, 1.0], repeat=9)), np.float32)
everything = everything.reshape(512, 3, 3, 1)
params, extra = tiny.init(jaxdl.root(0), {"input": everything})
total = np.exp(-np.float64(tiny.nll(params, extra, everything))).sum()
print(f"sum of 512 probabilities: {total:.7f}")
assert abs(total - 1) < 1e-5

# %% [markdown]
# ## A network that draws
#
# Now a small gated network learns the digits. It also gets the class, so that we can ask for a
# digit. A fair opponent knows the class, too: independent pixels with their own probabilities for
# each class.

# %%
model = models.PixelCNN(
    (8, 8), features=16, layers=3, classes=10, kernel_size=3, first_size=5, dropout=0.2
)
task = tasks.autoregressive(model)
steps = 320
rate = optax.cosine_onecycle_schedule(steps, 0.01)
net = jaxdl.learner(task.init, *task.updates(optax.adam(rate)))
state = jaxdl.train(net, train, key=jaxdl.root(0), steps=steps, batch_size=32)
nats = jaxdl.evaluate(net, state, test)["nats"]
by_class = [np.asarray(train["input"])[np.asarray(train["label"]) == c] for c in range(10)]
# One white and one black image are added, so that no probability is 0 or 1.
p_of_class = np.stack([(each.sum(0) + 1) / (len(each) + 2) for each in by_class])
p_known = p_of_class[np.asarray(test["label"])]
nats_known = -(white * np.log(p_known) + (1 - white) * np.log(1 - p_known)).sum((1, 2, 3)).mean()
print(f"the network: {nats:.1f} nats per test image; independent pixels: {nats_known:.1f}")
assert nats_known < nats_alone
assert nats < 0.95 * nats_known

# %% [markdown]
# An image needs 64 steps: compute the probability of the next pixel, sample it, and continue.
# Each row is a class:

# %%
draw = jaxdl.bind(task.sample, state)
label = np.repeat(np.arange(10), 10)
samples = np.asarray(draw(jaxdl.root(1), 100, label))
show(samples, "a hundred images, one class per row")

# %% [markdown]
# **The prediction:** random numbers blur the picture, so the best picture takes the most likely
# value of each pixel.

# %%
likely = np.asarray(draw(jaxdl.root(1), 100, label, temperature=0.0))
show(likely, "the most likely value of each pixel")
different = len(np.unique(samples.reshape(100, -1), axis=0))
print(f"different images: {different} of 100 sampled, {len(np.unique(likely, axis=0))} likely ones")
assert len(np.unique(likely, axis=0)) <= 10
assert different > 50

# %% [markdown]
# Without chance there is one image for each class. The variety of handwriting is in the random
# numbers. The network has learned a distribution, and not a best picture.
#
# ## Half a digit
#
# The network can also continue an image that another hand has begun. It gets the upper half of test
# digits, and completes each one several times:

# %%
count = 6
whole = np.asarray(test["input"][:count])
half = np.repeat(whole.reshape(count, -1)[:, :32], 9, 0)
which = np.repeat(np.asarray(test["label"][:count]), 9)
completed = np.asarray(draw(jaxdl.root(2), 9 * count, which, prompt=half))
assert (completed[:, :4] == np.repeat(whole, 9, 0)[:, :4]).all()
side_by_side = np.concatenate([whole[:, None], completed.reshape(count, 9, 8, 8, 1)], 1)
show(side_by_side.reshape(-1, 8, 8, 1), "left: the whole digit; right: nine lower halves")

# %% [markdown]
# ## One sample after the other
#
# Sound is a sequence, too: 8,000 samples each second. Here it is the sum of three sines of random
# strength, plus noise. A sample becomes one of 64 levels. They are close together for quiet sounds.

# %%
levels = 64
sounds = sines(600, 321, seed=0)
held_out = sines(40, 321, seed=1)
ids = mu_law(sounds.samples, levels)
test_ids = mu_law(held_out.samples, levels)
figure, axes = plt.subplots(figsize=(7, 2))
axes.plot(sounds.samples[0], linewidth=0.8, label="with noise")
axes.plot(sounds.clean[0], linewidth=0.8, label="without")
axes.set_title("40 ms of sound: three sines, and noise", fontsize=9)
axes.legend()
figure.tight_layout()

# %% [markdown]
# **The prediction:** a sound changes little from one sample to the next, so the last sample is
# almost enough.

# %%
context = 128
flat = ids.astype(np.int64)
pairs = np.bincount((flat[:, :-1] * levels + flat[:, 1:]).ravel(), minlength=levels**2)
pairs = pairs.reshape(levels, levels) + 0.1
p_next = pairs / pairs.sum(1, keepdims=True)
later_ids = test_ids[:, context:]
bits_of_last = -np.log2(p_next[later_ids[:, :-1], later_ids[:, 1:]]).mean()
optimum = level_entropy(held_out.clean[:, context + 1 :].ravel(), levels=levels)
print(f"from the last sample: {bits_of_last:.2f} bits; the least possible: {optimum:.2f} bits")
assert bits_of_last > optimum + 0.5

# %% [markdown]
# Only the noise cannot be predicted, and its entropy is known. The model lacks a longer memory.
# In a **WaveNet** the taps of layer $l$ are $2^l$ samples apart, so that seven
# layers look back 128 samples:

# %%
body = models.WaveNet(16, skip=32, layers=7)
wave = tasks.language(models.SequenceNet(jaxdl.nn.Embedding(levels, 16), body, levels))
assert body.receptive_field == context
steps = 200
rate = optax.cosine_onecycle_schedule(steps, 0.01)
net = jaxdl.learner(wave.init, *wave.updates(optax.adam(rate)))
windows = Dataset({"input": ids[:, :-1], "label": ids[:, 1:]}, "sines")
counted = np.ones((40, 320), np.float32)
counted[:, :context] = 0
fields = {"input": test_ids[:, :-1], "label": test_ids[:, 1:], "mask": counted}
wave_state = jaxdl.train(net, windows, key=jaxdl.root(0), steps=steps, batch_size=8)
bits = jaxdl.evaluate(net, wave_state, Dataset(fields, "held out"))["bits"]
print(f"WaveNet: {bits:.2f} bits per sample; the least possible: {optimum:.2f}")
assert bits < optimum + 0.35

# %% [markdown]
# It generates sound one sample at a time. Queues keep the latest inputs of each layer, so one more
# sample costs the same however far the network looks back.

# %%
begin = jnp.asarray(test_ids[:1, :200])
made = jaxdl.bind(wave.generate, wave_state)(begin, jaxdl.root(3), length=4000)
sound = mu_law_inverse(np.asarray(made)[0], levels)
power = np.abs(np.fft.rfft(sound * np.hanning(4000)))
hertz = np.fft.rfftfreq(4000, 1 / 8000)
figure, axes = plt.subplots(figsize=(7, 2))
axes.plot(hertz[hertz < 1000], power[hertz < 1000], linewidth=0.8)
for each in (220, 345, 590):
    axes.axvline(each, color="red", linestyle="--", linewidth=0.8)
axes.set_title("spectrum of half a second of generated sound; dashed: the true pitches", fontsize=9)
axes.set_xlabel("frequency (Hz)")
highest = hertz[power.argmax()]
print(f"highest peak at {highest:.0f} Hz")
assert min(abs(highest / each - 1) for each in (220, 345, 590)) < 0.02

# %% [markdown]
# `experiments/pixelcnn.py`, `pixelrnn.py` and `wavenet.py` train larger networks, on MNIST and on
# your own `.wav` files.

# %% [markdown]
# ## Exercises
#
# **1.** How many passes through the network does an image of 64 pixels need in training, and how
# many in sampling?
#
# <details><summary>Answer</summary>
#
# One in training, since all pixels are known and all 64 factors are computed at once. In sampling
# each pixel needs the one before it, so there are 64 steps. `sample` keeps sums of the rows above,
# so all 64 steps together cost about as much as one pass.
#
# </details>
#
# **2.** Train the network without its class (`classes=None`). Does the number of nats rise or fall,
# and may you compare it with that of the network above?
#
# <details><summary>Answer</summary>
#
# It rises by at most the entropy of a class, $\ln 10 = 2.3$ nats, if both networks are perfect. One
# is $-\log p(x)$, and the other $-\log p(x \mid \text{class})$. They are different problems, so the
# two numbers cannot be compared.
#
# </details>
#
# **3.** Let the WaveNet have five layers instead of seven. It looks back 32 samples, 4 ms. Why
# does it need more bits?
#
# <details><summary>Answer</summary>
#
# A sine of 220 Hz has a period of 36 samples. From 32 noisy samples the phases and strengths of
# three sines can only be estimated roughly, and each error is added to the noise.
#
# </details>
