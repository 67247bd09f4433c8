"""The summary of a learning experiment: one JSON-ready dict that text, plots and files share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.cost_sets import COST_SETS, CostSet
from nmhw.values.learning import OPERATIONS, EpochRecord, OperationCounts
from nmhw.values.op_cost import (
    SCOPES,
    Scope,
    energy_by_operation,
    energy_ratio,
    learning_energy,
    op_ratio,
    unit_actions,
)

#: A larger share of neurons that never fire is a warning: the gradient does not reach them.
SILENT_LIMIT = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class CountedTraining:
    """What one kind of training did, summed over its seeds.

    Attributes
    ----------
    name : str
        Of the rule or the baseline.
    seeds : tuple of int
    records : (n_seeds) tuples of EpochRecord
    packet_bit_hops : float
        Of all seeds and epochs together.
    notes : tuple of str
        What a reader must know beside its numbers.
    is_hypothetical : bool
        The chip does not run this training itself.
    """

    name: str
    seeds: tuple[int, ...]
    records: tuple[tuple[EpochRecord, ...], ...]
    packet_bit_hops: float = 0.0
    notes: tuple[str, ...] = field(default=())
    is_hypothetical: bool = False

    @property
    def counts(self) -> OperationCounts:
        """Operations of all seeds and epochs."""
        return sum_counts([r.counts for records in self.records for r in records])

    def epoch_counts(self, epoch: int) -> OperationCounts:
        """Operations of one epoch of all seeds."""
        return sum_counts([records[epoch].counts for records in self.records])

    def accuracies(self, part: str = "test") -> list[float | None]:
        """Accuracy of every seed after its last epoch."""
        return [getattr(records[-1], f"{part}_accuracy") for records in self.records]

    def actions(self, scope: Scope) -> NDArray[np.float64]:
        """Unit actions per training sample."""
        counts = self.counts
        return unit_actions(counts, scope, self.packet_bit_hops) / max(counts.n_samples, 1)


def sum_counts(counts: Sequence[OperationCounts]) -> OperationCounts:
    """Return the sum of counts of the same layers."""
    total = counts[0]
    for more in counts[1:]:
        total = total + more
    return total


def mean_interval(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean, standard deviation and the 95 % interval of the mean (Student's t)."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return {"mean": mean, "std": None, "low": None, "high": None, "n": n}
    from scipy.stats import t

    std = float(np.std(values, ddof=1))
    half = float(t.ppf(0.975, n - 1)) * std / math.sqrt(n)
    return {"mean": mean, "std": std, "low": mean - half, "high": mean + half, "n": n}


def summarize_training(training: CountedTraining, costs: Sequence[str]) -> dict[str, Any]:
    """Return accuracy, counts and energies of one kind of training."""
    counts = training.counts
    n = max(counts.n_samples, 1)
    known = [a for a in training.accuracies() if a is not None]
    validation = [a for a in training.accuracies("validation") if a is not None]
    return {
        "name": training.name,
        "accuracy": mean_interval(known) if known else None,
        "validation_accuracy": mean_interval(validation) if validation else None,
        "seeds": [
            {"seed": seed, "accuracy": a, "validation_accuracy": v}
            for seed, a, v in zip(
                training.seeds, training.accuracies(), training.accuracies("validation"),
                strict=True,
            )
        ],
        "n_training_samples": counts.n_samples,
        "operations_per_sample": {k: v / n for k, v in counts.by_operation().items()},
        "energy_j": {name: _energies(training, name) for name in costs},
        "energy_by_operation_j": {
            name: {k: v / n for k, v in energy_by_operation(counts, name).items()}
            for name in costs
        },
        "is_hypothetical": training.is_hypothetical,
        "notes": list(training.notes),
    }  # fmt: skip


def _energies(training: CountedTraining, costs: str) -> dict[str, Any]:
    """Return joules per training sample and of one whole training, per scope."""
    counts = training.counts
    found: dict[str, Any] = {}
    for scope in SCOPES:
        energy = learning_energy(counts, costs, scope, packet_bit_hops=training.packet_bit_hops)
        n, n_seeds = max(counts.n_samples, 1), max(len(training.seeds), 1)
        found[scope] = {
            "per_sample": energy.energy_j / n,
            "low": energy.low_j / n,
            "high": energy.high_j / n,
            "training": energy.energy_j / n_seeds,
            "by_phase": {k: v / n for k, v in energy.by_phase.items()},
        }
    return found


def summarize_epochs(training: CountedTraining, costs: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per epoch, means over seeds; energies per training sample."""
    rows = []
    for epoch in range(min(len(records) for records in training.records)):
        of_seeds = [records[epoch] for records in training.records]
        counts = training.epoch_counts(epoch)
        n = max(counts.n_samples, 1)
        traffic = training.packet_bit_hops * n / max(training.counts.n_samples, 1)
        rows.append(
            {
                "epoch": epoch + 1,
                "is_hypothetical": training.is_hypothetical,
                "train_accuracy": _mean([r.train_accuracy for r in of_seeds]),
                "validation_accuracy": _mean([r.validation_accuracy for r in of_seeds]),
                "accuracy": _mean([r.test_accuracy for r in of_seeds]),
                "updated_share": sum(r.updated_samples for r in of_seeds) / n,
                "silent": {
                    layer: _mean([r.silent_fraction[layer] for r in of_seeds])
                    for layer in of_seeds[0].silent_fraction
                },
                "energy_j_per_sample": {
                    name: {
                        scope: learning_energy(
                            counts, name, scope, packet_bit_hops=traffic
                        ).energy_j
                        / n
                        for scope in SCOPES
                    }
                    for name in costs
                },
                "operations_per_sample": {k: v / n for k, v in counts.by_operation().items()},
            }
        )
    return rows


