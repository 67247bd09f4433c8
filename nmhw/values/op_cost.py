"""Energy of counted learning operations under named sets of unit prices, and ratios of them.

No chip publishes what one multiply-accumulate of a learning engine costs. The sets here are
therefore *parameters* with a range, each derived from a published table as its ``source`` says; an
energy under a set is what a machine with these unit prices would spend, not a measurement.

Every operation of ``nmhw.values.learning.OPERATIONS`` is a fixed recipe of unit actions
(``RECIPES``); rules cannot choose theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.cost_sets import COST_SETS, UNITS, CostSet
from nmhw.values.learning import OPERATIONS, PHASES, OperationCounts

Floats = NDArray[np.float64]

Scope = Literal["learning only", "whole training"]
SCOPES: tuple[Scope, ...] = ("learning only", "whole training")

#: Baselines: time-step surrogate-gradient learning (STBP), the same weights and the same task,
#: counted for three machines. dense: every weight in every step. gated: weight gradients only
#: where the source spiked. gated-once: gated, and the head's error, equal in all steps, is formed
#: and carried back once. band: events only, errors enter where the membrane is near the threshold.
BASELINES = ("stbp-dense", "stbp-gated", "stbp-gated-once", "stbp-band")

#: Unit actions of every operation. A synop reads a weight and adds it; an error event is one
#: multiplication and two state words; a membrane update a multiplication and two state words.
RECIPES: Mapping[str, Mapping[str, float]] = {
    "synop": {"weight_read": 1, "add": 1},
    "neuron_update": {"mac": 1, "state_word": 2},
    "crossing": {"division": 1, "add": 1, "state_word": 2},
    "spike": {"state_word": 1},
    "log_word": {"state_word": 1},
    "history_word": {"state_word": 1},
    "error_event": {"mac": 1, "state_word": 2},
    "gradient_mac": {"mac": 1},
    "gradient_add": {"add": 1},
    "propagation_mac": {"mac": 1},
    "transposed_read": {"weight_read": 1},
    "surrogate": {"mac": 1},
    "decay_lookup": {"table_read": 1},
    "division": {"division": 1},
    "exponential": {"table_read": 1, "mac": 1},
    "error_packet": {},  # priced by the bits it carries over hops; see ``packet_bit_hops``
    "weight_read": {"weight_read": 1},
    "weight_write": {"weight_write": 1},
    "random_word": {"random_word": 1},
    "trace_update": {"mac": 1, "state_word": 2},
}

_RECIPE_MATRIX: Floats = np.array(
    [[RECIPES[operation].get(unit, 0.0) for unit in UNITS] for operation in OPERATIONS]
)


@dataclass(frozen=True, slots=True)
class LearningEnergy:
    """Energy under one cost set and scope; joules.

    Attributes
    ----------
    low_j, high_j : every unit price at its low, at its high end
    by_phase : mapping of phase name to joules (and "static" where it is known)
    """

    cost_set: str
    scope: Scope
    energy_j: float
    low_j: float
    high_j: float
    by_phase: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Energy of a baseline over that of a rule; low and high over all unit prices' ranges."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return a JSON object."""
        return {"value": self.value, "low": self.low, "high": self.high}


