"""A page on which one plays a game beside or against a table of values, in one file."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxdl.errors import InputError, one_of
from jaxdl.plots.html_page import html_page

#: Games that the page has rules for.
GAMES = ("flippers", "tic_tac_toe")


def play_page(
    game: str,
    values: Mapping[int, Sequence[float | None]],
    path: str | os.PathLike[str],
    *,
    title: str,
    rules: str,
    source: str,
    limits: tuple[float, float],
    won: Sequence[int] = (),
    start: int = 0,
) -> Path:
    """Writes a page on which one plays a game beside or against a table of values.

    The page is one file without anything from elsewhere. It contains the table as JSON. On the
    page of Flippers the table plays the same board beside. In tic-tac-toe it is the opponent. Its
    move is the first one with the largest value.

    Args:
      game: flippers or tic_tac_toe.
      values: by the index of a board, the value of the move at each tile; None for an illegal one.
      path: path of the HTML file; its directory is created if missing.
      title: heading of the page, any text.
      rules: the rules in words, any text.
      source: words on the table, such as the games that it learned from.
      limits: values of an empty and of a full bar.
      won: indices of won boards, for Flippers.
      start: index of the first board, for Flippers.

    Returns:
      The path.

    Raises:
      InputError: an unknown game, a board with another number of tiles than the first one, or a
        value that is not finite.

    Example:
      >>> import tempfile
      >>> words = {"title": "A <game>", "rules": "Flip.", "source": "Nobody."}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "play.html"
      ...     text = play_page("flippers", {0: [1.0] * 9}, path, limits=(0, 1), **words).read_text()
      >>> "<title>A &lt;game&gt;</title>" in text, "<game>" in text
      (True, False)
    """
    one_of("game", game, GAMES)
    counts = {len(each) for each in values.values()}
    if len(counts) != 1:
        raise InputError("values", sorted(counts), "the same number of tiles for each board")
    size = round(counts.pop() ** 0.5)
    for index, row in values.items():
        wrong = [value for value in row if value is not None and not math.isfinite(value)]
        if wrong:
            allowed = "finite numbers, or None for an illegal move"
            raise InputError(f"values[{index}]", float(wrong[0]), allowed)
    data: dict[str, Any] = {"game": game, "title": title, "rules": rules, "source": source}
    data |= {"size": size, "limits": list(limits), "won": list(map(int, won)), "start": int(start)}
    data["values"] = {
        str(index): [None if value is None else round(float(value), 6) for value in row]
        for index, row in values.items()
    }
    return html_page("play.html", data, title, path)
