"""A small grammar of film reviews whose sentiment does not follow from the words alone."""

import numpy as np

#: Words and phrases of praise.
POSITIVE = (
    "brilliant",
    "charming",
    "moving",
    "funny",
    "gripping",
    "clever",
    "beautiful",
    "wonderful",
    "delightful",
    "original",
    "a masterpiece",
    "a triumph",
    "worth every minute",
)

#: Words and phrases of criticism.
NEGATIVE = (
    "dull",
    "tedious",
    "clumsy",
    "predictable",
    "awful",
    "boring",
    "lifeless",
    "shallow",
    "forgettable",
    "confusing",
    "a disaster",
    "a waste of time",
    "hard to sit through",
)

#: Subjects of the clauses.
SUBJECTS = (
    "the film",
    "the plot",
    "the acting",
    "the ending",
    "the soundtrack",
    "the dialogue",
    "the heroine",
    "the villain",
    "the camera work",
    "the first hour",
    "the car chase",
    "the love story",
    "the talking dog",
)

#: Clauses that mean what their word `w` means.
PLAIN = (
    "{s} was {w}",
    "{s} was really {w}",
    "{s} is simply {w}",
    "{s} turned out to be {w}",
    "we found that {s} is {w}",
)

#: Clauses that mean the opposite of their word `w`.
NEGATED = (
    "{s} was not {w}",
    "{s} was not {w} at all",
    "{s} is anything but {w}",
    "{s} was never {w}",
    "{s} is far from {w}",
    "nobody would say that {s} was {w}",
)

#: Sentences of two clauses: `b` expresses the sentiment of the review, `a` the opposite.
CONTRAST = (
    "{a} at first, but in the end {b}",
    "{a}, but {b}",
    "{a}, and yet {b}",
    "although {a}, {b}",
    "the critics wrote that {a}; the truth is that {b}",
    "I was told that {a}, but {b}",
    "even if {a}, {b}",
)

#: Neutral phrases before the sentence. The empty one is repeated to make it more frequent.
OPENINGS = (
    "",
    "",
    "",
    "honestly, ",
    "well, ",
    "I saw it twice: ",
    "what can I say, ",
    "mind you, ",
)

#: Neutral sentences at the end. The empty one is repeated to make it more frequent.
CLOSINGS = (
    "",
    "",
    "",
    " The popcorn was expensive.",
    " I saw it on a rainy Tuesday.",
    " My cat watched it too.",
    " It runs for two hours.",
    " The cinema was half full.",
)


def generate_review(random: np.random.RandomState, positive: bool) -> str:
    """Generates one review.

    With probability 1/2 it has a contrast. Each clause has a negation with probability 1/3.

    Args:
      random: the random number generator.
      positive: if True, the review is positive.

    Example:
      >>> generate_review(np.random.RandomState(3), positive=True)
      'The first hour was funny.'
    """
    sentence = _clause(random, positive)
    if random.randint(2):
        contrast = _choose(random, CONTRAST)
        sentence = contrast.format(a=_clause(random, not positive), b=sentence)
    text = f"{_choose(random, OPENINGS)}{sentence}.{_choose(random, CLOSINGS)}"
    return text[0].upper() + text[1:]


def _clause(random: np.random.RandomState, positive: bool) -> str:
    """Generates a clause; in a negated one, the word has the opposite meaning."""
    negated = random.randint(3) == 0
    templates: tuple[str, ...] = PLAIN
    if negated:
        templates = NEGATED
    words = NEGATIVE
    if positive != negated:
        words = POSITIVE
    template = _choose(random, templates)
    subject = _choose(random, SUBJECTS)
    return template.format(s=subject, w=_choose(random, words))


def _choose(random: np.random.RandomState, choices: tuple[str, ...]) -> str:
    return choices[random.randint(len(choices))]
