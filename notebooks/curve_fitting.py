# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Lines and curves
#
# Learning is a search for numbers that fit data. Here the numbers belong to a line between two
# kinds of fruit, or to a curve through points. The notebook has four wrong predictions, each with
# its repair. It takes less than a minute on two cores.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import classic, data, plots
from jaxdl.recipes.perceptron import two_classes

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
# ## Bananas and peppers
#
# Each fruit has a length and a weight. Which of the two is it?

# %%
train, test = data.load("fruits")
x = train["input"]
sign = 2 * train["label"] - 1
AXES = ("length in cm", "weight in g")
figure, ax = plt.subplots(figsize=(6, 3.6))
for label, color in enumerate(("orange", "tab:blue")):
    chosen = train["label"] == label
    ax.scatter(*x[chosen].T, s=14, color=color, label=train.class_names[label])
ax.set(xlabel=AXES[0], ylabel=AXES[1], title=f"{len(train)} fruits")
ax.legend()
figure.tight_layout()

# %% [markdown]
# A line seems to be enough. A neuron with two weights and a bias is such a line: it answers
# "banana" where
#
# $$w_1 \cdot \text{length} + w_2 \cdot \text{weight} + b > 0.$$
#
# Rosenblatt's rule (1958) finds the weights. It looks at one fruit after the other, and changes
# nothing if the answer is right. After a mistake it adds the fruit, with the sign of its class:
#
# $$w \leftarrow w + y\,x, \qquad b \leftarrow b + y, \qquad y \in \{-1, 1\}.$$
#
# ## The first wrong prediction
#
# A line does not depend on units. So the rule should need as many mistakes with cm and g as with
# any other units. Here are the same fruits with both features divided by their spread.

# %%
(scaled,) = data.standardize(train)
((mean, spread),) = scaled.scaling["input"]
found = {
    "cm and g": classic.perceptron(x, sign, max_mistakes=5000),
    "scaled": classic.perceptron(scaled["input"], sign),
}
for name, each in found.items():
    print(f"{name:<8} {int(each.mistakes):>3} mistakes in {int(each.epochs)} passes")
    assert each.converged
assert found["cm and g"].mistakes > 10 * found["scaled"].mistakes

# %% [markdown]
# Both found a line, but one made twenty times as many mistakes. A weight of 150 g changes the
# weights much more than a length of 10 cm, and a bias that grows by 1 hardly changes anything.
# Novikoff (1962) proved how many mistakes are possible:
#
# $$\text{mistakes} \le \left(\frac{R}{\gamma}\right)^2.$$
#
# $R$ is the largest length of an example $(x, 1)$. In the space of $(x, 1)$ the best line is a
# plane through 0, and $\gamma$ is its distance from the nearest example. No rate is in the bound.

# %%
bounds = {
    "cm and g": classic.novikoff_bound(x, sign),
    "scaled": classic.novikoff_bound(scaled["input"], sign),
}
for name, bound in bounds.items():
    print(f"{name:<8} at most {bound:,.0f} mistakes")
    assert found[name].mistakes <= bound

# %% [markdown]
# ## The line, mistake by mistake
#
# The ring marks the fruit that moved the line. The dashed line is the one before.

# %%
best = found["scaled"]
count = int(best.mistakes)
shown = plots.TwoClasses(
    x, train["label"], lambda points: (points - mean) / spread, train.class_names, AXES
)
lines = np.asarray(best.lines)[: count + 1]
plots.perceptron_sheet(
    shown,
    lines,
    best.examples[:count],
    pictures / "steps.png",
    title=f"{count} mistakes, and at most {bounds['scaled']:.0f} by Novikoff",
)
show(pictures / "steps.png", 10)
right = np.asarray(best.predict((test["input"] - mean) / spread)) == 2 * test["label"] - 1
print(f"{100 * right.mean():.1f} % of new fruits")
assert right.mean() > 0.95

# %% [markdown]
# `plots.perceptron_gif` has the same as a moving picture.
#
# ## The same by gradient
#
# Softmax regression is a line, too. Its loss falls as long as the line can be improved, even if
# all answers are right. The rule of Rosenblatt stops at the first line without a mistake.

# %%
task = jaxdl.tasks.classify(jaxdl.models.MLP((), 2))
net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.5)))
state = jaxdl.train(net, scaled, key=jaxdl.root(0), steps=2000, batch_size=40)
out = state.params["out"]
softmax = np.append(out["kernel"][:, 1] - out["kernel"][:, 0], out["bias"][1] - out["bias"][0])


def margin(line):
    """Returns the distance between a line and the nearest example on its right side."""
    scores = np.asarray(scaled["input"]) @ line[:-1] + line[-1]
    return float((sign * scores).min() / np.linalg.norm(line[:-1]))


