"""Recount: the demand of every core, counted again from the synapses.

Used by ``verify`` alone and written apart from the mappers' own footprint: it shares nothing with
it but ``nmhw.values.connectivity``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.core_axons import CoreAxons, axons_by_core, count_covered
from nmhw.mappers.rule_counts import recount_words
from nmhw.values.chip import RESOURCES, ChipSpec, EncodingSpec
from nmhw.values.conv_words import WORDS, padded_resources
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

Ints = NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Recount:
    """Every core's demand, counted from synapses."""

    quantized: QuantizedNetwork
    chip: ChipSpec
    mapping: Mapping
    used: dict[str, Ints] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_cores = self.chip.n_cores
        self.used = {name: np.zeros(n_cores, np.int64) for name in RESOURCES}
        sizes = self.quantized.sizes()
        cores = {p.name: self.mapping.core_of(p.name, p.size) for p in self.quantized.populations}
        for p in self.quantized.populations:
            self.used["neurons"] += p.n_compartments * np.bincount(cores[p.name], minlength=n_cores)
        several: dict[str, dict[int, list[Ints]]] = {
            name: {}
            for name, n in Counter(p.source for p in self.quantized.projections).items()
            if n > 1
        }
        formats: list[tuple[int, tuple[object, ...]]] = []
        stored = set()
        for projection in self.quantized.projections:
            n_source, home = sizes[projection.source], cores[projection.target]
            rows = count_covered(projection, n_source)
            members = neurons_by_core(home)
            for found in axons_by_core(projection, n_source, home):
                at = found.core
                self.used["synapses"][at] += found.n_synapses.sum()
                if projection.source in several:  # another projection may bring the same source
                    several[projection.source].setdefault(at, []).append(found.source)
                else:
                    self._count_axons(at, found.source, cores.get(projection.source))
                stored.add((projection.name, at))
                how = self._stored(projection, members[at], found, rows)
                if how is not None:
                    self.used["synapse_bits"][at] += how[0]
                    formats.append((at, how[1]))
        for key in sorted(set(self.mapping.encodings) - stored):
            self.problems.append(
                f"core {key[1]}: an encoding for {key[0]!r}, which has no synapse there"
            )
        for name, by_core in several.items():
            for at, sources in by_core.items():
                self._count_axons(at, np.unique(np.concatenate(sources)), cores.get(name))
        for at in {at for at, _ in formats}:
            self.used["synapse_formats"][at] = len({f for a, f in formats if a == at})
        self._count_profiles(cores)
        self._count_memory(cores)
        self._count_words()

    def _stored(
        self, projection: QuantizedProjection, targets: Ints, axons: CoreAxons, rows: Ints
    ) -> tuple[int, tuple[object, ...]] | None:
        """Return the bits and the format of one projection's synapses on one core."""
        core = axons.core
        kind = self.mapping.encodings.get((projection.name, core))
        where = f"core {core}: the synapses of {projection.name!r}"
        if kind is None:
            self.problems.append(f"{where} have no encoding")
            return None
        kinds = {str(e.kind) for e in self.chip.encodings}
        if kind not in kinds or not _may_store(kind, projection, kinds):
            self.problems.append(f"{where} cannot be stored as {kind!r} on {self.chip.name}")
            return None
        n_neurons = int(self.used["neurons"][core])
        options = []
        for encoding in self.chip.encodings:
            widths = [w for w in encoding.weight_bits if w >= projection.weight_bits]
            index = (
                [i for i in encoding.index_bits if 2**i >= n_neurons] if kind == "sparse" else [0]
            )
            if encoding.kind == kind and widths and index:
                bits = _brute_bits(encoding, widths[0], index[0], projection, targets, axons, rows)
                shape = (kind, widths[0], index[0], projection.shift, projection.sign_mode)
                options.append((bits, shape))
        if not options:
            self.problems.append(
                f"{where}: no {kind!r} format of {self.chip.name} holds "
                f"{projection.weight_bits}-bit weights and addresses {n_neurons} neurons"
            )
            return None
        return min(options, key=lambda o: o[0])

    def _count_axons(self, core: int, source: Ints, home: Ints | None) -> None:
        """Count distinct sources that reach ``core``; ``home`` = the cores of source neurons."""
        self.used["in_axons"][core] += source.size
        if home is not None:
            self.used["out_axons"] += np.bincount(home[source], minlength=self.chip.n_cores)

    def _count_profiles(self, cores: dict[str, Ints]) -> None:
        profiles: dict[int, set[object]] = {}
        thresholds: dict[int, set[object]] = {}
        for population in self.quantized.populations:
            columns, threshold = _profile_columns(population)
            rows = zip(cores[population.name].tolist(), *columns, strict=True)
            for core, *values in set(rows):
                for compartment in range(population.n_compartments):
                    kind = (population.spec, compartment, *values)
                    profiles.setdefault(core, set()).add(kind)
            for core, value in set(zip(cores[population.name].tolist(), threshold, strict=True)):
                thresholds.setdefault(core, set()).add(value)
        for core, kinds in profiles.items():
            self.used["neuron_profiles"][core] = len(kinds)
        for core, kinds in thresholds.items():
            self.used["threshold_profiles"][core] = len(kinds)

    def _count_memory(self, cores: dict[str, Ints]) -> None:
        total = self.used["memory_bits"]
        total += self.used["synapse_bits"]
        memory = self.chip.memory
        if memory is None:
            return
        total += memory.bits_per_in_axon * self.used["in_axons"]
        for population in self.quantized.populations:
            delays = [
                p.delay_steps for p in self.quantized.projections if p.target == population.name
            ]
            slots = max([1, *delays])
            states = population.n_compartments * memory.bits_per_neuron
            per_neuron = states + slots * memory.bits_per_neuron_delay_slot
            total += per_neuron * np.bincount(cores[population.name], minlength=self.chip.n_cores)
        total[self.used["neurons"] > 0] += memory.fixed_bits

    def _count_words(self) -> None:
        limited = [
            name
            for name in WORDS
            if any(name in {**g.budget, **g.soft_budget} for g in self.chip.cores)
        ]
        padded = padded_resources(self.chip)
        for core in self.mapping.cores if limited else ():
            words = recount_words(self.quantized, self.mapping, core, padded)
            for name in limited:
                self.used[name][core] = words[name]


