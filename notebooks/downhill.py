# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Downhill
#
# A network learns by steps down the slope of its loss. This notebook looks at these steps on
# functions that fit into a picture: the learning rate, momentum, optimizers, schedules, and the
# noise of batches. Then it finds a rate for a real network. Five predictions are wrong at first,
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
from jaxdl import landscape, plots
from jaxdl.landscape import RATES, TERRAINS, descend
from jaxdl.optimizers import optimizer, schedule
from jaxdl.recipes import downhill

pictures = Path(tempfile.mkdtemp())


def picture(name):
    """Returns the path of a picture."""
    return pictures / f"{name}.png"


def show(path, inches=8):
    """Shows a picture file with this width."""
    image = plt.imread(path)
    height, width = image.shape[:2]
    figure = plt.figure(figsize=(inches, inches * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(image)
    axes.set_axis_off()


# %% [markdown]
# ## One weight on hills
#
# The curve is the loss of one weight. All balls start at the left. Every dot is a step.

# %%
downhill.draw_hills(picture, moving=False)
show(picture("hills"), 11)

# %% [markdown]
# Gradient descent moves against the slope $g$ with the learning rate $r$:
#
# $$w \leftarrow w - r \, g(w), \qquad g(w) = \frac{dL}{dw}.$$
#
# The second ball has come to rest, because its slope is zero. The slope contains no information
# about a deeper valley.

# %%
hills = TERRAINS["hills"]
slope = jax.grad(hills.function)
rest = descend(optimizer("sgd", 0.1), hills.function, hills.start, 150)
print(f"w = {rest.points[-1, 0]:.2f}, loss {rest.values[-1]:.2f}")
print(f"slope {float(slope(jnp.asarray(rest.points[-1]))[0]):.1e}")
assert abs(float(slope(jnp.asarray(rest.points[-1]))[0])) < 1e-5
assert rest.values[-1] > 1

# %% [markdown]
# ## The wrong prediction about the rate
#
# A ravine is a bowl that is 100 times steeper across than along, $L = (x^2 + 100 y^2) / 2$. With
# the rate 0.01 the loss after 150 steps is 0.4. A larger rate takes longer steps, so the rate 0.02
# and a bit should be better.

# %%
downhill.draw_too_small_and_too_large(picture("rate"))
show(picture("rate"), 10)
ravine = TERRAINS["ravine"]
final = {}
for rate in (0.0005, 0.01, 0.018, 0.0199, 0.0201):
    final[rate] = descend(optimizer("sgd", rate), ravine.function, ravine.start, 150).values[-1]
    print(f"rate {rate:<7} loss {final[rate]:.3g}")
assert final[0.0201] > 100 * final[0.018]

# %% [markdown]
# In one step the coordinate along a direction with the curvature $\lambda$ is multiplied by
# $1 - r \lambda$. It shrinks only for
#
# $$|1 - r \lambda| < 1, \qquad \text{so} \qquad r < \frac{2}{\lambda_{\max}}.$$
#
# The steepest direction limits the rate, and the flattest one needs the time. The limit can be
# computed: it is 2 divided by the largest eigenvalue of the second derivatives.

# %%
curvatures = np.linalg.eigvalsh(jax.hessian(ravine.function)(jnp.array(ravine.start)))
limit = 2 / curvatures.max()
print(
    f"curvatures {curvatures.min():.0f} and {curvatures.max():.0f}, limit of the rate {limit:.3f}"
)
assert 0.0199 < limit < 0.0201
assert final[0.0199] < ravine.function(jnp.array(ravine.start)) < final[0.0201]

# %% [markdown]
# ## The wrong prediction about momentum
#
# Momentum adds up slopes, $v \leftarrow 0.9 v + g$ and $w \leftarrow w - r v$. Where all slopes are
# equal, $v$ grows to $10 g$. So momentum should be the same as a rate that is ten times larger.

# %%
downhill.draw_plateau(picture("plateau"))
show(picture("plateau"), 6)
for name, rate in (("momentum", 0.01), ("sgd", 0.1)):
    value = descend(optimizer(name, rate), ravine.function, ravine.start, 150).values[-1]
    value = np.nan_to_num(value, nan=np.inf, posinf=np.inf)
    print(f"ravine, {name:<9} rate {rate:<5} loss {value:.3g}")
    assert (name == "momentum") == bool(value < 1e-4)

# %% [markdown]
# On the plateau the prediction is right, and in the ravine it is wrong. Across the ravine slopes
# change their sign at each step and cancel. Along it they agree and add up. For a quadratic with
# the condition $k = \lambda_{\max} / \lambda_{\min}$ and the best constants, the distance shrinks
# in each step by
#
# $$\frac{k - 1}{k + 1} \;\text{(gradient descent)}, \qquad
#   \frac{\sqrt k - 1}{\sqrt k + 1} \;\text{(momentum)}.$$

# %%
for name in ("sgd", "momentum"):
    best = landscape.quadratic_optimum(name, 100.0)
    made = optimizer(name, best.rate)
    if name == "momentum":
        made = optimizer(name, best.rate, momentum=best.momentum)
    points = descend(made, ravine.function, [1.0, 1.0], 60).points
    distance = np.linalg.norm(points, axis=1)
    steps = np.log(1e-2) / np.log(best.factor)
    print(f"{name:<9} factor {best.factor:.3f}: {steps:.0f} steps for a hundredth of the distance")
    print(f"          distance after 60 steps {distance[-1]:.4f}")
assert distance[-1] < 0.01

# %% [markdown]
# ## All optimizers, with equal chances
#
# Each optimizer gets the same number of steps and the same 25 learning rates, from which its best
# one is chosen. Without this rule a picture of optimizers shows only who has the better rate.

# %%
names = ("sgd", "momentum", "rmsprop", "adam")
races = downhill.race(["ravine", "rosenbrock", "beale", "saddle"], names, 100)
downhill.draw_races(races, picture, moving=False)
show(picture("optimizers"), 10)
print(downhill.table(races))

# %% [markdown]
# **The prediction:** Adam is the usual choice, so it should be the best here.

# %%
found = {name: float(tuned.descent.values[-1]) for name, tuned in races["rosenbrock"].items()}
for name, value in found.items():
    print(f"{name:<9} value {value:.2g} at the end")
assert found["momentum"] < 0.1 * found["adam"]

# %% [markdown]
# In the curved valley momentum with its best rate is much better. Adam divides every slope by its
# usual size,
#
# $$w \leftarrow w - r \, \frac{\hat m}{\sqrt{\hat v} + \varepsilon},$$
#
# so its steps have about the length $r$ on steep and on flat ground. That is no advantage once the
# rate is tuned. It is one before: more rates work.

# %%
show(picture("rates"), 9)
working = {}
for name in names:
    works = [np.isfinite(races[terrain][name].measures) for terrain in races]
    working[name] = int(np.all(works, 0).sum())
    print(f"{name:<9} {working[name]} of {len(RATES)} rates lead downhill on all four functions")
assert working["adam"] > 2 * working["momentum"]

# %% [markdown]
# ## Noise, and a rate that falls
#
# A batch is a part of the data, so its slope is the true one plus noise. Noise of a fixed size is
# added here to the slopes of a bowl. The schedules begin with the same rate.

# %%
downhill.draw_schedules(picture("schedules"), 0.3)
show(picture("schedules"), 8)
bowl = TERRAINS["bowl"]


def noisy(rate, steps=200, noise=1.0):
    """Returns the mean loss at the end of 20 noisy descents, with a rate or schedule."""
    made = optimizer("sgd", rate)
    ends = [
        descend(made, bowl.function, bowl.start, steps, noise=noise, key=jaxdl.root(seed))
        for seed in range(20)
    ]
    return np.mean([end.values[-20:].mean() for end in ends])


# %% [markdown]
# **The prediction:** with noise a smaller constant rate is always better.

# %%
losses = {f"constant {rate}": noisy(rate) for rate in (0.003, 0.01, 0.1, 0.3)}
losses["cosine from 0.3"] = noisy(schedule("cosine", 0.3, 200))
for name, value in losses.items():
    print(f"{name:<16} loss {value:.3f}")
assert losses["constant 0.003"] > losses["constant 0.1"]
assert losses["cosine from 0.3"] < 0.5 * min(
    value for name, value in losses.items() if name.startswith("constant")
)

# %% [markdown]
# A small rate has not arrived after 200 steps, and a large one never comes to rest. For a bowl of
# the curvature 1 and noise of the size $\sigma$ in both coordinates the loss settles at
#
# $$L = \frac{r \sigma^2}{2 - r}.$$
#
# A schedule has both: large steps first, small ones at the end.

# %%
long = noisy(0.3, steps=600)
print(f"rate 0.3: loss {long:.3f}, formula {0.3 / 1.7:.3f}")
np.testing.assert_allclose(long, 0.3 / 1.7, rtol=0.15)

# %% [markdown]
# The size of a batch sets the size of the noise. Four times as many examples halve it.

# %%
digits, _ = jaxdl.data.load("digits")
task = jaxdl.tasks.classify(jaxdl.models.MLP((64,), 10))
params, extra = task.init(jaxdl.root(0), {field: x[:2] for field, x in digits.arrays.items()})
noise = {}
for size in (8, 32, 128):
    noise[size] = downhill.noise_of_batches(task, params, extra, digits, size, jaxdl.root(0))
    print(f"{size:>4} examples: noise {noise[size]:.2f} of the length of the gradient")
np.testing.assert_allclose(noise[8] / noise[32], 2, rtol=0.15)

# %% [markdown]
# ## A rate for a real network
#
# A network has no picture, and its curvature is unknown. The finder trains Adam once and raises the
# rate at every step. The points are the losses of the steps, and the line is their running mean.


# %%
def make(rate):
    """Returns the learner with this rate or schedule."""
    return jaxdl.learner(task.init, *task.updates(optax.adam(rate)))


curve = jaxdl.selection.find_learning_rate(make, digits, key=jaxdl.root(0), steps=100)
plots.rate_curve(*curve[:4], curve.suggestion, picture("finder"), rule=curve.rule)
show(picture("finder"), 7)

# %% [markdown]
# **The prediction:** a smaller rate is the careful choice, and a larger one is the fast choice.

# %%
rates = {
    "a tenth": curve.suggestion / 10,
    "suggestion": curve.suggestion,
    "ten times": curve.suggestion * 10,
}
trained = {}
for name, rate in rates.items():
    state = jaxdl.train(make(rate), digits, key=jaxdl.root(range(3)), steps=150)
    each = jaxdl.evaluate(make(rate), state, digits)["loss"]
    trained[name] = np.mean(each)
    print(f"{name:<11} rate {rate:<8.2g} loss of three seeds {np.round(each, 3)}")
assert trained["suggestion"] < 0.5 * min(trained["a tenth"], trained["ten times"])

# %% [markdown]
# After 150 steps both are worse. The small rate has not arrived, as on the bowl with noise. The
# large one lies where the curve rises again. The finder suggests the rate at which the running mean
# falls fastest,
#
# $$r = \arg\min_r \frac{dL}{d \log r}.$$
#
# It is a suggestion for the start of a search, and not the best rate.

# %% [markdown]
# ## Exercises
#
# **1.** The hills have the same picture for `"adam"` with the rate 0.1 and 0.5. Does Adam cross the
# hills, and why?
#
# <details><summary>Answer</summary>
#
# With 0.1 it passes one hill and ends in a local minimum at -0.32. With 0.5 it reaches the lowest
# one at 2, after it has passed it. Its steps have about the length of the rate, so it leaves a
# valley that is not much wider than some of them.
#
# </details>
#
# **2.** Change the condition of the ravine to 10,000. How many steps do gradient descent and
# momentum need for a hundredth of the distance, by the formula?
#
# <details><summary>Answer</summary>
#
# `quadratic_optimum` gives the factors 0.9998 and 0.9802: about 23,000 and 230 steps. The number
# grows with k for gradient descent, and with its square root for momentum.
#
# </details>
#
# **3.** Start the saddle at `(-1.6, 0.0)`, exactly on the ridge, with `"sgd"` and `"adam"`. Then
# add `noise=0.01`.
#
# <details><summary>Answer</summary>
#
# Without noise the slope along y is exactly zero, so both end at the saddle with the loss 1. With
# noise they leave it, and the loss goes to 0. The noise of batches has this use, too.
#
# </details>
