"""MPD-ED and STBP in integers: one sample, step by step over whole populations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.lava.worker.nmhw_lava.fixed_point import carried, entering, kept, slopes_at
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.integer_layer import IntegerLayer
from nmhw.sim.learning.kernels.layout import IntegerArithmetic
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.tables import IntegerFormat
from nmhw.values.arithmetic import initial_state, reset_membrane, step_cell
from nmhw.values.quantized import CellSpec, QuantizedPopulation

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def population_of(name: str, n: int, keep: int, form: IntegerFormat) -> QuantizedPopulation:
    """Return the membrane as the chip simulator's cell; its threshold is set in every step."""
    spec = CellSpec(
        v_decay="mulshift",
        decay_bits=form.decay_bits,
        rounding=form.rounding,  # type: ignore[arg-type]
        input_shift=form.input_shift,
        v_bits=form.v_bits,
        compare=form.compare,  # type: ignore[arg-type]
        reset="zero",
    )
    zeros, keeps = np.zeros(n, np.int64), np.full(n, keep, np.int64)
    return QuantizedPopulation(
        name, (n,), spec, u_keep=zeros, v_keep=keeps, u_bias=zeros, v_bias=zeros,
        threshold=zeros, v_reset=zeros, v0=zeros, scale=np.ones(n), profile_index=zeros, depth=0,
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class StepRecord:
    """What a population did in a sample; arrays (T, n_out), ``events`` (T, n_in)."""

    events: Ints
    spikes: Bools
    excess: Ints
    admitted: Bools
    error: Ints
    asked: Bools


class IntegerSteps:
    """Forward and reverse pass of a sample.

    Parameters
    ----------
    net, rule, form
    layers : list of IntegerLayer
    lowest : int
        First layer that is trained.
    """

    def __init__(
        self,
        net: LearningNetwork,
        rule: GradientRule,
        form: IntegerFormat,
        layers: list[IntegerLayer],
        lowest: int,
    ) -> None:
        self.net, self.rule, self.form = net, rule, form
        self.layers, self.lowest = layers, lowest
        self.records: list[StepRecord] = []
        self.head_events = np.zeros((rule.n_steps, 0), np.int64)
        self.error_packets = [np.zeros(layer.n_out, np.int64) for layer in net.layers]

    def forward(self, raster: Ints, theta: list[Ints], ramp: Ints, a: IntegerArithmetic) -> Ints:
        """Return raw scores of spikes per step, (T, n_inputs); ``theta`` per population."""
        self.records, spikes = [], raster
        for population, k in enumerate(self.net.feedforward):
            layer = self.layers[k]
            events = spikes @ layer.cover
            layer.count("synop", (events * layer.exists.sum(axis=1)).sum())
            layer.count("neuron_update", self.rule.n_steps * layer.layer.n_out)
            if k == self.net.feedforward[-1] and self.rule.head == "integrator":
                self.head_events = events
                return events.sum(axis=0) @ layer.matrix()
            record = self._run(k, events, theta[population], ramp, a)
            self.records.append(record)
            spikes = record.spikes.astype(np.int64)
            layer.count("spike", spikes.sum())
        return spikes.sum(axis=0)

    def reverse(self, error: Ints, on: Bools, a: IntegerArithmetic) -> list[Ints]:
        """Walk back from the errors of the scores; return dL/dtheta per population."""
        last = len(self.net.feedforward) - 1
        at_thresholds = [np.zeros(r.spikes.shape[1], np.int64) for r in self.records]
        for q in range(last, -1, -1):
            k = self.net.feedforward[q]
            if k < self.lowest:
                break
            if q == last and self.rule.head == "integrator":
                self._reverse_head(k, error, on, a)
                continue
            if q == last:
                self.records[q].error = np.tile(error, (self.rule.n_steps, 1))
                self.records[q].asked = np.tile(on, (self.rule.n_steps, 1))
            at_thresholds[q] = self._reverse_population(q, k, a)
        return at_thresholds

    def _run(
        self, k: int, events: Ints, theta: Ints, ramp: Ints, a: IntegerArithmetic
    ) -> StepRecord:
        layer, rule, loop = self.layers[k], self.rule, self.net.recurrent_of(k)
        n_out, matrix = layer.layer.n_out, layer.matrix()
        cell = population_of(layer.layer.name, n_out, a.keep, self.form)
        held = replace(cell, spec=replace(cell.spec, reset="none"))
        state = initial_state(cell)
        shape = (rule.n_steps, n_out)
        spikes, excess = np.zeros(shape, bool), np.zeros(shape, np.int64)
        for t in range(rule.n_steps):
            drive = events[t] @ matrix
            if loop is not None and t:
                before = spikes[t - 1].astype(np.int64)
                drive = drive + before @ self.layers[loop].matrix()
                self.layers[loop].count("synop", before.sum() * n_out)
            limit = theta >> a.theta_bits
            if rule.threshold == "ramp":
                limit = np.full(n_out, ramp[t])
            done = step_cell(replace(held, threshold=limit), state, drive)
            v = np.asarray(done.state.v, np.int64)
            spikes[t], excess[t] = done.n_spikes > 0, v - limit
            state = replace(done.state, v=reset_membrane(v, done.n_spikes, limit, 0, "zero"))
        admitted = spikes
        if rule.mask == "band":
            admitted = np.abs(excess) < a.band
        elif rule.mask == "none":
            admitted = np.ones(shape, bool)
        nothing = np.zeros(shape, np.int64)
        return StepRecord(events, spikes, excess, admitted, nothing, np.zeros(shape, bool))

    def _reverse_head(self, k: int, error: Ints, on: Bools, a: IntegerArithmetic) -> None:
        layer, events = self.layers[k], self.head_events
        layer.count("error_event", on.sum())
        if self.records and k > self.lowest:
            below = self.records[-1]
            met = layer.fan_out(on)
            back = layer.cover @ (layer.matrix() @ error)
            reached = layer.cover @ (met > 0) > 0
            below.error = np.tile(carried(back, a), (self.rule.n_steps, 1))
            below.asked = below.admitted & reached
            wanted = below.admitted.any(axis=0) @ layer.cover > 0
            layer.count("propagation_mac", met[wanted].sum())
            layer.count("transposed_read", met[wanted].sum())
            told = below.asked.any(axis=0)
            layer.count("error_packet", told.sum())
            self.error_packets[self.net.feedforward[-2]] += told
        if layer.is_stream and self.rule.mask == "none":
            for t in range(self.rule.n_steps - 1, -1, -1):
                layer.learn(events[t], error, on, a)
            return
        active = events.sum(axis=0)
        if not layer.is_frozen:
            layer.count("gradient_mac", layer.fan_out(on)[active > 0].sum())
        layer.learn(active, error, on, a)

    def _reverse_population(self, q: int, k: int, a: IntegerArithmetic) -> Ints:
        layer, record, loop = self.layers[k], self.records[q], self.net.recurrent_of(k)
        n_out, n_steps = layer.layer.n_out, self.rule.n_steps
        value, since = np.zeros(n_out, np.int64), np.zeros(n_out, np.int64)
        alive, dv = np.zeros(n_out, bool), np.zeros(n_out, np.int64)
        at_threshold = np.zeros(n_out, np.int64)
        for t in range(n_steps - 1, -1, -1):
            admitted, error, asked = record.admitted[t], record.error[t], record.asked[t]
            if loop is not None and t + 1 < n_steps:
                error, asked = self._from_loop(loop, admitted, error, asked, dv, alive, a)
            held = alive & ~record.spikes[t]
            slope = slopes_at(record.excess[t], a)
            entry = admitted & asked & (slope != 0)
            entered = np.where(entry, entering(slope, error), 0)
            at_threshold -= entered
            layer.count("surrogate", (admitted & asked).sum())
            layer.count("error_event", entry.sum())
            if self.rule.mask == "band":
                layer.count("decay_lookup", (entry & held).sum())
            merged = entered + np.where(held, kept(value, since - t, a), 0)
            value, since = np.where(entry, merged, value), np.where(entry, t, since)
            alive = entry | held
            dv = np.where(alive, kept(value, np.where(alive, since - t, 0), a), 0)
            if q and k > self.lowest:
                self._to_sources(q, k, t, dv, alive, a)
            self._learn(layer, record.events[t], dv, alive, a)
            if loop is not None and t:
                before = record.spikes[t - 1].astype(np.int64)
                self._learn(self.layers[loop], before, dv, alive, a)
        return at_threshold

    def _from_loop(
        self,
        loop: int,
        admitted: Bools,
        error: Ints,
        asked: Bools,
        dv: Ints,
        alive: Bools,
        a: IntegerArithmetic,
    ) -> tuple[Ints, Bools]:
        """A spike also drove its own population in the step behind."""
        layer, n = self.layers[loop], int(alive.sum())
        self._count_carried(layer, admitted.sum() * n)
        if not n:
            return error, asked
        layer.count("error_packet", admitted.sum())
        back = carried(layer.matrix() @ dv, a)
        return back + np.where(asked, error, 0), np.ones_like(asked)

    def _to_sources(
        self, q: int, k: int, t: int, dv: Ints, live: Bools, a: IntegerArithmetic
    ) -> None:
        layer, below = self.layers[k], self.records[q - 1]
        met = layer.cover @ layer.fan_out(live)
        below.error[t] = carried(layer.cover @ (layer.matrix() @ dv), a)
        below.asked[t] = below.admitted[t] & (met > 0)
        self._count_carried(layer, met[below.admitted[t]].sum())
        layer.count("error_packet", below.asked[t].sum())
        self.error_packets[self.net.feedforward[q - 1]] += below.asked[t]

    def _learn(
        self, layer: IntegerLayer, events: Ints, dv: Ints, live: Bools, a: IntegerArithmetic
    ) -> None:
        if self.rule.mask == "none":  # the gate looks at sources only
            live = np.ones_like(live)
        if not layer.is_frozen:
            n = int((events * layer.fan_out(live)).sum())
            layer.count("gradient_mac", n)
            layer.count("decay_lookup", n)
        layer.learn(events, dv, live, a)

    def _count_carried(self, layer: IntegerLayer, n: int | np.int64) -> None:
        layer.count("propagation_mac", n)
        layer.count("transposed_read", n)
        if self.rule.mask == "band":
            layer.count("decay_lookup", n)
