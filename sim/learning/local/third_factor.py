"""Rules of the form dw_ij = -rate error_j psi_j trace_i: they differ in trace, psi and error.

e-prop, DRTP and DECOLLE are rules of hidden neurons, PES and the delta rule of outputs. Where the
error comes from (given, through fixed random weights, from a local readout) is wiring of the
layer: see ``LocalLayer.feedback``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.learning.local.rule import Activity, Floats, LearningRule, Update, nonzero, outer
from nmhw.values.learning import RuleSpec


class SourceTrace(NamedTuple):
    """x: (n_in,), the filtered spikes of every source."""

    x: Floats


class DoubleTrace(NamedTuple):
    """q, p: (n_in,), spikes filtered once and twice."""

    q: Floats
    p: Floats


@dataclass(frozen=True)
class EProp(LearningRule):
    """e-prop with traces per neuron, in the form that ReckOn computes.

    ``x <- decay x + s_pre``; where the learning signal L_j is not zero,
    ``dw = -rate L_j psi_j x_i``. With ``decay`` that of the membrane, x is the derivative of v
    with respect to the weight, resets apart. A readout that does not spike has psi = 1.
    """

    decay: float = 0.9

    spec = RuleSpec(
        "e-prop",
        "e-prop, traces per neuron",
        "dw_ij = -rate sum_t L_j[t] psi_j[t] x_i[t], L_j = sum_k B_kj (y_k - y*_k)",
        pre_traces=1,
        third_factor="per-neuron",
        triggers=("on_error",),
        source="Bellec et al. 2020, doi:10.1038/s41467-020-17236-y; Frenkel and Indiveri 2022 "
        "(ReckOn), doi:10.1109/ISSCC42614.2022.9731734 (recalled)",
        needs_surrogate=True,
    )

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba twins of the methods below."""
        from nmhw.sim.learning.local.kernels_rules import EPROP

        return EPROP

    def initial_state(self, n_in: int, n_out: int) -> SourceTrace:
        """Return silent traces."""
        return SourceTrace(np.zeros(n_in))

    def on_step(self, a: Activity, s: Any) -> None:
        """Decay the trace, then add this step's spikes."""
        s.x[:] = self.decay * s.x + a.pre

    def on_error(self, a: Activity, s: Any) -> Update:
        """Change the synapses whose source has a trace and whose target has an error."""
        signal = -a.rate * a.error * a.psi
        return outer(nonzero(s.x), nonzero(signal), s.x, signal)


@dataclass(frozen=True)
class Drtp(EProp):
    """Direct random target projection: the target, not an error, through fixed weights.

    ``dw = -rate (sum_k B_kj y*_k) psi_j x_i`` in every step that the target is shown; no weights
    are read backward and no output is awaited.
    """

    spec = RuleSpec(
        "drtp",
        "direct random target projection",
        "dw_ij = -rate (sum_k B_kj y*_k) psi_j x_i",
        pre_traces=1,
        third_factor="per-neuron",
        triggers=("on_error",),
        source="Frenkel, Lefebvre and Bol 2021, doi:10.3389/fnins.2021.629892; on chip: Frenkel "
        "et al. 2020 (SPOON), doi:10.1109/ISCAS45731.2020.9180440 (recalled)",
        needs_surrogate=True,
    )


@dataclass(frozen=True)
class Decolle(LearningRule):
    """DECOLLE: every layer has a fixed random readout and learns from its error in every step.

    ``q <- decay_q q + s_pre``, then ``p <- decay_p p + q``;
    ``dw = -rate L_j psi_j p_i`` with ``L_j = sum_k G_kj (y_k - y*_k)``, ``y = G s``.
    """

    decay_q: float = 0.8
    decay_p: float = 0.9

    spec = RuleSpec(
        "decolle",
        "deep continuous local learning",
        "dw_ij = -rate L_j psi_j p_i, L_j = sum_k G_kj (y_k - y*_k), y = G s",
        pre_traces=2,
        third_factor="per-neuron",
        triggers=("on_error",),
        source="Kaiser, Mostafa and Neftci 2020, doi:10.3389/fnins.2020.00424 (recalled)",
        needs_surrogate=True,
    )

    @property
    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Numba twins of the methods below."""
        from nmhw.sim.learning.local.kernels_rules import DECOLLE

        return DECOLLE

    def initial_state(self, n_in: int, n_out: int) -> DoubleTrace:
        """Return silent traces."""
        return DoubleTrace(np.zeros(n_in), np.zeros(n_in))

    def on_step(self, a: Activity, s: Any) -> None:
        """Filter the spikes once into q, and q into p; new spikes count at once."""
        s.q[:] = self.decay_q * s.q + a.pre
        s.p[:] = self.decay_p * s.p + s.q

    def on_error(self, a: Activity, s: Any) -> Update:
        """Change the synapses whose source has a trace and whose target has an error."""
        signal = -a.rate * a.error * a.psi
        return outer(nonzero(s.p), nonzero(signal), s.p, signal)


@dataclass(frozen=True)
class Pes(LearningRule):
    """Prescribed error sensitivity: decoders follow a given error of the decoded value.

    ``x <- decay x + (1 - decay) s_pre``; ``dw = -rate E_j x_i`` in every step with an error.
    """

    decay: float = 0.9

    spec = RuleSpec(
        "pes",
        "prescribed error sensitivity",
        "dw_ij = -rate E_j x_i",
        pre_traces=1,
        third_factor="per-neuron",
        triggers=("on_error",),
        source="MacNeil and Eliasmith 2011, doi:10.1371/journal.pone.0022885; Bekolay et al. 2014, "
        "doi:10.3389/fninf.2013.00048 (recalled)",
    )

    def initial_state(self, n_in: int, n_out: int) -> SourceTrace:
        """Return silent traces."""
        return SourceTrace(np.zeros(n_in))

    def on_step(self, a: Activity, s: Any) -> None:
        """Low-pass the spikes with unit gain."""
        s.x[:] = self.decay * s.x + (1.0 - self.decay) * a.pre

    def on_error(self, a: Activity, s: Any) -> Update:
        """Move the decoders against the error."""
        return outer(nonzero(s.x), nonzero(a.error), s.x, -a.rate * a.error)


@dataclass(frozen=True)
class DeltaRule(LearningRule):
    """Delta rule on the last layer: once per sample, with spike counts.

    ``n_i`` counts the spikes of a source; at the end ``dw = -rate (p_j - y*_j) n_i``.
    """

    spec = RuleSpec(
        "delta",
        "delta rule",
        "dw_ij = -rate (p_j - y*_j) n_i at the end of a sample",
        pre_traces=1,
        third_factor="per-neuron",
        triggers=("on_sample_end",),
        source="Widrow and Hoff 1960, Adaptive switching circuits, IRE WESCON; with a softmax it "
        "is the gradient of the cross-entropy (recalled)",
    )

    def initial_state(self, n_in: int, n_out: int) -> SourceTrace:
        """Return counts of zero."""
        return SourceTrace(np.zeros(n_in))

    def on_step(self, a: Activity, s: Any) -> None:
        """Count the spikes."""
        s.x[:] += a.pre

    def on_sample_end(self, a: Activity, s: Any) -> Update:
        """Change the synapses of sources that spiked and outputs that were wrong."""
        return outer(nonzero(s.x), nonzero(a.error), s.x, -a.rate * a.error)
