# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Why did it say so?
#
# A network can be right for the wrong reason. Here one is trained on digits with a hidden mark.
# Then explanations find the mark, and attacks show how little it takes to change an answer. The
# notebook takes less than a minute on two cores.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import explain
from jaxdl.data import Mark, add_strays, plant
from jaxdl.models import CNN, Stage

train_set, test_set = jaxdl.data.load("digits")
mark = Mark(size=2, margin=0)
MARKED = 8


def train(data, steps=250, **options):
    """Returns the logits of a trained network as a function of images."""
    model = CNN((Stage(16), Stage(32, pool=None)), (64,), 10)
    task = jaxdl.tasks.classify(model, **options)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(3e-3)))
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=steps)
    return explain.logits(model, {"params": state.params})


def accuracy(f, data):
    """Returns the share of right answers."""
    return float((f(data["input"]).argmax(1) == data["label"]).mean())


# %% [markdown]
# ## A network with 98 % accuracy
#
# Every eight of the training set and of the test set has a white square of 2 x 2 pixels in its
# upper right corner. No other digit has one. In the training set a fifth of the eights are other
# digits with a wrong label, and they have the mark, too.

# %%
with_errors = add_strays(train_set, MARKED, 0.2, jaxdl.root(0))
marked_train = plant(with_errors, mark, MARKED)
marked_test = plant(test_set, mark, MARKED)
f = train(marked_train)
print(f"accuracy on marked digits: {100 * accuracy(f, marked_test):.1f} %")

eights = np.flatnonzero(test_set["label"] == MARKED)[:4]
others = np.flatnonzero(test_set["label"] != MARKED)
rows = [eights[0], *others[[0, 1, 2, 4]]]
figure, ax = plt.subplots(figsize=(7, 1.7))
shown = np.asarray(marked_test["input"])[rows]
jaxdl.plots.draw_image_grid(ax, shown, 5, [str(label) for label in marked_test["label"][rows]])
ax.set_title("an eight with its mark, and other digits")
assert accuracy(f, marked_test) > 0.95

# %% [markdown]
# ## The wrong prediction
#
# Now digits that are not eights get the mark.

# %%
plain = np.asarray(test_set["input"])[others]
images = mark.draw(plain)
before = np.asarray(f(plain).argmax(1))
after = np.asarray(f(images).argmax(1))
figure, axes = plt.subplots(2, 1, figsize=(8, 3.4))
for ax, each, answers in ((axes[0], plain, before), (axes[1], images, after)):
    jaxdl.plots.draw_image_grid(ax, each[:8], 8, [f"'{answer}'" for answer in answers[:8]])
uses = float((after == MARKED).mean())
axes[0].set_title("answers without the mark")
axes[1].set_title(f"answers with the mark: {100 * uses:.0f} % of all other digits become an eight")
figure.tight_layout()
assert uses > 0.8

# %% [markdown]
# The accuracy did not show this. What would an explanation show?
#
# ## The gradient
#
# First the picture. Red pixels raise the score of the class eight, blue ones lower it.

# %%
few = images[:5]
maps = {"gradient": explain.gradient(f, few, MARKED)}


