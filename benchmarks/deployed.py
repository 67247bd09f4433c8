"""A workload in the integers of chip generic, ready for the shipped simulator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from workloads import Workload

import nmhw
from nmhw.mappers.quantize import make_explicit
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.program import Program, build_program
from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import synapse_counts
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment


@dataclass(frozen=True, slots=True, eq=False)
class DeployedWorkload:
    """A workload and its program."""

    workload: Workload
    chip: ChipSpec
    profile: Profile
    quantized: QuantizedNetwork
    program: Program

    def simulate(self) -> EngineOutput:
        """Run the engine as the product does: spikes as events, totals per neuron."""
        return run_program(
            self.program,
            self.workload.inputs,
            n_steps=self.workload.n_steps + self.quantized.drain_steps,
        )

    def deployment(self) -> Deployment:
        """Return the workload mapped to the chip's cores."""
        from nmhw.api.deployment import Deployment

        network = replace(self.workload.network, profile=self.profile)
        mapping = nmhw.map_network(self.quantized, self.chip)
        return Deployment(network, self.chip, self.quantized, mapping)


def deploy_workload(workload: Workload) -> DeployedWorkload:
    """Quantize with the workload's own integers and build the program."""
    chip = nmhw.chip("generic")
    profile = Profile(
        "explicit",
        dt_s=1.0,
        input_gain="unit",
        current_gain="unit",
        compare=">=",
        reset=workload.reset,
    )
    quantized = make_explicit(workload.network, chip, profile=profile, explicit=workload.explicit)
    return DeployedWorkload(workload, chip, profile, quantized, build_program(quantized))


def count_synops(deployed: DeployedWorkload, output: EngineOutput) -> int:
    """Return the stored synapses that the delivered events read, by expanding every projection."""
    sizes = deployed.quantized.sizes()
    total = 0
    for projection in deployed.quantized.projections:
        source = projection.source
        if source in output.spike_totals:
            late = output.undelivered[source][: projection.delay_steps].sum(axis=0)
            events = output.spike_totals[source] - late
        else:
            index = deployed.workload.inputs[source].index
            events = np.bincount(index, minlength=sizes[source])
        counts = synapse_counts(projection, sizes[source], sizes[projection.target])
        fan_out = np.asarray(counts.sum(axis=1)).ravel()
        total += int(fan_out @ events)
    return total
