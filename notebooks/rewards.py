# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Rewards
#
# An agent moves, and sometimes it receives a reward. It has no labels. This notebook
# begins with a game of nine tiles whose best moves can be computed exactly. It learns them with a
# table, then plays tic-tac-toe against itself, and ends with a network that balances a pole. Three
# predictions are wrong at first, and each one is repaired. It takes less than a minute on two
# cores.

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import jaxdl
from jaxdl import models, plots, rl, tasks
from jaxdl.data import Simulated

game = rl.environment("flippers")


def boards_of(numbers, titles):
    """Draws boards side by side; a light tile has a dot."""
    figure, all_axes = plt.subplots(1, len(numbers), figsize=(1.5 * len(numbers), 1.9))
    for axes, number, title in zip(all_axes, numbers, titles, strict=True):
        tiles = [number >> i & 1 for i in range(9)]
        plots.draw_tiles(axes, np.reshape(tiles, (3, 3)))
        axes.set_title(title, fontsize=9)
    figure.tight_layout()


# %% [markdown]
# ## A game with an exact answer
#
# A move flips one of nine tiles. The game is won if the dots are one full row or one full column,
# and all other tiles are blank.

# %%
distance = rl.distances(game)
chosen = [0b000000111, 0b001000011, 0b000000000, 0b101010101, 0b111111111]
boards_of(chosen, [f"{distance[board]} moves away" for board in chosen])
print("boards by their distance:", np.bincount(distance).tolist())

# %% [markdown]
# With the reward 1 for the winning move and a discount $\gamma < 1$, a board is worth
#
# $$V^*(s) = \max_a \left( r + \gamma V^*(s') \right) = \gamma^{\,\text{distance} - 1}.$$
#
# The discount makes the agent hurry. Without it a detour costs nothing.

# %%
exact = rl.value_iteration(game, discount=0.9)
open_boards = distance > 0
assert np.allclose(exact.values[open_boards], 0.9 ** (distance[open_boards] - 1.0))
print(f"sum of all values: {exact.values.sum():.6f}, after {exact.sweeps} sweeps")

# %% [markdown]
# ## A table
#
# The table has a row for each of 512 boards and a column for each of 9 moves. After a move it
# changes one entry:
#
# $$Q(s, a) \leftarrow Q(s, a) + \alpha \left( r + \gamma \max_b Q(s', b) - Q(s, a) \right).$$
#
# **The prediction:** a random move wastes time, so the agent should soon play what it already
# takes for the best move.

# %%
source = Simulated(100)


