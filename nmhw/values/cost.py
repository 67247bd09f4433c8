"""Energy and latency: counts times unit costs; what nobody published stays visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nmhw.values.chip import EVENT_KINDS, CostTable, Figure
from nmhw.values.result import Counters

PICO = 1e-12
NANO = 1e-9

Pace = Literal["free", "realtime", "period"]


@dataclass(frozen=True, slots=True)
class LatencyBreakdown:
    """Modelled time of a run; None where the chip's cost table gives no basis.

    Attributes
    ----------
    fidelity : str
        "analytic": slowest core of each step, then the barrier; a lower bound without NoC.
    free_step_s, free_p99_step_s : float or None
        Mean and 99th percentile of a step that takes its modelled time.
    sync_s : float or None
        Part of each step spent in the barrier.
    step_s, p99_step_s : float or None
        Under the pace that was asked for.
    per_sample_s, total_s : float or None
        T + D steps; the whole run.
    is_step_average : bool
        True when no per-step counts were kept: the step is then the average step, and p99 is None.
    overrun_steps : int
        Steps whose modelled time exceeds a realtime or period pace.
    unpriced : tuple of str
        Counted kinds without a latency figure: the times are then sums of the others.
    """

    fidelity: str
    pace: Pace
    pace_step_s: float | None
    n_steps: int
    n_samples: int
    free_step_s: float | None
    free_p99_step_s: float | None
    sync_s: float | None
    step_s: float | None
    p99_step_s: float | None
    per_sample_s: float | None
    total_s: float | None
    is_step_average: bool = False
    unpriced: tuple[str, ...] = ()
    overrun_steps: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnergyLine:
    """One event kind: its count, unit price and energy (None = unpriced)."""

    kind: str
    count: int
    figure: Figure | None
    energy_j: float | None
    low_j: float | None
    high_j: float | None

    @property
    def is_unpriced(self) -> bool:
        """Whether events were counted that nobody published a price for."""
        return self.count > 0 and self.energy_j is None


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Energy of a run. Joules; None where nothing at all is priced.

    Attributes
    ----------
    table : str or None
        Name of the cost table.
    lines : one EnergyLine per counted event kind
    static_w, static_j : power of the used chips and cores, and times the run's time
    dynamic_j : sum of the priced lines
    total_j, low_j, high_j : dynamic plus static
    is_lower_bound : bool
        True when a counted kind (or static power) is unpriced: the total then reads "at least".
    unpriced : tuple of str
    bases : tuple of str
        Distinct bases of the priced figures (silicon, fitted, simulated...), to be named.
    """

    table: str | None
    pace: Pace
    lines: tuple[EnergyLine, ...]
    static_w: float | None
    static_j: float | None
    dynamic_j: float | None
    total_j: float | None
    low_j: float | None
    high_j: float | None
    is_lower_bound: bool
    unpriced: tuple[str, ...]
    bases: tuple[str, ...]
    n_samples: int
    n_synops: int

    @property
    def per_sample_j(self) -> float | None:
        """Total energy per sample."""
        return None if self.total_j is None else self.total_j / self.n_samples

    def per_synop_j(self) -> Mapping[str, float | None]:
        """Energy per synaptic operation: incremental, dynamic and all-in."""
        read = [e.energy_j for e in self.lines if e.kind.startswith("synop") and e.count]
        n = self.n_synops
        if not n:
            return {"incremental": None, "dynamic": None, "all_in": None}
        priced = [e for e in read if e is not None]
        incremental = sum(priced) / n if read and len(priced) == len(read) else None
        return {
            "incremental": incremental,
            "dynamic": None if self.dynamic_j is None else self.dynamic_j / n,
            "all_in": None if self.total_j is None else self.total_j / n,
        }


def find_figure(figures: Mapping[str, Figure], kind: str) -> Figure | None:
    """Return the figure for an event kind: its own key, else that of its prefix ("synop")."""
    return figures.get(kind) or figures.get(kind.split(".")[0])


def count_kinds(counters: Counters) -> dict[str, int]:
    """Return how often each event kind happened in the run (chip-wide)."""
    counts = {kind: int(array.sum()) for kind, array in counters.totals.items()}
    steps = counters.n_samples * counters.n_steps
    counts["timestep"] = steps * counters.n_chips
    counts["reset"] = counters.n_samples * counters.n_chips
    counts["host.io"] = sum(counters.events_by_input.values())
    return {kind: counts[kind] for kind in EVENT_KINDS if kind in counts}


def price_energy(
    counters: Counters, table: CostTable | None, latency: LatencyBreakdown
) -> EnergyBreakdown:
    """Price the counted events and the static power.

    Parameters
    ----------
    counters : Counters
    table : CostTable or None
        None leaves everything unpriced.
    latency : LatencyBreakdown
        Its ``total_s`` is the time over which static power is integrated.
    """
    figures = table.energy_pj if table is not None else {}
    lines = tuple(
        _price_line(k, n, find_figure(figures, k)) for k, n in count_kinds(counters).items()
    )
    priced = [line for line in lines if line.energy_j is not None]
    unpriced = [line.kind for line in lines if line.is_unpriced]
    static_w, static_bases = _static_power(counters, table)
    static_j = None
    if static_w is not None and latency.total_s is not None:
        static_j = static_w * latency.total_s
    else:
        unpriced.append("static")
    parts = [line.energy_j or 0.0 for line in priced]
    dynamic = sum(parts) if priced else None
    known = [part for part in (dynamic, static_j) if part is not None]
    fixed = static_j or 0.0
    bases = {line.figure.basis for line in priced if line.figure and line.count} | static_bases
    return EnergyBreakdown(
        table=table.name if table is not None else None,
        pace=latency.pace,
        lines=lines,
        static_w=static_w,
        static_j=static_j,
        dynamic_j=dynamic,
        total_j=sum(known) if known else None,
        low_j=sum(line.low_j or 0.0 for line in priced) + fixed if known else None,
        high_j=sum(line.high_j or 0.0 for line in priced) + fixed if known else None,
        is_lower_bound=bool(unpriced),
        unpriced=tuple(unpriced),
        bases=tuple(sorted(bases)),
        n_samples=counters.n_samples,
        n_synops=counters.total("synop"),
    )


def _price_line(kind: str, count: int, figure: Figure | None) -> EnergyLine:
    if figure is not None and figure.included_in is not None:
        return EnergyLine(kind, count, figure, 0.0, 0.0, 0.0)
    if figure is None or figure.value is None:
        return EnergyLine(kind, count, figure, None, None, None)
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    energies = (count * value * PICO for value in (figure.value, low, high))
    return EnergyLine(kind, count, figure, *energies)


def _static_power(counters: Counters, table: CostTable | None) -> tuple[float | None, set[str]]:
    """Return the static power of the used chips and cores in watts; None when unpublished."""
    figures = table.static_w if table is not None else {}
    used = {"chip": counters.n_chips, "core": int(counters.cores.size)}
    known = {n: f for n, f in figures.items() if n in used and f.value is not None}
    if not known:
        return None, set()
    power = sum(used[name] * (figure.value or 0.0) for name, figure in known.items())
    return power, {str(figure.basis) for figure in known.values()}
