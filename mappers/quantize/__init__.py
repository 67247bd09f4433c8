"""Quantization: a float network to the integers and the grid of a chip."""
