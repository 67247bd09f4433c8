"""What the float run executes: step equations, linear maps, delays, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nmhw.errors import UsageError
from nmhw.sim.float_linear import LinearMap
from nmhw.values.discrete import FloatCell
from nmhw.values.discretize import discretize
from nmhw.values.network import Network, Population, Projection
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile
from nmhw.values.topology import (
    closing_projections,
    depths,
    evaluation_order,
    projection_delays,
    strong_components,
)


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """One projection ready to run; its bias counts from step ``bias_from`` on."""

    projection: Projection
    map: LinearMap
    delay: int
    bias_from: int


@dataclass(frozen=True, slots=True, eq=False)
class FloatProgram:
    """A network under a profile, ready to run.

    ``groups`` are loops and single populations in topological order, each in the order of
    evaluation; ``edges`` the incoming projections of every population; ``widest`` the largest
    number of elements of a node.
    """

    network: Network
    profile: Profile
    cells: Mapping[str, FloatCell]
    populations: Mapping[str, Population]
    edges: Mapping[str, tuple[Edge, ...]]
    groups: tuple[tuple[str, ...], ...]
    depth: Mapping[str, int]
    probes: tuple[Probe, ...]
    widest: int


def prepare(network: Network, profile: Profile, probes: Sequence[Probe]) -> FloatProgram:
    """Return the program; mixed delays must have been split before.

    Raises
    ------
    UsageError
        For a probe of a population or variable that does not exist.
    """
    cells = discretize(network, profile)
    delays = projection_delays(network, profile)
    sizes = network.sizes()
    closing = closing_projections(network)
    edges: dict[str, list[Edge]] = {p.name: [] for p in network.populations}
    for p in network.projections:
        map_ = LinearMap(p, sizes[p.source], sizes[p.target])
        bias_from = profile.recurrent_bias_from_step if p.name in closing else 0
        edges[p.target].append(Edge(p, map_, delays[p.name], bias_from))
    rank = {n: k for k, n in enumerate(evaluation_order(network, profile, delays))}
    groups = tuple(tuple(sorted(g, key=rank.__getitem__)) for g in strong_components(network))
    wanted = list(probes)
    for probe in probes:
        population = network.population(probe.population)
        if probe.variable == "u2":
            raise UsageError(
                "a float population has one synaptic current", where=f"{probe.population}:u2"
            )
        if probe.variable == "u" and not population.model.has_current:
            raise UsageError(
                "no synaptic current to probe", got=f"{probe.population}:u",
                hint=f"{probe.population}:v",
            )  # fmt: skip
    sources = dict.fromkeys(s for o in network.outputs for s in o.sources)
    for name in sources:
        probed = any(p.population == name and p.variable == "v" for p in probes)
        if not network.population(name).model.is_spiking and not probed:
            wanted.append(Probe(name, "v"))
    return FloatProgram(
        network=network,
        profile=profile,
        cells=cells,
        populations={p.name: p for p in network.populations},
        edges={name: tuple(e) for name, e in edges.items()},
        groups=groups,
        depth=depths(network, delays),
        probes=tuple(wanted),
        widest=max(sizes.values()),
    )
