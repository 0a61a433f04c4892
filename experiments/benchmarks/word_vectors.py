"""Word vectors beside gensim's: the same text, tests and number of passes, one process each.

    python experiments/benchmarks/word_vectors.py text8.txt word2vec-eval
    python experiments/benchmarks/word_vectors.py text8.txt word2vec-eval --seeds 1 --epochs 2

Every row is one seed. It has the rank correlation with WordSim-353, over the pairs whose words both
occur at least five times. Right analogies are those among the 5,000 and the 30,000 most frequent
words. The speed is the words of the text that were read in a second of processor time. gensim runs
on one core, with the settings that were best for it here. Its vectors are the better ones of two:
those of its table of inputs, and the sum of both of its tables. Without gensim its rows are left
out.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time

import numpy as np

import jaxdl
from jaxdl.data import Analogy, Similarity, WordVectors, agreement, answers
from jaxdl.data.vocabulary import UNKNOWN
from jaxdl.errors import InputError, at_least
from jaxdl.recipes.word_options import WordOptions
from jaxdl.recipes.words import AMONG, Text, load_text, vectors_of

#: Settings of gensim, the best ones of those that were tried on text8.
GENSIM = {
    "sg": 1,
    "vector_size": 100,
    "window": 5,
    "negative": 10,
    "sample": 3e-5,
    "alpha": 0.05,
    "min_count": 5,
    "workers": 1,
}


def numbers(
    vectors: WordVectors, similarities: list[Similarity], analogies: list[Analogy]
) -> dict[str, float]:
    """Returns the tests of vectors by name."""
    found = agreement(vectors, similarities)
    shares = {f"analogies_{among}": answers(vectors, analogies, among).accuracy for among in AMONG}
    left_out = found.out_of_vocabulary
    return {"spearman": found.spearman, **shares, "out_of_vocabulary": left_out}


def of_jaxdl(text: Text, options: WordOptions, seed: int, epochs: int) -> dict[str, float]:
    """Trains by jaxdl and returns its numbers."""
    rows = text.words.rows
    steps = epochs * (rows.size // 2)
    task = options.task(text.words.counts, steps, "text")
    net = jaxdl.learner(task.init, *task.updates())
    start = time.process_time()
    key = jaxdl.root(seed)
    strategy = jaxdl.strategy("single")
    state = jaxdl.train(net, rows, key=key, steps=steps, batch_size=2, strategy=strategy)
    seconds = time.process_time() - start
    vectors = vectors_of(text.vocabulary, jaxdl.bind(task.predict, state), text.words.counts > 0)
    found = numbers(vectors, text.similarities, text.analogies)
    return found | {"words_per_cpu_second": epochs * text.total / seconds}


def known_words(text: Text) -> list[str]:
    """Returns the words of the vocabulary in the order of the text, as `load_text` chose them."""
    ids = text.words.rows["input"].ravel()
    return [text.vocabulary.tokens[i] for i in ids[ids > UNKNOWN]]


def of_gensim(text: Text, seed: int, epochs: int) -> dict[str, float]:
    """Trains by gensim on one core and returns the numbers of its better vectors."""
    from gensim.models import Word2Vec

    words = known_words(text)
    sentences = [words[i : i + 10_000] for i in range(0, len(words), 10_000)]
    start = time.process_time()
    model = Word2Vec(sentences, epochs=epochs, seed=seed + 1, **GENSIM)
    seconds = time.process_time() - start
    names = tuple(model.wv.index_to_key)
    tables = model.wv.vectors, model.wv.vectors + model.syn1neg
    each = [numbers(WordVectors(names, x), text.similarities, text.analogies) for x in tables]
    best = max(each, key=lambda found: found["spearman"])
    return best | {"words_per_cpu_second": epochs * text.total / seconds}


def child(command: list[str], name: str, seed: int) -> dict[str, float]:
    """Trains one seed in a separate process and returns its numbers."""
    done = subprocess.run([*command, "--one", name, str(seed)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{name}, seed {seed}: exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a table of all seeds of both, and their means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("evaluation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    options = WordOptions()
    try:
        at_least("seeds", args.seeds, 1)
        at_least("epochs", args.epochs, 1)
        text = load_text(args.text, options, args.evaluation)
    except InputError as error:
        sys.exit(f"error: {error}")
    if args.one:
        seed = int(args.one[1])
        if args.one[0] == "jaxdl":
            found = of_jaxdl(text, options, seed, args.epochs)
        else:
            found = of_gensim(text, seed, args.epochs)
        print(json.dumps(found))
        return
    names = ["jaxdl", "gensim"]
    if importlib.util.find_spec("gensim") is None:
        print("gensim is not installed, so its rows are left out; pip install gensim adds them")
        names = ["jaxdl"]
    for name in names:
        rows = []
        for seed in range(args.seeds):
            rows.append(child([sys.executable, *sys.argv], name, seed))
            print(name, seed, {key: round(value, 4) for key, value in rows[-1].items()}, flush=True)
        means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
        print(f"{name}, mean of {args.seeds} seeds", means, flush=True)


if __name__ == "__main__":
    main()
