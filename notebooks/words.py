# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Words
#
# A text has no labels, but each word can be hidden and predicted from the words around it. This
# notebook trains vectors of words in this way, finds words that are near each other, and solves
# analogies by adding vectors. One prediction about nearest words is wrong, and is repaired. It
# takes less than a minute on two cores.

# %%
import matplotlib.pyplot as plt
import numpy as np

import jaxdl
from jaxdl import data, models, tasks
from jaxdl.data import Vocabulary, WordVectors

text = data.tales()
print(text[:330])

# %% [markdown]
# ## Words that occur together
#
# The text was generated: short sentences about countries and people. How often do two words stand
# at most five words apart?

# %%
vocabulary = Vocabulary.build(text, "word", min_count=5)
ids = np.array([i for i in vocabulary.encode(text) if vocabulary.tokens[i].isalpha()])
pairs = data.cooccurrences(ids, window=5)
shown = ["france", "paris", "seine", "italy", "rome", "tiber", "king", "queen", "crown"]
counts = np.zeros((len(vocabulary), len(vocabulary)))
counts[tuple(pairs["input"].T)] = pairs["target"]
part = counts[np.ix_(*[[vocabulary.index[word] for word in shown]] * 2)]
figure, axes = plt.subplots(figsize=(4.6, 4))
image = axes.imshow(part, cmap="viridis")
axes.set_xticks(range(len(shown)), shown, rotation=60)
axes.set_yticks(range(len(shown)), shown)
axes.set_title("words that occur together, by 1 / distance")
figure.colorbar(image)
figure.tight_layout()
france, paris, rome = (vocabulary.index[word] for word in ("france", "paris", "rome"))
print(f"france and paris: {counts[france, paris]:.0f}, france and rome: {counts[france, rome]:.0f}")
assert counts[france, paris] > counts[france, rome]

# %% [markdown]
# A row of this table describes a word by its company. It is long and mostly empty. Skip-gram finds
# short vectors in its place. A word $w$ has a vector $v_w$, and as the neighbour of another word
# a second one, $u_w$. The score of a pair is their product, and it is trained to tell pairs of the
# text from pairs with a random word:
#
# $$L = -\sum_{(w, c)} \Big[ \log \sigma(v_w \cdot u_c) + \sum_k \log \sigma(-v_w \cdot u_k)
# \Big].$$

# %%
words = data.word_rows(ids, vocabulary, length=200)
EPOCHS = 10
steps = len(words.rows) // 2 * EPOCHS
model = models.SkipGram(len(vocabulary), 50)
task = tasks.embed(model, words.counts, negatives=3, subsample=0.01, steps=steps)
net = jaxdl.learner(task.init, *task.updates())
single = jaxdl.strategy("single")
state = jaxdl.train(net, words.rows, key=jaxdl.root(0), steps=steps, batch_size=2, strategy=single)


def vectors_of(table):
    """Returns the rows of the words, without the two special tokens."""
    rows = np.flatnonzero(words.counts)
    return WordVectors(tuple(vocabulary.tokens[i] for i in rows), np.asarray(table)[rows])


# %% [markdown]
# **The prediction:** "paris" and "france" stand side by side in many sentences. So the vector
# of "france" should be the nearest one to that of "paris".

# %%
as_centre = vectors_of(state.params["input"])
print("nearest to paris:", [word for word, _ in as_centre.nearest("paris", 5)])
capitals = {question.b for question in data.tales_tests()[1] if question.section == "capitals"}
near = [word for word, _ in as_centre.nearest("paris", 3)]
assert capitals.issuperset(near)

# %% [markdown]
# The nearest words are other capitals. Their vectors have nearly the same products with all
# neighbours, because capitals have the same neighbours: streets, trains and bridges. Two vectors
# $v$ are near each other if the words can **replace** one another.
#
# The repair: words that stand **together** have a large product $v_w \cdot u_c$ of a vector from
# each table.

# %%
u = vectors_of(state.params["output"]).array
scores = u @ as_centre.array[as_centre.index["paris"]]
together = [as_centre.words[i] for i in np.argsort(-scores)[:6]]
print("together with paris:", together)
assert {"seine", "france", "crepes"} & set(together)
assert not (capitals - {"paris"}) & set(together)

# %% [markdown]
# ## Analogies
#
# From each country to its capital the way is nearly the same. The arrows are in the plane in which
# these words differ most.

# %%
both = vectors_of(jaxdl.bind(task.predict, state)(np.arange(len(vocabulary))))
questions = data.tales_tests()[1]
arrows = list(dict.fromkeys((q.a, q.b) for q in questions if q.section == "capitals"))[:8]
ends = both.unit[both.rows([word for arrow in arrows for word in arrow])]
directions = np.linalg.svd(ends - ends.mean(0), full_matrices=False)[2][:2]
place = (ends - ends.mean(0)) @ directions.T
figure, axes = plt.subplots(figsize=(6, 4))
for i, arrow in enumerate(arrows):
    start, end = place[2 * i : 2 * i + 2]
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "tab:orange"})
    for word, point in zip(arrow, (start, end), strict=True):
        axes.text(*point, word, fontsize=8)
axes.scatter(*place.T, s=8)
axes.set_title("from a country to its capital")
axes.set_xlabel("first direction")
axes.set_ylabel("second direction")
figure.tight_layout()

# %% [markdown]
# So the capital of Italy is found by a sum, $v_{\text{paris}} - v_{\text{france}} +
# v_{\text{italy}}$, and the word whose vector has the largest cosine with it.

# %%
for three in (("france", "paris", "italy"), ("man", "woman", "king")):
    answers = [f"{word} {cosine:.2f}" for word, cosine in both.analogy(*three, 3)]
    print("{} : {} = {} :".format(*three), ", ".join(answers))
found = data.answers(both, questions)
print("right answers by kind:", found.by_section)
assert found.accuracy > 0.9

# %% [markdown]
# A real text is less regular. `experiments/word2vec.py` trains on any text file and tests the
# vectors on questions that people wrote. There about a fifth of the answers are right after a
# million words.

# %% [markdown]
# ## Images without labels
#
# The same idea works for images: hide a part and predict it, or rotate an image and predict by how
# much. `experiments/self_supervised.py` trains networks in this way, and then needs few labels.

# %% [markdown]
# ## Exercises
#
# **1.** Train with `window=1`. Are the nearest words of "paris" still capitals?
#
# <details><summary>Answer</summary>
#
# Yes. Direct neighbours decide by which words a word can be replaced. Larger windows make words of
# one subject near each other.
#
# </details>
#
# **2.** Train with `tasks.glove` on `pairs`. Which loss does it minimize, and does it solve the
# analogies?
#
# <details><summary>Answer</summary>
#
# It fits the logarithm of each count by a product and two biases. The model is
# `models.SkipGram(len(vocabulary), 50, biases=True)`. Many analogies are right, since they are
# ratios of counts.
#
# </details>
#
# **3.** Write the vectors by `both.write("vectors.txt")`, and start a classifier of texts from
# them. Which words have no vector?
#
# <details><summary>Answer</summary>
#
# The option is `--vectors vectors.txt --frozen` of `experiments/sentiment.py`. All words that are
# not in these tales start from random vectors, so this text is too small to help.
#
# </details>
