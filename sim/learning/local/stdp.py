"""Spike-timing rules: pairs, pairs gated by a reward, and triplets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.learning.local.rule import (
    Activity,
    Floats,
    LearningRule,
    Update,
    every,
    nonzero,
)
from nmhw.values.learning import RuleSpec


class PairTraces(NamedTuple):
    """x: (n_in,) of sources; y: (n_out,) of targets."""

    x: Floats
    y: Floats


class EligibilityTraces(NamedTuple):
    """x (n_in,), y (n_out,), and the eligibility e (n_in, n_out) of every synapse."""

    x: Floats
    y: Floats
    e: Floats


class TripletTraces(NamedTuple):
    """Fast (1) and slow (2) traces of sources (x) and targets (y)."""

    x1: Floats
    x2: Floats
    y1: Floats
    y2: Floats


@dataclass(frozen=True)
class PairStdp(LearningRule):
    """Pair STDP with exponential traces.

    ``x <- decay_x x + s_pre``, ``y <- decay_y y + s_post``; then a source spike changes its
    synapses by ``-rate a_minus y_j``, a target spike by ``+rate a_plus x_i``. Traces hold this
    step's spikes when they are read, so that a pair in the same step counts both ways.

    Attributes
    ----------
    decay_x, decay_y : float
        exp(-dt / tau).
    a_plus, a_minus : float
    soft : float
        0: changes do not depend on the weight. 1: a_plus is scaled by ``w_max - w``, a_minus by
        ``w - w_min``.
    w_min, w_max : float
        Bounds of the soft form.
    offset : float
        Subtracted from x where a target spikes: sources that were silent lose weight
        (0: the plain rule).
    """

    decay_x: float = 0.9
    decay_y: float = 0.9
    a_plus: float = 1.0
    a_minus: float = 1.05
    soft: float = 0.0
    w_min: float = 0.0
    w_max: float = 1.0
    offset: float = 0.0

    spec = RuleSpec(
        "stdp",
        "pair STDP",
        "post: dw_ij = +A+ x_i; pre: dw_ij = -A- y_j",
        pre_traces=1,
        post_traces=1,
        triggers=("on_pre", "on_post"),
        source="Song et al. 2000, doi:10.1038/78829; traces: Morrison et al. 2008, "
        "doi:10.1007/s00422-008-0233-1 (recalled)",
    )

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba twins of the methods below."""
        from nmhw.sim.learning.local.kernels_rules import STDP

        return STDP

    def initial_state(self, n_in: int, n_out: int) -> PairTraces:
        """Return silent traces."""
        return PairTraces(np.zeros(n_in), np.zeros(n_out))

    def on_step(self, a: Activity, s: Any) -> None:
        """Decay the traces, then add this step's spikes."""
        s.x[:] = self.decay_x * s.x + a.pre
        s.y[:] = self.decay_y * s.y + a.post

    def on_pre(self, a: Activity, s: Any) -> Update:
        """Depress the synapses of the sources that spike."""
        rows, cols = nonzero(a.pre), every(a.post.size)
        dw = np.broadcast_to(-a.rate * self.a_minus * s.y, (rows.size, cols.size))
        if self.soft:
            dw = dw * (a.weights[rows] - self.w_min)
        return Update(rows, cols, dw)

    def on_post(self, a: Activity, s: Any) -> Update:
        """Potentiate the synapses of the targets that spike."""
        rows, cols = every(a.pre.size), nonzero(a.post)
        gain = a.rate * self.a_plus * (s.x - self.offset)
        dw = np.broadcast_to(gain[:, None], (rows.size, cols.size))
        if self.soft:
            dw = dw * (self.w_max - a.weights[:, cols])
        return Update(rows, cols, dw)


