"""Backends by name: the Numba engine, its plain NumPy twin and Lava, with the same counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmhw.errors import UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

BACKENDS = ("numba", "reference", "lava")


def run_backend(
    backend: str,
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    probes: Sequence[Probe] = (),
    keep_spikes: int = 10**8,
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
    kept: dict[str, Any] | None = None,
    threads: int | None = None,
    timing: str = "steps",
    counted_samples: int | None = None,
) -> RunResult:
    """Execute on the backend called ``backend``; see ``nmhw.sim.chip_run.run_chip``.

    Parameters
    ----------
    keep_spikes : int
        Beyond so many events the numba backend keeps those of output populations alone.
    progress : callable(samples done, samples in all), optional
    kept : dict, optional
        Where tables of the network and its mapping are kept for the next run with both; that
        makes the network's arrays read-only.
    threads : int, optional
        Of the numba backend; the result does not depend on it.
    timing : "steps" | "events"
        "events": without steps, one event after the other (``nmhw.sim.event_program``).
    counted_samples : int, optional
        Samples of the whole run that these are a part of; see ``run_chip``.

    Raises
    ------
    UsageError
        For an unknown backend, or a chip or timing that the Lava backend does not serve.
    MissingExtraError, LavaError
        See ``nmhw.sim.lava.child.ask_lava``.
    """
    if backend not in BACKENDS:
        raise UsageError("no such backend", got=repr(backend), hint=" or ".join(BACKENDS))
    if timing == "events":
        if backend == "lava":
            raise UsageError(
                "Lava runs in steps",
                got=f"timing={timing}",
                hint="--timing steps, or --backend numba",
                rule="lava.timing",
            )
        from nmhw.sim.event_run import run_event_chip

        return run_event_chip(
            quantized,
            mapping,
            chip,
            inputs,
            backend=backend,
            continuous=continuous,
            progress=progress,
            kept=kept,
        )
    if backend == "numba":
        from nmhw.sim.chip_run import keep_tables, run_chip

        program, fan_out = keep_tables(quantized, mapping, {} if kept is None else kept)
        return run_chip(
            quantized,
            mapping,
            chip,
            inputs,
            probes=probes,
            keep_spikes=keep_spikes,
            continuous=continuous,
            progress=in_samples(progress, inputs),
            counted_samples=counted_samples,
            threads=threads,
            program=program,
            fan_out=fan_out,
        )
    if backend == "lava":
        from nmhw.sim.lava.run import run_chip as run_lava_chip

        return run_lava_chip(
            quantized,
            mapping,
            chip,
            inputs,
            probes=probes,
            continuous=continuous,
            progress=in_samples(progress, inputs),
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


def in_samples(
    progress: Callable[[int, int], None] | None, inputs: Mapping[str, SpikeEvents]
) -> Callable[[int, int], None] | None:
    """Return a progress callback that takes rows (steps of all samples) and reports samples."""
    if progress is None:
        return None
    n_samples = next(iter(inputs.values())).n_samples

    def report(done: int, total: int) -> None:
        progress(done * n_samples // max(total, 1), n_samples)

    return report


def will_compile(backend: str, latency: str = "analytic") -> bool:
    """Whether the kernels of a run were never compiled on this machine (as far as one can see)."""
    wanted: list[Any] = []
    if backend == "numba":
        from nmhw.sim.kernels.step import run_steps

        wanted.append(run_steps)
    if latency == "noc":
        from nmhw.sim.kernels.noc import time_messages

        wanted.append(time_messages)
    return not all(_is_cached(kernel) for kernel in wanted)


def _is_cached(kernel: Any) -> bool:
    folder, name = getattr(kernel.stats, "cache_path", None), kernel.py_func.__name__
    return folder is not None and any(Path(folder).glob(f"*{name}*.nbi"))
