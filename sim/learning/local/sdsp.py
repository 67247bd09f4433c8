"""Spike-driven synaptic plasticity: one code up or down at source spikes, gated by calcium."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.learning.local.rule import Activity, Floats, LearningRule, Update, every, nonzero
from nmhw.values.learning import RuleSpec


class Calcium(NamedTuple):
    """ca: (n_out,), leaky count of a target's own spikes."""

    ca: Floats


@dataclass(frozen=True)
class Sdsp(LearningRule):
    """SDSP as in ODIN, on source spikes.

    ``ca <- decay_ca ca + s_post``. At a source spike ``w_ij`` moves one ``jump`` up if
    ``v_j >= v_mid`` and ``ca_low <= ca_j < ca_up``, one down if ``v_j < v_mid`` and
    ``ca_low <= ca_j < ca_down``. With ``drift > 0`` all weights move by ``drift`` towards the
    bound of the half they are in, every ``epoch_steps`` steps.

    Attributes
    ----------
    v_mid : float
        Membrane value between depression and potentiation.
    ca_low, ca_up, ca_down : float
        Calcium window: theta1, theta3 (upper end of potentiation), theta2 (of depression).
    jump : float
        In weight codes.
    w_min, w_max : float
        Bounds, in weight units; a weight at its bound is read and stays.
    drift : float
        Bistable drift in weight codes; 0 switches it off.
    """

    v_mid: float = 0.5
    decay_ca: float = 0.9
    ca_low: float = 0.0
    ca_up: float = 3.0
    ca_down: float = 3.0
    jump: float = 1.0
    w_min: float = 0.0
    w_max: float = 1.0
    drift: float = 0.0

    spec = RuleSpec(
        "sdsp",
        "spike-driven synaptic plasticity",
        "pre: w_ij +- 1 code by v_j >= v_mid, inside a calcium window",
        post_traces=1,
        triggers=("on_pre", "on_epoch"),
        source="Brader, Senn and Fusi 2007, doi:10.1162/neco.2007.19.11.2881; on chip: Frenkel et "
        "al. 2019 (ODIN), doi:10.1109/TBCAS.2018.2880425 (recalled)",
        epoch_steps=16,
    )

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba twins of the methods below."""
        from nmhw.sim.learning.local.kernels_rules import SDSP

        return SDSP

    def initial_state(self, n_in: int, n_out: int) -> Calcium:
        """Return no calcium."""
        return Calcium(np.zeros(n_out))

    def on_step(self, a: Activity, s: Any) -> None:
        """Decay the calcium, then add this step's spikes."""
        s.ca[:] = self.decay_ca * s.ca + a.post

    def on_pre(self, a: Activity, s: Any) -> Update:
        """Move the synapses of the sources that spike by one jump."""
        rows, cols = nonzero(a.pre), every(a.post.size)
        high, enough = a.v >= self.v_mid, s.ca >= self.ca_low
        up = (high & enough & (s.ca < self.ca_up)).astype(np.float64)
        down = (~high & enough & (s.ca < self.ca_down)).astype(np.float64)
        moved = a.weights[rows] + a.scale * self.jump * (up - down)
        return Update(rows, cols, np.clip(moved, self.w_min, self.w_max) - a.weights[rows])

    def on_epoch(self, a: Activity, s: Any) -> Update | None:
        """Drift to the bound of the half that a weight is in."""
        if not self.drift:
            return None
        middle = 0.5 * (self.w_min + self.w_max)
        sign = np.where(a.weights >= middle, 1.0, -1.0)
        moved = np.clip(a.weights + a.scale * self.drift * sign, self.w_min, self.w_max)
        return Update(every(a.pre.size), every(a.post.size), moved - a.weights)
