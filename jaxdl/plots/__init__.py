"""Figures: `draw_x(ax, ...)` draws on given axes, `x(..., path)` writes a PNG file.

An interrupted call leaves no partial file. `matplotlib.pyplot` is never imported.
"""

from jaxdl.plots.activations import (
    activation_histograms,
    activation_sheet,
    approximated_curves,
    dead_unit_curves,
    decision_maps,
    variance_by_layer,
)
from jaxdl.plots.adversarial import accuracy_curves, attacked_images, gradients_of_networks
from jaxdl.plots.agents import (
    draw_acrobot,
    draw_cart_pole,
    draw_mountain_car,
    draw_tiles,
    episode_gif,
    return_curves,
    value_map,
)
from jaxdl.plots.animation import animation
from jaxdl.plots.attributions import attribution_maps, share_bars
from jaxdl.plots.augmentations import accuracy_dots, augmentation_rows
from jaxdl.plots.boards import Board, Curves, board_rows, curves_by_games
from jaxdl.plots.by_hand import (
    face_hierarchy,
    face_verdicts,
    pooled_photograph,
    shift_curves,
    tolerance_maps,
)
from jaxdl.plots.calibration import draw_reliability, reliability_diagram
from jaxdl.plots.classic import (
    bars_by_name,
    eigen_images,
    kmeans_gif,
    kmeans_steps,
)
from jaxdl.plots.clips import film, film_gif, pictures_gif, prediction_titles
from jaxdl.plots.comparison import comparison_curves, records_by_member, sweep_curves
from jaxdl.plots.convolution import convolution_backward
from jaxdl.plots.curves import draw_curves, gan_curves, learning_curves, overview
from jaxdl.plots.decisions import decision_map, draw_decision_map
from jaxdl.plots.downhill import descent_gif, descent_maps, hill_paths, tuning_curves
from jaxdl.plots.dreams import picture_gif, picture_table
from jaxdl.plots.examples import draw_mistakes, mistakes, worst
from jaxdl.plots.forecasts import error_bars, forecast_lines
from jaxdl.plots.generalization import (
    capacity_curves,
    double_descent_curves,
    error_parts,
    fitted_curves,
)
from jaxdl.plots.graph import computation_gif, computation_graph, draw_computation_graph
from jaxdl.plots.images import draw_filters, draw_image_grid, filters, image_grid, reconstructions
from jaxdl.plots.landscape import draw_loss_plane, loss_lines, loss_planes
from jaxdl.plots.latents import draw_latent_map, latent_map, latent_maps, posterior_samples
from jaxdl.plots.lengths import draw_error_by_length, error_by_length
from jaxdl.plots.matrix import confusion_matrix, draw_confusion_matrix
from jaxdl.plots.numbers import (
    draw_numbers,
    filtered_photographs,
    kernels_side_by_side,
    sums_by_position,
    windows_along_a_line,
)
from jaxdl.plots.overfitting import best_stop, error_curves, spread_bars
from jaxdl.plots.page import page
from jaxdl.plots.perceptron import TwoClasses, perceptron_gif, perceptron_sheet, separators
from jaxdl.plots.pixels import completions, drawing_gif, reach_maps
from jaxdl.plots.play import play_page
from jaxdl.plots.ranking import draw_precision_recall_curves, draw_roc_curves, roc_curves
from jaxdl.plots.regression import predicted_values
from jaxdl.plots.schedules import BatchSize, batch_sizes, schedule_lines, value_curves
from jaxdl.plots.selection import fold_scores, rate_curve
from jaxdl.plots.sets import show
from jaxdl.plots.sound import spectra, waves
from jaxdl.plots.texts import draw_text_heatmap, text_heatmap, text_predictions
from jaxdl.plots.transfer import label_curves
from jaxdl.plots.units import layer_maps, unit_images
from jaxdl.plots.words import nearest_words, word_plane, word_test_curves

__all__ = [
    "BatchSize",
    "Board",
    "Curves",
    "TwoClasses",
    "accuracy_curves",
    "accuracy_dots",
    "activation_histograms",
    "activation_sheet",
    "animation",
    "approximated_curves",
    "attacked_images",
    "attribution_maps",
    "augmentation_rows",
    "bars_by_name",
    "batch_sizes",
    "best_stop",
    "board_rows",
    "capacity_curves",
    "comparison_curves",
    "completions",
    "computation_gif",
    "computation_graph",
    "confusion_matrix",
    "convolution_backward",
    "curves_by_games",
    "dead_unit_curves",
    "decision_map",
    "decision_maps",
    "descent_gif",
    "descent_maps",
    "double_descent_curves",
    "draw_acrobot",
    "draw_cart_pole",
    "draw_computation_graph",
    "draw_confusion_matrix",
    "draw_curves",
    "draw_decision_map",
    "draw_error_by_length",
    "draw_filters",
    "draw_image_grid",
    "draw_latent_map",
    "draw_loss_plane",
    "draw_mistakes",
    "draw_mountain_car",
    "draw_numbers",
    "draw_precision_recall_curves",
    "draw_reliability",
    "draw_roc_curves",
    "draw_text_heatmap",
    "draw_tiles",
    "drawing_gif",
    "eigen_images",
    "episode_gif",
    "error_bars",
    "error_by_length",
    "error_curves",
    "error_parts",
    "face_hierarchy",
    "face_verdicts",
    "film",
    "film_gif",
    "filtered_photographs",
    "filters",
    "fitted_curves",
    "fold_scores",
    "forecast_lines",
    "gan_curves",
    "gradients_of_networks",
    "hill_paths",
    "image_grid",
    "kernels_side_by_side",
    "kmeans_gif",
    "kmeans_steps",
    "label_curves",
    "latent_map",
    "latent_maps",
    "layer_maps",
    "learning_curves",
    "loss_lines",
    "loss_planes",
    "mistakes",
    "nearest_words",
    "overview",
    "page",
    "perceptron_gif",
    "perceptron_sheet",
    "picture_gif",
    "picture_table",
    "pictures_gif",
    "play_page",
    "pooled_photograph",
    "posterior_samples",
    "predicted_values",
    "prediction_titles",
    "rate_curve",
    "reach_maps",
    "reconstructions",
    "records_by_member",
    "reliability_diagram",
    "return_curves",
    "roc_curves",
    "schedule_lines",
    "separators",
    "share_bars",
    "shift_curves",
    "show",
    "spectra",
    "spread_bars",
    "sums_by_position",
    "sweep_curves",
    "text_heatmap",
    "text_predictions",
    "tolerance_maps",
    "tuning_curves",
    "unit_images",
    "value_curves",
    "value_map",
    "variance_by_layer",
    "waves",
    "windows_along_a_line",
    "word_plane",
    "word_test_curves",
    "worst",
]
