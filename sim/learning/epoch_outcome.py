"""What one pass of the engine did, counted as its own machine works and as others would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.closed_forms import Accounting, natural_accounting
from nmhw.sim.learning.counting import count_as
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.kernels import layout as at
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.values.learning import OPERATION_INDEX, OperationCounts, WeightFormat

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class EpochOutcome:
    """What one pass through the samples did.

    Attributes
    ----------
    counts : OperationCounts
        As a machine built for the rule works; reads, writes and random words are the store's.
    other_counts : mapping of accounting to OperationCounts
        The same training on machines that skip less.
    n_correct : int
        Right before their own update.
    n_updated : int
        Samples that were learned from (not skipped).
    silent_fraction : tuple of float
        Per spiking population: neurons that fired in none of the samples.
    error_events : list of (n,) int64
        Per layer that is not recurrent: error events that entered each neuron (of a rule without a
        mask: at which the surrogate was not 0).
    scores : (n_samples, n_classes) float64
        In the order of training.
    """

    counts: OperationCounts
    other_counts: Mapping[str, OperationCounts]
    n_correct: int
    n_updated: int
    silent_fraction: tuple[float, ...]
    error_events: list[Ints]
    scores: Floats


def epoch_outcome(
    net: LearningNetwork,
    rule: GradientRule,
    weight_format: WeightFormat,
    out: at.Outcome,
    store_counts: Ints,
    scores: Floats,
    accountings: tuple[Accounting, ...],
    n_frozen: int,
) -> EpochOutcome:
    """Return what the kernels left in ``out``, with the store's counts."""
    own = out.counts + store_counts
    n_seen, natural = len(scores), natural_accounting(rule)
    n_correct, n_learned, n_inputs = (int(n) for n in out.totals[:3])

    def counted(accounting: Accounting) -> OperationCounts:
        if accounting == natural and rule.mask != "none":
            values = own.copy()
            values[0, OPERATION_INDEX["log_word"]] += n_inputs
            return OperationCounts(net.names, values, n_seen)
        values = count_as(
            accounting, net, rule, own, out.n_synops, n_seen, n_learned, n_inputs,
            [k >= n_frozen for k in range(len(net.layers))],
            weight_format.accumulate == "stream", weight_format.policy == "always",
        )  # fmt: skip
        return OperationCounts(net.names, values, n_seen)

    ends = np.cumsum([net.layers[k].n_out for k in net.feedforward])[:-1]
    fired = np.split(out.fired, ends)
    if rule.head == "integrator":
        fired = fired[:-1]
    return EpochOutcome(
        counted(natural),
        {name: counted(name) for name in accountings},
        n_correct,
        n_learned,
        tuple(float(1.0 - f.mean()) for f in fired),
        np.split(out.error_events, ends),
        scores,
    )
