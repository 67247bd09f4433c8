"""Numba kernels of the learning engine: flat arrays in and out, nothing of the rest is known."""
