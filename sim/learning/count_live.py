"""Which neuron-steps carry an error in the reverse walk: the sets that the closed forms count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.step_form import StepTrace, each_step
from nmhw.sim.learning.synapses import pooling_of, synapses_of
from nmhw.sim.learning.thresholds import may_enter, surrogate

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LiveSteps:
    """The reverse walk of one layer as sets and their sizes.

    Attributes
    ----------
    live : (B, T, n_out) bool or None
        Steps of the targets with dL/dv; of a recurrent layer those its events meet. None for an
        integrator head, whose error is there in every step.
    sources : (B, T, n_source) bool or None
        Where the sources take an error: their mask; None for the network's inputs.
    n_entries, n_evaluated, n_logged : int
        Errors that entered; surrogates looked at; words in the log of the targets.
    n_merged : int
        Errors that entered a neuron that carried one already.
    n_packets : int
        Error words sent to the sources.
    """

    live: Bools | None
    sources: Bools | None
    n_entries: int = 0
    n_evaluated: int = 0
    n_logged: int = 0
    n_merged: int = 0
    n_packets: int = 0


def live_steps(
    rule: GradientRule, traces: list[StepTrace], mask: Literal["spike", "band"]
) -> list[LiveSteps]:
    """Return the walk of every layer, as a machine with this mask makes it.

    An error enters a neuron-step that the mask admits, that an error of the layers behind reaches,
    and whose surrogate is not 0.
    """
    walks: list[LiveSteps] = []
    reached: Bools | None = None
    for k in range(len(traces) - 1, -1, -1):
        trace = traces[k]
        if trace.layer.is_recurrent:
            continue
        sources = _mask_of(rule, _feeding(traces, k), mask) if k else None
        if trace.spikes is None:
            walk = LiveSteps(None, sources)
            shape = (*trace.events.shape[:2], trace.layer.n_out)
            targets = np.ones(shape, dtype=bool)
        else:
            loop = traces[k + 1] if k + 1 < len(traces) else None
            looped = loop if loop is not None and loop.layer.is_recurrent else None
            walk = _walk(rule, trace, reached, looped is not None, mask)
            assert walk.live is not None
            targets = walk.live
            if looped is not None:
                walks.append(_loop_walk(rule, trace, walk.live, mask))
            walk = replace(walk, sources=sources)
        reached = _reached(trace, targets)
        if sources is not None:
            hit = sources & reached
            if walk.live is None:
                hit = np.asarray(hit.any(axis=1))
            walk = replace(walk, n_packets=int(hit.sum()))
        walks.append(walk)
    return walks[::-1]


def _feeding(traces: list[StepTrace], k: int) -> StepTrace:
    """The layer whose targets are the sources of layer k."""
    before = traces[k - 1]
    return traces[k - 2] if before.layer.is_recurrent else before


def _mask_of(rule: GradientRule, trace: StepTrace, mask: Literal["spike", "band"]) -> Bools:
    assert trace.spikes is not None
    if mask == "spike" or trace.excess is None:
        return trace.spikes > 0
    return may_enter(replace(rule, name="mpd-ed", mask=mask), trace.excess)


def _walk(
    rule: GradientRule,
    trace: StepTrace,
    reached: Bools | None,
    has_loop: bool,
    mask: Literal["spike", "band"],
) -> LiveSteps:
    assert trace.spikes is not None
    spikes = trace.spikes > 0
    admitted = _mask_of(rule, trace, mask)
    has_slope = np.ones(spikes.shape, dtype=bool)
    if trace.excess is not None:
        has_slope = surrogate(rule, trace.excess) != 0
    live = np.zeros(spikes.shape, dtype=bool)
    later = np.zeros(spikes[:, 0].shape, dtype=bool)
    n_entries = n_evaluated = n_merged = 0
    for t in range(spikes.shape[1] - 1, -1, -1):
        asked = np.ones(later.shape, dtype=bool) if reached is None else reached[:, t]
        if has_loop:
            asked = asked | later.any(axis=1, keepdims=True)
        evaluated = admitted[:, t] & asked
        entry = evaluated & has_slope[:, t]
        held = later & ~spikes[:, t]
        n_evaluated += int(evaluated.sum())
        n_entries += int(entry.sum())
        n_merged += int((entry & held).sum())
        live[:, t] = later = entry | held
    logged = int((admitted | spikes).sum())
    return LiveSteps(live, None, n_entries, n_evaluated, logged, n_merged)


def _loop_walk(
    rule: GradientRule, trace: StepTrace, live: Bools, mask: Literal["spike", "band"]
) -> LiveSteps:
    """A recurrent layer: what its sources log in step t is delivered, and answered, in t + 1."""
    sources = np.zeros(live.shape, dtype=bool)
    sources[:, 1:] = _mask_of(rule, trace, mask)[:, :-1]
    n_packets = int((sources & live.any(axis=2, keepdims=True)).sum())
    return LiveSteps(live, sources, n_packets=n_packets)


def _reached(trace: StepTrace, targets: Bools) -> Bools:
    """Return which sources (in front of the pool) have a synapse to a live target, per step."""
    synapses, pooling = synapses_of(trace.layer), pooling_of(trace.layer)

    def back(rows: Bools) -> Bools:
        return pooling.spread(synapses.reaches(rows).astype(np.float64)) > 0

    return each_step(back, targets)
