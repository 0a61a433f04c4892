"""A table and pictures of several networks, of which some use a planted mark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl import plots
from jaxdl.plots.attributions import two_lines
from jaxdl.recipes.methods import Explained, first_of
from jaxdl.recipes.planted import FACTOR, MarkOptions, is_reported


def shares_of(result: Mapping[str, Any], prefix: str = "share_in_mark") -> dict[str, float]:
    """Returns the metrics of a result whose names start with a prefix, by method.

    Example:
      >>> shares_of({"metrics": {"share_in_mark/lime": 0.5, "area": 0.1}})
      {'lime': 0.5}
    """
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value
        for name, value in result["metrics"].items()
        if name.startswith(start)
    }


def reports(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, bool]]:
    """Returns for each network and method if the mark is reported, by `is_reported`.

    Args:
      results: result of `Run.finish` by network.

    Example:
      >>> metrics = {"area": 0.06, "share_in_mark/lime": 0.5, "share_in_mark/sobel": 0.2}
      >>> reports({"marked": {"metrics": metrics}})
      {'marked': {'lime': True, 'sobel': False}}
    """
    twins = shares_of(results["twin"]) if "twin" in results else {}
    found = {}
    for network, result in results.items():
        shares = shares_of(result)
        found[network] = {
            method: is_reported(
                share,
                result["metrics"]["area"],
                shares.get("sobel"),
                None if network == "twin" else twins.get(method),
            )
            for method, share in shares.items()
        }
    return found


def report_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the shares of all networks and methods as text; a star marks a reported mark.

    Example:
      >>> metrics = {"area": 0.06, "uses_mark": 0.9, "share_in_mark/lime": 0.5}
      >>> print(report_table({"marked": {"metrics": metrics}}))
      share near the mark     marked
      uses the mark           90.0 %
      area                    0.060
      lime                    0.500 *
      * reported: at least 3 times the area, above the edges and twice the twin's
    """
    starred = reports(results)
    rows = {"share near the mark": [f"{name:<12}" for name in results]}
    metrics = [result["metrics"] for result in results.values()]
    rows["uses the mark"] = [f"{100 * each['uses_mark']:.1f} %".ljust(12) for each in metrics]
    rows["area"] = [f"{each['area']:<12.3f}" for each in metrics]
    for method in shares_of(next(iter(results.values()))):
        cells = []
        for name, each in results.items():
            star = "*" if starred[name].get(method) else " "
            cells.append(f"{shares_of(each).get(method, 0.0):.3f} {star}".ljust(12))
        rows[method] = cells
    lines = [f"{name:<24}{''.join(cells)}".rstrip() for name, cells in rows.items()]
    rule = f"at least {FACTOR:g} times the area, above the edges and twice the twin's"
    return "\n".join([*lines, f"* reported: {rule}"])


def save_examples(found: Explained, path: Path, count: int = 4) -> None:
    """Writes explanations of the first images, which `draw_comparison` reads."""
    first = first_of(found, count)
    arrays: dict[str, Any] = {"images": first.images, "probability": first.probability}
    arrays |= first.maps
    np.savez(path, **arrays)


def draw_comparison(
    results: Mapping[str, Mapping[str, Any]], options: MarkOptions, out: Path
) -> list[Path]:
    """Draws the mark, found or not, for all networks, and the shares of all methods as bars.

    Args:
      results: results of the runs by network, which is their directory below `out`.
      options: options of the mark.
      out: parent directory of the runs (`run_variants`).

    Returns:
      The paths, `planted_mark.png` and `shares.png` in `out`.
    """
    starred = reports(results)
    rows: dict[str, list[Any]] = {"images": []}
    captions: dict[str, list[str]] = {}
    labels = []
    for network, result in results.items():
        shares = shares_of(result)
        with np.load(out / network / "samples" / "explained.npz") as stored:
            rows["images"].append(stored["images"][0])
            sentence = f"P = {stored['probability'][0]:.2f}"
            captions.setdefault("image", []).append(sentence)
            for name in shares:
                rows.setdefault(name, []).append(stored[name][0])
                star = " reported" if starred[network][name] else ""
                captions.setdefault(two_lines(name), []).append(f"{shares[name]:.2f}{star}")
        labels.append(f"{network}\nuses it {100 * result['metrics']['uses_mark']:.0f} %")
    images = np.stack(rows.pop("images"))
    names = [name for name, each in rows.items() if len(each) == len(images)]
    area = next(iter(results.values()))["metrics"]["area"]
    title = (
        f"Share of attribution near a planted mark, which covers {100 * area:.1f} % of the area; "
        f"{_summary(starred)}"
    )
    found = plots.attribution_maps(
        images,
        {two_lines(name): np.stack(rows[name]) for name in names},
        out / "planted_mark.png",
        title=title,
        labels=labels,
        captions={name: captions[name] for name in ["image", *map(two_lines, names)]},
        box=options.mark(images.shape[1:]).box(images.shape[1:]),
    )
    bars = plots.share_bars(
        {
            name: {each: shares_of(result)[each] for each in names}
            for name, result in results.items()
        },
        area,
        out / "shares.png",
        title=title,
        deviations=_deviations(results, names),
        factor=FACTOR,
    )
    return [found, bars]


def _summary(starred: Mapping[str, Mapping[str, bool]]) -> str:
    """Returns a sentence on the methods that report the mark."""
    counts = [f"{sum(each.values())} of {len(each)} for {name}" for name, each in starred.items()]
    return "methods that report it: " + ", ".join(counts)


def _deviations(
    results: Mapping[str, Mapping[str, Any]], names: list[str]
) -> dict[str, dict[str, float]]:
    """Returns the standard deviations over seeds; empty for a single seed."""
    found = {}
    for name, result in results.items():
        if "metrics_std" in result:
            found[name] = _chosen(result["metrics_std"], names)
    return found


def _chosen(metrics: Mapping[str, float], names: list[str]) -> dict[str, float]:
    """Returns the shares of some methods."""
    shares = shares_of({"metrics": metrics})
    return {name: shares[name] for name in names}
