"""What nmhw counted in a run, in the terms in which SANA-FE counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from mapped_graph import count_fan_out
from numpy.typing import NDArray

from nmhw.api.run import Run
from nmhw.values.connectivity import synapse_counts
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

Row = dict[str, Any]

COMPARED = ("spikes", "packets", "events", "updates", "hops", "spikes_per_step")
SYNOPS = ("synop.dense", "synop.sparse", "synop.shared")


def resting(quantized: QuantizedNetwork) -> list[QuantizedPopulation]:
    """Return the populations whose neurons can be idle; their membranes have to be probed."""
    return [p for p in quantized.populations if not p.v_bias.all()]


def count_work(quantized: QuantizedNetwork, run: Run) -> Row:
    """Return the counts of COMPARED, and whether nmhw's synops are those of its spikes.

    Two definitions differ. nmhw books a synaptic event where it is processed, a step behind the
    spike, so those of the last step are beyond the run; SANA-FE counts them. For SANA-FE a neuron
    at rest is updated when something arrives, for nmhw when what arrives is not zero in sum.
    ``events`` and ``updates`` are as SANA-FE counts.

    Parameters
    ----------
    run : with the membranes of ``resting`` populations probed in every step
    """
    counters, n_steps = run.result.counters, run.result.counters.n_steps
    events, late, per_step = 0, 0, np.zeros(n_steps, np.int64)
    for name, fan in count_fan_out(quantized).items():
        spikes = run.result.spikes[name]
        events += int(fan[spikes.index].sum())
        late += int(fan[spikes.index[spikes.step == n_steps - 1]].sum())
        per_step += np.bincount(spikes.step, minlength=n_steps)
    totals = {kind: int(count.sum()) for kind, count in counters.totals.items()}
    return {
        "spikes": totals["neuron.spike"],
        "packets": totals["axon.out"],
        "events": events,
        "updates": totals["neuron.active"] + count_cancelled(quantized, run),
        "hops": totals["hop.x"] + totals["hop.y"],
        "spikes_per_step": per_step.tolist(),
        "is_counted": sum(totals[kind] for kind in SYNOPS) == events - late,
    }


def count_cancelled(quantized: QuantizedNetwork, run: Run) -> int:
    """Count arrivals that sum to zero at a membrane at zero: it stays there and does not fire."""
    total = 0
    for population in resting(quantized):
        v = run.probes[population.name]["v"].values[0]
        stayed = v == 0
        stayed[1:] &= v[:-1] == 0
        stayed[0] &= population.v0 == 0
        silent = stayed & ~_raster(run, population.name)
        total += int((silent & _arrivals(quantized, run, population)).sum())
    return total


def _raster(run: Run, name: str) -> NDArray[np.bool_]:
    return np.asarray(run.result.spikes[name].dense()[0] > 0)


def _arrivals(
    quantized: QuantizedNetwork, run: Run, population: QuantizedPopulation
) -> NDArray[np.bool_]:
    """Return (n_steps, n) where at least one synaptic event arrived."""
    sizes, shape = quantized.sizes(), (run.result.counters.n_steps, population.size)
    arrived = np.zeros(shape, np.bool_)
    for projection in quantized.projections:
        if projection.target == population.name and projection.source in run.result.spikes:
            reached = synapse_counts(projection, sizes[projection.source], population.size)
            raster = _raster(run, projection.source)[: -projection.delay_steps]
            arrived[projection.delay_steps :] |= raster.astype(np.int64) @ reached > 0
    return arrived