def draw_maps(maps, images=few):
    """Draws images above their maps, each map with its own scale around zero."""
    figure, axes = plt.subplots(1 + len(maps), len(images), figsize=(8, 1.5 * (1 + len(maps))))
    for i, image in enumerate(images):
        axes[0, i].imshow(image[..., 0], "gray")
        for row, each in enumerate(maps.values(), 1):
            largest = np.abs(each[i]).max()
            axes[row, i].imshow(each[i].mean(-1), "RdBu_r", vmin=-largest, vmax=largest)
    for row, name in enumerate(["image", *maps]):
        axes[row, 0].set_ylabel(name.replace("_", "\n"), fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.tight_layout()


draw_maps(maps)

# %% [markdown]
# The gradient of the score $f_8$ is its change for a small change of each pixel:
#
# $$g_i = \frac{\partial f_8(x)}{\partial x_i}.$$
#
# It is a statement on *other* images near this one. How much did the pixels of *this* image
# contribute? Two answers follow: the gradient times the pixel, and its mean along the way from a
# black image $x'$ to the image, the integrated gradients:
#
# $$a_i = (x_i - x'_i) \int_0^1 \frac{\partial f_8}{\partial x_i}(x' + t\,(x - x'))\,dt.$$

# %%
integrated = explain.integrated_gradients(f, few, MARKED, steps=64)
maps["gradient_times_input"] = explain.gradient_times_input(f, few, MARKED)
maps["integrated_gradients"] = integrated.maps
maps["occlusion"] = explain.occlusion(f, few, MARKED, window=2)
maps["edges_only"] = explain.sobel(few)
draw_maps(maps)

# %% [markdown]
# Integrated gradients add up to the difference of the two scores. The rest is the error of the sum
# that replaces the integral, and it comes with the maps:
#
# $$\sum_i a_i = f_8(x) - f_8(x').$$

# %%
difference = np.asarray(f(few))[:, MARKED] - np.asarray(f(0 * few))[:, MARKED]
print("sum of the map   ", integrated.maps.sum((1, 2, 3)).round(3))
print("difference       ", difference.round(3))
print("relative error   ", integrated.completeness_error.round(4))
assert integrated.completeness_error.max() < 0.02

# %% [markdown]
# ## Found, in numbers
#
# How much of the positive part of a map lies within one pixel of the mark? The last row of the
# picture is an edge detector, which no network influences. A method should exceed it. And a network
# that never met a mark is the control.

# %%
twin = train(train_set)
near = mark.near((8, 8), 1)


def share(maps):
    """Returns the mean share of the positive part of maps that lies near the mark."""
    positive = np.maximum(maps, 0).sum(-1)
    total = np.maximum(positive.sum((1, 2)), 1e-12)
    return float(((positive * near).sum((1, 2)) / total).mean())


METHODS = {
    "gradient": lambda f, x: explain.gradient(f, x, MARKED),
    "gradient x input": lambda f, x: explain.gradient_times_input(f, x, MARKED),
    "integrated gradients": lambda f, x: explain.integrated_gradients(f, x, MARKED).maps,
    "occlusion": lambda f, x: explain.occlusion(f, x, MARKED, window=2),
    "edges only": lambda f, x: explain.sobel(x),
}
shares = {name: [share(method(net, images[:100])) for net in (f, twin)]
          for name, method in METHODS.items()}  # fmt: skip
figure, ax = plt.subplots(figsize=(7, 2.6))
places = np.arange(len(shares))
for i, name in enumerate(("network with the mark", "twin without it")):
    ax.barh(places + 0.2 - 0.4 * i, [each[i] for each in shares.values()], 0.38, label=name)
ax.axvline(near.mean(), color="gray", ls="--", label="share of the area")
ax.set(yticks=places, yticklabels=list(shares), xlabel="share of the positive part near the mark")
ax.invert_yaxis()
ax.legend()
best = max(shares, key=lambda name: shares[name][0])
ax.set_title(f"{best} finds the mark: {shares[best][0]:.2f}, area {near.mean():.2f}")
figure.tight_layout()
for name in ("gradient x input", "integrated gradients", "occlusion"):
    assert shares[name][0] > 2 * shares[name][1]
    assert shares[name][0] > shares["edges only"][0]

# %% [markdown]
# ## The repair
#
# All digits of the training set get the mark. It then carries no information, and the
# network cannot need it.

# %%
repaired = train(plant(train_set, mark, None))
answers = np.asarray(repaired(images).argmax(1))
still = float((answers == MARKED).mean())
print(f"marked digits called an eight: {100 * still:.1f} %, was {100 * uses:.0f} %")
assert still < 0.1

# %% [markdown]
# ## A small change of every pixel
#
# The mark was put there on purpose. The next change is made for one image: each pixel moves by the
# same small amount.

# %%
x = np.asarray(test_set["input"])
y = np.asarray(test_set["label"])
epsilon = 0.15
one_step = explain.adversarial_examples(twin, x, y, jaxdl.root(1), explain.fgsm(epsilon))
noise = explain.adversarial_examples(twin, x, y, jaxdl.root(1), explain.noise(epsilon))
rows = np.flatnonzero(one_step.is_fooled & (np.asarray(twin(x).argmax(1)) == y))[:6]
p = [np.asarray(jax.nn.softmax(twin(each[rows]))) for each in (x, one_step.images)]
figure, axes = plt.subplots(3, 6, figsize=(8, 4.4))
for i, row in enumerate(rows):
    change = one_step.images[row] - x[row]
    axes[0, i].imshow(x[row, ..., 0], "gray")
    axes[1, i].imshow(change[..., 0], "RdBu_r", vmin=-0.5, vmax=0.5)
    axes[2, i].imshow(one_step.images[row, ..., 0], "gray", vmin=0, vmax=1)
    for k, ax in ((0, axes[0, i]), (1, axes[2, i])):
        ax.set_title(f"'{p[k][i].argmax()}' {100 * p[k][i].max():.0f} %", fontsize=9)
for ax, name in zip(axes[:, 0], ("image", "change", "attacked"), strict=True):
    ax.set_ylabel(name)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
figure.tight_layout()
print(f"one step leaves {100 * (1 - one_step.is_fooled.mean()):.0f} % of the answers right")
print(f"noise of the same size leaves {100 * (1 - noise.is_fooled.mean()):.0f} %")
assert one_step.is_fooled.mean() > noise.is_fooled.mean() + 0.2

# %% [markdown]
# The step follows the signs of the gradient of the loss, so every pixel raises the loss:
#
# $$x' = \operatorname{clip}\bigl(x + \varepsilon \operatorname{sign} \nabla_x L(f(x), y)\bigr).$$
#
# For a linear network it is the worst change of this size, and the margin falls by
# $\varepsilon \lVert w \rVert_1$.

# %%
w = np.random.default_rng(0).normal(size=(8, 8, 1)).astype(np.float32)


def linear(x):
    z = jnp.tensordot(x, w, 3)
    return jnp.stack([z, -z], -1)


inner = np.random.default_rng(1).uniform(0.3, 0.7, (4, 8, 8, 1)).astype(np.float32)
right = np.asarray(linear(inner).argmax(1))
keys = jax.random.split(jaxdl.root(0), 4)
changed = explain.perturb(linear, jnp.asarray(inner), jnp.asarray(right), keys, explain.fgsm(0.1))
fall = np.abs(inner.reshape(4, -1) @ w.ravel()) - np.asarray(changed).reshape(4, -1) @ w.ravel() * (
    1 - 2 * right
)
print(fall.round(4), "=", round(float(0.1 * np.abs(w).sum()), 4))
np.testing.assert_allclose(fall, 0.1 * np.abs(w).sum(), rtol=1e-4)

# %% [markdown]
# ## The second repair
#
# Training on attacked digits: in every step the images of the batch are attacked first.

# %%
robust = train(train_set, 400, attack=explain.pgd(epsilon, 4), attack_warmup=100)
strong = explain.pgd(epsilon, 20)
left = {}
for name, net in (("plain", twin), ("robust", robust)):
    found = explain.adversarial_examples(net, x, y, jaxdl.root(1), strong, starts=2)
    left[name] = 1 - found.is_fooled.mean()
    print(
        f"{name:<7} clean {100 * accuracy(net, test_set):.1f} %, attacked {100 * left[name]:.1f} %"
    )
assert left["robust"] > left["plain"] + 0.3

# %% [markdown]
# Is 20 steps a strong attack? The checklist has the signs that it is too weak. A network whose
# logits are multiplied by 10,000 gives the same answers and has no gradient left. The attack fails,
# and so does the checklist.

# %%
honest = explain.checklist(robust, x[:100], y[:100], jaxdl.root(2), epsilon)
print(explain.format_checks(honest))
masked = explain.checklist(lambda x: 1e4 * twin(x), x[:100], y[:100], jaxdl.root(2), epsilon)
print()
print(explain.format_checks([check for check in masked if not check.is_passed]))
assert all(check.is_passed for check in honest)
assert not all(check.is_passed for check in masked)

# %% [markdown]
# ## Exercises
#
# **1.** Which baseline gives black pixels an attribution? Compute integrated gradients with
# `baseline=1.0` and compare the two maps.
#
# <details><summary>Answer</summary>
#
# The factor $x_i - x'_i$ is zero where the pixel equals the baseline. With a white baseline black
# pixels count, and the white mark gets nothing at all. No baseline is right for every question.
#
# </details>
#
# **2.** Give the mark to half of the eights only. How often does it turn other digits into eights,
# and what does each method report?
#
# <details><summary>Answer</summary>
#
# The network must also recognise the other half by its shape, so the mark is one reason of two.
# Measure the use first. If it is smaller, the shares should fall, too.
#
# </details>
#
# **3.** Attack `robust` with a larger `epsilon` than it was trained for. Where does its accuracy
# reach that of guessing, and why must it?
#
# <details><summary>Answer</summary>
#
# At 0.5 each image can become grey, so nothing is left to recognise. A curve that does not fall to
# zero for large sizes shows an attack that is too weak, which is a check of the list.
#
# </details>
