# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # The landscape of the loss
#
# The loss of a network is a function of its weights. This notebook draws it around a trained
# network, along a training, and between two networks. Three predictions are wrong at first,
# and each one is repaired. The notebook takes less than a minute on two cores.

# %%
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import explain, landscape, plots
from jaxdl.models import MLP

train_set, test_set = jaxdl.data.load("digits")
model = MLP((512,), 10)
task = jaxdl.tasks.classify(model)
net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1, 0.9)))
states = []


def keep(state):
    """Keeps a copy of the parameters during the training."""
    states.append(jax.tree.map(np.array, state.params))


state = jaxdl.train(net, train_set, key=jaxdl.root(0), steps=400, save_every=20, on_validation=keep)
f = landscape.loss_of(task.loss, state, train_set, examples=500)
w = state.params
print(f"accuracy {100 * jaxdl.evaluate(net, state, test_set)['accuracy']:.1f} %")
print(f"loss on 500 training digits: {f(w):.4f}")

pictures = Path(tempfile.mkdtemp())


def show(path, inches=7):
    """Shows a picture file with this width."""
    picture = plt.imread(path)
    height, width = picture.shape[:2]
    figure = plt.figure(figsize=(inches, inches * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.set_axis_off()


# %% [markdown]
# ## Two networks
#
# `a` is the network that was just trained. The origin of `b` follows below. Each plane has the
# network in its middle and two random directions, the same ones for both.

# %%
c = 4.0
b = {
    "dense_0": jax.tree.map(lambda array: array / c, w["dense_0"]),
    "out": {"kernel": w["out"]["kernel"] * c, "bias": w["out"]["bias"]},
}


def planes(normalization, points=25, span=1.0):
    """Returns the planes around both networks with directions from the same keys."""
    found = {}
    for name, params in (("a", w), ("b", b)):
        x, y = (
            landscape.random_direction(params, jaxdl.stream(jaxdl.root(0), axis), normalization)
            for axis in "xy"
        )
        found[name] = landscape.surface(f, params, x, y, points=points, span=span)
    return found


plain = planes(None, span=0.1)
rise = {name: float(found.losses.mean() / f(w)) for name, found in plain.items()}
title = f"The mean loss of a plane is {rise['a']:.1f} and {rise['b']:.0f} times that of its middle"
plots.loss_planes(plain, pictures / "plain.png", title=title)
show(pictures / "plain.png")
assert rise["b"] > 5 * rise["a"]

# %% [markdown]
# A point of a plane has the weights of the middle $w$ and a multiple of each direction:
#
# $$L(\alpha, \beta) = f(w + \alpha x + \beta y).$$
#
# The middle itself has $\alpha = \beta = 0$, and its loss has the same bits as $f(w)$.

# %%
assert plain["a"].losses[12, 12] == f(w)

# %% [markdown]
# ## The wrong prediction
#
# The valley of `b` is narrow, and that of `a` is wide. A common claim is that networks in wide
# valleys are better on new data. So `a` should have more right answers on the test set.

# %%
digits = jnp.asarray(test_set["input"])


def accuracy(logits):
    """Returns the percentage of right answers on the test set."""
    return 100 * float((logits.argmax(1) == test_set["label"]).mean())


logits = {
    name: explain.logits(model, {"params": params})(digits) for name, params in (("a", w), ("b", b))
}
for name, each in logits.items():
    print(f"{name}: accuracy {accuracy(each):.2f} %")
np.testing.assert_array_equal(logits["a"], logits["b"])

# %% [markdown]
# All logits are equal, bit for bit. `b` is `a` with its first layer divided by 4 and the kernel of
# its second layer multiplied by 4. A ReLU passes the factor on:
#
# $$\operatorname{relu}(z / c) = \operatorname{relu}(z) / c, \qquad c > 0.$$
#
# The function is the same. Only the steps are longer or shorter, compared with the weights.
#
# ## The repair
#
# The steps should fit the weights. A filter is the weights of one output unit. Here each filter of
# a direction has the norm of the trained filter.

# %%
filtered = planes("filter")
difference = np.abs(filtered["b"].losses / filtered["a"].losses - 1).max()
title = f"With the norms of the filters both planes are equal, within {difference:.0e} of the loss"
plots.loss_planes(filtered, pictures / "filter.png", title=title)
show(pictures / "filter.png")
np.testing.assert_allclose(filtered["a"].losses, filtered["b"].losses, rtol=1e-4)

# %% [markdown]
# The filter $d_u$ of unit $u$ is scaled like this:
#
# $$d_u \leftarrow \lVert w_u \rVert \frac{d_u}{\lVert d_u \rVert}.$$
#
# Pictures of two networks can be compared if the directions are normalized.
#
# ## The second wrong prediction
#
# The plane looks like a wide bowl. So the loss should rise as slowly in any other direction. Here
# are eight random directions and one that was searched. All of them have length 1.

# %%
sharp = landscape.largest_eigenvalue(f, w, jaxdl.root(0), which="highest")


def unit(direction):
    """Returns a direction of Euclidean norm 1."""
    norm = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(direction)))
    return jax.tree.map(lambda leaf: leaf / norm, direction)


