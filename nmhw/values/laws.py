"""Published cost laws that unit costs cannot express, as small pure functions.

A chip file names a law by kind and gives its coefficients with their provenance; the functions
here evaluate it. None of them is part of a run's energy or time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nmhw.errors import UsageError
from nmhw.values.figure import Figure, LawSpec

__all__ = [
    "LAWS",
    "LawForm",
    "clocked_power_w",
    "clocked_synop_pj",
    "event_time_s",
    "interpolate_points",
    "max_synops_per_s",
    "required_clock_hz",
    "xylo_cycles",
]


@dataclass(frozen=True, slots=True)
class LawForm:
    """What a law of one kind takes.

    Attributes
    ----------
    terms, optional : coefficient name to unit
    point_unit : unit of the points; "" where the law has none
    """

    terms: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    point_unit: str = ""


#: Every kind of law and its coefficients.
LAWS: Mapping[str, LawForm] = {
    "clocked-power": LawForm({"static": "W", "cycle": "pJ", "synop": "pJ"}),
    "event-cycles": LawForm(
        {"synop": "cycles"},
        {"spike": "cycles", "leak": "cycles", "bistability": "cycles", "phase": "cycles"},
    ),
    "xylo-cycles": LawForm({"clock_margin": "ratio"}),
    "points": LawForm(point_unit="s"),
}


def clocked_power_w(law: LawSpec, clock_hz: float, synops_per_s: float) -> float:
    """Return P = static + cycle * f + synop * rate in watts ("clocked-power").

    Sources
    -------
    C. Frenkel et al., IEEE TBioCAS 13(1), 2019, doi:10.1109/TBCAS.2018.2880425 (ODIN).
    """
    _check(law, "clocked-power")
    switching_pj = _term(law, "cycle") * clock_hz + _term(law, "synop") * synops_per_s
    return _term(law, "static") + switching_pj * 1e-12


def clocked_synop_pj(law: LawSpec, clock_hz: float, synops_per_s: float) -> float:
    """Return all power divided by the rate: the all-in energy of one synaptic operation in pJ."""
    if synops_per_s <= 0:
        raise UsageError("energy per operation needs operations", got=synops_per_s)
    return clocked_power_w(law, clock_hz, synops_per_s) / synops_per_s * 1e12


def max_synops_per_s(law: LawSpec, clock_hz: float) -> float:
    """Return the rate at which synaptic operations alone fill the clock ("event-cycles")."""
    _check(law, "event-cycles")
    return clock_hz / _term(law, "synop")


def event_time_s(law: LawSpec, event: str, clock_hz: float) -> float:
    """Return the time of one event ("synop", "spike", ...) in seconds ("event-cycles")."""
    _check(law, "event-cycles")
    return _term(law, event) / clock_hz


def interpolate_points(law: LawSpec, x: float) -> float:
    """Return the value at ``x`` on the line between the measured points ("points").

    Raises
    ------
    UsageError
        Outside the measured range: a law of points is never extrapolated.
    """
    _check(law, "points")
    known = [(at, figure.value) for at, figure in law.points if figure.value is not None]
    if not known or not known[0][0] <= x <= known[-1][0]:
        limit = f"{known[0][0]:g} to {known[-1][0]:g} {law.variable}" if known else "no points"
        raise UsageError("outside the measured range", got=f"{x:g}", limit=limit)
    left = max((p for p in known if p[0] <= x), key=lambda p: p[0])
    right = min((p for p in known if p[0] >= x), key=lambda p: p[0])
    if left[0] == right[0]:
        return left[1]
    return left[1] + (right[1] - left[1]) * (x - left[0]) / (right[0] - left[0])


def xylo_cycles(
    *,
    n_in: int,
    n_hidden: int,
    n_out: int,
    fan_out: float,
    p_in: float,
    p_hidden: float,
    n_input_targets: int | None = None,
    n_output_sources: int | None = None,
    alias_targets: float = 0.0,
    alias_sources: float = 0.0,
) -> float:
    """Return the clock cycles of one Xylo time step.

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Input channels, hidden neurons and output neurons in use.
    fan_out : float
        Mean number of recurrent targets of a hidden neuron.
    p_in, p_hidden : float
        Mean input events per channel and step, and spikes per hidden neuron and step.
    n_input_targets, n_output_sources : int, optional
        Hidden neurons that see the input, and that feed the output; default: all (Audio 2).
    alias_targets, alias_sources : float
        Fraction of hidden neurons that are the target, or the source, of an alias.

    Returns
    -------
    float
        Cycles, the same number that the vendor's model prints for these arguments.

    Sources
    -------
    Rockpool, devices/xylo, power_cycles_model.py, https://github.com/synsense/rockpool
    (the formula and its constants; written anew here).
    """
    reached = n_hidden if n_input_targets is None else n_input_targets
    feeding = n_hidden if n_output_sources is None else n_output_sources
    aliased = max(p_hidden, alias_targets * alias_sources)
    reset = 2 * aliased + 3 * max(p_hidden * alias_targets, alias_targets * alias_sources)
    reset += p_hidden + alias_sources * max(p_hidden, alias_targets)
    return (
        n_in * (p_in * reached * 3.5 + 1)
        + n_hidden * (fan_out * 7 * p_hidden + 3)
        + feeding * p_hidden * (1 + 8 * n_out)
        + n_hidden * (19 + reset)
        + n_out * 12
    )


def required_clock_hz(law: LawSpec, cycles: float, dt_s: float) -> float:
    """Return the clock that ends ``cycles`` within ``dt_s``, with the law's margin."""
    _check(law, "xylo-cycles")
    return cycles * _term(law, "clock_margin") / dt_s


def _check(law: LawSpec, kind: str) -> None:
    if law.kind != kind:
        raise UsageError("a law of another kind", got=law.kind, limit=kind)


def _term(law: LawSpec, name: str) -> float:
    figure: Figure | None = law.terms.get(name)
    if figure is None or figure.value is None:
        known = ", ".join(k for k, f in law.terms.items() if f.value is not None)
        raise UsageError("this term of the law is unpriced", got=name, hint=known)
    return figure.value
