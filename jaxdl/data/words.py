"""Splitting a text into words and signs, and joining them to a text again."""

import functools
import re
import sys
import unicodedata

#: Signs without a space before them.
CLOSING = frozenset(".,;:!?'’\")]}”»›…%")

#: Signs without a space after them.
OPENING = frozenset("([{“‘«‹„‚¿¡$£€#@")

#: Signs without a space on either side.
JOINING = frozenset("-‐‑–—/\n")


def split_words(text: str) -> list[str]:
    r"""Splits a text into words, signs and line breaks.

    A word is a run of letters and digits, and may contain apostrophes. A combining mark belongs to
    the letter before it. Every other character is a separate token. Spaces are left out; a line
    break is a token.

    Example:
      >>> split_words("Don't stop (now)!\nIt’s 2 o'clock")
      ["Don't", 'stop', '(', 'now', ')', '!', '\n', 'It’s', '2', "o'clock"]
    """
    return _pattern().findall(text)


def join_words(tokens: list[str]) -> str:
    r"""Joins words and signs to a text, with the spaces of printed text.

    Straight quotation marks alternately open and close; the first one of a line opens. The spacing
    of the original text is lost, but `split_words` returns the same tokens again.

    Example:
      >>> join_words(["See", ":", '"', "Well", "-", "done", "(", "1", ")", "!", '"', "\n", "Yes"])
      'See: "Well-done (1)!"\nYes'
    """
    text = []
    before = "\n"
    quoted = False
    for token in tokens:
        opens = token == '"' and not quoted
        space_before = opens or token not in CLOSING | JOINING
        if space_before and before not in JOINING | OPENING:
            text.append(" ")
        text.append(token)
        quoted = opens or (quoted and token not in '"\n')
        before = token
        if opens:
            # Like other opening signs, an opening quotation mark has no space after it.
            before = "("
    return "".join(text)


@functools.cache
def _pattern() -> re.Pattern[str]:
    """Returns the pattern of one token."""
    # Python's \w does not match combining marks, which words of most Indian scripts contain.
    characters = map(chr, range(sys.maxunicode + 1))
    marks = "".join(c for c in characters if unicodedata.category(c)[0] == "M")
    # All marks are beyond U+02FF. Testing this first keeps plain text fast.
    word = rf"[^\W_]+(?:(?=[^\x00-\u02ff])[{marks}]+[^\W_]*)*"
    return re.compile(rf"{word}(?:['’]{word})*|\n|\S")