def learned(task, games, keys=(0, 1, 2)):
    """Returns the states of three agents after a number of games."""
    net = jaxdl.learner(task.init, *task.updates())
    return jaxdl.train(net, source, key=jaxdl.root(keys), steps=games // 4, batch_size=4)


def right_boards(states):
    """Returns the number of boards with the best moves, of each agent."""
    return [rl.optimal_boards(np.asarray(each.params["table"][0])) for each in states.members()]


careful = tasks.q_table(game, exploration=(0.8, 0.0, 300))
print("boards with the best moves, of 506:", right_boards(learned(careful, 1200)))
assert max(right_boards(learned(careful, 1200))) < 490

# %% [markdown]
# It stops short of 506. Boards that the agent has stopped to visit keep their wrong values. In this
# game nothing is at stake while it learns, so let every move be random:

# %%
curious = tasks.q_table(game, exploration=(1.0, 1.0, 1))
states = learned(curious, 1200)
print("boards with the best moves, of 506:", right_boards(states))
table = np.asarray(states.member(0).params["table"][0])
print(f"greatest error of a value: {abs(table.max(1) - exact.values)[open_boards].max():.1e}")
assert right_boards(states) == [506, 506, 506]

# %% [markdown]
# The values are exact, although every game was played at random: Q-learning learns about the best
# moves, whatever moves it makes.
#
# ## A world with chance
#
# Now after one move in ten a random tile flips, too. **The prediction:** the learning rate 1 was
# exact, so it stays a good choice.

# %%
windy = rl.environment("flippers", flips=0.1)


def mean_moves(task, games):
    """Returns the exact mean number of moves of four learned policies, over all boards."""
    states = learned(task, games, keys=range(4))
    policies = [np.asarray(each.params["table"][0]).argmax(1) for each in states.members()]
    return np.array([rl.expected_moves(windy, each)[open_boards].mean() for each in policies])


best = rl.value_iteration(windy, discount=0.9).q.argmax(1)
least = rl.expected_moves(windy, best)[open_boards].mean()
last_sample = mean_moves(tasks.q_table(windy, rate=1.0), 2000)
print(f"moves of the best policy: {least:.3f}; of four with rate 1: {last_sample.round(3)}")
assert last_sample.min() > 1.01 * least

# %% [markdown]
# With rate 1 an entry is the last sample only, and some samples are bad luck. A rate that falls
# with the number of visits $N$ averages over them:
#
# $$\alpha = N(s, a)^{-0.7}.$$

# %%
average = mean_moves(tasks.q_table(windy, rate=1.0, rate_decay=0.7), 2000)
print(f"moves of four with a falling rate: {average.round(3)}")
assert average.max() < last_sample.min()

# %% [markdown]
# ## Two players
#
# In tic-tac-toe the next board is the opponent's, so its value counts with the opposite sign. One
# table plays both sides. Then it meets every possible reply:

# %%
toe = rl.environment("tic_tac_toe", opponent="self")
player = tasks.q_table(toe, discount=0.95, exploration=(1.0, 0.3, 30_000))
net = jaxdl.learner(player.init, *player.updates())
for games in (800, 60_000):
    state = jaxdl.train(net, source, key=jaxdl.root(0), steps=games // 80, batch_size=80)
    act = jaxdl.bind(player.act, state)
    found = rl.against_every_reply(np.asarray(act(jnp.arange(toe.states))))
    print(f"after {games:6,} games: {found.wins} won, {found.draws} equal, {found.losses} lost")
assert found.losses == 0

# %% [markdown]
# ## A network in the place of the table
#
# The state of a pole on a cart is four numbers, so a table has no rows for it. A network $Q$ takes
# its place, and learns from random moves of the past:
#
# $$L = \left( Q(s, a) - r - \gamma \max_b Q'(s', b) \right)^2.$$
#
# **The prediction:** once the agent balances the pole, it has learned to balance it.

# %%
pole = rl.environment("cart_pole")
options = {"n_steps": 3, "updates": 2, "replay": 20_000, "exploration": (1.0, 0.02, 4000)}
agent = tasks.q_network(models.MLP((64, 64), 2), pole, **options)
net = jaxdl.learner(agent.init, *agent.updates(optax.adam(2e-3)))
steps = 6000
trials = Simulated(steps, episodes=20)
seen = []


def look(state):
    """Adds the mean return of twenty greedy episodes."""
    seen.append(jaxdl.evaluate(net, state, trials, batch_size=20)["greedy_return"])


def train(patience):
    """Trains the agent; the source of validation is twenty episodes."""
    return jaxdl.train(
        net,
        Simulated(steps),
        key=jaxdl.root(1),
        steps=steps,
        batch_size=4,
        save_every=steps // 12,
        validation=trials,
        patience=patience,
        on_validation=look,
    )


last = train(None)
curve = np.array(seen)
at = np.arange(1, 13) * steps * 4 // 12
figure, axes = plt.subplots(figsize=(6, 3))
axes.plot(at, curve, "o-")
axes.set_title(f"return of greedy episodes: at most {curve.max():.0f}, at the end {curve[-1]:.0f}")
axes.set_xlabel("moves of the training")
axes.set_ylabel("moves until the pole falls")
print("returns:", curve.round())
assert np.diff(curve).min() < -10

# %% [markdown]
# It finds good policies and loses them again. Its targets move with its own weights, and each
# change of the policy fills the replay with other states than before.
#
# The repair is that of every network: play validation episodes during the training, and keep the
# best weights. They are tested on new episodes, because the best of several numbers is too good.

# %%
best = train(jaxdl.Patience("greedy_return", 12, larger=True))
scores = {}
for name, state in {"last": last, "best": best}.items():
    metrics = jaxdl.evaluate(net, state, trials, key=jaxdl.root(9), batch_size=20)
    scores[name] = metrics["greedy_return"]
print("moves until the pole falls, in new episodes:", {k: round(v) for k, v in scores.items()})
assert scores["best"] > 0.5 * curve.max()

# %% [markdown]
# `experiments/dqn.py` trains longer, with a falling rate and averaged weights, which keep what was
# found on most seeds.

# %% [markdown]
# ## Exercises
#
# **1.** Solve the game with `discount=1.0` by `rl.value_iteration`. What is the value of a board
# that is not won, and which moves are optimal by their value?
#
# <details><summary>Answer</summary>
#
# Every board has the value 1, and every move is optimal by its value, since the game can always be
# won later. A policy by these values need not reach the end. The discount, or a cost of each move
# (`reward="move"`), makes it hurry.
#
# </details>
#
# **2.** Replace the rule by `"sarsa"` in `curious`. How many boards are right, and why?
#
# <details><summary>Answer</summary>
#
# Far fewer. SARSA learns the values of the player as it plays, and this player moves at random. It
# needs an exploration that falls to 0, such as `(1.0, 0.0, 19_000)`, and a smaller rate.
#
# </details>
#
# **3.** A pole that stands after 500 moves is truncated, not terminated. What would the agent learn
# if the end counted as a failure?
#
# <details><summary>Answer</summary>
#
# The same observation would sometimes have the target 1 and sometimes about 100, although nothing
# in it shows the time. The values of good states would become too small and noisy.
#
# </details>
