"""Runs whose biases differ from sample to sample: one program, new registers for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.backends import run_backend
from nmhw.sim.chip_run import keep_tables
from nmhw.sim.merge_results import merge_results
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

BACKENDS = ("numba", "reference")


def run_biased(
    backend: str,
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    biased: Callable[[int], QuantizedNetwork],
    written: Sequence[str],
    n_samples: int,
    n_steps: int,
    *,
    kept: dict[str, Any],
    keep_spikes: int = 10**8,
    progress: Callable[[int, int], None] | None = None,
    **more: Any,
) -> RunResult:
    """Execute every sample with its own biases and count the writes.

    Parameters
    ----------
    biased : callable(sample)
        ``quantized`` with the biases of a sample and nothing else changed.
    written : sequence of str
        Populations whose biases the host writes before each sample (``host.bias``).
    kept : dict
        As in ``run_backend``; the tables are those of ``quantized``.

    Raises
    ------
    UsageError
        For a backend without this.
    """
    if backend not in BACKENDS:
        raise UsageError(
            "this backend keeps one set of biases", got=f"{backend} with input stage bias",
            hint="numba or reference, or --input-stage host", rule="input-stage.bias",
        )  # fmt: skip
    silent = {port.name: _silence(port.shape, n_steps) for port in quantized.inputs}
    parts: list[RunResult] = []
    n_kept = 0
    for sample in range(n_samples):
        network = biased(sample)
        tables: dict[str, Any] = {}
        if backend == "numba":  # weights and routes stay, states of earlier runs do not
            program, fan_out = keep_tables(quantized, mapping, kept)
            program = replace(program, quantized=network, spare=[], kept_runs=[])
            tables["tables"] = (program, fan_out, mapping)
        part = run_backend(
            backend, network, mapping, chip, silent,
            kept=tables, keep_spikes=max(0, keep_spikes - n_kept), **more,
        )  # fmt: skip
        n_kept += 0 if part.counters is None else sum(part.counters.spikes_by_population.values())
        parts.append(_count_writes(part, mapping, written))
        if progress is not None:
            progress(sample + 1, n_samples)
    return merge_results(parts)


def _silence(shape: tuple[int, ...], n_steps: int) -> SpikeEvents:
    return SpikeEvents.from_dense(np.zeros((1, n_steps, *shape), np.int8), shape)


def _count_writes(result: RunResult, mapping: CoreMapping, written: Sequence[str]) -> RunResult:
    """Return the result with one ``host.bias`` per neuron that was written, at its core."""
    counters = result.counters
    if counters is None:
        return result
    writes: NDArray[np.int64] = np.zeros(counters.cores.size, np.int64)
    for part in mapping.slices:
        if part.population in written:
            writes[np.searchsorted(counters.cores, part.core)] += part.neurons.size
    totals: Mapping[str, NDArray[np.int64]] = {**counters.totals, "host.bias": writes}
    return replace(result, counters=replace(counters, totals=totals))
