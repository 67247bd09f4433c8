"""Energy and latency of a run under a cost table and a pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nmhw.errors import UsageError
from nmhw.report.priced import (
    list_sources,
    price_layers,
    summarize_energy,
    summarize_latency,
    summarize_pace,
)
from nmhw.values.chip import ChipSpec, CostTable
from nmhw.values.cost import EnergyBreakdown, LatencyBreakdown, Pace, price_energy
from nmhw.values.noc import NocTimes
from nmhw.values.result import Counters


@dataclass(frozen=True, slots=True, eq=False)
class PricedRun:
    """Energy and latency of one run.

    Attributes
    ----------
    pace : str
        As asked for ("free", "realtime", "period=1ms").
    """

    counters: Counters
    chip: ChipSpec
    table: CostTable | None
    pace: str
    dt_s: float | None
    energy: EnergyBreakdown
    latency: LatencyBreakdown
    noc: NocTimes | None = None

    def summary(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the part of the report that prices change.

        Parameters
        ----------
        facts : dict
            ``projections`` and ``first_output_step`` of the run.
        """
        return {
            **summarize_energy(self.energy, self.table),
            "pace": self.pace,
            "other_paces": self._other_paces(),
            **summarize_latency(self.latency, facts["first_output_step"]),
            "layer_synops": price_layers(facts["projections"], self.table),
            "sources": list_sources(self.chip, self.table, self.energy, self.latency),
        }

    def _other_paces(self) -> list[dict[str, Any]]:
        """Price the paces that were not asked for: static energy can differ a hundredfold."""
        names = ["free"] if self.dt_s is None else ["free", "realtime"]
        others = [name for name in names if name != self.pace]
        rows = []
        for name in others:
            energy, latency = _price(
                self.counters, self.chip, self.table, name, self.dt_s, self.noc
            )
            rows.append(summarize_pace(name, energy, latency))
        return rows


def check_prices(
    chip: ChipSpec, costs: str | None, pace: str | None, dt_s: float | None
) -> tuple[CostTable | None, str]:
    """Return cost table and pace of a run.

    Raises
    ------
    ChipFileError
        For a cost table that the chip does not have.
    UsageError
        For an unknown pace, or ``realtime`` without dt.
    """
    from nmhw.sim.timing import parse_pace

    table = chip.cost_table(costs)
    if pace is None:
        pace = chip.pace if dt_s is not None else "free"
    parse_pace(pace, dt_s)
    return table, pace


def price_run(
    counters: Counters | None,
    chip: ChipSpec,
    costs: str | None,
    pace: str | None,
    dt_s: float | None,
    noc: NocTimes | None = None,
) -> PricedRun:
    """Price counted events; see ``check_prices`` for the errors.

    Parameters
    ----------
    noc : NocTimes, optional
        Steps timed message by message, which hold under the cost table they were timed with.
    """
    if counters is None:
        raise UsageError("this run has no counters to price")
    table, asked = check_prices(chip, costs, pace, dt_s)
    energy, latency = _price(counters, chip, table, asked, dt_s, noc)
    return PricedRun(counters, chip, table, asked, dt_s, energy, latency, noc)


def _price(
    counters: Counters,
    chip: ChipSpec,
    table: CostTable | None,
    pace: str,
    dt_s: float | None,
    noc: NocTimes | None,
) -> tuple[EnergyBreakdown, LatencyBreakdown]:
    from nmhw.sim.timing import estimate_latency, parse_pace

    kind: Pace
    kind, step_s = parse_pace(pace, dt_s)
    latency = estimate_latency(counters, table, kind, step_s, chip.tick_s, noc)
    return price_energy(counters, table, latency), latency
