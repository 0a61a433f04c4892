# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Dreams and style
#
# A gradient can change the image instead of the weights. Here it makes three kinds of pictures with
# one small network: dreams, textures, and a photograph in the style of a painting. The notebook
# takes less than a minute on two cores.

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import art, explain
from jaxdl.models import CNN, Stage
from jaxdl.recipes.styling import picture, shuffled

SIZE = 96
photograph = picture("temple", SIZE)
painting = picture("painting", SIZE)


def show(title, **images):
    """Draws images side by side with their names."""
    figure, axes = plt.subplots(1, len(images), figsize=(2.4 * len(images), 2.9))
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        ax.imshow(np.clip(image, 0, 1))
        ax.set_title(name.replace("_", " "), fontsize=9)
        ax.axis("off")
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()


show(
    "a photograph, and a painting that the library computes",
    photograph=photograph,
    painting=painting,
)

# %% [markdown]
# The network is a CNN that classifies crops of two photographs, a temple and a flower. Average
# pooling replaces max pooling for the pictures: its gradient reaches every pixel of a window.

# %%
train_set, test_set = jaxdl.data.load("photos")
stages = (Stage(24, pool=None), Stage(24), Stage(48, pool=None), Stage(48))
model = CNN(stages, outputs=2, head_size=1)
task = jaxdl.tasks.classify(model)
net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-3)))
state = jaxdl.train(net, train_set, key=jaxdl.root(0), steps=60, batch_size=32)
print(f"accuracy {100 * jaxdl.evaluate(net, state, test_set)['accuracy']:.1f} %")
body = art.average_pooled(model.clone(outputs=None, head_size=None))
variables = {"params": state.params}

# %% [markdown]
# ## A dream
#
# A dream makes a layer respond more to an image. The layer has learned to tell a roof from a petal.
# So the prediction: as its response grows, roofs and petals appear in the sky.

# %%
f = explain.activations(body, variables, ("conv_2",))
options = art.Dream(octaves=1, steps=15, shift=2, scales=0, decorrelate=False)
plain = art.dream(f, photograph, jaxdl.root(0), options)
growth = float(plain.after[-1] / plain.before[-1])
show(f"15 steps: the response grows {growth:.1f}-fold", photograph=photograph, dream=plain.image)
assert growth > 1.5

# %% [markdown]
# The response is the mean square of the maps $h$. Each step follows its gradient, divided by the
# size of the gradient:
#
# $$x \leftarrow x + a \, \frac{g}{\operatorname{rms}(g)}, \qquad
#   g = \nabla_x \operatorname{mean}\bigl(h(x)^2\bigr).$$
#
# ## The prediction was wrong
#
# The response has grown, and there are no patterns. Large parts have another color, nothing more.
# How much of the change is finer than four pixels?


# %%
def fine(dreamed):
    """Returns the share of a change that is finer than blocks of 4 x 4 pixels."""
    change = dreamed.image - photograph
    blocks = change.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).mean((1, 3), keepdims=True)
    return float(1 - (blocks**2).mean() / (change**2).mean())


print(f"finer than four pixels: {100 * fine(plain):.0f} % of the change")
assert fine(plain) < 0.1

# %% [markdown]
# ## The repair
#
# The gradient is split into three scales. Each scale gets a fixed size, which is 0.3 of that of the
# next finer one. The image is changed at two sizes, the octaves, from the small one to the large.

# %%
options = art.Dream(octaves=2, steps=10, step_size=0.015, shift=4, scales=3, coarse=0.3)
dreamed = art.dream(f, photograph, jaxdl.root(0), options)
shares = [f"{100 * fine(each):.0f} %" for each in (plain, dreamed)]
show(
    f"{shares[0]} and {shares[1]} of the change are finer than 4 pixels",
    plain=plain.image,
    scales_and_octaves=dreamed.image,
)
assert (dreamed.after > dreamed.before).all()
assert fine(dreamed) > 5 * fine(plain)

# %% [markdown]
# ## A texture
#
# The next picture starts as noise. It changes until its maps have the statistics of the painting.

