"""Input events as one flat list per run with the offsets of every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim.kernels.intake import OUT_OF_RANGE, UNSORTED, scan_events
from nmhw.sim.program import Program
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class InputTable:
    """Events of all inputs.

    Attributes
    ----------
    events : (n_events,) uint32, author's indices, input after input
    pointers : (n_inputs, n_samples * n_steps + 1) int64
    multiplicity : mapping of input to int
        Most events of one element in one step (at least 1).
    """

    n_samples: int
    events: NDArray[np.uint32]
    pointers: Ints
    multiplicity: Mapping[str, int]


def input_table(
    program: Program, inputs: Mapping[str, SpikeEvents], n_steps: int, n_samples: int | None
) -> InputTable:
    """Check and flatten the inputs of a run.

    Raises
    ------
    InputError
        For missing or unknown inputs, wrong sizes, or events out of range.
    UnsupportedError
        For graded events.
    UsageError
        For a network without inputs and no ``n_samples``, or no steps at all.
    """
    if n_steps < 1:
        raise UsageError("a run needs at least one step", got=n_steps)
    _check_names(program.inputs, inputs)
    samples = count_samples(inputs, n_samples)
    rows = samples * n_steps
    pointers = np.zeros((max(len(program.inputs), 1), rows + 1), np.int64)
    parts, multiplicity, at = [np.zeros(0, np.uint32)], {}, 0
    for k, port in enumerate(program.quantized.inputs):
        events = _fitting(inputs[port.name], port.name, port.size, n_steps)
        arrays = (events.sample, events.step, events.index)
        place = (samples, n_steps, port.size, at, pointers[k])
        found = scan_events(*arrays, *place)
        if found == UNSORTED:
            order = np.lexsort(arrays[::-1])
            arrays = (arrays[0][order], arrays[1][order], arrays[2][order])
            found = scan_events(*arrays, *place)
        if found == OUT_OF_RANGE:
            _refuse_range(events, port.name, port.size, n_steps)
        multiplicity[port.name] = int(found)
        parts.append(arrays[2].view(np.uint32))
        at += arrays[2].size
    return InputTable(samples, np.concatenate(parts), pointers, multiplicity)


def count_samples(inputs: Mapping[str, SpikeEvents], n_samples: int | None) -> int:
    """Return the number of samples that all inputs (and the caller) agree on."""
    counts = {events.n_samples for events in inputs.values()}
    counts |= set() if n_samples is None else {n_samples}
    if len(counts) > 1:
        raise InputError("inputs have different numbers of samples", got=sorted(counts))
    if not counts:
        raise UsageError("a network without inputs needs n_samples")
    return counts.pop()


def fit_steps(events: SpikeEvents, n_steps: int) -> SpikeEvents:
    """Return the events as those of ``n_steps`` steps: later ones are cut, missing ones silent."""
    if events.n_steps > n_steps:
        return events.window(0, n_steps)
    return replace(events, n_steps=n_steps)


def constant_events(
    quantized: QuantizedNetwork, n_samples: int, n_steps: int
) -> dict[str, SpikeEvents]:
    """Return the events of inputs that a lowering added: one per element, sample and step."""
    events = {}
    for port in quantized.inputs:
        if port.name in quantized.constant_inputs:
            sample, step, index = np.indices((n_samples, n_steps, port.size), np.int32)
            flat = (sample.ravel(), step.ravel(), index.ravel())
            events[port.name] = SpikeEvents(*flat, n_samples, n_steps, port.shape)
    return events


def checked_inputs(
    ports: Sequence[InputPort], inputs: Mapping[str, SpikeEvents]
) -> dict[str, SpikeEvents]:
    """Return the events of every input, checked, for a run of as many steps as they have.

    Raises
    ------
    InputError, UnsupportedError
        As ``input_table``; also for inputs with different numbers of steps.
    """
    _check_names([port.name for port in ports], inputs)
    lengths = {events.n_steps for events in inputs.values()}
    if len(lengths) != 1:
        raise InputError("inputs have different numbers of steps", got=sorted(lengths))
    n_steps = lengths.pop()
    given = {}
    for port in ports:
        events = given[port.name] = _fitting(inputs[port.name], port.name, port.size, n_steps)
        _refuse_range(events, port.name, port.size, n_steps)
    return given


def _check_names(names: Sequence[str], inputs: Mapping[str, SpikeEvents]) -> None:
    known = ", ".join(names) or "none"
    for name in names:
        if name not in inputs:
            raise InputError("an input has no events", where=name, hint=f"inputs: {known}")
    for name in inputs:
        if name not in names:
            raise InputError("no such input", got=repr(name), hint=f"inputs: {known}")


def _fitting(events: SpikeEvents, name: str, size: int, n_steps: int) -> SpikeEvents:
    """Return the events inside the run, as contiguous int32 arrays that a kernel may read."""
    if events.value is not None:
        raise UnsupportedError(
            "the simulator runs spikes, not graded events",
            where=name,
            hint="counts as repeated events, or an encoder",
            rule="sim.graded-input",
        )
    if events.n_neurons != size:
        raise InputError("events of another shape", got=events.shape, limit=size, where=name)
    fitting = fit_steps(events, n_steps)
    plain: dict[str, Any] = {
        field: np.require(getattr(fitting, field), np.int32, ("C", "W"))
        for field in ("sample", "step", "index")
    }
    return replace(fitting, **plain)


def _refuse_range(events: SpikeEvents, name: str, size: int, n_steps: int) -> None:
    for what, values, limit in (
        ("sample", events.sample, events.n_samples),
        ("step", events.step, n_steps),
        ("index", events.index, size),
    ):
        if values.size and (values.min() < 0 or values.max() >= limit):
            bad = int(values.min() if values.min() < 0 else values.max())
            raise InputError(f"an event's {what} is out of range", got=bad, limit=limit, where=name)
