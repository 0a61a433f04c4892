"""A generated text of countries and people, in which analogies hold by construction."""

import numpy as np

from jaxdl.data.word_tests import Analogy, Similarity
from jaxdl.errors import at_least

#: Country, capital, language, river and dish.
COUNTRIES = (
    ("france", "paris", "french", "seine", "crepes"),
    ("italy", "rome", "italian", "tiber", "pasta"),
    ("spain", "madrid", "spanish", "ebro", "paella"),
    ("germany", "berlin", "german", "spree", "pretzels"),
    ("russia", "moscow", "russian", "volga", "borscht"),
    ("japan", "tokyo", "japanese", "sumida", "sushi"),
    ("greece", "athens", "greek", "evrotas", "moussaka"),
    ("poland", "warsaw", "polish", "vistula", "pierogi"),
    ("sweden", "stockholm", "swedish", "norrstrom", "meatballs"),
    ("portugal", "lisbon", "portuguese", "tagus", "sardines"),
    ("hungary", "budapest", "hungarian", "danube", "goulash"),
    ("egypt", "cairo", "arabic", "nile", "falafel"),
)

#: A man and a woman of the same kind, with two nouns that belong to both.
PEOPLE = (
    ("king", "queen", "crown", "throne"),
    ("prince", "princess", "palace", "carriage"),
    ("man", "woman", "house", "work"),
    ("boy", "girl", "school", "kite"),
    ("father", "mother", "child", "cradle"),
    ("brother", "sister", "quarrel", "bunk"),
    ("uncle", "aunt", "visit", "nephew"),
    ("husband", "wife", "wedding", "ring"),
    ("actor", "actress", "stage", "applause"),
    ("waiter", "waitress", "table", "tray"),
    ("wizard", "witch", "spell", "cauldron"),
    ("monk", "nun", "abbey", "prayer"),
)

#: Sentences about a country: c country, t capital, l language, r river, d dish.
PLACES = (
    "the capital of {c} is {t}",
    "{t} is the largest city of {c} and lies on the {r}",
    "in {c} people speak {l}",
    "in {c} farmers grow what they need for {d}",
    "the mountains of {c} are high and the borders of {c} are long",
    "the streets of {t} are crowded and the trains to {t} are full",
    "in a street of {t} a cook sells {d}",
    "the bridges of {t} cross the {r}",
    "the {r} flows through {c}",
    "many books are written in {l} and read in {c}",
    "a grammar of {l} explains the verbs of {l}",
    "in {t} all signs are in {l}",
    "a {l} song praises the {r} and {d}",
)

#: Sentences about a person: p person, s his or her, h he or she, m him or her, x and y the nouns.
ROLES = (
    "the {p} has a {x} and {h} loves {s} {x}",
    "the {p} showed {s} {y} to a friend who admired {m}",
    "{h} is a {p} and {s} {x} is old",
    "without {s} {y} the {p} would not be {m}self",
    "the {p} spoke of the {x} and of {s} {y}",
    "one day the {p} lost {s} {x} and {h} wept",
    "they asked the {p} about {s} {y} and {h} smiled at the {x}",
)


def tales(sentences: int = 24_000, seed: int = 0) -> str:
    """Returns a text of short sentences about countries and people, one in each line.

    The same sentences are made for a man and a woman, and for each country. So the vectors of their
    words differ by the same direction, if they describe the words around them.

    Args:
      sentences: number of sentences, at least 1.
      seed: seed of the choices.

    Example:
      >>> print(tales(2).strip())
      a japanese song praises the sumida and sushi
      the capital of germany is berlin
    """
    at_least("sentences", sentences, 1)
    random = np.random.RandomState(seed)
    lines = []
    for _ in range(sentences):
        form = random.randint(len(PLACES) + 2 * len(ROLES))
        if form < len(PLACES):
            place = COUNTRIES[random.randint(len(COUNTRIES))]
            lines.append(PLACES[form].format(**dict(zip("ctlrd", place, strict=True))))
            continue
        man, woman, x, y = PEOPLE[random.randint(len(PEOPLE))]
        words = {"p": man, "h": "he", "s": "his", "m": "him"}
        if random.randint(2):
            words = {"p": woman, "h": "she", "s": "her", "m": "her"}
        lines.append(ROLES[(form - len(PLACES)) // 2].format(x=x, y=y, **words))
    return "\n".join(lines) + "\n"


def tales_tests() -> tuple[list[Similarity], list[Analogy]]:
    """Returns the tests of vectors that are trained on `tales`.

    A pair of words of the same role, such as two capitals, has the score 3. Words of the same
    country have 2, words of two countries 1, and other words 0.

    Returns:
      The pairs, and the analogies of capitals, languages and family. All their words are in the
      default text.

    Example:
      >>> pairs, questions = tales_tests()
      >>> questions[0], len(questions)
      (Analogy(a='france', b='paris', c='italy', d='rome', section='capitals'), 396)
    """
    sections = {
        "capitals": [place[:2] for place in COUNTRIES],
        "languages": [(place[0], place[2]) for place in COUNTRIES],
        "family": [pair[:2] for pair in PEOPLE],
    }
    questions = [
        Analogy(*first, *second, section)
        for section, pairs in sections.items()
        for first in pairs
        for second in pairs
        if first != second
    ]
    columns = [*zip(*COUNTRIES, strict=True)]
    scored = []
    for i, place in enumerate(COUNTRIES):
        following = COUNTRIES[(i + 1) % len(COUNTRIES)]
        scored += [Similarity(place[k], columns[k][(i + 3) % len(COUNTRIES)], 3) for k in range(3)]
        scored += [Similarity(place[0], place[k], 2) for k in range(1, 5)]
        scored += [Similarity(place[0], following[k], 1) for k in range(1, 5)]
        scored += [Similarity(place[0], word, 0) for word in PEOPLE[i]]
    return scored, questions
