# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # First steps
#
# Everything that trains is three pure functions: `init`, `step`, `evaluate`. Here they are by hand, before the loop
# does the same on its own.

# %%
import jax
import jax.numpy as jnp
import optax

import jaxdl
from jaxdl import Update, learner

train_set, test_set = jaxdl.data.load("digits")
print(train_set, train_set["input"].shape, test_set.size)

# %% [markdown]
# A model is a description; a task turns it into functions. `learner` adds the optimizer.

# %%
model = jaxdl.models.MLP((64,), outputs=10)
task = jaxdl.tasks.classify(model)
net = learner(task.init, Update(task.loss, optax.adam(1e-3)))
print(jaxdl.models.table(model, train_set["input"][:1]))

# %% [markdown]
# ## A few steps by hand
#
# The state is arrays only. Every random number follows from one key and the step.

# %%
key = jaxdl.root(0)
batch = {
    "input": jnp.asarray(train_set["input"][:64]),
    "label": jnp.asarray(train_set["label"][:64]),
}
state = net.init(jaxdl.stream(key, "init"), batch)
step = jax.jit(net.step)
for _ in range(5):
    state, metrics = step(state, batch, jaxdl.stream(key, "train"))
    print(int(state.step), jaxdl.metrics.means(metrics))

# %% [markdown]
# ## The loop
#
# The same steps over shuffled batches, many in one dispatch.

# %%
state = jaxdl.train(net, train_set, key=key, steps=1000)
result = jaxdl.evaluate(net, state, test_set)
print(result)
assert result["accuracy"] > 0.95

# %% [markdown]
# ## The same bits again

# %%
again = jaxdl.train(net, train_set, key=key, steps=1000)
assert jaxdl.state_sha256(state) == jaxdl.state_sha256(again)

# %% [markdown]
# ## Eight seeds in one program

# %%
states = jaxdl.train(net, train_set, key=jaxdl.root(range(8)), steps=300)
accuracies = jaxdl.evaluate(net, states, test_set)["accuracy"]
print(accuracies.round(3), f"{100 * accuracies.mean():.2f} ± {100 * accuracies.std(ddof=1):.2f} %")
