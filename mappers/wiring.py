"""Wiring: who reaches whom, once per network, in the form the mapping stages ask for.

Dense projections are never expanded: every covered source reaches every target. Convolutions are
expanded between pixels, since all channels of a group are wired alike. All others are held as one
array of sources per target neuron (compressed columns), so that the axons of any slice are one
gather and one count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.mappers.columns import Columns, compress
from nmhw.values.connectivity import pooled_rows
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

Ints = NDArray[np.int64]
#: Elements of a source node: many, so narrow.
Sources = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ProjectionWiring:
    """One projection's connectivity.

    Attributes
    ----------
    rows : (n_source,) int64
        Stored rows an event of each source reads: 1, or the pooled elements that cover it.
    columns : Columns or None
        None for dense storage.
    """

    projection: QuantizedProjection
    n_source: int
    n_target: int
    rows: Ints
    columns: Columns | None = None

    @property
    def n_synapses(self) -> int:
        """Synapses that events can read, counting one per source and pooled row."""
        if self.columns is None:
            return int(self.rows.sum()) * self.n_target
        return self.columns.n_synapses

    def axons_of(self, neurons: Ints) -> tuple[Sources, Ints]:
        """Return (sources ascending, int32; synapses of each) that reach the ``neurons``."""
        if self.columns is None:
            covered = np.flatnonzero(self.rows).astype(np.int32)
            return covered, self.rows[covered] * neurons.size
        total = self.columns.synapses_from(neurons)
        reached = np.flatnonzero(total).astype(np.int32)
        return reached, total[reached]

    def connected(self) -> Ints:
        """Return all sources with a synapse, ascending."""
        return np.flatnonzero(self.rows) if self.columns is None else self.columns.reached()

    def fan_in(self) -> Ints:
        """Return (n_target,) distinct sources of every target neuron."""
        if self.columns is None:
            return np.full(self.n_target, np.count_nonzero(self.rows), np.int64)
        return self.columns.fan_in()

    def synapses(self) -> Ints:
        """Return (n_target,) synapses of every target neuron."""
        return self.sum_over_axons(lambda lengths: lengths)

    def sum_over_axons(self, measure: Callable[[Ints], Ints], *, in_rows: bool = False) -> Ints:
        """Return (n_target,) the sum of a measure over the axons of every target neuron alone.

        ``measure`` takes the synapses of axons, or with ``in_rows`` the stored rows they read.
        """
        if self.columns is None:
            total = int(measure(self.rows[self.rows > 0]).sum())
            return np.full(self.n_target, total, np.int64)
        return self.columns.sum_per_target(measure, self.rows if in_rows else None)

    def channels(self, neurons: Ints) -> int:
        """Return how many output channels of the kernel the target ``neurons`` lie in."""
        assert self.projection.geometry is not None
        _, height, width = self.projection.geometry.out_shape
        return int(np.unique(neurons // (height * width)).size)


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """A whole network's connectivity and the profile numbers of its neurons.

    Attributes
    ----------
    sizes : mapping
        Elements of every input and population.
    incoming : mapping of population name to the wiring of its projections
    profiles, thresholds : mapping of population name to (n,) int64
        Equal numbers = the same neuron parameters (thresholds and biases aside) / threshold.
    delay_slots : mapping of population name to the ring-buffer slots of its neurons
    compartments : mapping of population name to compartments per neuron
    """

    network: QuantizedNetwork
    sizes: Mapping[str, int]
    incoming: Mapping[str, tuple[ProjectionWiring, ...]]
    profiles: Mapping[str, Ints]
    thresholds: Mapping[str, Ints]
    delay_slots: Mapping[str, int]
    compartments: Mapping[str, int]

    def default_rates(
        self, rates: Mapping[str, Any] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return spikes per sample of every source element; 1 where ``rates`` says nothing.

        Raises
        ------
        UsageError
            For a node that does not exist, a wrong size, or a rate that is negative or not finite.
        """
        full = {name: np.ones(size) for name, size in self.sizes.items()}
        for name, given in (rates or {}).items():
            values = np.asarray(given, np.float64).ravel()
            if name not in full or values.size != full[name].size:
                limit = full[name].size if name in full else "one of " + ", ".join(full)
                raise UsageError(
                    "rates need one value per element of a node",
                    got=f"{values.size} for {name!r}",
                    limit=limit,
                )
            if not np.isfinite(values).all() or (values < 0).any():
                raise UsageError("rates must be finite and not negative", where=repr(name))
            full[name] = values
        return full


