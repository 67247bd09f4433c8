"""Backends by name: the Numba engine and its plain NumPy twin, with the same counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nmhw.errors import UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

BACKENDS = ("numba", "reference")


def run_backend(
    backend: str,
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Execute on the backend called ``backend``; see ``nmhw.sim.chip_run.run_chip``.

    Raises
    ------
    UsageError
        For an unknown backend.
    """
    if backend not in BACKENDS:
        raise UsageError("no such backend", got=repr(backend), hint=" or ".join(BACKENDS))
    if backend == "numba":
        from nmhw.sim.chip_run import run_chip

        return run_chip(
            quantized,
            mapping,
            chip,
            inputs,
            probes=probes,
            continuous=continuous,
            progress=progress,
        )
    from nmhw.sim.reference_run import run_chip as run_reference_chip

    return run_reference_chip(
        quantized,
        mapping,
        chip,
        inputs,
        probes=probes,
        continuous=continuous,
        progress=progress,
    )