def along(direction, t):
    """Returns the weights after a step along a direction."""
    return jax.tree.map(lambda leaf, d: leaf + t * d, w, direction)


randoms = [unit(landscape.random_direction(w, jaxdl.root(seed))) for seed in range(8)]
REACH = 0.4
figure, ax = plt.subplots(figsize=(7, 3.2))
for i, direction in enumerate([*randoms, sharp.vector]):
    found = landscape.line(f, along(direction, -REACH), along(direction, REACH), points=31)
    distance = REACH * (2 * found.t - 1)
    is_random = i < len(randoms)
    color, label = ("gray", None) if is_random else ("crimson", "searched direction")
    ax.plot(distance, found.losses, color=color, label="random directions" if i == 0 else label)
value = float(f(w))
near = np.abs(distance) < 0.2
ax.plot(
    distance[near],
    value + sharp.value * distance[near] ** 2 / 2,
    "k:",
    label="its curvature alone",
)
ax.set(xlabel="distance from the network", ylabel="loss")
ax.legend()
curvatures = [float(landscape.curvature(f, w, direction)) for direction in randoms]
ax.set_title(f"curvature {sharp.value:.2f}, in random directions at most {max(curvatures):.1g}")
figure.tight_layout()
assert sharp.value > 100 * max(curvatures)
assert sharp.residual < 0.01 * sharp.value
count = sum(leaf.size for leaf in jax.tree.leaves(w))
print(f"{sharp.products} products with the Hessian of {count**2 / 1e9:.1f} billion numbers")

# %% [markdown]
# The curvature along a direction $d$ of length 1 contains the Hessian $H$, the matrix of second
# derivatives. Its highest value belongs to an eigenvector:
#
# $$d^\top H d = \frac{\partial^2}{\partial t^2} f(w + t d)\Big|_{t=0} \le \lambda_{\max}, \qquad
#   H v = \lambda_{\max} v.$$
#
# The products $Hv$ cost about two gradients each, and $H$ is never stored.
#
# ## What the number is good for
#
# In a narrow valley a long step ends higher on the other side. The prediction: below the rate
# $2 / \lambda$ a small error along $v$ vanishes, and above it the error grows. The gradient at $w$
# is subtracted, so that $w$ itself stays where it is.

# %%
gradient = jax.jit(jax.grad(f))
slope = gradient(w)


def error_along(rate, steps=6):
    """Returns the distance from w along v after each step, from 0.01 on."""
    moved = along(sharp.vector, 0.01)
    errors = []
    for _ in range(steps + 1):
        products = jax.tree.map(lambda p, q, v: ((p - q) * v).sum(), moved, w, sharp.vector)
        errors.append(abs(float(sum(jax.tree.leaves(products)))))
        moved = jax.tree.map(lambda p, g, q: p - rate * (g - q), moved, gradient(moved), slope)
    return np.array(errors)


figure, ax = plt.subplots(figsize=(7, 2.8))
for factor, color in ((1.5, "tab:blue"), (2.5, "crimson")):
    measured = error_along(factor / sharp.value)
    predicted = 0.01 * np.abs(1 - factor) ** np.arange(len(measured))
    ax.semilogy(measured, "o-", color=color, label=f"rate {factor} / eigenvalue")
    ax.semilogy(predicted, "k:", label="predicted" if factor == 2.5 else None)
    is_growing = measured[-1] > measured[0]
    assert is_growing == (factor > 2)
ax.set(xlabel="steps of gradient descent", ylabel="error along v")
ax.set_title(f"the error grows if the rate exceeds 2 / {sharp.value:.2f} = {2 / sharp.value:.2f}")
ax.legend()
figure.tight_layout()

# %% [markdown]
# On a parabola with curvature $\lambda$ one step with the rate $r$ multiplies the error:
#
# $$e_{k+1} = (1 - r \lambda) \, e_k, \qquad |1 - r \lambda| > 1 \iff r > 2 / \lambda.$$
#
# ## The path of the training
#
# The weights were kept every 20 steps. The left plane has two random directions, and the right one
# fits the path.

# %%
plane = landscape.plane(states)
end = states[-1]


