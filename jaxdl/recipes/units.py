"""Units of a recurrent network that follow a feature of the text."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxdl.core import State, inference
from jaxdl.data import Vocabulary
from jaxdl.nn import tap
from jaxdl.plots import text_heatmap
from jaxdl.rng import root, stream

#: Number of tokens that the part of the text is chosen from.
TOKENS = 8192

#: Smallest correlation of a unit that follows a feature, and its smallest distance from the best
#: unit of an untrained network. The best of 512 untrained units has up to 0.63.
FOLLOWS = 0.4
ABOVE = 0.15

#: Lines of the heat map, and tokens in a line.
LINES = 6
LINE_TOKENS = {"character": 64, "word": 12}


def unit_heatmap(
    model: Any,
    state: State,
    vocabulary: Vocabulary,
    ids: Int[np.ndarray, " T"],
    path: str | os.PathLike[str],
) -> Path:
    """Draws a text with the units that follow one of its features, and a forget gate.

    Args:
      model: a `SequenceNet` whose body is an `RNN`.
      state: its state, of one run.
      vocabulary: the tokens.
      ids: `[T]`, ids of a text that the network was not trained on. The picture shows the part of
        the first 8,192 in which the first feature varies most.
      path: path of the PNG file.

    Returns:
      The path.
    """
    ids = ids[:TOKENS]
    symbols = [vocabulary.tokens[i] for i in ids]
    width = LINE_TOKENS[vocabulary.kind]
    features = text_features(symbols, width)
    part = most_varied_part(next(iter(features.values())), width)
    untrained = dict(model.init(stream(root(0), "init"), jnp.asarray(ids)[None, :1], train=False))
    untrained.pop("carry", None)
    rows = correlated_units(
        last_layer(model, state, ids), features, _last_layer(model, untrained, ids)
    )
    values = np.stack([row[part] for row in rows.values()])
    return text_heatmap(symbols[part], values, list(rows), path, width=width)


def last_layer(
    model: Any, state: State, ids: Int[np.ndarray, " T"]
) -> dict[str, Float[np.ndarray, "T H"]]:
    """Returns the gates and carries of the last layer of an `RNN` at each step, by name.

    Args:
      model: a `SequenceNet` whose body is an `RNN`.
      state: its state, of one run.
      ids: `[T]`, ids of a text.

    Returns:
      Arrays `[T, H]`: `h`, and for an LSTM also `cell`, `forget` and its other gates.
    """
    final = inference(state)
    collections = {name: each for name, each in final.extra.items() if name != "carry"}
    return _last_layer(model, {"params": final.params, **collections}, ids)


def _last_layer(
    model: Any, variables: Mapping[str, Any], ids: Int[np.ndarray, " T"]
) -> dict[str, Float[np.ndarray, "T H"]]:
    """Returns the gates and carries for the variables of a network; see `last_layer`."""
    f = tap(model, variables, train=False)
    _, activations = f(jnp.asarray(ids)[None])
    layer = f"body/{model.body.cell}_{model.body.layers - 1}/"
    return {
        name.removeprefix(layer): np.asarray(values[0])
        for name, values in activations.items()
        if name.startswith(layer)
    }


def correlated_units(
    layer: Mapping[str, Float[np.ndarray, "T H"]],
    features: Mapping[str, Float[np.ndarray, " T"]],
    untrained: Mapping[str, Float[np.ndarray, "T H"]],
) -> dict[str, Float[np.ndarray, " T"]]:
    """Returns the state of the unit that is best correlated with each feature.

    The state of an LSTM is tanh(c), and the forget gate of its first unit follows. Features are
    left out unless a unit has a correlation of at least 0.4 with them. It must also be 0.15 above
    those of the untrained network. If this leaves none, the first feature stays, and the title
    states that no unit follows it.

    Args:
      layer: gates and carries, see `last_layer`.
      features: features of the text by name, at least one.
      untrained: gates and carries of the same network with random weights.

    Returns:
      Arrays `[T]` by title. A title has the unit, the feature, their correlation, and the largest
      one of an untrained unit.

    Example:
      >>> layer = {"h": np.array([[0.0, 1.0], [0.5, 0.0]])}
      >>> untrained = {"h": np.ones((2, 2))}
      >>> correlated_units(layer, {"capitals": np.array([0.0, 1.0])}, untrained)
      {'state of unit 0 follows capitals (r = 1.00, untrained 0.00)': array([0. , 0.5])}
    """
    memory = _memory(layer)
    best = {name: best_correlated(memory, values) for name, values in features.items()}
    random = {
        name: abs(best_correlated(_memory(untrained), values)[1])
        for name, values in features.items()
    }
    followed = {
        name: (unit, r)
        for name, (unit, r) in best.items()
        if abs(r) >= max(FOLLOWS, random[name] + ABOVE)
    }
    rows: dict[str, np.ndarray] = {}
    for name, (unit, r) in (followed or dict([next(iter(best.items()))])).items():
        correlation = f"r = {r:.2f}, untrained {random[name]:.2f}".replace("-", "−")
        title = f"state of unit {unit} follows {name} ({correlation})"
        if not followed:
            title = f"no unit follows {name}; state of unit {unit}, the closest ({correlation})"
        rows[title] = memory[:, unit]
        if "forget" in layer and len(rows) == 1:
            title = f"forget gate of unit {unit}: 1 keeps, 0 forgets"
            rows[title] = layer["forget"][:, unit]
    return rows


def _memory(layer: Mapping[str, Float[np.ndarray, "T H"]]) -> Float[np.ndarray, "T H"]:
    """Returns the state that a layer keeps."""
    if "cell" in layer:
        return np.asarray(jnp.tanh(layer["cell"]))
    return layer["h"]


def best_correlated(
    memory: Float[np.ndarray, "T H"], values: Float[np.ndarray, " T"]
) -> tuple[int, float]:
    """Returns the unit that is best correlated with some values.

        r_j = sum_t a_tj b_t / sqrt(sum_t a_tj^2 sum_t b_t^2)

    Here a and b are the units and the values without their means.

    Args:
      memory: `[T, H]`, H units.
      values: `[T]`.

    Returns:
      `(j, r_j)` with the largest absolute correlation; 0 for a constant.

    Example:
      >>> best_correlated(np.array([[1.0, 3.0], [1.0, 1.0]]), np.array([0.0, 1.0]))
      (1, -1.0)
    """
    a = memory - memory.mean(0)
    b = values - values.mean()
    r = (a * b[:, None]).sum(0) / np.maximum(np.sqrt((a**2).sum(0) * (b**2).sum()), 1e-12)
    best = int(np.abs(r).argmax())
    return best, float(r[best])


def most_varied_part(values: Float[np.ndarray, " T"], width: int) -> slice:
    """Returns the tokens of the six lines in which a feature has the largest standard deviation.

    Args:
      values: `[T]`, a feature of a text.
      width: tokens of a line.

    Returns:
      The tokens, which begin at a multiple of `width`.

    Example:
      >>> values = np.zeros(40)
      >>> values[20:30] = 1
      >>> most_varied_part(values, 2)
      slice(14, 26, None)
    """
    size = LINES * width
    starts = range(0, max(1, len(values) - size), width)
    start = max(starts, key=lambda first: values[first : first + size].std())
    return slice(start, start + size)


def text_features(symbols: Sequence[str], width: int) -> dict[str, Float[np.ndarray, " T"]]:
    """Returns features of a text at each of its symbols by name.

    They are quotations and capitals (0 or 1), and the number of earlier symbols in the line.

    Args:
      symbols: T tokens of the text.
      width: limit of the position in a line.

    Returns:
      Arrays `[T]` of the features that vary. If none varies, one array of zeros.

    Example:
      >>> {name: each.tolist() for name, each in text_features('a"b"', 2).items()}
      {'quotations': [0.0, 1.0, 1.0, 0.0], 'the position in a line': [0.0, 1.0, 2.0, 2.0]}
    """
    features = {
        "quotations": inside_quotations(symbols),
        "the position in a line": positions_in_line(symbols, width),
        "capitals": [symbol[:1].isupper() for symbol in symbols],
    }
    arrays = {name: np.array(values, np.float64) for name, values in features.items()}
    varied = {name: values for name, values in arrays.items() if values.std() > 0}
    return varied or {"any feature": np.zeros(len(symbols))}


def inside_quotations(symbols: Sequence[str]) -> list[bool]:
    """Returns True for each symbol that is inside a quotation, or opens one.

    Example:
      >>> inside_quotations("a“b”")
      [False, True, True, False]
    """
    inside = False
    values = []
    for symbol in symbols:
        if symbol == '"':
            inside = not inside
        elif symbol == "“":
            inside = True
        elif symbol == "”":
            inside = False
        values.append(inside)
    return values


def positions_in_line(symbols: Sequence[str], limit: int) -> list[int]:
    r"""Returns the number of symbols before each symbol in its line, at most `limit`.

    Example:
      >>> positions_in_line("ab\ncd", 9)
      [0, 1, 2, 0, 1]
    """
    start = 0
    values = []
    for i, symbol in enumerate(symbols):
        values.append(min(i - start, limit))
        if symbol == "\n":
            start = i + 1
    return values
