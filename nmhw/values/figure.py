"""Figures with provenance, and the cost tables made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Grade = Literal["P", "S", "recalled", "derived", "illustrative"]
Basis = Literal["silicon", "simulated", "fitted", "vendor", "code", "board", "imaginary", "derived"]

#: Event kinds that can carry an energy or a latency figure. ``neuron.visit`` is paid for every
#: mapped neuron in every step, ``neuron.active`` / ``neuron.idle`` for those with / without
#: state, input or bias, ``neuron.spike`` for those that fire; ``axon.in`` / ``axon.out`` once per
#: packet received / sent (a packet = one spike of one source to one destination core);
#: ``hop.x`` / ``hop.y`` per router-to-router step, ``hop.local`` per packet that stays in its tile;
#: ``weight.update`` per synapse that an on-chip learning rule rewrites; ``host.bias`` per bias that
#: the host writes between samples.
EVENT_KINDS = (
    "synop.dense",
    "synop.sparse",
    "synop.shared",
    "neuron.visit",
    "neuron.active",
    "neuron.idle",
    "neuron.spike",
    "axon.in",
    "axon.out",
    "hop.x",
    "hop.y",
    "hop.local",
    "link.crossing",
    "weight.update",
    "timestep",
    "reset",
    "load",
    "host.io",
    "host.bias",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its provenance; ``value`` None means nobody published it (unpriced).

    Attributes
    ----------
    value, low, high : float or None
        In ``unit``; low and high bound the value where the source does.
    unit : str
        "pJ", "ns", "W", ...
    source : str
        Citation key of the chip's ``sources`` table.
    grade : "P" primary read, "S" secondary, "recalled", "derived", "illustrative"
    basis : silicon | simulated | fitted | vendor | code | board | imaginary | derived
    scope : "incremental" | "all-in"
    included_in : str or None
        Name of the figure that already contains this one (then this one counts as 0).
    """

    value: float | None
    unit: str
    source: str
    grade: Grade = "P"
    basis: Basis = "silicon"
    scope: Literal["incremental", "all-in"] = "incremental"
    voltage_v: float | None = None
    node_nm: float | None = None
    note: str = ""
    low: float | None = None
    high: float | None = None
    included_in: str | None = None

    @property
    def is_priced(self) -> bool:
        """Whether the figure contributes a known amount (a number, or inside another one)."""
        return self.value is not None or self.included_in is not None


@dataclass(frozen=True, slots=True)
class SyncSpec:
    """How a time step ends.

    ``table``: a barrier of ``points`` (mapped tiles -> ns; the largest key not above the mapped
    number counts); ``tick``: a timer of ``tick_s``, no barrier; ``none``: nothing.
    """

    kind: Literal["table", "tick", "none"] = "none"
    points: tuple[tuple[int, Figure], ...] = ()
    tick_s: Figure | None = None


@dataclass(frozen=True, slots=True)
class LawSpec:
    """A published cost law: a formula that unit costs cannot express; see ``nmhw.values.laws``.

    Attributes
    ----------
    kind : str
        Name of the formula: clocked-power, event-cycles, xylo-cycles, points.
    terms : mapping of coefficient name to Figure, each in the unit its formula asks for
    points : tuple of (position, Figure)
        Of a law that is a list of measured points, ascending in ``variable``.
    source : str
        Citation key of the formula itself.
    """

    kind: str
    source: str
    terms: Mapping[str, Figure] = field(default_factory=dict)
    variable: str = ""
    points: tuple[tuple[float, Figure], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class CostTable:
    """Unit costs by event kind; kinds that are absent are unpriced.

    Attributes
    ----------
    energy_pj, latency_ns : mapping of event kind to Figure
        A key without suffix ("synop") serves every kind below it that has no own key.
    static_w : mapping
        "chip" and / or "core" (per used chip / per used core).
    sync : SyncSpec
    laws : mapping of name to LawSpec
        Published formulas; never part of a run's energy, ``nmhw.values.laws`` evaluates them.
    """

    name: str
    title: str
    energy_pj: Mapping[str, Figure]
    latency_ns: Mapping[str, Figure]
    static_w: Mapping[str, Figure]
    sync: SyncSpec = SyncSpec()
    notes: tuple[str, ...] = ()
    laws: Mapping[str, LawSpec] = field(default_factory=dict)
