"""Random convolution, integrate-and-fire and pooling stacks, written as JSON-safe descriptions."""

from __future__ import annotations

from typing import Any

import numpy as np

N_STEPS = 20


def draw_stack(seed: int) -> dict[str, Any]:
    """Return a network: input shape and layers, weights as float32 values.

    A layer is ``{"kind": "conv" | "linear", "weight", "bias" or None, "stride", "padding",
    "threshold", "v_min", "reset": "subtract" | "zero", "pool": 1 | 2 | 4, "pool_kind"}``; its pool
    follows its neurons.
    """
    r = np.random.default_rng([seed, 0x5BEC])
    shape = (int(r.integers(1, 4)), *(int(n) for n in r.integers(6, 15, 2)))
    stack: dict[str, Any] = {"seed": seed, "input": list(shape), "layers": []}
    for _ in range(int(r.integers(1, 4))):
        layer, shape = _draw_convolution(r, shape)
        stack["layers"].append(layer)
    if shape[1] == shape[2] and r.random() < 0.8:
        for _ in range(int(r.integers(1, 3))):
            n_out = int(r.integers(2, 12))
            layer = _draw_layer(r, "linear", (n_out, int(np.prod(shape))))
            stack["layers"].append(layer)
            shape = (n_out, 1, 1)
    stack["layers"][-1] |= {"pool": 1}
    return stack


def draw_input(stack: dict[str, Any]) -> np.ndarray:
    """Return events per step and pixel, (N_STEPS, c, h, w) uint8, some of them above 1."""
    r = np.random.default_rng([stack["seed"], 0x1A7])
    counts = r.poisson(float(r.choice([0.05, 0.2, 0.6])), (N_STEPS, *stack["input"]))
    return np.minimum(counts, 5).astype(np.uint8)


def _draw_convolution(
    r: np.random.Generator, shape: tuple[int, int, int]
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    c, h, w = shape
    padding = int(r.integers(0, 3))
    kernel = int(r.integers(1, min(h, w, 5) + 1))
    stride = int(r.choice([1, 1, 2]))
    n_out = int(r.integers(1, 7))
    layer = _draw_layer(r, "conv", (n_out, c, kernel, kernel))
    layer |= {"stride": stride, "padding": padding}
    size = [(n + 2 * padding - kernel) // stride + 1 for n in (h, w)]
    pools = [p for p in (1, 2, 2, 4) if min(size) >= p]
    layer["pool"] = int(r.choice(pools))
    out = (n_out, size[0] // layer["pool"], size[1] // layer["pool"])
    return layer, out


def _draw_layer(r: np.random.Generator, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    scale = float(r.uniform(0.3, 4.0)) / np.sqrt(np.prod(shape[1:]))
    weight = r.normal(float(r.choice([0.0, 0.3])) * scale, scale, shape).astype(np.float32)
    threshold = float(np.float32(r.choice([1.0, r.uniform(0.3, 2.5)])))
    bias = None
    if r.random() < 0.4:
        bias = r.normal(0.0, 0.05 * float(r.choice([1, 8])), shape[0]).astype(np.float32)
    return {
        "kind": kind,
        "weight": weight.tolist(),
        "bias": None if bias is None else bias.tolist(),
        "stride": 1,
        "padding": 0,
        "threshold": threshold,
        "v_min": -float(np.float32(threshold * r.choice([0.5, 1.0, 4.0]))),
        "reset": str(r.choice(["subtract", "subtract", "zero"])),
        "pool": 1,
        "pool_kind": str(r.choice(["sum", "avg"])),
    }
