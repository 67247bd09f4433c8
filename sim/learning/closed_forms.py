"""Operation counts as formulas over spike records: what any engine that runs a rule must count.

Notation of docs/learning.md, per layer and sample: T steps, I (pooled) sources, O targets, N
synapses (I O if dense), S input events, K spikes of the targets. ``live`` holds the neuron-steps
whose dL/dv can differ from 0: an error entered there, or later without an own spike in between.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.learning.count_live import LiveSteps, live_steps
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.spike_time import causal_set
from nmhw.sim.learning.step_form import StepTrace, each_step
from nmhw.sim.learning.synapses import pooling_of, synapses_of
from nmhw.sim.learning.time_form import TimeTrace
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS, OperationCounts

Bools = NDArray[np.bool_]
Accounting = Literal["event", "band", "gated", "gated-once", "dense"]
Accumulate = Literal["sample", "stream"]
Row = dict[str, int]

#: Spikes of a step are kept in words of this many bits by the dense accounting.
SPIKES_PER_WORD = 32

_NATURAL: dict[str, Accounting] = {"spike": "event", "band": "band", "none": "gated"}


def natural_accounting(rule: GradientRule) -> Accounting:
    """Return the accounting of a machine built for the rule's mask."""
    return _NATURAL[rule.mask]


def check_accounting(rule: GradientRule, accounting: str | None) -> Accounting:
    """Return the accounting, the rule's natural one for None.

    Raises
    ------
    UsageError
        STD-ED and SRM are counted by events only; MPD-ED and STBP in every way.
    """
    if accounting is None:
        return natural_accounting(rule)
    known: tuple[Accounting, ...] = ("event",)
    if rule.name not in ("std-ed", "srm"):
        known = ("event", "band", "gated", "gated-once", "dense")
    for name in known:
        if name == accounting:
            return name
    hint = "one of " + ", ".join(known)
    raise UsageError(f"{rule.name} has no such accounting", got=repr(accounting), hint=hint)


def count_times(
    net: LearningNetwork,
    rule: GradientRule,
    traces: list[TimeTrace],
    accounting: Accounting | None,
    accumulate: Accumulate,
    learns: bool,
) -> OperationCounts:
    """Return the operations of STD-ED for a batch of spike times."""
    check_accounting(rule, accounting)
    rows = [_time_forward(trace) for trace in traces]
    if learns:
        rows[0]["log_word"] = int(np.isfinite(traces[0].sources).sum())
        reached: Bools | None = None
        for k in range(len(traces) - 1, -1, -1):
            reached = _time_backward(rule, rows[k], traces[k], reached, k > 0, accumulate)
        rows[-1]["exponential"] = len(traces[0].inputs) * net.n_classes
    return _as_counts(net, rows, len(traces[0].inputs))


