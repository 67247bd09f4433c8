"""Plain twin of the event form: one queue, one event at a time, every synapse looked up by name.

Nothing here is shared with ``sim/kernels`` or with the tables of ``event_program``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

#: (population, index, time stamp, layers passed, number of the event that entered)
Made = tuple[str, int, int, int, int]
Synapses = list[tuple[str, list[list[tuple[int, int]]]]]


class EventCells:
    """Membranes of all populations and what happened to them."""

    def __init__(self, quantized: QuantizedNetwork) -> None:
        self.populations = {p.name: p for p in quantized.populations}
        self.v = {p.name: [int(x) for x in p.v0] for p in quantized.populations}
        self.updates = {p.name: np.zeros(p.size, np.int64) for p in quantized.populations}
        self.saturations = dict.fromkeys(self.populations, 0)

    def leak(self) -> None:
        """Move every membrane with a constant leak toward 0."""
        for name, population in self.populations.items():
            if population.spec.v_decay != "subtract":
                continue
            for index in np.flatnonzero(population.v_keep).tolist():
                v, step = self.v[name][index], int(population.v_keep[index])
                self.v[name][index] = v - step if v > step else v + step if v < -step else 0
                self.updates[name][index] += 1

    def update(self, name: str, index: int, weight: int) -> bool:
        """Add one weight; return whether the neuron makes an event."""
        population = self.populations[name]
        spec = population.spec
        self.updates[name][index] += 1
        top = 2 ** (spec.v_bits - 1) - 1
        lowest = -top if population.v_min is None else int(population.v_min[index])
        v = max(self.v[name][index] + weight, lowest)
        if v > top:
            v = top
            self.saturations[name] += 1
        fires = spec.is_spiking and _passes(v, population, index)
        if fires:
            v = v - int(population.threshold[index]) if spec.reset == "subtract" else 0
        self.v[name][index] = v
        return fires


def run_queue(
    quantized: QuantizedNetwork,
    cells: EventCells,
    entering: list[tuple[str, int, int]],
    most: int,
) -> tuple[list[Made], int]:
    """Work off (input, index, time stamp) in their order; ("", 0, t) is a tick of the clock.

    Returns
    -------
    made : list of events in the order they were made
    stuck : number of the entering event that caused more than ``most`` events, else -1
    """
    synapses = {name: _synapses(quantized, name) for name in quantized.sizes()}
    made: list[Made] = []
    for number, (name, index, step) in enumerate(entering):
        if not name:
            cells.leak()
        waiting: deque[tuple[str, int, int]] = deque([(name, index, 0)])
        caused = 0
        while waiting:
            source, at, layers = waiting.popleft()
            targets = _biases(quantized) if not source else _targets(synapses[source], at)
            for target, neuron, weight in targets:
                if cells.update(target, neuron, weight):
                    made.append((target, neuron, step, layers + 1, number))
                    waiting.append((target, neuron, layers + 1))
                    caused += 1
            if caused > most:
                return made, number
    return made, -1


def _passes(v: int, population: QuantizedPopulation, index: int) -> bool:
    threshold = int(population.threshold[index])
    return v > threshold if population.spec.compare == ">" else v >= threshold


def _synapses(quantized: QuantizedNetwork, source: str) -> Synapses:
    """Return per projection its target and the (index, weight) pairs of every element."""
    found: Synapses = []
    sizes: Mapping[str, int] = quantized.sizes()
    for projection in quantized.projections:
        if projection.source != source:
            continue
        stored = stored_synapses(projection, sizes[projection.target])
        pools = pooled_map(projection, sizes[source])
        rows = []
        for element in range(sizes[source]):
            pairs: list[tuple[int, int]] = []
            for pooled in _row(pools, element)[0]:
                indices, weights = _row(stored, int(pooled))
                pairs += [
                    (int(i), int(w) << projection.shift)
                    for i, w in zip(indices, weights, strict=True)
                ]
            rows.append(sorted(pairs, key=lambda pair: pair[0]))
        found.append((projection.target, rows))
    return found


def _row(matrix: object, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    indptr = matrix.indptr  # type: ignore[attr-defined]
    here = slice(int(indptr[k]), int(indptr[k + 1]))
    return matrix.indices[here], matrix.data[here]  # type: ignore[attr-defined]


def _targets(synapses: Synapses, element: int) -> list[tuple[str, int, int]]:
    return [(name, i, w) for name, rows in synapses for i, w in rows[element]]


def _biases(quantized: QuantizedNetwork) -> list[tuple[str, int, int]]:
    found = []
    for population in quantized.populations:
        bias = population.u_bias + population.v_bias
        found += [(population.name, int(k), int(bias[k])) for k in np.flatnonzero(bias)]
    return found
