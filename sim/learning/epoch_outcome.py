"""What one pass of the engine did, counted as its own machine works and as others would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.closed_forms import Accounting, natural_accounting
from nmhw.sim.learning.counting import clocked_packets, count_as
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
    error_packets : list of (n,) int64
        Per layer that is not recurrent: error packets that each neuron was told by the layer
        behind, as the machine of ``counts`` sends them (none to outputs).
    other_packets : mapping of accounting to such lists
    scores : (n_samples, n_classes) float64
        In the order of training.
    """

    counts: OperationCounts
    other_counts: Mapping[str, OperationCounts]
    n_correct: int
    n_updated: int
    silent_fraction: tuple[float, ...]
    error_packets: list[Ints]
    other_packets: Mapping[str, list[Ints]]
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
    n_updates: int,
) -> EpochOutcome:
    """Return what the kernels left in ``out``, with the store's counts."""
    own = out.counts + store_counts
    n_seen, natural = len(scores), natural_accounting(rule)
    n_correct, n_learned, n_inputs = (int(n) for n in out.totals[:3])

    def counted(accounting: Accounting) -> OperationCounts:
        if accounting == natural and rule.mask != "none":
            values = own.copy()
            values[0, OPERATION_INDEX["log_word"]] += 0 if n_frozen else n_inputs
            return OperationCounts(net.names, values, n_seen)
        values = count_as(
            accounting, net, rule, own, out.n_synops, n_seen, n_learned, n_inputs,
            [k >= n_frozen for k in range(len(net.layers))],
            n_updates, weight_format,
        )  # fmt: skip
        return OperationCounts(net.names, values, n_seen)

    def told(accounting: Accounting) -> list[Ints]:
        if accounting == natural and rule.mask != "none":
            return np.split(out.error_packets, ends)
        return clocked_packets(accounting, net, rule, n_learned, n_frozen)

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
        told(natural),
        {name: told(name) for name in accountings},
        scores,
    )
