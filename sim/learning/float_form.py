"""The specification of the gradient rules: a batch through a network, in plain float64 NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim.learning import step_form, time_form
from nmhw.sim.learning.closed_forms import Accounting, count_steps, count_times
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.head import cross_entropy
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.thresholds import initial_thresholds
from nmhw.values.learning import OperationCounts
from nmhw.values.notice import Notice

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """What a batch did.

    Attributes
    ----------
    loss : float
        Mean cross-entropy; nan without labels.
    scores : (B, n_classes) float64
    gradients : list of float64 arrays
        Of the mean loss, in the shape of the weights; empty without labels.
    counts : OperationCounts
        Sums over the batch, by the closed forms (docs/learning.md).
    fired : list of (B, n) bool
        Per spiking population.
    spikes : list of (B, T, n) float64
        Per spiking population; empty for time codes.
    threshold_gradients : list of (n,) float64
        Per spiking population, for learnable thresholds; empty for time codes and SRM.
    traces : sequence of TimeTrace or StepTrace
        Per layer.
    """

    loss: float
    scores: Floats
    gradients: list[Floats]
    counts: OperationCounts
    fired: list[Bools]
    spikes: list[Floats] = field(default_factory=list)
    threshold_gradients: list[Floats] = field(default_factory=list)
    traces: Sequence[Any] = ()

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(B,): the highest score, the first one of several."""
        return self.scores.argmax(axis=1)


def run_batch(
    net: LearningNetwork,
    weights: list[Floats],
    rule: GradientRule,
    inputs: ArrayLike,
    labels: ArrayLike | None = None,
    accounting: Accounting | None = None,
    thresholds: list[Floats] | None = None,
    accumulate: Literal["sample", "stream"] = "sample",
) -> BatchResult:
    """Return scores, loss, gradients and operation counts of a batch.

    Parameters
    ----------
    weights : list of arrays in the layers' ``weight_shape``
    inputs : array
        STD-ED: (B, n_inputs) times, inf = silent. All other rules: (B, T, n_inputs) spikes per
        step, whole numbers >= 0.
    labels : (B,) int or None
        None: forward only.
    accounting : "event" | "band" | "gated" | "gated-once" | "dense" or None
        How a machine that runs the rule works; None: as the rule's mask says.
    thresholds : list of (n,) or None
        Per spiking population; None: ``initial_thresholds``.
    accumulate : "sample" | "stream"
        Weight read-modify-writes once per touched weight and sample, or per contribution.

    Raises
    ------
    InputError
        For inputs, labels or weights of a wrong shape or value.
    UnsupportedError
        If the rule cannot train the network (recurrent layers).
    """
    check_network(net, rule)
    checked = checked_weights(net, weights)
    x = checked_inputs(net, rule, inputs)
    y = None if labels is None else _checked_labels(net, len(x), labels)
    if rule.uses_times:
        return _run_times(net, checked, rule, x, y, accounting, accumulate)
    theta = initial_thresholds(net, rule) if thresholds is None else thresholds
    return _run_steps(net, checked, rule, x, y, accounting, theta, accumulate)


def check_network(net: LearningNetwork, rule: GradientRule) -> tuple[Notice, ...]:
    """Return what to know before training ``net`` by ``rule``.

    Raises
    ------
    UnsupportedError
        For recurrent layers under STD-ED (a window ends before its own spikes could return; one
        spike per neuron has no recurrent credit here) and SRM.
    """
    loops = [layer.name for layer in net.layers if layer.is_recurrent]
    if loops and not rule.allows_recurrence:
        raise UnsupportedError(
            f"{rule.name} trains no recurrent layers",
            got=loops,
            hint="mpd-ed or stbp",
            rule="learning.recurrent-layer",
        )
    if rule.head == "spiking" and not rule.uses_times and rule.mask != "none":
        return (
            Notice(
                "learning.masked-spiking-head",
                "head",
                "errors enter a spiking head only where an output already spikes (or nearly so): "
                "silent outputs are never corrected",
                hint="head='integrator'",
            ),
        )
    return ()


def silent_fraction(fired: Sequence[Bools]) -> list[float]:
    """Return the fraction of neurons per population that fired in none of the samples."""
    return [float(1.0 - f.any(axis=0).mean()) for f in fired]


