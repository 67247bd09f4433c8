"""A quantized network as the worker's description: plain JSON and arrays, no nmhw in it.

The form is stated in ``worker/nmhw_lava/build.py``. Every projection is unrolled to its stored
synapses, zeros included where the chip stores them: an event reads them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.lava.bounds import shifted_sums
from nmhw.sim.lava.stock import connection_kind, lif_parameters, stock_grid
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

Arrays = dict[str, NDArray[Any]]

#: Families whose cells the worker's processes compute exactly.
FAMILIES = ("loihi", "generic", "spinnaker2")

_CELL_ARRAYS = ("u_keep", "v_keep", "u_bias", "v_bias", "threshold", "v_reset", "v0")


def refuse_network(quantized: QuantizedNetwork) -> None:
    """Refuse what the worker cannot express exactly.

    Raises
    ------
    UsageError
        Naming the chip or the population.
    """
    if quantized.family not in FAMILIES:
        raise UsageError(
            "the Lava backend does not serve this chip's arithmetic",
            got=f"family {quantized.family}",
            limit=", ".join(FAMILIES),
            where=quantized.chip_name,
            hint="--backend numba",
            rule="lava.family",
        )
    for population in quantized.populations:
        if population.spec.summation != "exact" or population.alias is not None:
            raise UsageError(
                "the Lava backend has no process for sums that saturate event by event",
                where=population.name,
                hint="--backend numba",
                rule="lava.cell-form",
            )


def describe(
    quantized: QuantizedNetwork,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
) -> tuple[dict[str, Any], Arrays]:
    """Return the description of a network with its input events.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents, checked
    n_steps : int
        Simulated steps per sample, drain included.

    Raises
    ------
    UsageError
        See ``refuse_network``.
    """
    refuse_network(quantized)
    for probe in probes:
        if probe.variable == "u2":
            raise UsageError(
                "no second synaptic current to probe", where=probe.population, rule="sim.synapse"
            )
    n_samples = next(iter(inputs.values())).n_samples
    n_rows = n_samples * n_steps
    most = {name: max(1, events.largest_count()) for name, events in inputs.items()}
    most |= {p.name: p.spec.max_spikes_per_step for p in quantized.populations}
    sums = shifted_sums(quantized, most)
    arrays: Arrays = {}
    network: dict[str, Any] = {
        "name": quantized.name,
        "n_rows": n_rows,
        "steps": n_steps,
        "period": n_rows if continuous else n_steps,
        "inputs": [],
        "populations": [],
        "projections": [],
    }
    for k, port in enumerate(quantized.inputs):
        network["inputs"].append({"name": port.name, "n": port.size})
        row = inputs[port.name].sample.astype(np.int64) * n_steps + inputs[port.name].step
        bounds = np.arange(n_rows + 1, dtype=np.int64)
        arrays[f"inputs/{k}/pointers"] = np.searchsorted(row, bounds).astype(np.int64)
        arrays[f"inputs/{k}/index"] = inputs[port.name].index
    for k, population in enumerate(quantized.populations):
        arriving = sum(sums[q.name] for q in quantized.projections if q.target == population.name)
        entry, own = _population(population, arriving)
        entry["probes"] = [[p.variable, p.every] for p in probes if p.population == entry["name"]]
        network["populations"].append(entry)
        arrays |= {f"populations/{k}/{key}": value for key, value in own.items()}
    for k, projection in enumerate(quantized.projections):
        entry, own = _projection(quantized, projection, most[projection.source], sums)
        network["projections"].append(entry)
        arrays |= {f"projections/{k}/{key}": value for key, value in own.items()}
    return network, arrays


def _population(population: QuantizedPopulation, input_bound: int) -> tuple[dict[str, Any], Arrays]:
    entry = {"name": population.name, "n": population.size, "spec": asdict(population.spec)}
    stock = lif_parameters(population, input_bound)
    if stock is not None:
        return {**entry, "process": "CountedLif"}, stock
    arrays: Arrays = {key: getattr(population, key) for key in _CELL_ARRAYS}
    if population.floats is not None:
        arrays = {key: np.asarray(value, np.float32) for key, value in population.floats.items()}
    for key in ("v_min", "refractory_steps"):
        value = getattr(population, key)
        if value is not None:
            arrays[key] = value
    return {**entry, "process": "CellPopulation"}, arrays


def _projection(
    quantized: QuantizedNetwork, q: QuantizedProjection, most: int, sums: Mapping[str, int]
) -> tuple[dict[str, Any], Arrays]:
    sizes = quantized.sizes()
    n_source, n_target = sizes[q.source], sizes[q.target]
    # the stock models shift behind the sum, and their weights may have one bit more
    kind = connection_kind(q, 2 * sums[q.name] << max(0, -q.shift))
    mode, left = stock_grid(q.weights) or ("", 0)
    left = left if kind else 0
    entry = {
        "name": q.name,
        "source": q.source,
        "target": q.target,
        "process": kind or "Synapses",
        "n_source": n_source,
        "n_target": n_target,
        "shift": q.shift - left,
        "delay": q.delay_steps,
        "is_graded": most > 1,
        "sign_mode": mode,
    }
    if kind in ("CountedDense", "CountedDelayDense"):
        fan_out = np.full(n_source, n_target, np.int64)
        return entry, {"weights": q.weights.T.astype(np.int64) << left, "fan_out": fan_out}
    stored = stored_synapses(q, n_target)
    stored.sort_indices()
    arrays: Arrays = {
        "weights": stored.data.astype(np.int64) << left,
        "indices": stored.indices.astype(np.int64),
        "indptr": stored.indptr.astype(np.int64),
    }
    if kind is not None:
        return entry, {**arrays, "fan_out": np.diff(arrays["indptr"])}
    if q.pools:
        pools = pooled_map(q, n_source)
        arrays["pool_indices"] = pools.indices.astype(np.int64)
        arrays["pool_indptr"] = pools.indptr.astype(np.int64)
    return entry, arrays
