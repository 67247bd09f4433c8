"""The end of every stepped run: count its events and put the result together."""

from __future__ import annotations

from collections.abc import Mapping

from nmhw.sim.counters import count_events
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.fanout import FanOut
from nmhw.sim.step_counter import StepCounter
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult


def collect_result(
    backend: str,
    quantized: QuantizedNetwork,
    chip: ChipSpec,
    fan_out: FanOut,
    output: EngineOutput,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    continuous: bool,
    step_counter: StepCounter | None,
) -> RunResult:
    """Return the result of a run of ``n_steps`` steps and the drain.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents
        As they were run: none in the drain.
    n_steps : int
        T, without the drain.
    """
    counters = count_events(
        quantized,
        fan_out,
        chip,
        output,
        inputs,
        n_steps=n_steps + quantized.drain_steps,
        continuous=continuous,
        step_counter=step_counter,
    )
    return RunResult(
        backend=backend,
        n_samples=counters.n_samples,
        n_steps=n_steps,
        drain_steps=quantized.drain_steps,
        depths={p.name: p.depth for p in quantized.populations},
        spikes=output.spikes,
        probes=output.probes,
        counters=counters,
        spike_totals=output.spike_totals,
    )
