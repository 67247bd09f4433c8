"""Runs of a deployment whose first layer gets its drive as biases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nmhw.api.bias_stage import BiasStage, add_operations
from nmhw.api.pieces import PieceSizes, Progress
from nmhw.errors import UsageError
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult
from nmhw.values.trace import HostOperation

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment
    from nmhw.api.execute import Plan, RunOptions


def check_stage_options(options: RunOptions) -> None:
    """Refuse options that contradict a frame per sample.

    Raises
    ------
    UsageError
        For encoders, continuous runs, timing in events and the Lava backend.
    """
    found = {
        "encode": options.encode is not None,
        "continuous": options.continuous,
        "timing=events": options.timing == "events",
        f"backend={options.backend}": options.backend == "lava",
    }
    for got, is_given in found.items():
        if is_given:
            raise UsageError(
                "input stage bias writes biases before every sample and runs it in steps",
                got=got, hint="leave it out, or --input-stage host", rule="input-stage.bias",
            )  # fmt: skip


def check_drives(
    stage: BiasStage, quantized: QuantizedNetwork, inputs: Mapping[str, SpikeEvents], first: int
) -> None:
    """Judge frames before the run: constant, and within the bias registers.

    Raises
    ------
    InputError
        Naming the first sample that is not.
    """
    drives = stage.drives(inputs, first)
    for sample in range(next(iter(inputs.values())).n_samples):
        stage.write(quantized, drives, sample, first)


def stage_operations(deployed: Deployment, plan: Plan) -> list[HostOperation]:
    """Return what the host multiplied for all samples; nothing without a stage."""
    rows: list[HostOperation] = []
    if deployed.stage is not None:
        for first, end in PieceSizes(plan.prepared, None, False).ranges():
            rows = add_operations(rows, deployed.stage.operations(plan.prepared.take(first, end)))
    return rows


def run_stage(
    deployed: Deployment,
    plan: Plan,
    options: RunOptions,
    inputs: Mapping[str, SpikeEvents],
    keep_spikes: int,
    counted_samples: int | None,
    progress: Progress | None,
) -> RunResult:
    """Run one piece, sample by sample with its biases."""
    from nmhw.sim.biased_run import run_biased

    stage = deployed.stage
    assert stage is not None
    drives = stage.drives(inputs)
    first = next(iter(inputs.values()))
    return run_biased(
        options.backend,
        deployed.quantized,
        deployed.mapping,
        deployed.chip,
        lambda sample: stage.write(deployed.quantized, drives, sample),
        tuple(stage.registers),
        first.n_samples,
        first.n_steps,
        kept=deployed.kept,
        keep_spikes=keep_spikes,
        probes=plan.probes,
        threads=options.threads,
        counted_samples=counted_samples,
        progress=progress,
    )
