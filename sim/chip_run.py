"""A mapped network on a chip: run its program and count what every core did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from nmhw.errors import InputError
from nmhw.sim.event_input import constant_events, count_samples, fit_steps
from nmhw.sim.fanout import FanOut, build_fan_out
from nmhw.sim.program import Program, build_program
from nmhw.sim.run_result import collect_result
from nmhw.sim.step_counter import StepCounter
from nmhw.sim.threads import run_samples
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult


def run_chip(
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int | None = None,
    n_samples: int | None = None,
    probes: Sequence[Probe] = (),
    keep_spikes: int = 10**8,
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
    per_step: bool = True,
    counted_samples: int | None = None,
    threads: int | None = None,
    program: Program | None = None,
    fan_out: FanOut | None = None,
) -> RunResult:
    """Execute all samples on the chip's integers and count events per core.

    Parameters
    ----------
    n_steps : int, optional
        T, the steps of the input (default: that of the events); T plus the network's drain steps
        are simulated.
    per_step : bool
        Also count per step and core, while that stays small enough (``MAX_STEP_CELLS``).
    counted_samples : int, optional
        Samples of the whole run that these are a part of: that is what has to be small enough.
    threads : int, optional
        Samples run in so many threads; default: one per processor where it pays.
    program, fan_out : optional
        ``build_program(quantized)`` and ``build_fan_out(quantized, mapping)``, to use them again.

    Raises
    ------
    InputError
        For missing or unknown inputs, wrong shapes, or events out of range.
    UnsupportedError
        For a semantic that the kernels lack.
    """
    n_samples = count_samples(inputs, n_samples)
    if n_steps is None:
        lengths = {events.n_steps for events in inputs.values()}
        if len(lengths) != 1:
            raise InputError("inputs have different numbers of steps", got=sorted(lengths))
        n_steps = lengths.pop()
    total = n_steps + quantized.drain_steps
    # no input in the drain: events behind T are not part of the run
    cut = {name: fit_steps(events, n_steps) for name, events in inputs.items()}
    cut |= constant_events(quantized, n_samples, total)
    fan_out = build_fan_out(quantized, mapping) if fan_out is None else fan_out
    step_counter = None
    if per_step and StepCounter.fits(fan_out, (counted_samples or n_samples) * total):
        step_counter = StepCounter(
            quantized, fan_out, n_samples=n_samples, n_steps=total, continuous=continuous
        )
    output = run_samples(
        build_program(quantized) if program is None else program,
        cut,
        n_steps=total,
        n_samples=n_samples,
        probes=probes,
        threads=threads,
        keep_spikes=keep_spikes,
        continuous=continuous,
        progress=progress,
        core_columns=fan_out.homes,
        core_steps=step_counter is not None,
        on_chunk=None if step_counter is None else step_counter.add,
    )
    return collect_result(
        "numba",
        quantized,
        chip,
        fan_out,
        output,
        cut,
        n_steps=n_steps,
        continuous=continuous,
        step_counter=step_counter,
    )


def keep_tables(
    quantized: QuantizedNetwork, mapping: CoreMapping, kept: dict[str, Any]
) -> tuple[Program, FanOut]:
    """Return program and fan-out tables, from ``kept`` if they are of this network and mapping.

    An edit of the network's arrays in place would leave the tables behind: they become read-only.
    """
    found = kept.get("tables")
    if found is not None and found[0].quantized is quantized and found[2] is mapping:
        return found[0], found[1]
    program, fan_out = build_program(quantized), build_fan_out(quantized, mapping)
    freeze(quantized)
    kept["tables"] = (program, fan_out, mapping)
    return program, fan_out


def freeze(quantized: QuantizedNetwork) -> None:
    """Make a network's arrays read-only."""
    parts: tuple[Any, ...] = (*quantized.populations, *quantized.projections)
    for part in parts:
        for each in fields(part):
            value = getattr(part, each.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