def wire(network: QuantizedNetwork) -> Wiring:
    """Expand the connectivity of ``network`` (never of dense projections)."""
    sizes = dict(network.sizes())
    incoming: dict[str, list[ProjectionWiring]] = {p.name: [] for p in network.populations}
    slots = {p.name: 1 for p in network.populations}
    for projection in network.projections:
        n_source, n_target = sizes[projection.source], sizes[projection.target]
        incoming[projection.target].append(wire_projection(projection, n_source, n_target))
        slots[projection.target] = max(slots[projection.target], projection.delay_steps)
    profiles, thresholds = _number_profiles(network)
    frozen = {name: tuple(found) for name, found in incoming.items()}
    compartments = {p.name: p.n_compartments for p in network.populations}
    return Wiring(network, sizes, frozen, profiles, thresholds, slots, compartments)


def with_weight_bits(wiring: Wiring, weight_bits: int) -> Wiring | None:
    """Return the wiring with weights no wider than ``weight_bits``; None if none were wider."""
    changed = False
    incoming = {}
    for name, found in wiring.incoming.items():
        thin = []
        for wires in found:
            if wires.projection.weight_bits > weight_bits:
                changed = True
                wires = replace(
                    wires, projection=replace(wires.projection, weight_bits=weight_bits)
                )
            thin.append(wires)
        incoming[name] = tuple(thin)
    return replace(wiring, incoming=incoming) if changed else None


def wire_projection(
    projection: QuantizedProjection, n_source: int, n_target: int
) -> ProjectionWiring:
    """Return the connectivity of one projection."""
    rows = pooled_rows(projection, n_source)
    if projection.storage == "dense":
        return ProjectionWiring(projection, n_source, n_target, rows)
    columns = compress(projection, n_source, n_target)
    return ProjectionWiring(projection, n_source, n_target, rows, columns)


def _number_profiles(network: QuantizedNetwork) -> tuple[dict[str, Ints], dict[str, Ints]]:
    """Number the distinct neuron profiles and thresholds of the whole network."""
    known_profiles: dict[Any, int] = {}
    known_thresholds: dict[Any, int] = {}
    profiles, thresholds = {}, {}
    for population in network.populations:
        rows, threshold = _parameters(population)
        unique, inverse = np.unique(rows, axis=0, return_inverse=True)
        numbers = [
            known_profiles.setdefault((population.spec, row.tobytes()), len(known_profiles))
            for row in unique
        ]
        profiles[population.name] = np.asarray(numbers, np.int64)[inverse.ravel()]
        values, inverse = np.unique(threshold, return_inverse=True)
        numbers = [known_thresholds.setdefault(v.item(), len(known_thresholds)) for v in values]
        thresholds[population.name] = np.asarray(numbers, np.int64)[inverse.ravel()]
    return profiles, thresholds


def _parameters(population: QuantizedPopulation) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (n, k) profile parameters (biases are per neuron on every chip) and thresholds."""
    if population.spec.state == "float32" and population.floats is not None:
        floats = population.floats
        names = ("u_keep", "u_gain", "v_keep", "v_gain", "v_reset")
        columns: list[Any] = [floats[name] for name in names if name in floats]
        threshold: NDArray[Any] = floats.get("threshold", population.threshold)
    else:
        columns = [population.u_keep, population.v_keep, population.v_reset]
        columns += [c for c in (population.v_min, population.refractory_steps) if c is not None]
        threshold = population.threshold
    return np.stack([np.asarray(c) for c in columns], axis=1), np.asarray(threshold)