def flat(params):
    """Returns all weights as one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)]).astype(np.float64)


path = np.stack([flat(params) - flat(end) for params in states])
pair = [unit(landscape.random_direction(w, jaxdl.root(seed))) for seed in (0, 1)]
in_random = np.stack([path @ flat(direction) for direction in pair], 1)
low = plane.coordinates.min(0)
high = plane.coordinates.max(0)
margin = 0.25 * (high - low).max()
span = tuple((float(a), float(b)) for a, b in zip(low - margin, high + margin, strict=True))
shares = [(in_random**2).sum() / (path**2).sum(), plane.share.sum()]
drawn = [
    landscape.surface(f, end, dx, dy, points=25, span=span) for dx, dy in (pair, (plane.x, plane.y))
]
losses = np.concatenate([found.losses for found in drawn])
levels = np.geomspace(losses.min(), np.quantile(losses, 0.98), 25)
figure, axes = plt.subplots(1, 2, figsize=(8, 4))
panels = zip(axes, drawn, (in_random, plane.coordinates), shares, strict=True)
for ax, found, places, share in panels:
    plots.draw_loss_plane(ax, *found, levels=levels)
    ax.plot(*places.T, "o-", color="white", markersize=3, linewidth=1)
    ax.plot(*places[-1], "*", color="red", markersize=11)
    ax.set_xlabel("distance along the first direction")
    ax.set_title(f"{100 * share:.2g} % of the path", fontsize=10)
axes[0].set_ylabel("distance along the second direction")
axes[0].annotate("start and end", in_random[-1], (0.3, 0.3), color="white")
axes[1].annotate("start", plane.coordinates[0], plane.coordinates[0] + 0.2, color="white")
axes[1].annotate("end", (0, 0), (-1.4, 0.2), color="white")
figure.suptitle("the same training in two random and in two principal directions")
figure.tight_layout()
assert shares[0] < 0.01
assert shares[1] > 0.9

# %% [markdown]
# The path $M$ has a row $w_s - w_S$ for each kept state. Its principal directions are those with
# the largest sums of squares:
#
# $$x = \arg\max_{\lVert d \rVert = 1} \lVert M d \rVert^2, \qquad
#   \text{share} = \frac{\lVert M x \rVert^2}{\lVert M \rVert^2}.$$
#
# In thousands of dimensions a random direction is nearly orthogonal to any given one. So the
# training seems to stand still in the left plane.
#
# ## The third wrong prediction
#
# Another seed ends at other weights. Each network is at the bottom of its valley, so there must be
# a mountain between them.

# %%
other = jaxdl.train(net, train_set, key=jaxdl.root(1), steps=400)
between = landscape.line(f, w, other.params, points=31)
height = landscape.barrier(between.losses)
plots.loss_lines({"straight line": between}, pictures / "line.png", title=f"barrier {height:.3f}")
show(pictures / "line.png", 6)
assert height > 3 * max(between.losses[[0, -1]])

# %% [markdown]
# The barrier is the largest distance above the straight line between both losses:
#
# $$\max_t \; L(t) - \bigl((1 - t) L(0) + t L(1)\bigr).$$
#
# ## The last repair
#
# The 512 hidden units have no order. If they are renumbered, together with their weights, the
# network computes the same function. The two seeds have different orders, and the line mixes units
# that have nothing to do with each other. `match_units` finds the order that is nearest to the
# first network.

# %%
matched = landscape.match_units(model, state, other)
after = landscape.line(f, w, matched.state.params, points=31)
left = landscape.barrier(after.losses)
plots.loss_lines(
    {"as trained": between, "matched units": after},
    pictures / "matched.png",
    title=f"barrier {height:.3f}, with matched units {left:.3f}",
)
show(pictures / "matched.png", 6)
moved = (matched.permutations["dense_0"] != np.arange(512)).mean()
print(f"{100 * moved:.0f} % of the units have another number now")
np.testing.assert_allclose(f(matched.state.params), f(other.params), rtol=1e-4)
assert left < 0.25 * height

# %% [markdown]
# `match_units` searches the order $P$ of the units of the second network $b$:
#
# $$\min_P \; \lVert a - P(b) \rVert^2.$$
#
# Most of the mountain was a matter of numbering. The network half way between the two was never
# trained. How many digits are right?

# %%
half_way = {}
for name, params in (("as trained", other.params), ("matched units", matched.state.params)):
    middle = jax.tree.map(lambda p, q: (p + q) / 2, w, params)
    half_way[name] = accuracy(explain.logits(model, {"params": middle})(digits))
    print(f"{name:<14} accuracy half way {half_way[name]:.1f} %")
assert half_way["matched units"] > max(96.5, half_way["as trained"])

# %% [markdown]
# ## Exercises
#
# **1.** Measure the highest eigenvalue at `b`. Is it a measure of flatness that can be compared?
#
# <details><summary>Answer</summary>
#
# No. It is about ten times higher for the same function, because it measures steps of a fixed
# length. It shows which learning rate is stable for these weights, and `b` needs a smaller one.
#
# </details>
#
# **2.** Make 20 states of a random walk: add normal numbers to `w` again and again. Give them to
# `landscape.plane`. Which share has the plane?
#
# <details><summary>Answer</summary>
#
# About 90 %, and its path is a smooth curve. So a large share is no evidence that a training is
# simple. It must be compared with that of a random walk.
#
# </details>
#
# **3.** Train and match two networks with 16 hidden units. Compare both barriers with those of 512
# units. Then use other seeds.
#
# <details><summary>Answer</summary>
#
# With seeds 0 and 1 and 16 units the barrier is 0.64, and 0.04 after matching. Both are higher than
# those of 512 units. Among many units most find a similar one. One pair of seeds is no evidence of
# a rule, so the other pairs belong to the answer.
#
# </details>