def _run_times(
    net: LearningNetwork,
    weights: list[Floats],
    rule: GradientRule,
    times: Floats,
    labels: NDArray[np.int64] | None,
    accounting: Accounting | None,
    accumulate: Literal["sample", "stream"],
) -> BatchResult:
    scores, traces = time_form.forward(net, weights, rule, times)
    learns = labels is not None
    counts = count_times(net, rule, traces, accounting, accumulate, learns)
    fired = [trace.spikes.fired for trace in traces if trace.spikes is not None]
    if labels is None:
        return BatchResult(np.nan, scores, [], counts, fired, traces=traces)
    loss, error = cross_entropy(scores, labels)
    gradients = time_form.reverse(weights, rule, traces, error)
    return BatchResult(loss, scores, gradients, counts, fired, traces=traces)


def _run_steps(
    net: LearningNetwork,
    weights: list[Floats],
    rule: GradientRule,
    inputs: Floats,
    labels: NDArray[np.int64] | None,
    accounting: Accounting | None,
    thresholds: list[Floats],
    accumulate: Literal["sample", "stream"],
) -> BatchResult:
    scores, traces = step_form.forward(net, weights, rule, inputs, thresholds)
    learns = labels is not None
    counts = count_steps(net, rule, inputs, traces, accounting, accumulate, learns)
    spikes = [trace.spikes for trace in traces if trace.spikes is not None]
    fired = [np.asarray(s.any(axis=1)) for s in spikes]
    if labels is None:
        return BatchResult(np.nan, scores, [], counts, fired, spikes, traces=traces)
    loss, error = cross_entropy(scores, labels)
    gradients, at_thresholds = step_form.reverse(weights, rule, traces, error)
    return BatchResult(loss, scores, gradients, counts, fired, spikes, at_thresholds, traces)


def checked_weights(net: LearningNetwork, weights: list[Floats]) -> list[Floats]:
    """Return the weights as float64, or raise UsageError (shapes), InputError (not finite)."""
    shapes = [np.shape(w) for w in weights]
    wanted = [layer.weight_shape for layer in net.layers]
    if shapes != wanted:
        raise UsageError("weights do not have the network's shapes", got=shapes, limit=wanted)
    arrays = [np.asarray(w, np.float64) for w in weights]
    if not all(np.isfinite(w).all() for w in arrays):
        raise InputError("weights are not all finite")
    return arrays


def checked_inputs(net: LearningNetwork, rule: GradientRule, inputs: ArrayLike) -> Floats:
    """Return a batch of inputs as float64, or raise InputError (shape, value, time)."""
    x = np.asarray(inputs, np.float64)
    wanted = (net.n_inputs,) if rule.uses_times else (rule.n_steps, net.n_inputs)
    if x.ndim != len(wanted) + 1 or x.shape[1:] != wanted:
        kind = "times" if rule.uses_times else "spikes per step"
        limit = "(samples, " + ", ".join(str(n) for n in wanted) + ")"
        raise InputError(f"{rule.name} takes {kind} of another shape", got=x.shape, limit=limit)
    if np.isnan(x).any() or (x < 0).any():
        raise InputError("inputs are not numbers >= 0")
    latest = 1.0 if rule.threshold == "window" else rule.t_end
    if rule.uses_times and (x[np.isfinite(x)] > latest).any():
        got = float(x[np.isfinite(x)].max())
        raise InputError("an input comes after the layer's end of time", got=got, limit=latest)
    if not rule.uses_times and not (np.isfinite(x).all() and (x == np.floor(x)).all()):
        raise InputError("spikes per step are whole numbers")
    return x


def _checked_labels(net: LearningNetwork, n_samples: int, labels: ArrayLike) -> NDArray[np.int64]:
    y = np.asarray(labels)
    if y.shape != (n_samples,) or not np.issubdtype(y.dtype, np.integer):
        raise InputError("one whole label per sample", got=(y.shape, y.dtype), limit=n_samples)
    if y.size and not (y.min() >= 0 and y.max() < net.n_classes):
        got = (int(y.min()), int(y.max()))
        raise InputError("a label has no output", got=got, limit=f"0 to {net.n_classes - 1}")
    return y.astype(np.int64)
