"""Samples over threads: the kernels hold no lock, and samples know nothing of each other.

Every thread runs a range of consecutive samples; what they return is joined in the order of the
samples, so the result is the same bytes for any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Event, Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.engine import OpenRun, begin_run, finish_runs, run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.event_input import count_samples
from nmhw.sim.program import Program
from nmhw.values.events import SpikeEvents

#: Neuron updates below which a second thread costs more than it saves.
MIN_UPDATES = 2_000_000

Range = tuple[int, int]


def count_threads(wanted: int | None) -> int:
    """Return the number of threads to use; None = the processors this process may run on.

    Raises
    ------
    UsageError
        For anything but a whole number of at least 1.
    """
    if wanted is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise UsageError("threads is a whole number of at least 1", got=repr(wanted))
    return wanted


def run_samples(
    program: Program,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    n_samples: int | None = None,
    threads: int | None = None,
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> EngineOutput:
    """Run a program as ``run_program`` does, its samples divided among threads.

    Parameters
    ----------
    threads : int, optional
        Default: one per processor where the run is long enough to gain from it.
    **options
        Of ``run_program``; ``on_chunk`` is called from several threads, never twice for one row.

    Raises
    ------
    UsageError
        For a number of threads that is none; else as ``run_program``.
    """
    samples = count_samples(inputs, n_samples)
    parts = min(count_threads(threads), samples)
    if threads is None:
        size = sum(p.size for p in program.quantized.populations)
        parts = min(parts, max(1, samples * n_steps * size // MIN_UPDATES))
    whole = {"n_steps": n_steps, **options}
    ranges = _ranges(samples, parts)
    if parts < 2 or continuous or not all(_is_divisible(e, samples) for e in inputs.values()):
        return run_program(
            program, inputs, n_samples=samples, continuous=continuous, progress=progress, **whole
        )
    watch = _Progress(progress, samples * n_steps, len(ranges))

    def run(k: int) -> OpenRun:
        first, end = ranges[k]
        chosen = {name: events.samples(first, end) for name, events in inputs.items()}
        return begin_run(
            program,
            chosen,
            n_samples=end - first,
            first_sample=first,
            progress=watch.of(k),
            **whole,
        )

    with ThreadPoolExecutor(len(ranges)) as pool:
        futures = [pool.submit(run, k) for k in range(len(ranges))]
        try:
            runs = [future.result() for future in futures]
        except BaseException:
            watch.stop.set()
            raise
        return _join(finish_runs(runs, inputs, pool.map))


def _ranges(samples: int, parts: int) -> list[Range]:
    return list(pairwise(samples * k // parts for k in range(parts + 1)))


def _is_divisible(events: SpikeEvents, samples: int) -> bool:
    """Whether events are sorted by sample and inside; all else is for ``run_program`` to judge."""
    sample = events.sample
    if not sample.size:
        return True
    inside = sample[0] >= 0 and sample[-1] < samples
    return bool(inside and (sample[1:] >= sample[:-1]).all())


class _Stopped(Exception):
    """Another thread failed, or the user interrupted the run."""


class _Progress:
    """Adds up what the threads have done, and tells them to stop."""

    def __init__(
        self, report: Callable[[int, int], None] | None, total: int, n_threads: int
    ) -> None:
        self.report = report
        self.total = total
        self.done = [0] * n_threads
        self.lock = Lock()
        self.stop = Event()

    def of(self, k: int) -> Callable[[int, int], None]:
        """Return the callback of thread k."""

        def advance(done: int, _: int) -> None:
            if self.stop.is_set():
                raise _Stopped
            with self.lock:
                self.done[k] = done
                if self.report is not None:
                    self.report(sum(self.done), self.total)

        return advance


def _join(outputs: Sequence[EngineOutput]) -> EngineOutput:
    """Return one output of all samples; the first has the spikes of all."""
    first, last = outputs[0], outputs[-1]
    return EngineOutput(
        spikes=first.spikes,
        dropped=first.dropped,
        probes={
            key: replace(data, values=np.concatenate([o.probes[key].values for o in outputs]))
            for key, data in last.probes.items()
        },
        states=last.states,
        spike_totals=_sums(outputs, "spike_totals"),
        undelivered=_sums(outputs, "undelivered"),
        step_counts={
            name: np.concatenate([o.step_counts[name] for o in outputs])
            for name in last.step_counts
        },
        active_updates=_sums(outputs, "active_updates"),
        saturations=_sums(outputs, "saturations"),
        core_active=None if last.core_active is None else np.concatenate(_active(outputs)),
    )


def _active(outputs: Sequence[EngineOutput]) -> list[NDArray[np.int32]]:
    return [output.core_active for output in outputs if output.core_active is not None]


def _sums(outputs: Sequence[EngineOutput], field: str) -> dict[str, Any]:
    tables = [getattr(output, field) for output in outputs]
    return {name: sum(table[name] for table in tables[1:]) + tables[0][name] for name in tables[0]}
