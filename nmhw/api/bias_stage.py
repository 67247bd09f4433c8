"""Constant frames as biases: the host multiplies a frame once, the chip integrates the drive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.api.host_operations import count_macs, count_projection
from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Delay, Sparse, compose_csr
from nmhw.values.network import Network, Projection
from nmhw.values.notice import Notice
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.topology import projection_delays
from nmhw.values.trace import HostOperation

if TYPE_CHECKING:
    from nmhw.mappers.quantize.sample_biases import BiasRegisters

Floats = NDArray[np.float64]

_REASON = "input stage bias"


@dataclass(frozen=True, slots=True, eq=False)
class BiasStage:
    """The first layer of a deployment, whose drive the host writes as biases.

    Attributes
    ----------
    projections : tuple of Projection
        From inputs into the first layer; the host computes them.
    registers : mapping of population to BiasRegisters
    """

    projections: tuple[Projection, ...]
    registers: Mapping[str, BiasRegisters]

    def drives(self, inputs: Mapping[str, SpikeEvents], first: int = 0) -> dict[str, Floats]:
        """Return W x + b (samples, n) of every population of the first layer.

        ``first`` is the number of the first sample, for messages.

        Raises
        ------
        InputError
            For frames that vary over the steps.
        """
        sources = dict.fromkeys(p.source for p in self.projections)
        frames = {name: held_frames(inputs[name], name, first) for name in sources}
        return {name: drive_of(self.projections, name, frames) for name in self.registers}

    def write(
        self, quantized: QuantizedNetwork, drives: Mapping[str, Floats], sample: int, first: int = 0
    ) -> QuantizedNetwork:
        """Return the network with the biases of one sample.

        Raises
        ------
        InputError
            For a drive beyond the bias registers; ``first`` is the number of the first sample.
        """
        populations = list(quantized.populations)
        for k, population in enumerate(populations):
            if population.name not in drives:
                continue
            registers = self.registers[population.name]
            drive = drives[population.name][sample]
            populations[k], n_clipped = registers.write(population, drive)
            if n_clipped:
                largest = float(np.abs(drive).max())
                raise InputError(
                    f"the drive of sample {first + sample} passes the bias registers of "
                    f"{n_clipped} neurons",
                    got=f"{largest:.6g}, in all", limit=f"{registers.largest} LSB",
                    where=population.name, hint="calibration frames as strong as these",
                    rule="input-stage.bias",
                )  # fmt: skip
        return replace(quantized, populations=tuple(populations))

    def operations(self, inputs: Mapping[str, SpikeEvents]) -> list[HostOperation]:
        """Return what the host multiplies for these samples, each once."""
        return [
            count_projection(p, inputs[p.source], _REASON, is_held=True) for p in self.projections
        ]


def add_operations(rows: list[HostOperation], more: list[HostOperation]) -> list[HostOperation]:
    """Return the rows of two groups of samples together."""
    if not rows:
        return more
    keys = ("n_calls", "macs", "effective_macs", "accumulates", "elements")
    return [
        replace(a, **{key: getattr(a, key) + getattr(b, key) for key in keys})
        for a, b in zip(rows, more, strict=True)
    ]


def first_layer(network: Network) -> tuple[Projection, ...]:
    """Return the projections that the host computes.

    Raises
    ------
    UnsupportedError
        Where the first layer gets more than a constant frame, or is no layer of neurons.
    """
    profile = network.profile
    assert profile is not None  # deploy gave it one
    inputs = {port.name for port in network.inputs}
    into = tuple(p for p in network.projections if p.source in inputs)
    delays = projection_delays(network, profile)
    for p in into:
        model = network.population(p.target).model
        others = [q.source for q in network.incoming(p.target) if q.source not in inputs]
        if others:
            _refuse("the first layer is also fed by neurons", p.target, ", ".join(others))
        if not model.is_spiking or model.kind == "threshold":
            _refuse("the first layer is not followed by spiking neurons", p.target, model.kind)
        if delays[p.name] or any(isinstance(op, Delay) for op in p.ops):
            what = "the input arrives later, and a bias acts at once"
            _refuse(what, p.target, f"{max(delays[p.name], 1)} steps ({profile.name})")
    return into


def check_explicit(into: tuple[Projection, ...], explicit: Mapping[str, Any]) -> None:
    """Refuse given integers of the layer that the host computes in float.

    Raises
    ------
    UsageError
        Naming them.
    """
    clash = [p.name for p in into if p.name in explicit]
    clash += [name for name in dict.fromkeys(p.target for p in into) if name in explicit]
    if clash:
        raise UsageError(
            "input stage bias: the first layer takes no given integers", got=", ".join(clash),
            hint="leave them out", rule="input-stage.bias",
        )  # fmt: skip


def with_drives(
    network: Network, into: tuple[Projection, ...], drives: Mapping[str, Floats]
) -> Network:
    """Return the network whose first layer has these biases (n,) and no synapse."""
    from scipy.sparse import csr_array

    sizes = network.sizes()
    given: set[str] = set()
    changed = {}
    for p in into:
        none = Sparse(csr_array((sizes[p.source], sizes[p.target])))
        bias = None if p.target in given else drives[p.target]
        given.add(p.target)
        changed[p.name] = replace(p, ops=(none,), bias=bias)
    projections = tuple(changed.get(p.name, p) for p in network.projections)
    return replace(network, projections=projections)


def check_stage(quantized: QuantizedNetwork, chip: ChipSpec, names: Iterable[str]) -> None:
    """Refuse a lowering that leaves no bias per neuron of the author's, or not at once.

    Raises
    ------
    UnsupportedError
        Naming the population.
    """
    for name in names:
        if name in quantized.copies:
            _refuse("the chip needs copies of the first layer's neurons", name, chip.name)
        depth = quantized.population(name).depth
        if depth:
            _refuse("the first layer starts later on this chip", name, f"{depth} steps")


def stage_notice(network: Network, into: tuple[Projection, ...], is_calibrated: bool) -> Notice:
    """Return what every report says of the stage."""
    macs = sum(count_macs(op) for p in into for op in p.ops)
    strength = (
        "the scale has room for the calibration frames"
        if is_calibrated
        else "the scale has room for frames of 0 to 1 (no calibration was given)"
    )
    text = (
        f"input stage bias: the host computes {', '.join(p.name for p in into)} in float, "
        f"{macs:,} multiply-accumulates per sample, and writes the drive as biases, which act in "
        f"every step, the draining ones included; neither is priced; {strength}"
    )
    return Notice("input-stage.bias", network.name, text, "approximation", about=into[0].target)


def largest_drives(
    network: Network,
    into: tuple[Projection, ...],
    calibration: Mapping[str, SpikeEvents] | None,
) -> dict[str, Floats]:
    """Return the drive (n,) of largest size: of calibration frames, else of any between 0 and 1."""
    targets = dict.fromkeys(p.target for p in into)
    if calibration is not None:
        frames = {p.source: held_frames(calibration[p.source], p.source) for p in into}
        drives = {name: drive_of(into, name, frames) for name in targets}
        return {name: d[np.abs(d).argmax(0), np.arange(d.shape[1])] for name, d in drives.items()}
    sizes = network.sizes()
    found = {}
    for name in targets:
        high, low = (np.zeros(sizes[name]) for _ in range(2))
        for p in (p for p in into if p.target == name):
            matrix = compose_csr(p.ops, sizes[p.source])
            bias = np.zeros(sizes[name]) if p.bias is None else p.bias
            high += bias + np.asarray(matrix.maximum(0).sum(0)).ravel()
            low += bias + np.asarray(matrix.minimum(0).sum(0)).ravel()
        found[name] = np.where(np.abs(high) >= np.abs(low), high, low)
    return found


def drive_of(
    projections: tuple[Projection, ...], name: str, frames: Mapping[str, Floats]
) -> Floats:
    """Return W x + b (samples, n) of one population."""
    total: Any = 0.0
    for p in projections:
        if p.target != name:
            continue
        x = frames[p.source]
        n_samples = len(x)
        for op in p.ops:
            x = op.apply(x.reshape(n_samples, *op.input_shape))
        total = total + x.reshape(n_samples, -1) + (0.0 if p.bias is None else p.bias)
    return np.asarray(total, np.float64)


def held_frames(events: SpikeEvents, where: str, first: int = 0) -> Floats:
    """Return (samples, elements) values of an input that is the same in every step.

    Raises
    ------
    InputError
        Naming the first sample that varies.
    """
    n_samples, n_steps = events.n_samples, events.n_steps
    frames = np.zeros((n_samples, events.n_neurons))
    bounds = events.pointers()
    counts = np.diff(bounds).reshape(n_samples, n_steps)
    for k in range(n_samples):
        start, n = int(bounds[k * n_steps]), int(counts[k, 0])
        is_held = bool((counts[k] == n).all())
        if is_held and n:
            part = slice(start, start + n * n_steps)
            columns = [events.index[part]] + ([] if events.value is None else [events.value[part]])
            rows = [column.reshape(n_steps, n) for column in columns]
            is_held = all(bool((r == r[0]).all()) for r in rows)
            np.add.at(frames[k], rows[0][0], 1.0 if len(rows) == 1 else rows[1][0])
        if not is_held:
            raise InputError(
                "input stage bias takes constant frames, and this one varies over the steps",
                got=f"sample {first + k}", where=where, hint="--input-stage host",
                rule="input-stage.bias",
            )  # fmt: skip
    return frames


def _refuse(what: str, where: str, got: str) -> None:
    raise UnsupportedError(
        f"input stage bias: {what}", got=got, where=where, rule="input-stage.bias",
        hint="--input-stage host, or an encoder",
    )  # fmt: skip
