"""The SpiNNaker2 rule as a plain script: no array code, nothing of nmhw, written from the rule.

The published rule, reported to reproduce the SpiNNaker2 spikes of the NIR paper's recurrent Braille
network without bias (Pedersen, Abreu et al., Nature Communications 2024,
doi:10.1038/s41467-024-52259-9); no test here repeats that:

- every population has one scale s = 127 / max|w| over all weights that end at it; a weight is
  trunc(s w), in exact arithmetic here; the threshold is s times the file's, as a float32;
- forward Euler in float32: I = (1 - dt/tau_syn) I + (w_in dt/tau_syn) x, then
  V = (1 - dt/tau_mem) V + (r dt/tau_mem) I;
- a spike where V > threshold, then V = 0, or V - threshold for the soft reset;
- a spike acts one step later, inputs included.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import trunc

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One CubaLIF population; weights_from[source][i][j] = from neuron j of source to neuron i."""

    name: str
    tau_mem_s: list[float]
    tau_syn_s: list[float]
    r: list[float]
    w_in: list[float]
    v_threshold: list[float]
    weights_from: dict[str, list[list[float]]]


def truncate_weights(layer: Layer) -> tuple[dict[str, list[list[int]]], float]:
    """Return the integer weights and the scale."""
    every = [abs(w) for rows in layer.weights_from.values() for row in rows for w in row]
    largest = max(every)
    exact = Fraction(127) / Fraction(largest)
    integers = {
        source: [[trunc(exact * Fraction(w)) for w in row] for row in rows]
        for source, rows in layer.weights_from.items()
    }
    return integers, 127 / largest


def run_rule(
    layers: list[Layer], inputs: dict[str, list[list[int]]], *, dt_s: float, soft_reset: bool
) -> dict[str, list[list[int]]]:
    """Return name -> step -> neuron -> 0 or 1 for one sample; the inputs are given in that form."""
    f = np.float32
    n_steps = len(next(iter(inputs.values())))
    fired = {name: [list(step) for step in steps] for name, steps in inputs.items()}
    fired |= {layer.name: [] for layer in layers}
    stored = {layer.name: truncate_weights(layer) for layer in layers}
    current = {layer.name: [f(0)] * len(layer.r) for layer in layers}
    voltage = {layer.name: [f(0)] * len(layer.r) for layer in layers}
    for step in range(n_steps):
        for layer in layers:
            weights, scale = stored[layer.name]
            row = []
            for i in range(len(layer.r)):
                x = 0
                for source, matrix in weights.items():
                    before = fired[source][step - 1] if step else []
                    x += sum(w for w, z in zip(matrix[i], before, strict=False) if z)
                keep_i = f(1 - dt_s / layer.tau_syn_s[i])
                gain_i = f(layer.w_in[i] * dt_s / layer.tau_syn_s[i])
                keep_v = f(1 - dt_s / layer.tau_mem_s[i])
                gain_v = f(layer.r[i] * dt_s / layer.tau_mem_s[i])
                threshold = f(layer.v_threshold[i] * scale)
                now = f(f(keep_i * current[layer.name][i]) + f(gain_i * f(x)))
                v = f(f(keep_v * voltage[layer.name][i]) + f(gain_v * now))
                spike = bool(v > threshold)
                if spike:
                    v = f(v - threshold) if soft_reset else f(0)
                current[layer.name][i], voltage[layer.name][i] = now, v
                row.append(int(spike))
            fired[layer.name].append(row)
    return fired
