"""Numba kernels: flat arrays in and out, every file self-contained."""