def count_steps(
    net: LearningNetwork,
    rule: GradientRule,
    inputs: NDArray[np.float64],
    traces: list[StepTrace],
    accounting: Accounting | None,
    accumulate: Accumulate,
    learns: bool,
) -> OperationCounts:
    """Return the operations of a rule in steps for a batch of spikes."""
    chosen = check_accounting(rule, accounting)
    batch = len(inputs)
    rows = [_step_forward(trace, batch, rule.n_steps) for trace in traces]
    if learns:
        if chosen in ("event", "band"):
            _events_backward(rows, rule, traces, chosen, accumulate)
        else:
            _clocked_backward(rows, rule, traces, chosen, accumulate)
        n_in = net.n_inputs
        if chosen == "dense":
            rows[0]["history_word"] += batch * rule.n_steps * -(-n_in // SPIKES_PER_WORD)
        else:
            rows[0]["log_word"] = rows[0].get("log_word", 0) + int(inputs.sum())
        rows[-1]["exponential"] = batch * net.n_classes
    return _as_counts(net, rows, batch)


def _time_forward(trace: TimeTrace) -> Row:
    synapses = synapses_of(trace.layer)
    reads = int((np.isfinite(trace.inputs) * synapses.fan_out).sum())
    row = {"synop": reads, "neuron_update": reads}
    if trace.spikes is not None:
        row |= {"crossing": trace.spikes.times.size, "spike": int(trace.spikes.fired.sum())}
    return row


def _time_backward(
    rule: GradientRule,
    row: Row,
    trace: TimeTrace,
    reached: Bools | None,
    carries: bool,
    accumulate: Accumulate,
) -> Bools:
    """Fill in a layer's row; return which of its sources an error reaches, (B, n_source)."""
    synapses, pooling = synapses_of(trace.layer), pooling_of(trace.layer)
    fired_in = np.isfinite(trace.inputs)
    n_pairs = n_words = 0
    if trace.spikes is None:
        row["error_event"] = len(fired_in) * trace.layer.n_out
        n_pairs = n_words = row["synop"]
        if trace.layer.kind == "conv":
            ones = np.ones((len(fired_in), 1, trace.layer.n_out))
            n_words = synapses.count_weights(fired_in[:, None], ones)
        touched = fired_in & (synapses.fan_out > 0)
    else:
        spikes = trace.spikes
        open_now = spikes.is_open if reached is None else spikes.is_open & reached
        row["error_event"] = row["division"] = int(open_now.sum())
        row["log_word"] = row.get("log_word", 0) + row["spike"]
        if rule.threshold == "window":
            touched = fired_in & synapses.reaches(open_now)
            n_pairs = synapses.count_pairs(fired_in, open_now)
            n_words = synapses.count_weights(fired_in[:, None], open_now[:, None])
        else:
            touched = np.zeros(fired_in.shape, dtype=bool)
            for b, t in enumerate(trace.inputs):
                pairs = causal_set(synapses, t, spikes.crossing[b], open_now[b])
                n_pairs += int(pairs.sum())
                n_words += synapses.count_weights_of(pairs)
                touched[b] = pairs.any(axis=1)
    row["gradient_mac"] = n_pairs
    _count_updates(row, n_words if accumulate == "sample" else n_pairs)
    if not carries:
        return touched
    row["propagation_mac"] = row["transposed_read"] = n_pairs
    below = pooling.to_earliest(touched.astype(np.float64), trace.winner) > 0
    row["error_packet"] = int(below.sum())
    return below


def _step_forward(trace: StepTrace, batch: int, n_steps: int) -> Row:
    reads = int((trace.events * synapses_of(trace.layer).fan_out).sum())
    if trace.layer.is_recurrent:
        return {"synop": reads}
    row = {"synop": reads, "neuron_update": batch * n_steps * trace.layer.n_out}
    if trace.spikes is not None:
        row["spike"] = int(trace.spikes.sum())
    return row


def _events_backward(
    rows: list[Row],
    rule: GradientRule,
    traces: list[StepTrace],
    accounting: Accounting,
    accumulate: Accumulate,
) -> None:
    """The reverse walk over the log: errors enter at masked neuron-steps only."""
    walks = live_steps(rule, traces, "spike" if accounting == "event" else "band")
    for k, (row, trace, walk) in enumerate(zip(rows, traces, walks, strict=True)):
        if walk.live is None:
            _events_head(row, trace, walk, accumulate)
        else:
            _events_hidden(row, rule, trace, walk, k, accounting, accumulate)


def _events_hidden(
    row: Row,
    rule: GradientRule,
    trace: StepTrace,
    walk: LiveSteps,
    k: int,
    accounting: Accounting,
    accumulate: Accumulate,
) -> None:
    synapses, live = synapses_of(trace.layer), walk.live
    assert live is not None
    n_in, n_out = trace.layer.n_in, trace.layer.n_out
    pairs = synapses.count_pairs(trace.events.reshape(-1, n_in), live.reshape(-1, n_out))
    carried = 0
    if walk.sources is not None:
        pooled = each_step(pooling_of(trace.layer).sums, walk.sources.astype(np.float64))
        carried = synapses.count_pairs(pooled.reshape(-1, n_in), live.reshape(-1, n_out))
        row["propagation_mac"] = row["transposed_read"] = carried
        row["error_packet"] = walk.n_packets
    row["gradient_mac"] = row["decay_lookup"] = pairs
    if rule.name == "srm" or accounting == "band":
        row["decay_lookup"] += carried + walk.n_merged
    if not trace.layer.is_recurrent:
        row["error_event"] = walk.n_entries
        row["log_word"] = walk.n_logged
        if rule.name == "srm":
            row["division"] = walk.n_entries * (1 if k == 0 else 2)
        else:
            row["surrogate"] = walk.n_evaluated
    if accumulate == "stream":  # spikes that one source has at once change a weight once
        events = (trace.events > 0).reshape(-1, n_in)
        _count_updates(row, synapses.count_pairs(events, live.reshape(-1, n_out)))
    else:
        _count_updates(row, synapses.count_weights(trace.events, live))


def _events_head(row: Row, trace: StepTrace, walk: LiveSteps, accumulate: Accumulate) -> None:
    """Integrator head: one error vector per sample, one product per source that spiked."""
    synapses = synapses_of(trace.layer)
    active = np.asarray(trace.events.any(axis=1))
    pairs = int((active * synapses.fan_out).sum())
    row["error_event"] = len(active) * trace.layer.n_out
    row["gradient_mac"] = pairs
    words = pairs
    if accumulate == "sample" and trace.layer.kind == "conv":
        ones = np.ones((len(active), 1, trace.layer.n_out))
        words = synapses.count_weights(active[:, None], ones)
    _count_updates(row, words)
    if walk.sources is not None:
        asked = walk.sources.any(axis=1).astype(np.float64)
        pooled = pooling_of(trace.layer).sums(asked) > 0
        row["propagation_mac"] = row["transposed_read"] = int((pooled * synapses.fan_out).sum())
        row["error_packet"] = walk.n_packets


def _clocked_backward(
    rows: list[Row],
    rule: GradientRule,
    traces: list[StepTrace],
    accounting: Accounting,
    accumulate: Accumulate,
) -> None:
    """STBP step by step; "gated" leaves weights alone whose source had no event."""
    for k, (row, trace) in enumerate(zip(rows, traces, strict=True)):
        layer, batch = trace.layer, len(trace.events)
        steps = batch * (rule.n_steps - 1 if layer.is_recurrent else rule.n_steps)
        once = trace.spikes is None and not layer.is_recurrent and accounting == "gated-once"
        every = batch if once else steps
        n_synapses = synapses_of(layer).n_synapses
        if not layer.is_recurrent:
            row["error_event"] = every * layer.n_out
        if trace.spikes is not None:
            row["surrogate"] = steps * layer.n_out
            row["history_word"] = steps * layer.n_out
            if accounting == "dense":
                row["history_word"] += steps * -(-layer.n_out // SPIKES_PER_WORD)
            else:
                row["log_word"] = row["spike"]
        contributions = steps * n_synapses if accounting == "dense" else row["synop"]
        row["gradient_mac" if accounting == "dense" else "gradient_add"] = contributions
        words = contributions
        if accumulate == "stream" and accounting != "dense":
            words = int(((trace.events > 0) * synapses_of(layer).fan_out).sum())
        if accumulate == "sample":
            words = batch * layer.n_weights
            if accounting != "dense":  # only where some event of the sample opened the gate
                gates = np.ones((*trace.events.shape[:2], layer.n_out))
                words = synapses_of(layer).count_weights(trace.events, gates)
        _count_updates(row, words)
        if k > 0:
            row["propagation_mac"] = row["transposed_read"] = every * n_synapses
            row["error_packet"] = every * layer.n_source
    rows[0].setdefault("history_word", 0)


def _count_updates(row: Row, n: int) -> None:
    """Weight read-modify-writes, every one written back (policy "always")."""
    row["weight_read"] = row["weight_write"] = n


def _as_counts(net: LearningNetwork, rows: list[Row], n_samples: int) -> OperationCounts:
    values = np.zeros((len(rows), len(OPERATIONS)), dtype=np.int64)
    for k, row in enumerate(rows):
        for name, count in row.items():
            values[k, OPERATION_INDEX[name]] = count
    return OperationCounts(net.names, values, n_samples)
