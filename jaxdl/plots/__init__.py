"""Figures: `draw_x(ax, ...)` draws on given axes, `x(..., path)` writes a PNG file.

An interrupted call leaves no partial file. `matplotlib.pyplot` is never imported.
"""

from jaxdl.plots.calibration import draw_reliability, reliability_diagram
from jaxdl.plots.clips import film, film_gif, pictures_gif, prediction_titles
from jaxdl.plots.curves import draw_curves, gan_curves, learning_curves, overview
from jaxdl.plots.decisions import decision_map, draw_decision_map
from jaxdl.plots.examples import draw_mistakes, mistakes, worst
from jaxdl.plots.forecasts import error_bars, forecast_lines
from jaxdl.plots.images import draw_filters, draw_image_grid, filters, image_grid, reconstructions
from jaxdl.plots.latents import draw_latent_map, latent_map, latent_maps, posterior_samples
from jaxdl.plots.lengths import draw_error_by_length, error_by_length
from jaxdl.plots.matrix import confusion_matrix, draw_confusion_matrix
from jaxdl.plots.page import page
from jaxdl.plots.ranking import draw_precision_recall_curves, draw_roc_curves, roc_curves
from jaxdl.plots.regression import predicted_values
from jaxdl.plots.sets import show
from jaxdl.plots.texts import draw_text_heatmap, text_heatmap, text_predictions
from jaxdl.plots.units import layer_maps, unit_images

__all__ = [
    "confusion_matrix",
    "decision_map",
    "draw_confusion_matrix",
    "draw_curves",
    "draw_decision_map",
    "draw_error_by_length",
    "draw_filters",
    "draw_image_grid",
    "draw_latent_map",
    "draw_mistakes",
    "draw_precision_recall_curves",
    "draw_reliability",
    "draw_roc_curves",
    "draw_text_heatmap",
    "error_bars",
    "error_by_length",
    "film",
    "film_gif",
    "filters",
    "forecast_lines",
    "gan_curves",
    "image_grid",
    "latent_map",
    "latent_maps",
    "layer_maps",
    "learning_curves",
    "mistakes",
    "overview",
    "page",
    "pictures_gif",
    "posterior_samples",
    "predicted_values",
    "prediction_titles",
    "reconstructions",
    "reliability_diagram",
    "roc_curves",
    "show",
    "text_heatmap",
    "text_predictions",
    "unit_images",
    "worst",
]