panels = {
    f"perceptron\nmargin {margin(lines[-1]):.3f}": (shown, lines[-1]),
    f"softmax regression\nmargin {margin(softmax):.3f}": (shown, softmax),
}
plots.separators(panels, pictures / "both.png", title="Two lines, both without a mistake")
show(pictures / "both.png", 8)
assert margin(softmax) > 2 * margin(lines[-1]) > 0

# %% [markdown]
# ## The second wrong prediction
#
# With patience the rule will find a line for any fruits. Here are chilies, too: light peppers that
# are often as long as a banana.

# %%
curved, _ = data.load("curved_fruits")
y = 2 * curved["label"] - 1
(z,) = data.standardize(curved)
failed = classic.perceptron(z["input"], y, epochs=200, max_mistakes=10_000)
print(f"{int(failed.mistakes):,} mistakes in {int(failed.epochs)} passes, and no end")
assert not failed.converged
try:
    classic.widest_separator(z["input"], y)
    separable = True
except jaxdl.errors.InputError as error:
    print(error)
    separable = False
assert not separable

# %% [markdown]
# No line exists, so no patience helps. The repair: more features. A line of lengths, weights, their
# squares and their product is a curve of the second degree in the plane:
#
# $$w_1 l + w_2 g + w_3 l^2 + w_4 l g + w_5 g^2 + b = 0.$$

# %%
squares = two_classes("curve")
inputs = squares.sets["train"]["input"]
print(f"the first fruit: {squares.plane['train'][0].round(1)} became {inputs[0].round(2)}")
curve = classic.perceptron(inputs, y)
bound = classic.novikoff_bound(inputs, y)
((mean, spread),) = z.scaling["input"]
in_plane = squares.shown()._replace(features=lambda points: (points - mean) / spread)
both = {
    "a line\nno end": (in_plane, np.append(failed.weights, failed.bias)),
    f"a curve\n{int(curve.mistakes)} mistakes, at most {bound:,.0f}": (
        squares.shown(),
        np.append(curve.weights, curve.bias),
    ),
}
plots.separators(both, pictures / "curve.png", title="The same rule with other features")
show(pictures / "curve.png", 8)
assert curve.converged
assert curve.mistakes <= bound

# %% [markdown]
# ## A proof that there is no end
#
# XOR has four points, and opposite corners belong together. The weights after a pass determine all
# that follows. So weights that were there before prove that the rule never ends.

# %%
corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
different = np.array([0, 1, 1, 0])
xor = classic.perceptron(corners, 2 * different - 1)
cycle = classic.find_cycle(xor)
names = ("equal signs", "different signs")
plots.perceptron_sheet(
    plots.TwoClasses(corners, different, names=names),
    xor.lines[: cycle.mistakes + 1],
    xor.examples[: cycle.mistakes],
    pictures / "xor.png",
    title=f"after {cycle.mistakes} mistakes the weights are those of the start again",
)
show(pictures / "xor.png", 9)
assert cycle == (0, 1, 4)

# %% [markdown]
# ## Least squares
#
# Now the answer is a number. Twenty points come from a sine, with noise.

# %%
random = np.random.default_rng(0)
NOISE = 0.25


def sample(count):
    """Returns points of the sine with noise."""
    t = np.sort(random.uniform(0, 1, count))
    return t, np.sin(2 * np.pi * t) + NOISE * random.normal(size=count)


t, values = sample(20)
new_t, new_values = sample(2000)
grid = np.linspace(t.min(), t.max(), 300)
inside = (new_t > t.min()) & (new_t < t.max())


def draw(fits, titles):
    """Draws polynomials with their bands for new points."""
    figure, axes = plt.subplots(1, len(fits), figsize=(3.2 * len(fits), 3), sharey=True)
    for ax, fit, title in zip(np.ravel(axes), fits, titles, strict=True):
        low, high = fit.band(grid)
        ax.fill_between(grid, low, high, alpha=0.2, label="band for new points, 95 %")
        ax.plot(grid, np.sin(2 * np.pi * grid), color="gray", label="sine")
        ax.plot(grid, fit.predict(grid), label="polynomial")
        ax.plot(t, values, "k.")
        ax.set(title=title, xlabel="x", ylim=(-2.2, 2.2))
    np.ravel(axes)[0].legend(fontsize=7)
    figure.tight_layout()


line = classic.fit_polynomial(t, values, 1)
draw([line], [f"degree 1: y = {line.powers()[0]:.2f} {line.powers()[1]:+.2f} x"])

# %% [markdown]
# The polynomial of degree $n$ has the coefficients $c$ with the least sum of squares. Its gradient
# is 0, which gives the normal equations:
#
# $$\min_c \; \lVert y - A c \rVert^2 \quad\Rightarrow\quad A^\top (y - A c) = 0,
#   \qquad A_{ik} = x_i^k.$$

