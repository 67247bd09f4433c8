"""The neuron part of the float run: one step of a population for a batch of samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.values.discrete import FloatCell
from nmhw.values.profile import Profile

Floats = NDArray[np.float64]


class FloatPopulation:
    """State and step function of one population.

    The order of operations is that of ``FloatCell`` and ``Profile``; coefficients that change
    nothing (gain 1, no drive, no bound) are skipped, which leaves every bit of the result as is.

    Parameters
    ----------
    cell : FloatCell
    profile : Profile
    kind : str
        NeuronKind of the population.
    n_samples : int
        Rows of the state.
    """

    def __init__(self, cell: FloatCell, profile: Profile, kind: str, n_samples: int) -> None:
        self.cell, self.profile = cell, profile
        n = cell.v_keep.size
        self.v: Floats = np.tile(cell.v0, (n_samples, 1))
        self.u: Floats = np.zeros((n_samples, n) if cell.has_current else (n_samples, 0))
        self._memoryless = kind in ("threshold", "linear")
        self._multi = profile.multi_spike and kind != "threshold"
        self._overshoot = profile.overshoot_rule and profile.reset == "subtract"
        self._gain = None if np.all(cell.v_gain == 1) else cell.v_gain
        self._u_gain = None if np.all(cell.u_gain == 1) else cell.u_gain
        self._drive = cell.drive if np.any(cell.drive) else None
        self._v_min = cell.v_min if np.any(cell.v_min > -np.inf) else None
        self.is_late = bool(profile.reset_delay) and cell.is_spiking and kind != "threshold"
        lags = profile.reset_lag and profile.reset == "subtract" and not self._memoryless
        self._lags = bool(lags) and cell.is_spiking and not self.is_late
        self._pending: Floats = np.zeros((n_samples, n if self._lags else 0))

    def fire_late(self) -> Floats:
        """Return the spikes of this step where they depend on the last step's v alone."""
        spikes = self._spikes(self.v)
        self._pending = spikes
        if self.profile.reset != "subtract" or self.cell.has_current:
            self._reset(spikes)
        return spikes

    def step(self, x: Floats) -> Floats:
        """Advance by one step with summed input ``x`` (samples, n); return spikes, or v.

        For late populations ``fire_late`` has returned the spikes before; the return value here
        is the same array.
        """
        cell = self.cell
        current = self._current(x) if cell.has_current else x
        if self._overshoot and not self.is_late:
            above = self._passes(self.v)
        if self._memoryless:
            self.v = current.copy()
        else:
            self.v *= cell.v_keep
            self.v += current if self._gain is None else self._gain * current
        if self._drive is not None:
            self.v += self._drive
        if not cell.is_spiking:
            self._clip()
            return self.v.copy()
        if self.is_late:
            spikes = self._pending
            if self.profile.reset == "subtract" and not cell.has_current:
                self._reset(spikes)
        elif self._memoryless:
            return self._spikes(self.v)
        elif self._lags:
            self._reset(self._pending)
            self._pending = spikes = self._spikes(self.v)
        else:
            compared = self.v - above * cell.threshold if self._overshoot else self.v
            spikes = self._spikes(compared)
            self._reset(spikes)
        self._clip()
        return spikes

    def _current(self, x: Floats) -> Floats:
        weighted = x if self._u_gain is None else self._u_gain * x
        if self.profile.synapse_order == "decay-add":
            self.u *= self.cell.u_keep
            self.u += weighted
        else:
            self.u += weighted
            self.u *= self.cell.u_keep
        return self.u

    def _passes(self, v: Floats) -> NDArray[np.bool_]:
        threshold = self.cell.threshold
        return v > threshold if self.profile.compare == ">" else v >= threshold

    def _spikes(self, v: Floats) -> Floats:
        fired = self._passes(v)
        if not self._multi:
            return fired.astype(np.float64)
        spikes = np.zeros_like(v)
        np.divide(v, self.cell.threshold, out=spikes, where=fired)
        return np.floor(spikes, out=spikes)

    def _reset(self, spikes: Floats) -> None:
        if self.profile.reset == "subtract":
            self.v -= spikes * self.cell.threshold
        elif self.profile.reset != "none":
            np.copyto(self.v, np.broadcast_to(self.cell.v_reset, self.v.shape), where=spikes > 0)

    def _clip(self) -> None:
        if self._v_min is not None:
            np.maximum(self.v, self._v_min, out=self.v)