def neurons_by_core(home: Ints) -> dict[int, Ints]:
    """Return the neurons on every core that has some, from the (n,) core of each."""
    order = np.argsort(home, kind="stable")
    cores, starts = np.unique(home[order], return_index=True)
    return dict(zip(cores.tolist(), np.split(order, starts[1:]), strict=True))


def _may_store(kind: str, projection: QuantizedProjection, kinds: set[str]) -> bool:
    """Whether a format suits a projection; padding to full rows is the last resort."""
    if projection.storage == "conv":
        return kind in ("shared", "sparse") or not kinds & {"shared", "sparse"}
    if projection.storage == "sparse":
        return kind == "sparse" or (kind == "dense" and "sparse" not in kinds)
    return kind in ("dense", "sparse")


def _brute_bits(
    encoding: EncodingSpec,
    weight_bits: int,
    index_bits: int,
    projection: QuantizedProjection,
    targets: Ints,
    axons: CoreAxons,
    rows: Ints,
) -> int:
    """Add up what the axons of one projection take on one core, axon kind by axon kind."""
    word, n_synapses = encoding.word_bits, axons.n_synapses
    if encoding.kind == "shared":
        assert projection.geometry is not None
        _, height, width = projection.geometry.out_shape
        channels = np.unique(targets // (height * width)).size
        elements = channels * int(projection.weights[0].size)
        words = (weight_bits * elements + word - 1) // word
        return words * word + encoding.axon_bits * axons.source.size
    if encoding.kind == "dense":
        n_synapses = rows[axons.source] * targets.size
    per_synapse = weight_bits + index_bits + encoding.extra_bits
    total = 0
    how_many = np.bincount(n_synapses)
    for length in np.flatnonzero(how_many).tolist():
        left, bits = int(length), encoding.axon_bits
        while left > 0:
            block = min(left, encoding.max_synapses_per_block or left)
            raw = encoding.header_bits + block * per_synapse
            bits += (raw + word - 1) // word * word
            left -= block
        total += bits * int(how_many[length])
    return total


def _profile_columns(population: QuantizedPopulation) -> tuple[list[list[object]], list[object]]:
    """Return the columns that make up a neuron profile, and the thresholds."""
    if population.spec.state == "float32" and population.floats is not None:
        names = ("u_keep", "u_gain", "v_keep", "v_gain", "v_reset")
        columns = [population.floats[n].tolist() for n in names if n in population.floats]
        return columns, population.floats.get("threshold", population.threshold).tolist()
    columns = [population.u_keep.tolist(), population.v_keep.tolist(), population.v_reset.tolist()]
    for optional in (population.v_min, population.refractory_steps):
        if optional is not None:
            columns.append(optional.tolist())
    return columns, population.threshold.tolist()
