"""Counters: event counts per core (and per step) from the spike record and the fan-out tables.

The hot loop counts spikes; everything linear in them is a product with ``fanout.py``'s tables. A
spike, its packets and its hops belong to the step that emits it. What it delivers (synops, axon.in)
belongs to the step that processes it, ``delay`` steps later, and is not counted where the sample
ends before (``continuous`` runs: where the run ends).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.event_input import fit_steps
from nmhw.sim.fanout import FanOut
from nmhw.sim.kernels.count import count_sources
from nmhw.sim.step_counter import StepCounter
from nmhw.sim.step_tables import SYNOPS
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import Counters

Ints = NDArray[np.int64]

#: Key of the routes in ``FanOut.kept``, where the names of sources are keys, too.
_ROUTES = ("routes",)

HOPS = ("hop.x", "hop.y", "hop.local", "link.crossing")


def count_events(
    quantized: QuantizedNetwork,
    fan_out: FanOut,
    chip: ChipSpec,
    output: EngineOutput,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    continuous: bool = False,
    step_counter: StepCounter | None = None,
    is_stepless: bool = False,
) -> Counters:
    """Count all events of a finished run.

    Parameters
    ----------
    output : EngineOutput
        Run with ``core_columns=fan_out.homes``.
    inputs : mapping of input name to SpikeEvents
    n_steps : int
        Simulated steps per sample, drain included.
    step_counter : StepCounter, optional
        That saw every chunk of the run.
    is_stepless : bool
        A run event by event: a neuron is visited by its updates alone.
    """
    n_samples = next(iter(output.step_counts.values())).shape[0]
    totals = _count_neurons(quantized, fan_out, output, 0 if is_stepless else n_samples * n_steps)
    if is_stepless:
        totals["neuron.visit"] = totals["neuron.active"].copy()
        totals["neuron.idle"] = np.zeros_like(totals["neuron.active"])
    totals |= {kind: np.zeros(fan_out.cores.size, np.int64) for kind in (*SYNOPS, "axon.in")}
    emitted = {**output.spike_totals}
    for name, events in inputs.items():
        emitted[name] = _per_source(fit_steps(events, n_steps))
    delivered = _Delivered(output, inputs, n_steps, continuous, emitted)
    by_projection = {}
    for projection in quantized.projections:
        arrived = delivered.by(projection.source, projection.delay_steps)
        counts = fan_out.synops[projection.name].count(arrived)
        by_projection[projection.name] = int(counts.sum())
        for code, kind in enumerate(SYNOPS):
            totals[kind] += np.where(fan_out.encodings[projection.name] == code, counts, 0)
    for source, tables in fan_out.packets.items():
        for delay, table in tables:
            totals["axon.in"] += table.count(delivered.by(source, delay))
    totals |= _count_routes(fan_out, chip, emitted)
    steps = None
    if step_counter is not None:
        steps = step_counter.finish(inputs, output, totals["neuron.visit"])
    _, _, (n_tiles, n_chips) = _routes(fan_out, chip)
    return Counters(
        n_samples=n_samples,
        n_steps=n_steps,
        cores=fan_out.cores,
        totals=totals,
        steps=steps,
        synops_by_projection=by_projection,
        spikes_by_population={n: int(t.sum()) for n, t in output.spike_totals.items()},
        events_by_input={name: int(emitted[name].sum()) for name in inputs},
        connections=sum(by_projection.values()),
        saturations=dict(output.saturations),
        n_tiles=n_tiles,
        n_chips=n_chips,
        is_stepless=is_stepless,
    )


def _per_source(events: SpikeEvents, inside: NDArray[np.bool_] | None = None) -> Ints:
    counts = np.zeros(events.n_neurons, np.int64)
    count_sources(events.index if inside is None else events.index[inside], counts)
    return counts


class _Delivered:
    """Events per source that arrive after a delay within the run."""

    def __init__(
        self,
        output: EngineOutput,
        inputs: Mapping[str, SpikeEvents],
        n_steps: int,
        continuous: bool,
        emitted: Mapping[str, Ints],
    ) -> None:
        self.output = output
        self.inputs = inputs
        self.n_steps = n_steps
        self.continuous = continuous
        self.emitted = emitted

    def by(self, source: str, delay: int) -> Ints:
        """Return (n_source,) events of ``source`` that ``delay`` steps later were processed."""
        if source not in self.inputs:
            late = self.output.undelivered[source][:delay]
            return np.asarray(self.emitted[source] - late.sum(axis=0))
        events = self.inputs[source]
        latest = int(events.step.max(initial=0))
        if not self.continuous and latest + delay < self.n_steps:
            return self.emitted[source]
        inside = events.step < self.n_steps
        when = events.step.astype(np.int64)
        if self.continuous:
            when += events.sample.astype(np.int64) * self.n_steps
        last = events.n_samples * self.n_steps if self.continuous else self.n_steps
        return _per_source(events, inside & (when + delay < last))


def _count_neurons(
    quantized: QuantizedNetwork, fan_out: FanOut, output: EngineOutput, n_rows: int
) -> dict[str, Ints]:
    n_cores = fan_out.cores.size
    kinds = ("neuron.visit", "neuron.active", "neuron.idle", "neuron.spike")
    totals = {kind: np.zeros(n_cores, np.int64) for kind in kinds}
    for population in quantized.populations:
        home, of_each = fan_out.homes[population.name], population.n_compartments
        totals["neuron.visit"] += of_each * np.bincount(home, minlength=n_cores) * n_rows
        active = output.active_updates[population.name]
        totals["neuron.active"][: active.size] += of_each * active
        totals["neuron.spike"] += fan_out.at_home(
            population.name, output.spike_totals[population.name]
        )
    totals["neuron.idle"] = totals["neuron.visit"] - totals["neuron.active"]
    return totals


def _count_routes(fan_out: FanOut, chip: ChipSpec, emitted: Mapping[str, Ints]) -> dict[str, Ints]:
    """Count packets sent and their hops: at the sender, those of inputs at the receiver."""
    totals = {kind: np.zeros(fan_out.cores.size, np.int64) for kind in ("axon.out", *HOPS)}
    distances, routes, _ = _routes(fan_out, chip)
    for source, tables in fan_out.packets.items():
        spikes, home = emitted[source], fan_out.homes.get(source)
        if home is not None:
            for kind, per_spike in routes[source].items():
                totals[kind] += fan_out.at_home(source, spikes * per_spike)
            continue
        for _, table in tables:
            packets = table.count(spikes)
            for kind in HOPS:
                totals[kind] += packets * distances[kind][-1]
    return totals


def _routes(
    fan_out: FanOut, chip: ChipSpec
) -> tuple[dict[str, Ints], dict[str, dict[str, Ints]], tuple[int, int]]:
    """Return distances, what one spike of every neuron adds to each kind, and (tiles, chips).

    Made once per mapping: a short run would spend most of its time here.
    """
    found = fan_out.kept.get(_ROUTES)
    if found is None or found[0] is not chip:
        distances = _distances(chip, fan_out.cores)
        routes: dict[str, dict[str, Ints]] = {}
        for source, tables in fan_out.packets.items():
            home = fan_out.homes.get(source)
            if home is None:
                continue
            costs = {kind: distances[kind][:-1] for kind in HOPS if distances[kind][:-1].any()}
            costs["axon.out"] = np.ones((1, fan_out.cores.size), np.int64)
            routes[source] = {
                kind: sum(
                    (table.weigh(cost, home if kind in HOPS else 0 * home) for _, table in tables),
                    np.zeros(home.size, np.int64),
                )
                for kind, cost in costs.items()
            }
        places = {chip.position(int(core)) for core in fan_out.cores}
        extent = len(places), len({chip_index for chip_index, _, _ in places})
        found = fan_out.kept[_ROUTES] = (chip, distances, routes, extent)
    return found[1], found[2], found[3]


def _distances(chip: ChipSpec, cores: Ints) -> dict[str, Ints]:
    """Return (n_cores + 1, n_cores) hops of each kind from core to core; last row: the port.

    Tiles of all chips lie on one grid (chip c at column c % width of the board); the port is on
    the first chip. A packet that crosses a border pays its hops and one crossing per border.
    """
    width, height = chip.mesh.width, chip.mesh.height
    places = [chip.position(int(core)) for core in cores]
    places.append((0, *chip.mesh.port))
    at, x, y = (np.array(column, np.int64) for column in zip(*places, strict=True))
    chip_x, chip_y = at % chip.board.width, at // chip.board.width
    x, y = x + width * chip_x, y + height * chip_y

    def apart(values: Ints) -> Ints:
        return np.asarray(np.abs(values[:, None] - values[None, :-1]))

    hop_x, hop_y = apart(x), apart(y)
    return {
        "hop.x": hop_x,
        "hop.y": hop_y,
        "hop.local": ((hop_x == 0) & (hop_y == 0)).astype(np.int64),
        "link.crossing": apart(chip_x) + apart(chip_y),
    }
