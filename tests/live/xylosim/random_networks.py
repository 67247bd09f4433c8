"""Draw random networks within the limits of a Xylo chip: one hidden pool, one output layer.

A network is a plain dict (JSON): ``n_inputs``, ``shifts`` (in, rec, out), ``has_bias``,
``populations`` (name, n, is_output and one value per neuron of v_shift, u_shift, u2_shift or null,
threshold, bias, alias or null) and ``projections`` (source, target, synapse, weights (n_target,
n_source)). What is drawn depends on the seed alone; the regimes take turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Drawer:
    """The choices of one network."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([613, seed])
        self.seed = seed
        self.is_wild = seed % 3 == 1  # currents and membranes leave their 16 bits
        self.has_second = seed % 2 == 0
        self.has_alias = seed % 5 < 3
        self.density = float(self.rng.uniform(0.2, 1.0))

    def network(self) -> dict[str, Any]:
        """Return the description of the network."""
        rng = self.rng
        n_hidden = [int(n) for n in rng.integers(2, 17, 1 + self.seed % 2)]
        sizes = {"in": int(rng.integers(1, 17))}
        sizes |= {f"hidden{k}": n for k, n in enumerate(n_hidden)}
        sizes["out"] = int(rng.integers(1, 9))
        hidden = [name for name in sizes if name.startswith("hidden")]
        low = 4 if self.is_wild else 0
        shifts = [int(s) for s in rng.integers(low, low + 4, 3)]
        if not self.is_wild:
            shifts[1] = int(rng.integers(0, shifts[0] + 1))
        projections = []
        pairs = [("in", name) for name in hidden]
        pairs += [(a, b) for a in hidden for b in hidden if rng.random() < 0.8]
        pairs += [(name, "out") for name in hidden]
        for source, target in pairs:
            both = self.has_second and target != "out"
            for synapse in range(1 + both):
                projections.append(self.projection(source, target, synapse, sizes))
        return {
            "seed": self.seed,
            "n_inputs": sizes["in"],
            "shifts": shifts,
            "has_bias": bool(self.seed % 4),
            "populations": [self.population(name, sizes[name], shifts) for name in sizes][1:],
            "projections": projections,
        }

    def projection(
        self, source: str, target: str, synapse: int, sizes: dict[str, int]
    ) -> dict[str, Any]:
        """Return a matrix of int8 weights, -128 included, some of them 0."""
        rng = self.rng
        shape = (sizes[target], sizes[source])
        is_input = source == "in"
        weights = rng.integers(-128, 128, shape) + int(
            rng.integers(*((0, 70) if is_input else (-60, 20)))
        )
        weights = np.clip(weights, -128, 127)
        if is_input and self.is_wild:
            weights = np.where(rng.random(shape) < 0.5, np.abs(weights), weights).clip(-128, 127)
        weights = np.where(rng.random(shape) < self.density * (1 if is_input else 0.5), weights, 0)
        return {
            "source": source,
            "target": target,
            "synapse": synapse,
            "weights": weights.astype(int).tolist(),
        }

    def population(self, name: str, n: int, shifts: list[int]) -> dict[str, Any]:
        """Return neurons: thresholds within reach, slow and fast decays, aliases in any order."""
        rng, is_output = self.rng, name == "out"
        longest = 16 if self.is_wild else 6
        reach = 100 * 2.0 ** shifts[2 if is_output else 0]
        threshold = np.exp(rng.uniform(np.log(reach), np.log(reach * 200), n))
        alias = np.full(n, -1)
        if self.has_alias and not is_output:
            alias = np.where(rng.random(n) < 0.5, rng.integers(0, n, n), -1)
        return {
            "name": name,
            "n": n,
            "v_shift": rng.integers(1, longest, n).tolist(),
            "u_shift": rng.integers(1, longest, n).tolist(),
            "u2_shift": (
                rng.integers(1, longest, n).tolist() if self.has_second and not is_output else None
            ),
            "threshold": np.clip(np.rint(threshold), 1, 32767).astype(int).tolist(),
            "bias": np.rint(rng.normal(0, 0.2, n) * threshold).clip(-32768, 32767).tolist(),
            "alias": alias.tolist() if self.has_alias and not is_output else None,
        }

    def counts(self, n_inputs: int, n_steps: int) -> np.ndarray:
        """Return input events (n_steps, n_inputs), 0 to 15, with silences in which states decay."""
        rng = self.rng
        counts = rng.integers(1, 16, (n_steps, n_inputs))
        counts = np.where(rng.random(counts.shape) < rng.uniform(0.02, 0.3), counts, 0)
        start = int(rng.integers(20, n_steps - 60))
        counts[start : start + 50] = 0
        return counts.astype(np.uint8)
