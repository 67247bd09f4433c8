"""What the worker's processes left, in the form of every other backend; their counts compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import LavaError
from nmhw.sim.reference import ReferenceOutput
from nmhw.values.arithmetic import CellState
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import Counters, ProbeData

Arrays = Mapping[str, NDArray[Any]]


def read_answer(
    quantized: QuantizedNetwork,
    inputs: Mapping[str, SpikeEvents],
    arrays: Arrays,
    *,
    n_steps: int,
    probes: Sequence[Probe] = (),
) -> ReferenceOutput:
    """Return spikes, probes, states and activity of a run.

    Parameters
    ----------
    arrays : mapping
        ``<population number>/<name>``, as ``worker/nmhw_lava/record.py`` saves them.
    n_steps : int
        Simulated steps per sample.
    """
    n_samples = next(iter(inputs.values())).n_samples
    spikes = dict(inputs)
    states, active, saturations = {}, {}, {}
    data = {}
    for k, population in enumerate(quantized.populations):
        own = {key.split("/", 1)[1]: a for key, a in arrays.items() if key.startswith(f"{k}/")}
        name = population.name
        row, index, count = own["events"]
        sample, step, which = (
            np.repeat(column, count).astype(np.int32)
            for column in (row // n_steps, row % n_steps, index)
        )
        spikes[name] = SpikeEvents(sample, step, which, n_samples, n_steps, population.shape)
        bits = np.unpackbits(own["active"], axis=1, count=population.size)
        active[name] = bits.astype(np.bool_)
        saturations[name] = int(own["n_saturated"])
        states[name] = CellState(own["state/u"], own["state/v"], own["state/refractory"])
        for probe in probes:
            if probe.population == name:
                kept = np.arange(0, n_steps, probe.every, dtype=np.int64)
                values = own[f"probe/{probe.variable}"].reshape(n_samples, kept.size, -1)
                data[name, probe.variable] = ProbeData(name, probe.variable, kept, values)
    return ReferenceOutput(spikes, data, states, active, saturations)


def compare_counts(
    counters: Counters, counted: Mapping[str, Mapping[str, int]], quantized: QuantizedNetwork
) -> None:
    """Refuse a run whose processes counted something else than its counters say.

    Parameters
    ----------
    counted : mapping
        The counting variables of the processes: ``n_events``, ``n_spikes``, ``n_updates``,
        ``n_synops``, each by name.

    Raises
    ------
    LavaError
        Naming the first process that counted differently.
    """
    for kind, expected in (
        ("n_events", counters.events_by_input),
        ("n_spikes", counters.spikes_by_population),
        ("n_synops", counters.synops_by_projection),
    ):
        for name, count in counted[kind].items():
            if count != expected[name]:
                _refuse(f"{kind} of {name}", count, expected[name])
    compartments = {p.name: p.n_compartments for p in quantized.populations}
    updates = sum(n * compartments[name] for name, n in counted["n_updates"].items())
    if updates != counters.total("neuron.active"):
        _refuse("n_updates of all populations", updates, counters.total("neuron.active"))


def _refuse(what: str, counted: int, expected: int) -> None:
    raise LavaError(
        "a Lava process counted other events than the run's counters",
        got=counted,
        limit=expected,
        where=what,
        hint="report this with the network: it is a bug",
        rule="lava.counts",
    )
