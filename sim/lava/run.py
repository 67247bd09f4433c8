"""The Lava backend as a chip run: Lava's processes run it, the record and counters are shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from nmhw.sim.event_input import checked_inputs, constant_events, fit_steps
from nmhw.sim.lava.answer import compare_counts, read_answer
from nmhw.sim.lava.child import ask_lava
from nmhw.sim.lava.describe import describe, refuse_network
from nmhw.sim.reference import ReferenceOutput
from nmhw.sim.reference_run import count_run
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult


@dataclass(frozen=True, eq=False)
class LavaTask:
    """One network with its inputs, to be run in Lava.

    Attributes
    ----------
    inputs : mapping of input name to SpikeEvents
        All of the same number of steps; the drain is added.
    """

    quantized: QuantizedNetwork
    inputs: Mapping[str, SpikeEvents]
    probes: Sequence[Probe] = ()
    continuous: bool = False
    given: dict[str, SpikeEvents] = field(init=False)

    def __post_init__(self) -> None:
        refuse_network(self.quantized)
        first = next(iter(self.inputs.values()))
        total = self.n_steps
        cut = {name: events.window(0, events.n_steps) for name, events in self.inputs.items()}
        cut |= constant_events(self.quantized, first.n_samples, total)
        fitting = {name: fit_steps(events, total) for name, events in cut.items()}
        object.__setattr__(self, "given", checked_inputs(self.quantized.inputs, fitting))

    @property
    def n_steps(self) -> int:
        """Simulated steps per sample, drain included."""
        return next(iter(self.inputs.values())).n_steps + self.quantized.drain_steps


@dataclass(frozen=True, eq=False)
class LavaOutput:
    """What Lava's processes did.

    Attributes
    ----------
    output : ReferenceOutput
        Spikes, probes, final states, activity and saturations.
    counted : mapping of kind to counts by name
        The counting variables of the processes.
    wall_s : mapping
        "import", "start" (compile, fork and the first step), "run" (the other steps), "stop".
    """

    output: ReferenceOutput
    counted: Mapping[str, Mapping[str, int]]
    wall_s: Mapping[str, float]


def run_tasks(
    tasks: Sequence[LavaTask], *, progress: Callable[[int, int], None] | None = None
) -> list[LavaOutput]:
    """Run several networks in one start of the child interpreter.

    Parameters
    ----------
    progress : callable(steps done, steps in all), optional

    Raises
    ------
    UsageError, MissingExtraError, LavaError
        See ``nmhw.sim.lava.child.ask_lava``.
    """
    networks = []
    arrays: dict[str, NDArray[Any]] = {}
    for k, task in enumerate(tasks):
        network, own = describe(
            task.quantized,
            task.given,
            n_steps=task.n_steps,
            probes=task.probes,
            continuous=task.continuous,
        )
        networks.append(network)
        arrays |= {f"{k}/{key}": value for key, value in own.items()}
    answer, found = ask_lava("run", {"networks": networks}, arrays, on_progress=progress)
    outputs = []
    for k, (task, counted) in enumerate(zip(tasks, answer["networks"], strict=True)):
        own = {key.split("/", 1)[1]: a for key, a in found.items() if key.startswith(f"{k}/")}
        output = read_answer(
            task.quantized, task.given, own, n_steps=task.n_steps, probes=task.probes
        )
        wall_s = {"import": answer["import_s"], **counted.pop("wall_s")}
        outputs.append(LavaOutput(output, counted, wall_s))
    return outputs


def run_chip(
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Execute as Lava processes; see ``nmhw.sim.chip_run.run_chip``.

    Raises
    ------
    LavaError
        Also when Lava's processes counted something else than the counters say.
    """
    task = LavaTask(quantized, inputs, probes, continuous)
    (done,) = run_tasks([task], progress=progress)
    result = count_run(
        "lava",
        quantized,
        mapping,
        chip,
        task.given,
        done.output,
        n_steps=next(iter(inputs.values())).n_steps,
        continuous=continuous,
    )
    if result.counters is not None:
        compare_counts(result.counters, done.counted, quantized)
    return result


def describe_task(task: LavaTask) -> dict[str, Any]:
    """Return how each part of a network runs: process by population and projection."""
    network, _ = describe(task.quantized, task.given, n_steps=task.n_steps)
    parts = network["populations"] + network["projections"]
    return {entry["name"]: entry["process"] for entry in parts}