def summarize_ratios(
    rule: CountedTraining, baselines: Mapping[str, CountedTraining], costs: Sequence[str]
) -> dict[str, Any]:
    """Return op_ratio and energy_ratio per scope, each by its baseline's name."""
    found: dict[str, Any] = {}
    for scope in SCOPES:
        found[scope] = {
            "op_ratio": {
                name: op_ratio(baseline.counts, rule.counts, scope)
                for name, baseline in baselines.items()
            },
            "energy_ratio": {
                cost: {
                    name: {
                        **energy_ratio(
                            baseline.actions(scope), rule.actions(scope), cost
                        ).to_json(),
                        "is_hypothetical": baseline.is_hypothetical or rule.is_hypothetical,
                    }
                    for name, baseline in baselines.items()
                }
                for cost in costs
            },
        }
    return found


def silent_warnings(epochs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence per layer whose neurons stay silent too often in the last epoch."""
    if not epochs:
        return []
    last = epochs[-1]["silent"]
    return [
        f"{share:.0%} of the neurons of {layer} never fired in the last epoch (limit "
        f"{SILENT_LIMIT:.0%}): raise the initial weights, or use a falling threshold"
        for layer, share in last.items()
        if share is not None and share > SILENT_LIMIT
    ]


def describe_costs(costs: Sequence[str | CostSet]) -> dict[str, Any]:
    """Return every price of the cost sets with its range and source."""
    chosen = [COST_SETS[c] if isinstance(c, str) else c for c in costs]
    return {
        c.name: {
            "title": c.title,
            "source": c.source,
            "prices_pj": {
                unit: {"value": p.value, "low": p.low, "high": p.high, "source": p.source}
                for unit, p in c.prices.items()
            },
        }
        for c in chosen
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


__all__ = [
    "OPERATIONS",
    "SILENT_LIMIT",
    "CountedTraining",
    "describe_costs",
    "mean_interval",
    "silent_warnings",
    "sum_counts",
    "summarize_epochs",
    "summarize_ratios",
    "summarize_training",
]
