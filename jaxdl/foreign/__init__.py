"""Weights of networks that other libraries have trained, as networks of this one."""

from jaxdl.foreign.network import ForeignNetwork, is_weights, read_network

__all__ = ["ForeignNetwork", "is_weights", "read_network"]
