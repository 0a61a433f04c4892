"""Opinions about films from a small grammar: which words there are does not say which opinion it is."""

import numpy as np

#: What is said about the film, and what that means.
PRAISE = (
    *(
        "brilliant",
        "charming",
        "moving",
        "funny",
        "gripping",
        "clever",
        "beautiful",
        "wonderful",
        "delightful",
    ),
    *("original", "a masterpiece", "a triumph", "worth every minute"),
)
BLAME = (
    *(
        "dull",
        "tedious",
        "clumsy",
        "predictable",
        "awful",
        "boring",
        "lifeless",
        "shallow",
        "forgettable",
    ),
    *("confusing", "a disaster", "a waste of time", "hard to sit through"),
)
SUBJECTS = (
    *(
        "the film",
        "the plot",
        "the acting",
        "the ending",
        "the soundtrack",
        "the dialogue",
        "the heroine",
    ),
    *(
        "the villain",
        "the camera work",
        "the first hour",
        "the car chase",
        "the love story",
        "the talking dog",
    ),
)
#: How something is said as it is meant ...
PLAIN = (
    "{s} was {w}",
    "{s} was really {w}",
    "{s} is simply {w}",
    "{s} turned out to be {w}",
    "we found that {s} is {w}",
)
#: ... and with the opposite word.
NEGATED = (
    *("{s} was not {w}", "{s} was not {w} at all", "{s} is anything but {w}", "{s} was never {w}"),
    *("{s} is far from {w}", "nobody would say that {s} was {w}"),
)
#: The second clause is what is meant; the first one is the opposite.
CONTRAST = (
    *("{a} at first, but in the end {b}", "{a}, but {b}", "{a}, and yet {b}", "although {a}, {b}"),
    *(
        "the critics wrote that {a}; the truth is that {b}",
        "I was told that {a}, but {b}",
        "even if {a}, {b}",
    ),
)
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
CLOSINGS = (
    *(
        "",
        "",
        "",
        " The popcorn was expensive.",
        " I saw it on a rainy Tuesday.",
        " My cat watched it too.",
    ),
    *(" It runs for two hours.", " The cinema was half full."),
)


def generate_review(draw: np.random.RandomState, good: bool) -> str:
    """One opinion; one in two has a contrast, one clause in three a negation.

    Args:
      draw: where the choices come from.
      good: whether it is to be praise.

    Example:
      >>> generate_review(np.random.RandomState(3), good=True)
      'The first hour was funny.'
    """
    said = _clause(draw, good)
    if draw.randint(2):
        said = _one(draw, CONTRAST).format(a=_clause(draw, not good), b=said)
    text = f"{_one(draw, OPENINGS)}{said}.{_one(draw, CLOSINGS)}"
    return text[0].upper() + text[1:]


def _clause(draw: np.random.RandomState, good: bool) -> str:
    negated = draw.randint(3) == 0
    words = PRAISE if good != negated else BLAME
    return _one(draw, NEGATED if negated else PLAIN).format(
        s=_one(draw, SUBJECTS), w=_one(draw, words)
    )


def _one(draw: np.random.RandomState, choices: tuple[str, ...]) -> str:
    return choices[draw.randint(len(choices))]