def cost_set(name: str) -> CostSet:
    """Return a named cost set.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    if name not in COST_SETS:
        raise UsageError("no such cost set", got=repr(name), hint=", ".join(COST_SETS))
    return COST_SETS[name]


def unit_actions(
    counts: OperationCounts, scope: Scope = "whole training", packet_bit_hops: float = 0.0
) -> Floats:
    """Return how often every unit action of ``UNITS`` happens.

    Parameters
    ----------
    packet_bit_hops : float
        Sum over error packets of bits times hops (a packet that stays on its core has 0 hops).

    Raises
    ------
    UsageError
        For an unknown scope.
    """
    if scope not in SCOPES:
        raise UsageError("no such scope", got=repr(scope), hint=", ".join(SCOPES))
    values = counts.values.sum(axis=0).astype(np.float64)
    if scope == "learning only":
        values[[OPERATIONS.index(name) for name in PHASES["forward"]]] = 0.0
    actions: Floats = values @ _RECIPE_MATRIX
    actions[UNITS.index("bit_hop")] += packet_bit_hops
    return actions


def learning_energy(
    counts: OperationCounts,
    costs: CostSet | str,
    scope: Scope = "whole training",
    *,
    packet_bit_hops: float = 0.0,
    static_j: float | None = None,
) -> LearningEnergy:
    """Price counts.

    Parameters
    ----------
    static_j : float, optional
        Static energy of the same work, for scope "whole training"; None = not known, not added.
    """
    chosen = cost_set(costs) if isinstance(costs, str) else costs
    actions = unit_actions(counts, scope, packet_bit_hops)
    value, low, high = (float(actions @ p) * 1e-12 for p in chosen.price_vectors())
    by_phase = _by_phase(counts, chosen, scope, packet_bit_hops)
    if static_j is not None and scope == "whole training":
        value, low, high = value + static_j, low + static_j, high + static_j
        by_phase["static"] = static_j
    return LearningEnergy(chosen.name, scope, value, low, high, by_phase)


def energy_ratio(baseline: Floats, rule: Floats, costs: CostSet | str) -> Ratio:
    """Return energy(baseline) / energy(rule) for two vectors of unit actions.

    A ratio of two sums is monotone in every single price, so its extremes over the box of all
    price ranges lie at corners of the box; all corners are tried.

    Parameters
    ----------
    baseline, rule : (len(UNITS),) from ``unit_actions``, per the same number of samples
    """
    chosen = cost_set(costs) if isinstance(costs, str) else costs
    value, low, high = chosen.price_vectors()
    middle = float(rule @ value)
    if middle <= 0:
        raise UsageError("the rule did nothing that is priced", where=chosen.name)
    used = np.flatnonzero((baseline != 0) | (rule != 0))
    corners = np.array(list(product(*((low[k], high[k]) for k in used))))
    below, above = corners @ rule[used], corners @ baseline[used]
    found = above[below > 0] / below[below > 0]
    return Ratio(float(baseline @ value) / middle, float(found.min()), float(found.max()))


def op_ratio(
    baseline: OperationCounts, rule: OperationCounts, scope: Scope = "learning only"
) -> float:
    """Return arithmetic operations of a baseline over those of a rule, per sample, without prices.

    Counted: multiply-accumulates and additions (synops, membrane updates, gradients, error
    propagation, surrogates); memory is left out.

    Raises
    ------
    UsageError
        When the rule counted none.
    """
    mine, other = (_arithmetic(c, scope) / max(c.n_samples, 1) for c in (rule, baseline))
    if mine <= 0:
        raise UsageError("the rule did no arithmetic", got=mine)
    return other / mine


def _arithmetic(counts: OperationCounts, scope: Scope) -> float:
    actions = unit_actions(counts, scope)
    return float(sum(actions[UNITS.index(u)] for u in ("add", "mac", "division")))


def _by_phase(
    counts: OperationCounts, costs: CostSet, scope: Scope, packet_bit_hops: float
) -> dict[str, float]:
    """Return joules per phase; error packets belong to the backward phase."""
    prices = _RECIPE_MATRIX @ costs.price_vectors()[0]
    values = counts.values.sum(axis=0)
    phases = [p for p in PHASES if scope == "whole training" or p != "forward"]
    found: dict[str, float] = {}
    for phase in phases:
        columns = [OPERATIONS.index(name) for name in PHASES[phase]]
        found[phase] = float(values[columns] @ prices[columns]) * 1e-12
    traffic = packet_bit_hops * costs.price_vectors()[0][UNITS.index("bit_hop")] * 1e-12
    found["backward"] += traffic
    return found


def energy_by_operation(counts: OperationCounts, costs: CostSet | str) -> dict[str, Any]:
    """Return joules of every counted operation (error packets excluded)."""
    chosen = cost_set(costs) if isinstance(costs, str) else costs
    prices = _RECIPE_MATRIX @ chosen.price_vectors()[0]
    values = counts.values.sum(axis=0)
    return {
        name: float(values[k] * prices[k]) * 1e-12 for k, name in enumerate(OPERATIONS) if values[k]
    }
