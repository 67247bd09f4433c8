"""One step of a population of neurons, in the integers (or float32) that the description names.

An implementation of its own, from the rules that ``nmhw.values.arithmetic`` states; both are
compared in nmhw's tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
Decay = Callable[[Any], Any]


def make_decay(kind: str, keep: Any, bits: int, rounding: str) -> Decay:
    """Return the function that one decay kind applies to a state."""

    def scale_down(x: Any) -> Any:
        product = keep * x
        down = product >> bits
        if rounding == "floor":
            return down
        return np.where(product < 0, -(-product >> bits), down)

    def lose_shifted(x: Any) -> Any:
        return x - (x >> keep)

    def lose_at_least_one(x: Any) -> Any:
        lost = x >> keep
        lost[(x > 0) & (lost == 0)] = 1
        return x - lost

    def step_to_zero(x: Any) -> Any:
        return np.where(x > 0, np.maximum(x - keep, 0), np.minimum(x + keep, 0))

    kinds: dict[str, Decay] = {
        "none": np.copy,
        "converge": np.copy,
        "clear": np.zeros_like,
        "mulshift": scale_down,
        "shift": lose_shifted,
        "shift-tail": lose_at_least_one,
        "subtract": step_to_zero,
    }
    return kinds[kind]


def make_limit(bits: int, mode: str) -> Decay:
    """Return the function that brings sums back into a signed register of ``bits`` bits."""
    top = 2 ** (bits - 1)

    def wrap(x: Any) -> Any:
        turns = (x <= -top).astype(np.int64) - (x > top)
        return x + turns * (2 * top)

    def saturate(x: Any) -> Any:
        return np.minimum(np.maximum(x, -top if mode == "saturate-full" else 1 - top), top - 1)

    return wrap if mode == "wrap" else saturate


class Cell:
    """States of one population.

    Attributes
    ----------
    u, v : int64 or float32 (n,)
    refractory : int64 (n,), steps in which the membrane still rests
    is_active : bool (n,)
        Had state, input or bias in the step that was run last.
    n_saturated : int
        Neurons whose state met a limit in that step.
    """

    def __init__(self, spec: Mapping[str, Any], arrays: Arrays) -> None:
        self.spec, self.arrays = spec, arrays
        self.is_float = spec["state"] == "float32"
        self.kind = np.float32 if self.is_float else np.int64
        if not self.is_float:
            form = (spec["decay_bits"], spec["rounding"])
            self.decay_u = make_decay(spec["u_decay"], arrays["u_keep"], *form)
            self.decay_v = make_decay(spec["v_decay"], arrays["v_keep"], *form)
            self.limit_u = make_limit(spec["u_bits"], spec["u_overflow"])
            self.limit_v = make_limit(spec["sum_bits"] or spec["v_bits"], spec["v_overflow"])
            self.v_top = 2 ** (spec["v_bits"] - 1) - 1
        self.start()

    def start(self) -> None:
        """Go to the state before the first step."""
        self.v = self.arrays["v0"].astype(self.kind)
        self.u = np.zeros_like(self.v)
        self.refractory = np.zeros(self.v.size, np.int64)
        self.is_active = np.zeros(self.v.size, bool)
        self.n_saturated = 0

    def step(self, summed: Any) -> Any:
        """Run one step on the summed input (n,) int64; return spikes (n,) int64."""
        spec, rests = self.spec, self.refractory > 0
        self.is_active = self.v != 0
        if spec["has_current"]:
            self.is_active |= self.u != 0
        spikes = np.zeros(self.v.size, np.int64)
        if spec["is_spiking"] and spec["reset_delay"]:
            spikes = self._fire(rests)
        held = self.v
        integrate = self._integrate_float if self.is_float else self._integrate
        below, u_over, v_over = integrate(summed)
        self.v = np.where(rests, held, self.v)
        if spec["is_spiking"] and not spec["reset_delay"]:
            spikes = self._fire(rests)
        if spec["sum_bits"]:
            v_over = v_over | (self.v > self.v_top)
            self.v = np.where(rests, self.v, np.minimum(self.v, self.v_top))
        self.n_saturated = int((u_over | (v_over & ~rests)).sum())
        raised = below & (spikes == 0) & ~rests
        if raised.any():
            self.v = np.where(raised, self._raise_low(), self.v)
        self.refractory = np.maximum(self.refractory - 1, 0)
        if "refractory_steps" in self.arrays:
            fired = spikes > 0
            self.refractory[fired] = self.arrays["refractory_steps"][fired]
        return spikes

    def _integrate(self, summed: Any) -> tuple[Any, Any, Any]:
        """Update u and v; return where v fell below a bound that resets it, u and v overflowed."""
        spec, a = self.spec, self.arrays
        x = summed << spec["input_shift"]
        self.is_active |= (x != 0) | (a["u_bias"] != 0) | (a["v_bias"] != 0)
        u_sum = self.decay_u(self.u) + x + a["u_bias"]
        u = self.limit_u(u_sum)
        v = self.decay_v(self.v) + u + a["v_bias"]
        if spec["v_decay"] == "converge":
            v = v - np.sign(v) * a["v_keep"]
        below = np.zeros(v.size, bool)
        if "v_min" in a and spec["lower"] == "reset":
            below = v < a["v_min"]
        elif "v_min" in a:
            v = np.maximum(v, a["v_min"])
        if spec["has_current"]:
            self.u = u
        self.v = self.limit_v(v)
        return below, u != u_sum, v != self.v

    def _integrate_float(self, summed: Any) -> tuple[Any, Any, Any]:
        """Update u and v, every operation rounded to float32; nothing overflows."""
        a = self.arrays
        x = summed.astype(np.float32)
        self.is_active |= (x != 0) | (a["drive"] != 0)
        u = a["u_gain"] * x
        if self.spec["has_current"]:
            u = a["u_keep"] * self.u + u
            self.u = u
        v = a["v_keep"] * self.v
        v = v + a["v_gain"] * u
        self.v = v + a["drive"]
        never = np.zeros(v.size, bool)
        return never, never, never

    def _fire(self, rests: Any) -> Any:
        """Compare v with the thresholds and reset it; return the spikes."""
        spec, threshold = self.spec, self.arrays["threshold"]
        is_strict = spec["compare"] == ">"
        passes = ((self.v > threshold) if is_strict else (self.v >= threshold)) & ~rests
        spikes = passes.astype(np.int64)
        most = spec["max_spikes_per_step"]
        if most > 1 and passes.any():
            v, per = self.v[passes], threshold[passes]
            passed = -(-v // per) - 1 if is_strict else v // per
            spikes[passes] = np.minimum(np.maximum(passed, 1), most).astype(np.int64)
        if spec["reset"] == "zero":
            self.v = np.where(passes, self.kind(0), self.v)
        elif spec["reset"] == "value":
            self.v = np.where(passes, self.arrays["v_reset"], self.v)
        elif spec["reset"] == "subtract":
            self.v = self.v - spikes.astype(self.kind) * threshold
        return spikes

    def _raise_low(self) -> Any:
        """Return v as the lower bound resets it."""
        return {
            "zero": np.zeros_like(self.v),
            "value": -self.arrays["v_reset"],
            "subtract": self.v - self.arrays["v_min"],
            "none": self.v,
        }[self.spec["reset"]]
