"""Methods that are not networks: perceptron, least squares, PCA, k-means, errors on new data."""

from jaxdl.classic.fits import Polynomial, fit_polynomial
from jaxdl.classic.generalization import BiasVariance, bias_variance
from jaxdl.classic.kmeans import KMeans, kmeans, kmeans_starts, purity
from jaxdl.classic.pca import PCA, pca
from jaxdl.classic.perceptron import (
    Cycle,
    Perceptron,
    find_cycle,
    novikoff_bound,
    perceptron,
    widest_separator,
)
from jaxdl.classic.random_features import DoubleDescent, double_descent

__all__ = [
    "PCA",
    "Cycle",
    "KMeans",
    "BiasVariance",
    "DoubleDescent",
    "Perceptron",
    "Polynomial",
    "bias_variance",
    "double_descent",
    "find_cycle",
    "fit_polynomial",
    "kmeans",
    "kmeans_starts",
    "novikoff_bound",
    "pca",
    "perceptron",
    "purity",
    "widest_separator",
]