@dataclass(frozen=True)
class RewardStdp(LearningRule):
    """Reward-modulated STDP: pairs charge an eligibility trace, a reward turns it into weight.

    ``e <- decay_e e + a_plus x_i s_post - a_minus y_j s_pre``; where the third factor R is not
    zero, ``dw = rate R e``. x and y as in `PairStdp`.
    """

    decay_x: float = 0.9
    decay_y: float = 0.9
    decay_e: float = 0.95
    a_plus: float = 1.0
    a_minus: float = 1.0

    spec = RuleSpec(
        "r-stdp",
        "reward-modulated STDP",
        "de_ij = -e_ij / tau_e + STDP_ij; dw_ij = rate R e_ij",
        pre_traces=1,
        post_traces=1,
        synapse_words=1,
        third_factor="global",
        triggers=("on_error",),
        source="Izhikevich 2007, doi:10.1093/cercor/bhl152; Florian 2007, "
        "doi:10.1162/neco.2007.19.6.1468 (recalled)",
    )

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba twins of the methods below."""
        from nmhw.sim.learning.local.kernels_rules import REWARD_STDP

        return REWARD_STDP

    def initial_state(self, n_in: int, n_out: int) -> EligibilityTraces:
        """Return silent traces."""
        return EligibilityTraces(np.zeros(n_in), np.zeros(n_out), np.zeros((n_in, n_out)))

    def on_step(self, a: Activity, s: Any) -> None:
        """Update the traces of neurons, then those of synapses."""
        s.x[:] = self.decay_x * s.x + a.pre
        s.y[:] = self.decay_y * s.y + a.post
        s.e[:] *= self.decay_e
        post, pre = nonzero(a.post), nonzero(a.pre)
        s.e[:, post] += self.a_plus * s.x[:, None]
        s.e[pre] -= self.a_minus * s.y

    def on_error(self, a: Activity, s: Any) -> Update:
        """Turn eligibility into weight."""
        rows, cols = nonzero(s.e.any(axis=1).astype(np.float64)), nonzero(a.error)
        return Update(rows, cols, a.rate * a.error[cols] * s.e[np.ix_(rows, cols)])


@dataclass(frozen=True)
class TripletStdp(LearningRule):
    """Triplet STDP, all spikes interact with all.

    post: ``dw = x1_i (a2_plus + a3_plus y2_j)``; pre: ``dw = -y1_j (a2_minus + a3_minus x2_i)``,
    with y2 and x2 without the spike itself. Fast traces as in `PairStdp`.
    Defaults: Pfister and Gerstner 2006 (recalled), visual cortex, all-to-all, minimal model, in
    steps of 1 ms.
    """

    decay_x1: float = float(np.exp(-1 / 16.8))
    decay_x2: float = float(np.exp(-1 / 101.0))
    decay_y1: float = float(np.exp(-1 / 33.7))
    decay_y2: float = float(np.exp(-1 / 114.0))
    a2_plus: float = 0.0
    a3_plus: float = 6.5e-3
    a2_minus: float = 7.1e-3
    a3_minus: float = 0.0

    spec = RuleSpec(
        "triplet-stdp",
        "triplet STDP",
        "post: dw_ij = x1_i (A2+ + A3+ y2_j); pre: dw_ij = -y1_j (A2- + A3- x2_i)",
        pre_traces=2,
        post_traces=2,
        triggers=("on_pre", "on_post"),
        source="Pfister and Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006 (recalled)",
        products=2,
    )

    def initial_state(self, n_in: int, n_out: int) -> TripletTraces:
        """Return silent traces."""
        x1, x2, y1, y2 = (np.zeros(n) for n in (n_in, n_in, n_out, n_out))
        return TripletTraces(x1, x2, y1, y2)

    def on_step(self, a: Activity, s: Any) -> None:
        """Decay the traces, then add this step's spikes."""
        s.x1[:] = self.decay_x1 * s.x1 + a.pre
        s.x2[:] = self.decay_x2 * s.x2 + a.pre
        s.y1[:] = self.decay_y1 * s.y1 + a.post
        s.y2[:] = self.decay_y2 * s.y2 + a.post

    def on_pre(self, a: Activity, s: Any) -> Update:
        """Depress."""
        rows, cols = nonzero(a.pre), every(a.post.size)
        gain = self.a2_minus + self.a3_minus * (s.x2 - a.pre)[rows]
        return Update(rows, cols, -a.rate * gain[:, None] * s.y1)

    def on_post(self, a: Activity, s: Any) -> Update:
        """Potentiate."""
        rows, cols = every(a.pre.size), nonzero(a.post)
        gain = self.a2_plus + self.a3_plus * (s.y2 - a.post)[cols]
        return Update(rows, cols, a.rate * s.x1[:, None] * gain)
