# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # What a layer sees
#
# A convolutional network turns an image into maps, and maps into other maps. This notebook shows
# these maps, the part of an image that a unit depends on, the crops that excite it, and images that
# are made for it. It takes a minute on two cores.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import explain
from jaxdl.explain import Ascent
from jaxdl.models import CNN, Stage
from jaxdl.recipes.seeing import draw_network, draw_units, preparation, see_units

train_set, test_set = jaxdl.data.load("digits")
images = np.asarray(train_set["input"])
model = CNN((Stage(16), Stage(32), Stage(32, pool=None)), (64,), 10)
task = jaxdl.tasks.classify(model)
net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-3)))
state = jaxdl.train(net, train_set, key=jaxdl.root(0), steps=220)
variables = {"params": state.params}
print(jaxdl.evaluate(net, state, test_set))


def show(path, inches=11):
    """Shows a picture file with this width."""
    picture = plt.imread(path)
    height, width = picture.shape[:2]
    figure = plt.figure(figsize=(inches, inches * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.set_axis_off()


# %% [markdown]
# ## Filters and maps
#
# The first layer has 16 filters of 3 x 3 weights. Red weights add, blue ones subtract. Below them
# is one digit at every layer.

# %%
pictures = Path(tempfile.mkdtemp())
draw_network(model, variables, images[:1], lambda name: pictures / f"{name}.png")
show(pictures / "filters.png", 4)
show(pictures / "maps.png")

# %% [markdown]
# Every row has a name. `explain.layers` lists them with their shapes, and `explain.layer` returns
# one of them as a function of images:
#
# $$f(x) = h_\ell(x), \qquad f: [B, H, W, C] \to [B, I, J, U].$$
#
# The last axis has the units. All that follows needs only such a function.

# %%
for name, shape in explain.layers(model, variables, images.shape[1:]).items():
    print(f"{name:<18} {shape}")
f = explain.layer(model, variables, "conv_1")
assert f(images[:2]).shape == (2, 4, 4, 32)

# %% [markdown]
# ## The receptive field
#
# A unit of `conv_1` at one position depends on few pixels. To find them, one row of an image
# becomes NaN. Each number that is computed from it becomes NaN, too, because 0 times NaN is NaN.

# %%
broken = images[:1].copy()
broken[0, 1] = np.nan
figure, axes = plt.subplots(1, 2, figsize=(6, 2.4))
axes[0].imshow(broken[0, ..., 0], "gray")
axes[0].set_title("row 1 is NaN")
axes[1].imshow(np.isnan(f(broken))[0, ..., 0], "magma")
axes[1].set_title("positions that depend on it")

boxes = explain.receptive_fields(f, images.shape[1:])
print("rows of position 2:", boxes.top[2, 2, 0], "to", boxes.bottom[2, 2, 0] - 1)

# %% [markdown]
# The eight rows and eight columns, one by one, give the box of every unit. The usual formula gives
# the same size for a stack of windows $F_\ell$ with strides $S_\ell$:
#
# $$R = 1 + \sum_\ell (F_\ell - 1) \prod_{k<\ell} S_k = 1 + 2 + 1 + 2 \cdot 2 = 8.$$
#
# The image is 8 pixels wide and the field begins outside of it, so one row is missing here.

# %%
assert boxes.size == (7, 7)
wide = explain.layer(model.clone(dense=(), outputs=None), variables, "conv_1")
assert explain.receptive_fields(wide, (24, 24, 1)).size == (8, 8)

# %% [markdown]
# ## The crops that excite a unit
#
# For each unit the set is searched for the nine largest activations. The box of each is cut out.

# %%
crops = explain.best_crops(f, images, boxes=boxes)
unit = 1
figure, axes = plt.subplots(figsize=(9, 1.4))
titles = [f"{value:.2f}" for value in crops.value[unit]]
jaxdl.plots.draw_image_grid(axes, explain.cut(images, crops, unit), 9, titles)

# %% [markdown]
# The crop is all that the unit depends on. With noise everywhere else the activation is the same.

# %%
best = images[crops.image[unit, 0]]
noise = np.random.default_rng(0).random(best.shape, np.float32)
alone = explain.only_box(best, crops.box[unit, 0], noise)
activation = np.asarray(f(alone[None])).reshape(-1, 32)[crops.position[unit, 0], unit]
print(activation, crops.value[unit, 0])
assert abs(activation - crops.value[unit, 0]) < 1e-4

# %% [markdown]
# ## A wrong prediction
#
# The crops of this unit are bright. Does it look for bright pixels? Then a white image would excite
# it more than any digit.

# %%
white = np.ones((1, 8, 8, 1), np.float32)
figure, axes = plt.subplots(figsize=(6, 1.8))
values = [float(f(white)[..., unit].max()), float(crops.value[unit, 0])]
axes.barh(["a white image", "the best digit"], values)
axes.set_title(f"activation of unit {unit}: white {values[0]:.2f}, best digit {values[1]:.2f}")
figure.tight_layout()
assert values[0] < values[1]

# %% [markdown]
# It does not. The dark pixels of the crops count as much as the bright ones. To see both, an image
# is made for the unit: gradient ascent on the pixels.
#
# $$x^\star = \arg\max_{x \in [0, 1]^{H \times W}} f(x)_u.$$
#
# ## An image for each unit
#
# On the left is the made image, on the right are the crops. Blue numbers are made images that
# excite the unit at least as much as all 1,438 digits.

# %%
seen = see_units(model, variables, "conv_1", images, jaxdl.root(0), units=range(16))
show(draw_units(seen, pictures / "conv_1.png", f"{len(images):,} digits"))
share = seen.exceeds[seen.is_live].mean()
print(f"{100 * share:.0f} % of the units prefer the made image")
assert share >= 0.9

# %% [markdown]
# ## Why the image is warped while it is made
#
# An image for one of the ten outputs has 64 free pixels. The plain ascent uses each of them. With
# random shifts, rotations and scalings a pixel alone counts less, and the image becomes smoother:
#
# $$x^\star = \arg\max_x \mathbb{E}_t \, f(t(x))_u.$$

# %%
out = explain.layer(model, variables, "head/out")
plain = Ascent("pixels", shift=0, scale=0, rotation=0)
warped = Ascent(shift=1)
made = {name: explain.maximize(out, range(10), jaxdl.root(0), (8, 8, 1), ascent)
        for name, ascent in (("plain", plain), ("warped", warped))}  # fmt: skip


def roughness(images):
    """Returns the mean squared difference of neighbouring pixels."""
    return (np.diff(images, axis=1) ** 2).mean() + (np.diff(images, axis=2) ** 2).mean()


figure, axes = plt.subplots(2, 1, figsize=(9, 2.8))
for ax, (name, each) in zip(axes, made.items(), strict=True):
    jaxdl.plots.draw_image_grid(ax, each.images, 10)
    ax.set_title(f"{name}: images for the classes 0 to 9, roughness {roughness(each.images):.2f}")
figure.tight_layout()
assert roughness(made["warped"].images) < roughness(made["plain"].images)

# %% [markdown]
# Neither row is a row of digits. The network only separates ten classes. Whatever raises the number
# of a class above all others is enough, and that is less than a digit.

# %%
probabilities = jaxdl.bind(task.predict, state)(made["warped"].images)
print(np.asarray(probabilities).max(1).round(3))
assert (np.asarray(probabilities).argmax(1) == np.arange(10)).all()

# %% [markdown]
# ## Imported weights
#
# Networks that were trained on photographs have richer layers. `jaxdl.load` reads files of weights,
# and the same functions apply. The next cell needs such a file: `WEIGHTS=vgg16.pth`. The crops are
# of two photographs.

# %%
if "WEIGHTS" in os.environ:
    imported = jaxdl.load(os.environ["WEIGHTS"])
    photos = np.asarray(jaxdl.data.load("photos")[0]["input"])[:200]
    first = next(iter(explain.layers(imported.model, imported.variables, (224, 224, 3))))
    arguments = (imported.model, imported.variables, first, photos, jaxdl.root(0))
    options = {"units": range(8), "size": 16, "prepare": preparation(imported.preprocessing)}
    show(draw_units(see_units(*arguments, **options), pictures / "imported.png"))
else:
    print("no file of weights; set WEIGHTS to see the first layer of an imported network")

# %% [markdown]
# ## Exercises
#
# **1.** How large is the receptive field of `conv_2`, without the borders of the image? Compute it
# by the formula, then measure it.
#
# <details><summary>Answer</summary>
#
# $R = 1 + 2 + 1 + 2 \cdot 2 + 2 + 2 \cdot 4 = 18$: two pixels for each of the 3 x 3 windows, times
# the strides before it, and one or two for the two poolings. `explain.receptive_fields` of `wide`
# for `"conv_2"` and images of 40 x 40 gives `(18, 18)`.
#
# </details>
#
# **2.** A unit of the first layer is $w \cdot x + b$. Which image in $[0, 1]$ excites it most, and
# by how much? Compare with `explain.maximize`.
#
# <details><summary>Answer</summary>
#
# The image with 1 where the weight is positive and 0 elsewhere, so $\sum_i \max(w_i, 0) + b$. The
# made image reaches this number, because it is rounded to 8 bits and its pixels are 0 or 1. A digit
# can reach it, too, but not exceed it.
#
# </details>
#
# **3.** Make images with `Ascent(score="mean")`. Why do they show a texture, and why is their
# largest activation lower?
#
# <details><summary>Answer</summary>
#
# The mean counts all positions, whose receptive fields overlap. The pattern that one position
# prefers disturbs its neighbours, so the image is a compromise: it repeats what fits together.
#
# </details>
