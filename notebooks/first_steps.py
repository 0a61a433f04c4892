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
# A learner is three pure functions: `init`, `step` and `evaluate`. This notebook first calls them
# one by one, and then uses the training loop, which does the same.

# %%
import jax
import jax.numpy as jnp
import optax

import jaxdl
from jaxdl import learner

train_set, test_set = jaxdl.data.load("digits")
print(train_set, train_set["input"].shape, test_set.size)

# %% [markdown]
# A model describes a network. A task turns it into a loss and inference functions. `learner` adds
# the optimizer.

# %%
model = jaxdl.models.MLP((64,), outputs=10)
task = jaxdl.tasks.classify(model)
net = learner(task.init, *task.updates(optax.adam(1e-3)))
print(jaxdl.models.table(model, train_set["input"][:1]))

# %% [markdown]
# ## A few steps by hand
#
# The state holds arrays only. All random numbers are derived from one key and the step.

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
# The loop does the same steps over shuffled batches, with many steps in one dispatch.

# %%
state = jaxdl.train(net, train_set, key=key, steps=1000)
result = jaxdl.evaluate(net, state, test_set)
print(result)
assert result["accuracy"] > 0.95

# %% [markdown]
# ## Reproducibility
#
# A second run with the same key is bit-identical.

# %%
again = jaxdl.train(net, train_set, key=key, steps=1000)
assert jaxdl.state_sha256(state) == jaxdl.state_sha256(again)

# %% [markdown]
# ## Eight seeds in one program
#
# Several keys train an ensemble, and `evaluate` returns one number per member.

# %%
states = jaxdl.train(net, train_set, key=jaxdl.root(range(8)), steps=300)
accuracies = jaxdl.evaluate(net, states, test_set)["accuracy"]
print(accuracies.round(3), f"{100 * accuracies.mean():.2f} ± {100 * accuracies.std(ddof=1):.2f} %")
