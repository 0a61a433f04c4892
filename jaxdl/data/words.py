"""A text cut into words and signs, and words set as a text again."""

import functools
import re
import sys
import unicodedata

#: No space before these ...
CLOSING = frozenset(".,;:!?'’\")]}”»›…%")
#: ... after these ...
OPENING = frozenset("([{“‘«‹„‚¿¡$£€#@")
#: ... or on either side of these.
JOINING = frozenset("-‐‑–—/\n")


def split_words(text: str) -> list[str]:
    r"""Runs of letters and digits, apostrophes inside included, and every other sign alone.

    A combining mark belongs to the letter before it. Spaces are left out; the end of a line is a token.

    Example:
      >>> split_words("Don't stop (now)!\nIt’s 2 o'clock")
      ["Don't", 'stop', '(', 'now', ')', '!', '\n', 'It’s', '2', "o'clock"]
    """
    return _pattern().findall(text)


def join_words(tokens: list[str]) -> str:
    r"""Words and signs as a text, with spaces where print has them.

    Straight quotation marks open and close in turn, anew on every line. The spacing of the text that the
    tokens came from is not known any more; `split_words` gives the same tokens again.

    Example:
      >>> join_words(["He", "said", ":", '"', "Well", "-", "done", "(", "1", ")", "!", '"', "\n", "Yes"])
      'He said: "Well-done (1)!"\nYes'
    """
    text = []
    before = "\n"
    quoted = False
    for token in tokens:
        opens = token == '"' and not quoted
        if (
            (token not in CLOSING or opens)
            and token not in JOINING
            and before not in JOINING | OPENING
        ):
            text.append(" ")
        text.append(token)
        quoted = opens or (quoted and token not in '"\n')
        before = "(" if opens else token
    return "".join(text)


@functools.cache
def _pattern() -> re.Pattern[str]:
    # Python's \w has no combining marks, without which words of most Indian scripts fall into pieces.
    marks = "".join(
        c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M"
    )
    # All marks are beyond U+02FF; the look at that first is what keeps plain text fast.
    word = rf"[^\W_]+(?:(?=[^\x00-\u02ff])[{marks}]+[^\W_]*)*"
    return re.compile(rf"{word}(?:['’]{word})*|\n|\S")
