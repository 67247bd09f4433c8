"""Soft Hebbian learning: targets compete through a softmax, a modulator gates the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nmhw.sim.learning.local.rule import Activity, LearningRule, Update, every, nonzero
from nmhw.sim.learning.local.third_factor import SourceTrace
from nmhw.values.learning import RuleSpec


@dataclass(frozen=True)
class SoftHebb(LearningRule):
    """Soft winner-take-all Hebbian learning at the end of a sample.

    ``y = softmax(u / temperature)`` over the layer (its neurons are of kind "softmax": lateral
    inhibition), ``x_i`` the mean input of the sample,
    ``dw = rate m_j sign_j y_j (x_i - u_j w_ij)``. m is the third factor: a modulator (reward,
    surprise) that is 1 for plain learning. With ``anti > 0`` all but the winner learn with
    ``sign_j = -anti``.

    Attributes
    ----------
    anti : float
        Strength of anti-Hebbian learning of those that lose.
    bound_gain : float
        Factor of ``u_j w_ij``: 1 keeps each weight vector near unit length; 0 is plain Hebb.
    """

    anti: float = 0.0
    bound_gain: float = 1.0

    spec = RuleSpec(
        "soft-hebb",
        "soft Hebbian learning with lateral inhibition and a modulator",
        "dw_ij = rate m y_j (x_i - u_j w_ij), y = softmax(u / tau)",
        pre_traces=1,
        third_factor="global",
        triggers=("on_sample_end",),
        source="Moraitis et al. 2022 (SoftHebb), doi:10.1088/2634-4386/aca710; Journe et al. 2023, "
        "ICLR, arXiv 2209.11883; modulator: Fremaux and Gerstner 2016, "
        "doi:10.3389/fncir.2015.00085 (recalled)",
        products=2,
    )

    def initial_state(self, n_in: int, n_out: int) -> SourceTrace:
        """Return sums of zero."""
        return SourceTrace(np.zeros(n_in))

    def on_step(self, a: Activity, s: Any) -> None:
        """Sum the input."""
        s.x[:] += a.pre

    def on_sample_end(self, a: Activity, s: Any) -> Update:
        """Pull the winners' weights towards the input, as much as the modulator says."""
        sign = np.where(a.post == a.post.max(), 1.0, -self.anti) if self.anti else 1.0
        gain = a.rate * a.error * sign * a.post
        rows, cols = every(a.pre.size), nonzero(gain)
        pull = (s.x / a.n_steps)[:, None] - self.bound_gain * a.v[cols] * a.weights[:, cols]
        return Update(rows, cols, gain[cols] * pull)