# %%
LAYERS = ("activation_0", "activation_2")
style_of = explain.activations(body, variables, LAYERS)
texture_options = art.Style((), LAYERS, evaluations=80)
made = art.texture(style_of, painting, (SIZE, SIZE), jaxdl.root(0), texture_options)
mixed = shuffled(painting, 0)
show(
    f"style loss {made.style_loss[0]:.2g} → {made.losses.style:.2g}",
    painting=painting,
    shuffled_pixels=mixed,
    noise=made.frames[0],
    texture=made.image,
)
assert made.losses.style < 0.05 * made.style_loss[0]

# %% [markdown]
# The statistic is the Gram matrix, the mean product of each pair of units over all positions:
#
# $$G = \frac{1}{IJ} F^\top F, \qquad
#   L_s = \sum_l \frac{\lVert G_l - A_l \rVert^2}{\lVert A_l \rVert^2}.$$
#
# It contains no positions. Shuffled pixels have the same colors, and so the same Gram matrix of the
# pixels. Do they have the style?

# %%
pixels = np.asarray(art.gram(jnp.asarray(painting)))
np.testing.assert_allclose(art.gram(jnp.asarray(mixed)), pixels, rtol=1e-4)
target = art.targets(style_of, None, painting, texture_options)
for name, image in (("shuffled pixels", mixed), ("texture", made.image)):
    loss = art.style_losses(style_of, jnp.asarray(image), target, texture_options).style
    print(f"{name:<16} style loss {float(loss):.2g}")
of_shuffled = art.style_losses(style_of, jnp.asarray(mixed), target, texture_options).style
assert made.losses.style < 0.01 * of_shuffled

# %% [markdown]
# They do not. A window of a convolution has neighbouring pixels, so their order decides.
#
# ## A photograph in the style of the painting
#
# The content is another loss: the maps of one layer shall stay those of the photograph.

# %%
transfer = art.Style(("activation_0",), LAYERS, style_weight=300.0, evaluations=80)
g = explain.activations(body, variables, transfer.layers)
stylized = art.stylize(g, photograph, painting, jaxdl.root(0), transfer)
show(
    f"style loss {stylized.style_loss[0]:.2g} → {stylized.losses.style:.2g}, "
    f"content loss {stylized.losses.content:.2g}",
    content=photograph,
    style=painting,
    picture=stylized.image,
)
assert stylized.losses.style < 0.1 * stylized.style_loss[0]
kept = art.targets(g, photograph, painting, transfer)
of_painting = art.style_losses(g, jnp.asarray(painting), kept, transfer).content
print(f"content loss {stylized.losses.content:.2f}, of the painting {float(of_painting):.2f}")
assert stylized.losses.content < 0.7 * of_painting

# %% [markdown]
# Both losses are relative to their targets, with the maps $P$ of the photograph:
#
# $$L = \alpha \frac{\lVert F - P \rVert^2}{\lVert P \rVert^2} + \beta L_s.$$
#
# So one setting fits images of several sizes. The losses of two networks are not comparable,
# and a low loss is no evidence of a good picture. This network has learned from two photographs.
# `experiments/style.py --weights` takes VGG16, trained on a million, and gives real brush strokes.
#
# ## Exercises
#
# **1.** Set `start="noise"` in the style transfer. How many evaluations are needed now?
#
# <details><summary>Answer</summary>
#
# About 220 in place of 80, for the same total loss: the colors of all pixels must be found first.
# The default start is the photograph with the mean and covariance of the painting's colors.
#
# </details>
#
# **2.** Make the texture with `("activation_0",)` only, then with both layers. What is missing?
#
# <details><summary>Answer</summary>
#
# The first layer has windows of 3 x 3 pixels. Colors and short edges are right, and the spots are
# round. Deeper layers have larger windows, in which longer strokes fit.
#
# </details>
#
# **3.** Replace the network by `art.random_layer(jaxdl.root(0))` with the layer `"random"`. Is a
# trained network needed for textures?
#
# <details><summary>Answer</summary>
#
# No. The style loss falls from 0.95 to 0.0003, and bright spots and dark clouds appear. Random
# filters of several sizes see both. The content of a photograph is another matter: random maps keep
# every pixel, and not the objects.
#
# </details>
