"""LocalLayer: one projection with its targets, its rule and where its third factor comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.learning.local.rule import LearningRule

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LocalNeuron:
    """Neurons of one layer, in real numbers.

    ``v <- decay v + gain (W s) + bias``, then by kind: "lif" spikes where
    ``v >= theta + adaptation`` and resets; "integrator" gives v, "softmax" gives
    softmax(v / temperature), both at every step and without a reset.

    Attributes
    ----------
    kind : "lif" | "integrator" | "softmax"
    decay, gain, bias, theta : float
    reset : "zero" | "subtract"
    width : float
        Surrogate: psi = max(0, 1 - abs(v - theta) / width).
    n_winners : int
        Lateral inhibition: at most that many neurons spike in a step, those farthest above their
        thresholds (lower index first); the membranes of all others return to 0. 0: none.
    adaptation_step, adaptation_decay : float
        Threshold offset: raised by a spike, decayed in every step; kept from sample to sample.
    temperature : float
    """

    kind: Literal["lif", "integrator", "softmax"] = "lif"
    decay: float = 0.9
    gain: float = 1.0
    bias: float = 0.0
    theta: float = 1.0
    reset: Literal["zero", "subtract"] = "zero"
    width: float = 1.0
    n_winners: int = 0
    adaptation_step: float = 0.0
    adaptation_decay: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("lif", "integrator", "softmax"):
            raise UsageError("no such kind of neuron", got=self.kind)
        if not 0 <= self.decay <= 1 or not self.width > 0 or not self.temperature > 0:
            got = (self.decay, self.width, self.temperature)
            raise UsageError("decay in [0, 1], width and temperature above 0", got=got)


@dataclass(frozen=True, slots=True, eq=False)
class LocalLayer:
    """One projection with its targets.

    Attributes
    ----------
    name : str
    n_in, n_out : int
    neuron : LocalNeuron
    rule : LearningRule or None
        None: the weights stay.
    is_recurrent : bool
        Sources are the targets of the layer before this one in the list, one step earlier; the
        input is added to theirs, the neurons are theirs.
    feedback : "direct" | "random" | "readout"
        Third factor. "direct": as the teacher gives it, one value for all or one per target.
        "random": the teacher's vector times the fixed matrix ``feedback_weights``. "readout": the
        teacher gives a target; the error of the layer's own fixed readout, times its weights.
    feedback_weights : (n_signal, n_out) float64 or None
    rate : float
        Learning rate of this layer, times the engine's.
    bias : (n_out,) float64 or None
        Per neuron, in addition to the neuron's.
    """

    name: str
    n_in: int
    n_out: int
    neuron: LocalNeuron = field(default_factory=LocalNeuron)
    rule: LearningRule | None = None
    is_recurrent: bool = False
    feedback: Literal["direct", "random", "readout"] = "direct"
    feedback_weights: Floats | None = None
    rate: float = 1.0
    bias: Floats | None = None

    def __post_init__(self) -> None:
        if self.is_recurrent and self.n_in != self.n_out:
            raise UsageError("a recurrent layer has as many sources as targets", where=self.name)
        matrix = self.feedback_weights
        if (self.feedback == "direct") != (matrix is None):
            raise UsageError("feedback weights belong to random and readout", where=self.name)
        if matrix is not None and (matrix.ndim != 2 or matrix.shape[1] != self.n_out):
            limit = f"(signals, {self.n_out})"
            raise UsageError(
                "feedback weights have the wrong shape", got=matrix.shape, limit=limit,
                where=self.name,
            )  # fmt: skip


@dataclass(slots=True, eq=False)
class Population:
    """State of the neurons of one layer.

    Attributes
    ----------
    v : membrane after the reset; ``peak`` before it.
    output : spikes or graded values of the last step.
    """

    v: Floats
    peak: Floats
    output: Floats
    adaptation: Floats
    theta: Floats


def new_population(layer: LocalLayer) -> Population:
    """Return neurons at rest."""
    v, peak, output, adaptation = (np.zeros(layer.n_out) for _ in range(4))
    return Population(v, peak, output, adaptation, np.full(layer.n_out, layer.neuron.theta))


def reset_population(p: Population) -> None:
    """Bring membranes and outputs to rest; adaptation stays."""
    p.v[:] = 0.0
    p.peak[:] = 0.0
    p.output[:] = 0.0


def step_population(
    layer: LocalLayer, p: Population, current: Floats, forced: Floats | None = None
) -> None:
    """Run one step in place.

    Parameters
    ----------
    current : (n_out,) float64
        W s, summed over projections.
    forced : (n_out,) or None
        Spikes to take instead of the neurons' own.
    """
    neuron = layer.neuron
    p.peak[:] = neuron.decay * p.v + neuron.gain * current + neuron.bias
    if layer.bias is not None:
        p.peak += layer.bias
    if neuron.kind == "lif":
        _spike(neuron, p, forced)
        return
    p.v[:] = p.peak
    p.output[:] = softmax(p.v / neuron.temperature) if neuron.kind == "softmax" else p.v


def _spike(neuron: LocalNeuron, p: Population, forced: Floats | None) -> None:
    p.theta[:] = neuron.theta + p.adaptation
    fires = p.peak >= p.theta if forced is None else forced != 0
    if neuron.n_winners and forced is None:
        fires = _win(fires, p.peak - p.theta, neuron.n_winners)
    p.output[:] = fires
    p.v[:] = p.peak
    if neuron.reset == "zero":
        p.v[fires] = 0.0
    else:
        p.v[fires] -= p.theta[fires]
    if neuron.n_winners and fires.any():
        p.v[~fires] = 0.0
    if neuron.adaptation_step:
        p.adaptation *= neuron.adaptation_decay
        p.adaptation[fires] += neuron.adaptation_step


def _win(fires: NDArray[np.bool_], margin: Floats, n_winners: int) -> NDArray[np.bool_]:
    if np.count_nonzero(fires) <= n_winners:
        return fires
    ranked = np.argsort(np.where(fires, -margin, np.inf), kind="stable")
    winners = np.zeros_like(fires)
    winners[ranked[:n_winners]] = True
    return winners


def surrogate(neuron: LocalNeuron, p: Population) -> Floats:
    """Return psi per neuron: a triangle around the threshold; 1 for neurons without spikes."""
    if neuron.kind != "lif":
        return np.ones_like(p.v)
    return np.maximum(0.0, 1.0 - np.abs(p.peak - p.theta) / neuron.width)


def softmax(x: Floats) -> Floats:
    """Return exp(x) / sum exp(x), of any finite x."""
    powers = np.exp(x - x.max())
    return powers / powers.sum()
