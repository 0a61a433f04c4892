# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Convolution by hand
#
# A convolution is a sum of products, at every position of an image. In this notebook nearly all
# weights are written by hand, from a blur to a face detector. Three predictions are wrong at first,
# and each one is repaired. The notebook takes less than a minute on two cores.

# %%
import tempfile
from pathlib import Path

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import filters, plots
from jaxdl.filters.drawings import FRONT, PROFILE, SCRAMBLED
from jaxdl.models import CNN, Stage
from jaxdl.nn import out_size
from jaxdl.recipes.by_hand import photographs, stacked, taught_set

pictures = Path(tempfile.mkdtemp())


def show(path, inches=9):
    """Shows a picture file with this width."""
    picture = plt.imread(path)
    height, width = picture.shape[:2]
    figure = plt.figure(figsize=(inches, inches * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.set_axis_off()


photos = photographs(240)
temple = filters.grey(photos["temple"])
kernels = {name: filters.named_kernel(name) for name in ("box_blur", "sharpen", "sobel_x")}
results = {
    name: [np.asarray(filters.filter_image(temple, kernel))] for name, kernel in kernels.items()
}
title = "A kernel and the photograph that it makes"
show(plots.filtered_photographs([temple], kernels, results, pictures / "first.png", title))

# %% [markdown]
# ## One number of the result
#
# The kernel lies on a part of the image. Each pixel is multiplied by the weight above it, and the
# products are added. Here are three positions of the last kernel, on a small image with an edge.

# %%
image = np.zeros((6, 6, 1), np.float32)
image[1:, 3:] = 1
sobel = filters.named_kernel("sobel_x")
result = np.asarray(filters.filter_image(image, sobel, padding="VALID"))[..., 0]
places = [(0, 0), (0, 1), (2, 2)]
steps = [(i, j, filters.products_at(image, sobel, i, j)) for i, j in places]
title = "Three of 16 positions: pixels times weights, and their sum"
show(plots.sums_by_position(image[..., 0], sobel, steps, result, pictures / "sums.png", title), 7)

# %% [markdown]
# For a stride $S$ and a padding of $P$ zeros the number at position $(i, j)$ is
#
# $$y_{ij} = \sum_{f,g} x_{iS + f - P,\; jS + g - P}\; k_{fg}.$$
#
# Most libraries call this a convolution, although the kernel is not turned. A loop gives the same.

# %%
loop = np.array(
    [[(image[i : i + 3, j : j + 3, 0] * sobel).sum() for j in range(4)] for i in range(4)]
)
np.testing.assert_array_equal(loop, result)
assert [step.total for _, _, step in steps] == [result[i, j] for i, j in places]

# %% [markdown]
# The result is 4x4, smaller than the image. The bars are the positions of a window, and the zeros
# are the padding.

# %%
examples = [(6, 3, 1, 0), (6, 3, 1, 1), (7, 3, 2, 0), (8, 3, 2, 0)]
rows = [(w, f, s, p, out_size(w, f, s, p)) for w, f, s, p in examples]
show(plots.windows_along_a_line(rows, pictures / "sizes.png", "Positions along one axis"))

# %% [markdown]
# For the width $W$ of the image and $F$ of the kernel the number of positions is
#
# $$\frac{W - F + 2P}{S} + 1, \qquad \text{rounded down}.$$

# %%
for w, f, s, p in examples:
    line = np.zeros((w, w, 1), np.float32)
    found = filters.filter_image(line, np.ones((f, f), np.float32), s, p).shape
    assert found == (out_size(w, f, s, p), out_size(w, f, s, p), 1)

# %% [markdown]
# ## The first wrong prediction
#
# `sobel_x` finds vertical edges and `sobel_y` horizontal ones. Their sum should find all edges. The
# disk has an edge in each direction.

# %%
y, x = np.mgrid[-40:41, -40:41]
disk = (x**2 + y**2 < 30**2).astype(np.float32)[..., None]
disk = np.asarray(filters.filter_image(disk, filters.gaussian_blur(9, 1.5)))
along_x = np.asarray(filters.filter_image(disk, sobel))
along_y = np.asarray(filters.filter_image(disk, filters.named_kernel("sobel_y")))
total = along_x + along_y
length = np.sqrt(along_x**2 + along_y**2)
angle = np.degrees(np.arctan2(y, x))
edge = abs(np.hypot(x, y) - 30) < 1.5


def by_angle(values):
    """Returns the mean absolute response at the edge of the disk, for every 15 degrees."""
    places = [edge & (abs(angle - middle) < 4) for middle in range(-165, 166, 15)]
    return np.array([abs(values[..., 0])[place].mean() for place in places])


figure, axes = plt.subplots(1, 4, figsize=(11, 2.7))
panels = {"disk": disk, "sum of both": total, "length": length}
for ax, (name, values) in zip(axes, panels.items(), strict=False):
    ax.imshow(abs(values[..., 0]), "gray")
    ax.set_title(name)
    ax.set_axis_off()
axes[3].plot(range(-165, 166, 15), by_angle(total), "o-", label="sum")
axes[3].plot(range(-165, 166, 15), by_angle(length), "o-", label="length")
axes[3].set(xlabel="direction in degrees", ylabel="response", ylim=(0, None))
axes[3].legend(loc="lower left", fontsize=8)
lowest = [by_angle(values).min() for values in (total, length)]
axes[3].set_title(f"at least {lowest[0]:.2f} and {lowest[1]:.2f}")
figure.tight_layout()
assert by_angle(total).min() < 0.1 * by_angle(total).max()
assert by_angle(length).min() > 0.8 * by_angle(length).max()

# %% [markdown]
# The sum vanishes at -45 and 135 degrees. Both filters are linear, so their sum is one more filter
# of changes in one direction. The repair is not linear: both numbers are the sides of a right
# angle.
#
# $$\text{length} = \sqrt{(k_x * x)^2 + (k_y * x)^2}$$
#
# This is a reason for the activation after every convolution of a network: sums of convolutions
# alone are another convolution.

# %%
together = filters.filter_image(disk, sobel + filters.named_kernel("sobel_y"))
np.testing.assert_allclose(together, total, atol=1e-5)

# %% [markdown]
# ## Pooling
#
# Pooling keeps one number of each window of 2x2 pixels: the largest one, or the mean.

# %%
kinds = {
    kind: [np.asarray(each) for each in filters.pool_repeatedly(photos["temple"], 5, kind)]
    for kind in ("max", "average")
}
last = kinds["max"][-1].shape
title = f"Five times: {last[0]}x{last[1]} of 160x240 positions are left"
show(plots.pooled_photograph(kinds, pictures / "pooling.png", title))
pixels = photos["temple"][:, :, 0]
blocks = pixels[: 32 * last[0], : 32 * last[1]].reshape(last[0], 32, last[1], 32)
np.testing.assert_array_equal(kinds["max"][-1][..., 0], blocks.max((1, 3)))

# %% [markdown]
# Five times the maximum of 2x2 pixels is the maximum of 32x32 pixels:
#
# $$\max(\max(a, b), \max(c, d)) = \max(a, b, c, d).$$
#
# ## The second wrong prediction
#
# Networks with pooling are often called invariant to shifts. After three poolings a position covers
# 8x8 pixels. So a shift by less than 8 pixels should not change the result. First a single bright
# dot, and then a part of the photograph.

# %%
dot = np.zeros((16, 16, 1), np.float32)
dot[0, 0] = 1
fade = np.hanning(96).astype(np.float32)
flower = filters.grey(photos["flower"])[20:116, 60:156] * np.outer(fade, fade)[..., None]
copy = np.ones((1, 1), np.float32)
shifts = range(13)
of_dot = filters.shifted_responses(dot, copy, 3, shifts)
of_flower = filters.shifted_responses(flower, sobel, 3, shifts)
curves = {
    "dot": {"stride 8": (of_dot.shift, of_dot.change, 8)},
    "photograph": {"stride 8": (of_flower.shift, of_flower.change, 8)},
    "photograph, response moved by whole strides": {
        "stride 8": (of_flower.shift, of_flower.change_after_moving, 8)
    },
}
title = "Change of the response after three poolings"
show(plots.shift_curves(curves, pictures / "shifts.png", title))
assert of_dot.change[:8].max() == 0
assert of_flower.change[1:8].min() > 0.05

# %% [markdown]
# The prediction holds for the dot at the corner of its window only. The maxima of a photograph lie
# at all places of their windows. Some of them leave it with the first pixel, and the response
# changes.
#
# $$\text{change}(s) = \frac{\lVert y(x_s) - y(x_0) \rVert}{\lVert y(x_0) \rVert}$$
#
# The repaired claim has two parts. A shift by a whole stride moves the response by one position,
# exactly. In between the response changes less with pooling than without it.

# %%
without = filters.shifted_responses(flower, sobel, 0, [1])
print(f"shift by 1 pixel: {without.change[0]:.2f} without, {of_flower.change[1]:.2f} with pooling")
assert of_flower.change_after_moving[8] == 0
assert of_flower.change_after_moving[1:8].min() > 0.05
assert of_flower.change[1] < 0.5 * without.change[0]

# %% [markdown]
# ## A face detector
#
# Now the kernels are small drawings. Black is 1 and white is 0. A cell of a filter must be black,
# must be white, or does not matter (grey). The first filters find strokes of 2x2 pixels, the next
# ones find parts that consist of strokes, and the last one finds a face that consists of parts.

# %%
front = filters.drawing(FRONT)
found = filters.find_face(front)
levels = [
    {f"stroke {name}": (cells, found.strokes[name]) for name, cells in filters.STROKES.items()},
    {name: (cells, found.parts[name]) for name, cells in filters.PARTS.items()},
    {"face": (filters.FACE, found.face)},
]
title = "From left to right: strokes, parts, face. e is an eye, n a nose and m a mouth"
show(plots.face_hierarchy(front, levels, pictures / "filters.png", title))
assert found.is_face

# %% [markdown]
# A black cell has the weight 1, a white one -1, and a grey one 0. If all $n$ black cells and all
# white cells agree, the sum is $n$. Otherwise it is at most $n - 1$. So with the bias $1 - n$ a
# ReLU is 1 for a match and 0 otherwise:
#
# $$y = \max(0,\; k * x + 1 - n).$$
#
# After the strokes and after the parts the maximum of 2x2 positions is taken. This is a CNN of the
# library, and its weights are whole numbers.

# %%
model, variables = filters.face_detector()
print(jaxdl.models.table(model, front[None]))
corner = filters.binary_kernel(filters.STROKES["┌"])[..., 0]
print(f"weights of a corner: {corner.tolist()}, bias {variables['params']['conv_0']['bias'][0]}")
assert variables["params"]["conv_0"]["bias"][0] == 1 - (corner == 1).sum()
maps = model.apply(variables, front[None], train=False)
np.testing.assert_array_equal(maps[0, ..., 0], found.face)

# %% [markdown]
# ## The third wrong prediction
#
# The detector finds two eyes, a nose and a mouth. An image in which all of these are found should
# be a face. Here are a profile and a face with its parts at wrong places.

# %%
drawings = {
    "front": front,
    "shifted": np.pad(front, ((6, 2), (1, 7), (0, 0))),
    "profile": filters.drawing(PROFILE),
    "scrambled": filters.drawing(SCRAMBLED),
}
seen = {name: filters.find_face(image) for name, image in drawings.items()}
shown = {
    name: (drawings[name], {**each.parts, "face": each.face}, each.is_face)
    for name, each in seen.items()
}
title = "Maps of the parts, and the verdicts"
show(plots.face_verdicts(shown, pictures / "verdicts.png", title), 7)
counts = {name: {k: int(v.sum()) for k, v in each.parts.items()} for name, each in seen.items()}
for name, each in counts.items():
    print(f"{name:<10} {each}")
assert counts["front"] == counts["scrambled"]
assert [each.is_face for each in seen.values()] == [True, True, False, False]

# %% [markdown]
# The scrambled face has as many parts as the front. Even the profile has a "mouth": the lower edge
# of an eye fits that filter, too. The number of parts is not enough. The last filter reads where
# they are: eyes above, the nose in the middle, and the mouth below. A convolution keeps the places,
# and a sum over all positions would lose them.
#
# ## How far may a part move?
#
# Pooling forgets the place within a window. Here the left eye moves while all other parts stay. The
# number is the percentage of 16 places of the whole face at which it is found.

# %%
shares = {
    "with pooling": filters.tolerance("left eye", 4),
    "without pooling": filters.tolerance("left eye", 4, pool=False),
}
title = "Faces found in % if only the left eye moves"
show(plots.tolerance_maps(shares, pictures / "moves.png", title), 7)

# %% [markdown]
# Two poolings make squares of 4x4 pixels. A part that moves by $a$ pixels stays in its square at
# $4-|a|$ of 4 places:
#
# $$\text{share}(a, b) = \left(1 - \frac{|a|}{4}\right) \left(1 - \frac{|b|}{4}\right).$$

# %%
stays = 1 - abs(np.arange(-4, 5)) / 4
np.testing.assert_allclose(shares["with pooling"], np.outer(stays, stays))
assert shares["without pooling"].sum() == 1

# %% [markdown]
# ## Weights from a training
#
# For real photographs a training finds the weights. A network of one convolution gets photographs
# and their filtered images. Gradient descent finds the kernels.

# %%
names = ("sobel_x", "laplacian", "box_blur")
taught = taught_set(jaxdl.data.load("photos")[0], names, 256)
one = CNN((Stage(len(names), 3, pool=None),), outputs=None, activation="linear")
task = jaxdl.tasks.regress(one)
schedule = optax.cosine_decay_schedule(0.1, 1500)
net = jaxdl.learner(task.init, *task.updates(optax.adam(schedule)))
state = jaxdl.train(net, taught, key=jaxdl.root(0), steps=1500, batch_size=32)
learned = np.asarray(state.params["conv_0"]["kernel"])
rows = {
    label: {name: kernel[:, :, 0, i] for i, name in enumerate(names)}
    for label, kernel in (("by hand", stacked(names)), ("trained", learned))
}
difference = abs(learned - stacked(names)).max()
title = f"Largest difference of a weight: {difference:.2g}"
show(plots.kernels_side_by_side(rows, pictures / "learned.png", title), 6)
assert difference < 0.1

# %% [markdown]
# ## Exercises
#
# **1.** Apply `second_derivative_x` to the columns $x^2$, with `padding="VALID"`. Which number is
# the result, and why?
#
# <details><summary>Answer</summary>
#
# 2 everywhere, the second derivative of $x^2$: $(x - 1)^2 - 2x^2 + (x + 1)^2 = 2$.
#
# </details>
#
# **2.** Move the nose with `filters.parts_drawing(32, (8, 8), {"nose": (0, 2)})`. Is it a face? Try
# the other columns of the whole face, `(8, 9)` to `(8, 11)`.
#
# <details><summary>Answer</summary>
#
# Half of the four places are faces: the nose stays in its square at 2 of 4 places.
#
# </details>
#
# **3.** Blur twice with `box_blur(3)`. Which single kernel gives the same, away from the border?
#
# <details><summary>Answer</summary>
#
# The kernel of 5x5 that is the convolution of both, `[1, 2, 3, 2, 1]` times itself divided by 81.
# Blurs of blurs come closer and closer to a Gaussian.
#
# </details>

# %%
# Checks of the answers.
squares = np.broadcast_to(np.arange(7.0) ** 2, (3, 7))[..., None]
second = filters.filter_image(squares, filters.named_kernel("second_derivative_x"), padding="VALID")
assert (second == 2).all()
noses = [filters.parts_drawing(32, (8, 8 + k), {"nose": (0, 2)}) for k in range(4)]
assert sum(filters.find_face(each).is_face for each in noses) == 2
noise = np.random.default_rng(0).random((12, 12, 1)).astype(np.float32)
box = filters.box_blur(3)
twice = filters.filter_image(
    filters.filter_image(noise, box, padding="VALID"), box, padding="VALID"
)
weights = np.array([1, 2, 3, 2, 1])
once = filters.filter_image(noise, np.outer(weights, weights) / 81, padding="VALID")
np.testing.assert_allclose(jnp.asarray(twice), once, atol=1e-6)
