"""Draw random networks of lava-nc's processes: RingBuffer, Dense and its kin, LIF.

A network is a plain dict (JSON): ``n_inputs``, ``populations`` (name, n and one value per neuron of
du, dv, vth, bias_mant, bias_exp), ``projections`` (source, target, process, weights (n_target,
n_source), weight_exp, weight_bits, sign_mode or None, delays or None). What is drawn depends on the
seed alone; the regimes, sign modes, widths and exponents take turns, so that few networks cover
all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Rng = np.random.Generator
N_STEPS = 200
MODES = ("mixed", "excitatory", "inhibitory")
RANGES = {"mixed": (-300, 300), "excitatory": (0, 300), "inhibitory": (-300, 1)}
DELAYED = {"Dense": "DelayDense", "Sparse": "DelaySparse"}


class Drawer:
    """The choices of one network."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([310, seed])
        self.is_wild = seed // 3 % 3 == 2  # u wraps and v saturates
        self.is_extreme = seed % 9 == 8  # one step's input beyond 2^24: u leaves its 24 bits
        self.has_floors = seed % 4 == 3 and not self.is_wild  # all weights shifted right
        self.floors = -1 - seed // 4 % 4
        self.density = float(self.rng.uniform(0.05, 0.5))
        self.turn = 5 * seed
        self.exponent = 0

    def network(self, seed: int) -> dict[str, Any]:
        """Return the description of network ``seed``."""
        rng = self.rng
        names = [f"lif{k}" for k in range(1 + seed % 3)]
        sizes = {"in": int(rng.integers(3, 17))} | {n: int(rng.integers(2, 13)) for n in names}
        if self.is_extreme:
            sizes["in"], self.density = int(rng.integers(40, 60)), 0.8
        chain = list(zip(["in", *names], names, strict=False))
        pairs = list(chain)
        twice = 0.8 if self.has_floors else 0.35  # two Dense into one LIF
        pairs += [pair for pair in chain if rng.random() < twice]
        pairs += [(name, name) for name in names if rng.random() < 0.35]
        if len(names) > 1:
            pairs += [("in", names[-1])] * bool(rng.random() < 0.35)
            pairs += [(names[-1], names[0])] * bool(rng.random() < 0.35)
        projections = [self.projection(s, t, sizes[t], sizes[s]) for s, t in pairs]
        for k, projection in enumerate(projections):
            projection["name"] = f"w{k}"
        populations = [
            self.population(n, sizes[n], [p for p in projections if p["target"] == n])
            for n in names
        ]
        return {
            "seed": seed,
            "n_inputs": sizes["in"],
            "populations": populations,
            "projections": projections,
        }

    def spikes(self, n_inputs: int) -> np.ndarray:
        """Return input spikes (N_STEPS, n_inputs) with a silence, in which the states decay."""
        raster = self.rng.random((N_STEPS, n_inputs)) < self.density
        start = int(self.rng.integers(20, 150))
        raster[start : start + 35] = False
        return raster

    def projection(self, source: str, target: str, n_target: int, n_source: int) -> dict[str, Any]:
        """Return weights (off the grid and beyond it) with their width, exponent and mode."""
        rng, turn = self.rng, self.turn
        self.turn += 1
        data = MODES[turn % 3]
        weights = rng.integers(*RANGES[data], (n_target, n_source))
        said = [None, data, MODES[int(rng.integers(3))]][int(rng.choice(3, p=[0.45, 0.4, 0.15]))]
        process = "Dense" if rng.random() < 0.6 else "Sparse"
        if process == "Sparse":
            weights[rng.random(weights.shape) < 0.5] = 0
        if rng.random() < 0.75:  # else that of the projection before
            self.exponent = self.next_exponent()
        delays = None
        if rng.random() < 0.3:
            process = DELAYED[process]
            most = int(rng.choice([1, 4, 62]))
            delays = rng.integers(0, most + 1, weights.shape).tolist()
        return {
            "source": source,
            "target": target,
            "process": process,
            "weights": weights.tolist(),
            "weight_exp": self.exponent,
            "weight_bits": 8 - turn % 2 if self.has_floors else 1 + turn % 8,
            "sign_mode": said,
            "delays": delays,
        }

    def next_exponent(self) -> int:
        """Return the exponent whose turn it is."""
        if self.is_extreme:
            return 7
        if self.has_floors:
            return self.floors
        return 4 + self.turn % 4 if self.is_wild else self.turn % 12 - 4

    def population(self, name: str, n: int, incoming: list[dict[str, Any]]) -> dict[str, Any]:
        """Return n neurons whose threshold is near what their input makes of v."""
        rng = self.rng
        m = n if rng.random() < 0.6 else 1  # parameters per neuron, or one for all
        du, dv = self.decay(m), self.decay(m)
        if rng.random() < 0.12:
            du, dv = np.full(m, 4095), np.full(m, 0)  # integrate and fire
        # above 2^24 per step u grows by what one wrap leaves; decay must keep it in Lava's int32
        largest = sum(2.0 ** (14 + p["weight_exp"]) * len(p["weights"][0]) for p in incoming)
        if largest > 2**24:
            du = np.maximum(du, int(4096 * largest / 2**30))
        drive = sum(
            float(np.abs(p["weights"]).mean())
            * np.sqrt(len(p["weights"][0]))
            * 2.0 ** p["weight_exp"]
            for p in incoming
        )
        reach = drive * np.sqrt(self.density * np.minimum(4096 / (du + 1), 40))
        reach = reach * np.sqrt(np.minimum(4096 / (dv + 1), 40))
        vth = np.clip(reach * np.exp(rng.uniform(-2.5, 0.3, m)), 0, 131071)
        if self.is_wild:
            vth = rng.integers(30000, 131072, m)
        vth = np.where(rng.random(m) < 0.06, rng.choice([0, 131071], m), vth).astype(int)
        leak = np.maximum(dv / 4096, 1 / 40)
        is_held_down = np.mean([np.mean(p["weights"]) for p in incoming]) < -20
        part = rng.uniform(0.3, 2.0, m) if is_held_down else rng.uniform(-0.4, 1.3, m)
        bias_mant, bias_exp = self.bias(64 * vth * leak * part)
        values = {"du": du, "dv": dv, "vth": vth, "bias_mant": bias_mant, "bias_exp": bias_exp}
        full = {key: np.broadcast_to(v, n).astype(int).tolist() for key, v in values.items()}
        return {"name": name, "n": n, **full}

    def bias(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mantissas and exponents near ``value``, some 0, with more or fewer low bits."""
        rng = self.rng
        least = np.ceil(np.log2(np.maximum(np.abs(value), 1) / 4095))
        exponent = np.clip(least + rng.integers(0, 4, value.shape), -3, 7).astype(int)
        mantissa = np.clip(np.rint(value / 2.0**exponent), -4096, 4095)
        mantissa = np.where(rng.random(value.shape) < 0.1, -4096, mantissa)
        return (mantissa * (rng.random(value.shape) < 0.7)).astype(int), exponent

    def decay(self, n: int) -> np.ndarray:
        """Return decay registers 0..4095: anything, slow ones, or an end of the range."""
        rng = self.rng
        kind = int(rng.choice(4, p=[0.4, 0.4, 0.12, 0.08]))
        slow = rng.integers(0, 200, n)
        return [rng.integers(0, 4096, n), slow, np.full(n, 4095), np.full(n, 0)][kind]
