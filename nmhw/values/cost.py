"""Energy and latency: counts times unit costs; what nobody published stays visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nmhw.values.chip import EVENT_KINDS, CostTable, Figure
from nmhw.values.noc import NocTimes
from nmhw.values.result import Counters

PICO = 1e-12
NANO = 1e-9

#: How the time of a step is modelled.
LATENCIES = ("analytic", "noc")

Pace = Literal["free", "realtime", "period"]


@dataclass(frozen=True, slots=True)
class LatencyBreakdown:
    """Modelled time of a run; None where the chip's cost table gives no basis.

    Attributes
    ----------
    fidelity : str
        "analytic": slowest core of each step, then the barrier; a lower bound without NoC.
        "noc": every message of the timed steps over links and buffers (``noc``), then the barrier.
    free_step_s, free_p99_step_s : float or None
        Mean and 99th percentile of a step that takes its modelled time.
    sync_s : float or None
        Part of each step spent in the barrier.
    step_s, p99_step_s : float or None
        Under the pace that was asked for.
    per_sample_s, total_s : float or None
        T + D steps; the whole run.
    total_low_s, total_high_s : float or None
        The whole run under the lower and upper bounds of the latency figures.
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
    total_low_s: float | None = None
    total_high_s: float | None = None
    is_step_average: bool = False
    unpriced: tuple[str, ...] = ()
    overrun_steps: int = 0
    notes: tuple[str, ...] = ()
    noc: NocTimes | None = None


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

    @property
    def bounds_j(self) -> tuple[float, float, float]:
        """Energy, its low and its high bound; 0 where unpriced."""
        return self.energy_j or 0.0, self.low_j or 0.0, self.high_j or 0.0


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Energy of a run. Joules; None where nothing at all is priced.

    Attributes
    ----------
    table : str or None
        Name of the cost table.
    lines : one EnergyLine per counted event kind
    static_w, static_j : power of the used chips and cores, and times the run's time
    static_in : str or None
        Kind whose all-in figure contains static power (then neither static nor dynamic is known).
    dynamic_j : sum of the priced lines
    total_j, low_j, high_j : dynamic plus static; what all-in figures and the others sum to
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
    static_in: str | None = None

    @property
    def per_sample_j(self) -> float | None:
        """Total energy per sample."""
        return None if self.total_j is None else self.total_j / self.n_samples

    def per_synop_j(self) -> Mapping[str, float | None]:
        """Energy per synaptic operation: incremental, dynamic and all-in.

        A figure that contains everything says nothing of its parts: it gives all-in alone.
        """
        read = [e.energy_j for e in self.lines if e.kind.startswith("synop") and e.count]
        n = self.n_synops
        if not n:
            return {"incremental": None, "dynamic": None, "all_in": None}
        priced = [e for e in read if e is not None]
        is_known = bool(read) and len(priced) == len(read) and self.static_in is None
        incremental = sum(priced) / n if is_known else None
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
    counts["timestep"] = 0 if counters.is_stepless else steps * counters.n_chips
    counts["reset"] = counters.n_resets * counters.n_chips
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
        Its ``total_s`` (and bounds) is the time over which static power is integrated.
    """
    figures = table.energy_pj if table is not None else {}
    lines = tuple(
        _price_line(k, n, find_figure(figures, k)) for k, n in count_kinds(counters).items()
    )
    priced = [line for line in lines if line.energy_j is not None]
    power = _static_power(counters, table)
    static = None if power is None else _static_energy(power, latency)
    unpriced = [line.kind for line in lines if line.is_unpriced]
    unpriced += [kind for kind in counters.uncounted if _is_costly(find_figure(figures, kind))]
    static_in = _all_in_kind(lines)
    if static_in is None and (static is None or power is None or power.is_partial):
        unpriced.append("static")
    sums = [sum(parts) for parts in zip(*(line.bounds_j for line in priced), strict=True)]
    known = [part for part in (sums or None, static) if part is not None]
    total, low, high = (sum(part[k] for part in known) if known else None for k in range(3))
    bases = {str(line.figure.basis) for line in priced if line.figure and line.count}
    return EnergyBreakdown(
        table=table.name if table is not None else None,
        pace=latency.pace,
        lines=lines,
        static_w=None if power is None else power.bounds_w[0],
        static_j=None if static is None else static[0],
        dynamic_j=sums[0] if sums and static_in is None else None,
        total_j=total,
        low_j=low,
        high_j=high,
        is_lower_bound=bool(unpriced),
        unpriced=tuple(unpriced),
        bases=tuple(sorted(bases if power is None else bases | power.bases)),
        n_samples=counters.n_samples,
        n_synops=counters.total("synop"),
        static_in=static_in,
    )


def _is_costly(figure: Figure | None) -> bool:
    """Whether events of this kind would add to the total."""
    return figure is None or figure.included_in is None


def _all_in_kind(lines: tuple[EnergyLine, ...]) -> str | None:
    """Return the counted kind, without suffix, whose figure contains everything; else None."""
    for line in lines:
        figure = line.figure
        if not line.count or figure is None or figure.value is None:
            continue
        if figure.scope == "all-in":
            return line.kind.split(".")[0]
    return None


def _price_line(kind: str, count: int, figure: Figure | None) -> EnergyLine:
    if figure is not None and figure.included_in is not None:
        return EnergyLine(kind, count, figure, 0.0, 0.0, 0.0)
    if figure is None or figure.value is None:
        return EnergyLine(kind, count, figure, None, None, None)
    return EnergyLine(kind, count, figure, *(count * v * PICO for v in _bounds(figure)))


def _bounds(figure: Figure) -> tuple[float, float, float]:
    """Return value, low and high; the value itself where the source gives no bound."""
    value = figure.value or 0.0
    low = value if figure.low is None else figure.low
    return value, low, value if figure.high is None else figure.high


def _static_energy(
    power: _StaticPower, latency: LatencyBreakdown
) -> tuple[float, float, float] | None:
    """Return value, low and high of power times time, each with the time's own bound."""
    time_s = latency.total_s
    if time_s is None:
        return None
    value, low, high = power.bounds_w
    shortest = time_s if latency.total_low_s is None else latency.total_low_s
    longest = time_s if latency.total_high_s is None else latency.total_high_s
    return value * time_s, low * shortest, high * longest


@dataclass(frozen=True, slots=True)
class _StaticPower:
    """Watts (value, low, high) of the used chips and cores."""

    bounds_w: tuple[float, float, float]
    is_partial: bool
    bases: frozenset[str]


def _static_power(counters: Counters, table: CostTable | None) -> _StaticPower | None:
    """Return the static power of the used chips and cores; None when unpublished."""
    figures = table.static_w if table is not None else {}
    used = {"chip": counters.n_chips, "core": int(counters.cores.size)}
    wanted = {n: f for n, f in figures.items() if n in used and f.included_in is None}
    known = {n: f for n, f in wanted.items() if f.value is not None}
    if not known:
        return None
    parts = [[used[name] * watts for watts in _bounds(f)] for name, f in known.items()]
    value, low, high = (sum(part[k] for part in parts) for k in range(3))
    bases = frozenset(str(figure.basis) for figure in known.values())
    return _StaticPower((value, low, high), len(known) < len(wanted), bases)
