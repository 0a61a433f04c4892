"""Version of the package, in a separate file so that a build does not import JAX."""

__version__ = "0.1.0"