# %%
powers = np.vander(t, 4, increasing=True)
cubic = classic.fit_polynomial(t, values, 3)
residual = values - powers @ cubic.powers()
print(f"largest part of A^T (y - A c): {abs(powers.T @ residual).max():.0e}")
np.testing.assert_allclose(powers.T @ residual, 0, atol=1e-3)
np.testing.assert_allclose(
    cubic.predict(grid), np.polynomial.Polynomial.fit(t, values, 3)(grid), atol=1e-3
)

# %% [markdown]
# ## The third wrong prediction
#
# The error at the twenty points falls with the degree. So the highest degree is the best one.

# %%
DEGREES = (1, 3, 15)
fits = [classic.fit_polynomial(t, values, degree) for degree in DEGREES]


def error(fit, places, expected):
    """Returns the mean square error of a polynomial."""
    return float(np.mean((np.asarray(fit.predict(places)) - expected) ** 2))


known = [error(fit, t, values) for fit in fits]
new = [error(fit, new_t[inside], new_values[inside]) for fit in fits]
draw(
    fits,
    [
        f"degree {degree}\n20 points {a:.3f}, new ones {b:.3g}"
        for degree, a, b in zip(DEGREES, known, new, strict=True)
    ],
)
assert known[0] > known[1] > known[2]
assert new[1] < new[0]
assert new[1] < new[2]

# %% [markdown]
# Degree 15 fits the noise: its error is the smallest at the points, and larger than that of degree
# 3 between them. One repair is a smaller degree. Another one is a price for large coefficients,
# which is called ridge regression or weight decay. The columns of $A$ are Legendre polynomials of
# the points, and the constant $c_0$ is free:
#
# $$\min_c \; \lVert y - A c \rVert^2 + \lambda \sum_{k \ge 1} c_k^2.$$

# %%
RIDGES = (0.0, 0.01, 1.0)
tamed = [classic.fit_polynomial(t, values, 15, ridge=ridge) for ridge in RIDGES]
after = [error(fit, new_t[inside], new_values[inside]) for fit in tamed]
draw(
    tamed,
    [
        f"degree 15, λ = {ridge:g}\nnew points {each:.3g}"
        for ridge, each in zip(RIDGES, after, strict=True)
    ],
)
assert after[1] < after[0]

# %% [markdown]
# ## The fourth wrong prediction
#
# A fit has bands, which show its own uncertainty. The band of the curve at 95 % is the place of the
# curve without noise. So it should contain 95 % of new points. This is checked with 200 samples of
# twenty points, because one sample may have good or bad luck.

# %%
shares = {"curve": [], "observation": []}
for _ in range(200):
    some_t, some_values = sample(20)
    fit = classic.fit_polynomial(some_t, some_values, 3)
    places = random.uniform(some_t.min(), some_t.max(), 50)
    outcomes = np.sin(2 * np.pi * places) + NOISE * random.normal(size=50)
    for of, found_shares in shares.items():
        low, high = fit.band(places, of=of)
        found_shares.append(100 * np.mean((outcomes > low) & (outcomes < high)))
means = {of: np.mean(found_shares) for of, found_shares in shares.items()}
figure, ax = plt.subplots(figsize=(6, 2.8))
for of, found_shares in shares.items():
    label = f"band of the {of}: {means[of]:.0f} % on average"
    ax.hist(found_shares, bins=np.arange(0, 103, 4), alpha=0.7, label=label)
ax.set(xlabel="new points in the band, in %", ylabel="samples")
ax.legend()
figure.tight_layout()
assert means["curve"] < 75
assert 91 < means["observation"] < 97

# %% [markdown]
# A new point has its own noise, which the band of the curve leaves out. The band of observations
# adds it, the 1 under the root:
#
# $$y(x) \pm q\, s \sqrt{1 + p(x)^\top (A^\top A)^{-1} p(x)}.$$
#
# $s$ is the estimated spread of the noise, and $q$ is a quantile of Student's distribution. The
# level of 95 % holds over many samples. A single one may have far less, because its $s$ is too
# small.
#
# ## Exercises
#
# **1.** Train the perceptron with the rates 0.01, 1 and 100. How many mistakes are there?
#
# <details><summary>Answer</summary>
#
# Always the same ones. The weights start at 0, so a rate only multiplies them, and the sign of
# $w x + b$ stays the same. Novikoff's bound has no rate, too.
#
# </details>
#
# **2.** Add the product of both inputs as a third feature to the corners of XOR. Does the rule end?
#
# <details><summary>Answer</summary>
#
# Yes, after 4 mistakes. The product is 1 for equal signs and -1 for different ones, so it
# separates the classes alone. A network finds such a feature itself: see the notebook `neurons`.
#
# </details>
#
# **3.** Fit degree 15 to 200 points instead of 20. Compare the errors of new points again.
#
# <details><summary>Answer</summary>
#
# Degree 15 is now about as good as degree 3. Ten times as many points determine 16 coefficients
# well. Whether a model is too large depends on the number of examples.
#
# </details>
