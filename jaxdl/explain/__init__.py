"""Explanations of a trained network: pure functions of a function of images."""

from jaxdl.explain.adversarial import Adversarial, adversarial_examples
from jaxdl.explain.attacks import Attack, fgsm, noise, perturb, pgd
from jaxdl.explain.baselines import baselines
from jaxdl.explain.cascade import Cascade, cascade, rank_correlation
from jaxdl.explain.checklist import Check, checklist, format_checks
from jaxdl.explain.convolution_by_hand import (
    convolve,
    filter_gradient,
    input_gradient,
)
from jaxdl.explain.crops import Crops, best_crops, cut, only_box
from jaxdl.explain.depth import (
    Predicted,
    Signal,
    collapse,
    dead_units,
    predicted_variances,
    signal,
)
from jaxdl.explain.edges import sobel
from jaxdl.explain.faithfulness import Curves, deletion, insertion, random_order
from jaxdl.explain.grad_cam import GradCam, grad_cam
from jaxdl.explain.gradients import gradient, gradient_times_input, smooth_gradient
from jaxdl.explain.graph import Graph, Node, computation_graph
from jaxdl.explain.integrated import Integrated, integrated_gradients
from jaxdl.explain.layers import activations, feature_maps, layer, layers
from jaxdl.explain.lime import Lime, lime
from jaxdl.explain.maximize import Ascent, Maximized, maximize
from jaxdl.explain.occlusion import ablation, occlusion
from jaxdl.explain.parametrization import Parametrization, parametrization
from jaxdl.explain.receptive import Boxes, receptive_fields
from jaxdl.explain.rise import rise
from jaxdl.explain.robustness import Robustness, robustness
from jaxdl.explain.scores import logits
from jaxdl.explain.segments import grid, superpixels
from jaxdl.explain.transformations import random_warp, warp

__all__ = [
    "Adversarial",
    "Ascent",
    "Attack",
    "Boxes",
    "Cascade",
    "Check",
    "Crops",
    "Curves",
    "GradCam",
    "Graph",
    "Integrated",
    "Lime",
    "Maximized",
    "Node",
    "Parametrization",
    "Predicted",
    "Robustness",
    "Signal",
    "ablation",
    "activations",
    "adversarial_examples",
    "baselines",
    "best_crops",
    "cascade",
    "checklist",
    "computation_graph",
    "convolve",
    "collapse",
    "cut",
    "dead_units",
    "deletion",
    "feature_maps",
    "filter_gradient",
    "fgsm",
    "format_checks",
    "grad_cam",
    "gradient",
    "gradient_times_input",
    "grid",
    "input_gradient",
    "insertion",
    "integrated_gradients",
    "layer",
    "layers",
    "lime",
    "logits",
    "maximize",
    "noise",
    "occlusion",
    "only_box",
    "parametrization",
    "perturb",
    "pgd",
    "predicted_variances",
    "random_order",
    "random_warp",
    "rank_correlation",
    "receptive_fields",
    "rise",
    "robustness",
    "signal",
    "smooth_gradient",
    "sobel",
    "superpixels",
    "warp",
]
