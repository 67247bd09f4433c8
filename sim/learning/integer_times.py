"""STD-ED in ticks, in integers: one sample, tick by tick over whole populations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.lava.worker.nmhw_lava.fixed_point import (
    SLOPE_BITS,
    carried,
    entering,
    half_up,
    inverse_slope,
)
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.integer_layer import IntegerLayer
from nmhw.sim.learning.kernels.layout import IntegerArithmetic
from nmhw.sim.learning.layer import LearningNetwork

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Tick of a neuron that does not fire.
SILENT = -1


@dataclass(frozen=True, slots=True, eq=False)
class TimeRecord:
    """What a layer did in a sample.

    Attributes
    ----------
    t_in, winner : (n_in,) int64
        Ticks at the weights, and the source that was first.
    t_out : (n_out,) int64
        On the time axis of the inputs.
    is_open : (n_out,) bool
        Fired, and not because the threshold was passed when the window opened.
    total : (n_out,) int64
        Sum of the codes of the inputs before the spike.
    """

    t_in: Ints
    winner: Ints
    t_out: Ints
    is_open: Bools
    total: Ints


class IntegerTimes:
    """Forward and reverse pass of a sample; parameters as `IntegerSteps`."""

    def __init__(
        self, net: LearningNetwork, rule: GradientRule, layers: list[IntegerLayer], lowest: int
    ) -> None:
        self.net, self.rule, self.layers, self.lowest = net, rule, layers, lowest
        self.records: list[TimeRecord] = []
        self.error_packets = [np.zeros(layer.n_out, np.int64) for layer in net.layers]

    def forward(self, ticks: Ints, a: IntegerArithmetic) -> Ints:
        """Return raw scores of input ticks, (n_inputs,)."""
        self.records, t = [], ticks
        for k, layer in enumerate(self.layers):
            t_in, winner = _earliest(layer, t)
            reads = layer.exists.sum(axis=1)[t_in != SILENT].sum()
            layer.count("synop", reads)
            layer.count("neuron_update", reads)
            if k == len(self.layers) - 1 and self.rule.head == "integrator":
                nothing = np.zeros(layer.layer.n_out, np.int64)
                self.records.append(TimeRecord(t_in, winner, nothing, nothing > 0, nothing))
                return _activity(t_in, a) @ layer.matrix()
            record = self._fire(layer, t_in, winner, a)
            self.records.append(record)
            layer.count("crossing", layer.layer.n_out)
            layer.count("spike", (record.t_out != SILENT).sum())
            t = np.where(record.t_out != SILENT, record.t_out - a.opens, SILENT)
        return -np.where(t != SILENT, t, a.last - a.opens)

    def reverse(self, error: Ints, on: Bools, a: IntegerArithmetic) -> None:
        """Walk back from the errors of the scores."""
        d_time, reached = -half_up(a.timing_gain * error, SLOPE_BITS), on
        for k in range(len(self.layers) - 1, self.lowest - 1, -1):
            layer, record = self.layers[k], self.records[k]
            fired = record.t_in != SILENT
            if k == len(self.layers) - 1 and self.rule.head == "integrator":
                events, e = on, np.broadcast_to(error, layer.exists.shape)
                causal = fired[:, None] & on & (layer.exists > 0)
                factors = _activity(record.t_in, a)[:, None] * e
                sign = np.where(record.t_in < a.reads_at, -1, 0)
            else:
                events = record.is_open & reached
                inverse = np.array([inverse_slope(int(n), a) for n in record.total], np.int64)
                e = np.where(events, entering(inverse, d_time), 0)
                causal = fired[:, None] & (record.t_in[:, None] < record.t_out) & events
                causal &= layer.exists > 0
                factors = (record.t_in[:, None] - record.t_out) * e
                sign = np.ones(record.t_in.size, np.int64)
                layer.count("division", events.sum())
            layer.count("error_event", events.sum())
            d_time, reached = self._carry(k, np.where(causal, e, 0), causal, sign, a)
            if not layer.is_frozen:
                layer.count("gradient_mac", causal.sum())
            layer.learn(fired.astype(np.int64), factors, causal, a)

    def _carry(
        self, k: int, e: Ints, causal: Bools, sign: Ints, a: IntegerArithmetic
    ) -> tuple[Ints, Bools]:
        """Return dL/dt of the sources, and which of them an error reaches."""
        layer, record = self.layers[k], self.records[k]
        d_time = np.zeros(layer.layer.n_source, np.int64)
        reached = np.zeros(layer.layer.n_source, bool)
        if k <= self.lowest:
            return d_time, reached
        met = causal.any(axis=1)
        back = sign * carried((layer.matrix() * e).sum(axis=1), a)
        np.add.at(d_time, record.winner[met], back[met])
        reached[record.winner[met]] = True
        layer.count("propagation_mac", causal.sum())
        layer.count("transposed_read", causal.sum())
        layer.count("error_packet", reached.sum())
        self.error_packets[k - 1] += reached
        return d_time, reached

    def _fire(
        self, layer: IntegerLayer, t_in: Ints, winner: Ints, a: IntegerArithmetic
    ) -> TimeRecord:
        """Clocked: u += slope, compare, slope += codes of the inputs of this tick."""
        n_out, matrix = layer.layer.n_out, layer.matrix()
        u, slope = np.zeros(n_out, np.int64), np.zeros(n_out, np.int64)
        t_out, total = np.full(n_out, SILENT, np.int64), np.zeros(n_out, np.int64)
        for n in range(a.last + 1):
            u = u + slope
            now = (t_out == SILENT) & (u >= a.theta_of_tick[n]) & (u > 0) & (n >= a.opens)
            t_out[now], total[now] = n, slope[now]
            slope = slope + (t_in == n) @ matrix
        is_open = (t_out != SILENT) & ~(a.is_window & (t_out == a.opens))
        return TimeRecord(t_in, winner, t_out, is_open, total)


def _activity(t_in: Ints, a: IntegerArithmetic) -> Ints:
    return np.where(t_in == SILENT, 0, np.maximum(a.reads_at - t_in, 0))


def _earliest(layer: IntegerLayer, ticks: Ints) -> tuple[Ints, Ints]:
    """Return the earliest tick of every window and its first source."""
    late = np.where(ticks == SILENT, np.inf, ticks.astype(np.float64))[None]
    times, winner = layer.pooling.earliest(late)
    first = np.where(np.isfinite(times[0]), times[0], SILENT).astype(np.int64)
    return first, np.asarray(winner[0], np.int64)
