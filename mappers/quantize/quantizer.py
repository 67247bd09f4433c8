"""The whole network: contract, timing, and every population by its chip family's quantizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nmhw.mappers.quantize.as_convolution import as_convolution, stores_kernels_alone
from nmhw.mappers.quantize.bias_neuron import (
    build_bias_population,
    note_bias_neuron,
    plan_bias_neuron,
)
from nmhw.mappers.quantize.calibrate import observe, observed, worst_case
from nmhw.mappers.quantize.cells import membrane_cell, summed_bias
from nmhw.mappers.quantize.chains import lower_projection
from nmhw.mappers.quantize.constant_input import (
    constant_ports,
    move_bias_to_input,
    name_constant_input,
)
from nmhw.mappers.quantize.contract import (
    Ledger,
    agree_on_form,
    check_allow,
    check_recurrent_bias,
    check_sources,
)
from nmhw.mappers.quantize.crossbar import lower_crossbar
from nmhw.mappers.quantize.explicit import Explicit, as_explicit, check_names
from nmhw.mappers.quantize.integer import quantize_integer
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import (
    Part,
    QuantizedPart,
    refuse_extreme_weights,
    refuse_extremes,
)
from nmhw.mappers.quantize.scales import Bounds
from nmhw.mappers.quantize.shared_exponents import share_exponents
from nmhw.mappers.quantize.speck import quantize_layer
from nmhw.mappers.quantize.spinnaker2 import quantize_float32
from nmhw.mappers.quantize.timing import Timing, retime
from nmhw.mappers.sheet_limits import refuse_sheet
from nmhw.values.chip import ChipSpec
from nmhw.values.delays import split_by_delay
from nmhw.values.discrete import FloatCell
from nmhw.values.discretize import discretize
from nmhw.values.network import Network, Population
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.runner import Activity, Runner


def quantize_network(
    network: Network,
    chip: ChipSpec,
    profile: Profile,
    *,
    calibration: Mapping[str, Any] | None = None,
    runner: Runner | None = None,
    allow: Iterable[str] = frozenset(),
    explicit: Mapping[str, Explicit] | None = None,
) -> QuantizedNetwork:
    """Return the network in the chip's integers; the input is never modified.

    Parameters
    ----------
    network : Network
    chip : ChipSpec
    profile : Profile
        Complete (``resolve_profile``): the contract that the chip's integers approximate.
    calibration : mapping of input name to events, optional
        Sets the headroom of the states from what they really do; needs ``runner``.
    runner : Runner, optional
        Executes a network; injected, because mappers know no simulator.
    allow : iterable of str
        Fields (``contract.ALLOWABLE``) whose mismatch is printed instead of refused.
    explicit : mapping, optional
        Given integers, see ``nmhw.mappers.quantize.explicit``.

    Raises
    ------
    UnsupportedError
        For semantics that the chip lacks (exit code 3), naming population, field, both values
        and what to do.
    ProfileError
        See ``discretize``.
    UsageError
        For unknown names in ``allow`` or ``explicit``, values off the chip's grid, and
        calibration inputs without a runner.
    """
    given = as_explicit(explicit)
    ledger = Ledger(chip, check_allow(allow))
    check_names(given, split_by_delay(network, profile.dt_s))
    refuse_extreme_weights(network)
    activity = observe(network, calibration, runner)
    return _quantize(network, profile, ledger, activity, given, is_literal=False)


def make_explicit(
    network: Network,
    chip: ChipSpec,
    *,
    profile: Profile | None = None,
    explicit: Mapping[str, Explicit] | None = None,
    allow: Iterable[str] = frozenset(),
) -> QuantizedNetwork:
    """Return a QuantizedNetwork whose integers are the network's own numbers.

    For networks that are written in integers from the start (benchmarks, tests, exports of other
    tools): weights are mantissas, thresholds, biases, v_reset and v0 are membrane LSBs, and
    everything must be a whole number on the chip's grid; gains (r, w_in) are taken as 1. Decays
    follow from the time constants with dt 1 (tau 16 is v -= v >> 4) and from ``explicit``.

    >>> net = (
    ...     Network.build().input("in", 784)
    ...     .population("h", 1024, "lif", tau_mem_s=16, v_threshold=theta)
    ...     .project("in", "h", weights, delay_steps=1).output("out", "h").done()
    ... )                                                                 # doctest: +SKIP
    >>> make_explicit(net, chip, explicit={"in>h": {"exponent": 6}})      # doctest: +SKIP

    Parameters
    ----------
    profile : Profile, optional
        Comparison, reset, hop; default: v >= threshold, reset to zero, dt 1, unit gains, hop 0.
    explicit : mapping, optional
        Replaces or adds fields, see ``nmhw.mappers.quantize.explicit``.

    Raises
    ------
    UsageError, UnsupportedError
        As ``quantize_network``, and for numbers that are not whole.
    """
    meaning = profile or Profile(
        "explicit", dt_s=1.0, input_gain="unit", current_gain="unit", compare=">="
    )
    given = as_explicit(explicit)
    ledger = Ledger(chip, check_allow(allow))
    check_names(given, split_by_delay(network, meaning.dt_s))
    return _quantize(network, meaning, ledger, {}, given, is_literal=True)


def _quantize(
    original: Network,
    profile: Profile,
    ledger: Ledger,
    activity: Mapping[str, Activity],
    explicit: Mapping[str, Explicit],
    *,
    is_literal: bool,
) -> QuantizedNetwork:
    chip = ledger.chip
    if not chip.is_executable:
        raise refuse_sheet(original, chip)
    network = split_by_delay(original, profile.dt_s)
    cells = discretize(network, profile)
    if is_literal:
        cells = {name: _without_gains(cell) for name, cell in cells.items()}
    check_sources(network, chip)
    bias = None if is_literal else plan_bias_neuron(network, cells, profile, ledger, explicit)
    check_recurrent_bias(network, profile, ledger, bias.targets if bias is not None else ())
    timing = retime(network, profile, ledger, bias)
    sizes = network.sizes()
    shapes = {port.name: port.shape for port in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    spikes = chip.arithmetic.max_spikes_per_step if profile.multi_spike else 1
    names = frozenset(p.name for p in network.projections)
    parts: list[QuantizedPart] = []
    asked: list[Part] = []
    # the bias neuron may be called what the added input would be
    constant = name_constant_input(network if bias is None else bias.connect(network))
    for population in network.populations:
        incoming = tuple(
            lower_projection(p, sizes[p.source], sizes[p.target])
            for p in network.incoming(population.name)
        )
        if stores_kernels_alone(chip):
            ends = zip(incoming, network.incoming(population.name), strict=True)
            incoming = tuple(as_convolution(q, p, shapes[p.source], ledger) for q, p in ends)
        if bias is not None:
            incoming += bias.synapses(population.name)
        part = _part(network, population, cells, incoming, timing, profile, ledger, explicit)
        part = replace(part, is_literal=is_literal, taken_names=names)
        part = move_bias_to_input(part, constant, names, ledger, is_output=part.is_output)
        refuse_extremes(part)
        if not is_literal:
            fired = tuple(1 if p.is_bias else spikes for p in part.incoming)
            part = replace(part, spikes=fired)
            part = replace(part, bounds=_bounds(part, activity.get(population.name)))
        asked.append(part)
        if chip.arithmetic.state == "float32":
            parts.append(quantize_float32(part, profile, ledger))
        elif chip.arithmetic.family == "speck":
            parts.append(quantize_layer(part, ledger))
        else:
            parts.append(quantize_integer(part, ledger))
    if chip.arithmetic.weight_exponent_scope == "matrix" and not is_literal:
        parts = share_exponents(original, asked, parts, ledger)
    _note_headroom(original.name, parts, ledger)
    if not is_literal:
        verb = "truncated" if chip.arithmetic.weight_rounding == "truncate" else "rounded"
        text = (
            f"weights (with gains r, w_in and dt folded in where the chip has none) are {verb} to "
            f"{max(chip.arithmetic.weight_bits)} bits; the error per layer is in the loss table"
        )
        ledger.note("weights", original.name, text)
    order = {p.name: k for k, p in enumerate(network.projections)}
    projections = [q for part in parts for q in part.projections]
    populations = [part.population for part in parts]
    if bias is not None:
        note_bias_neuron(bias, ledger)
        populations.append(build_bias_population(bias, chip.arithmetic))
        order |= {axon.name: len(order) + k for k, axon in enumerate(bias.axons)}
    order |= {q.name: len(order) for q in projections if q.name not in order}
    ports = constant_ports(asked, constant)
    lowered = QuantizedNetwork(
        name=original.name,
        chip_name=chip.name,
        family=chip.arithmetic.family,
        profile=profile,
        inputs=(*original.inputs, *ports),
        populations=tuple(populations),
        projections=tuple(sorted(projections, key=lambda q: order[q.name])),
        outputs=original.outputs,
        drain_steps=timing.drain_steps,
        losses=tuple(part.loss for part in parts if part.loss is not None),
        lowering={
            p.name: np.repeat(np.arange(p.size, dtype=np.int64), p.n_compartments)
            for p in populations
            if p.n_compartments > 1
        },
        constant_inputs=tuple(port.name for port in ports),
        network_sha256=original.sha256,
    )
    lowered = lower_crossbar(lowered, ledger)
    return replace(lowered, notices=tuple(ledger.notices))


def _part(
    network: Network,
    population: Population,
    cells: Mapping[str, FloatCell],
    incoming: tuple[LoweredProjection, ...],
    timing: Timing,
    profile: Profile,
    ledger: Ledger,
    explicit: Mapping[str, Explicit],
) -> Part:
    cell = cells[population.name]
    outputs = {name for port in network.outputs for name in port.sources}
    is_output = population.name in outputs
    form = agree_on_form(population, cell, profile, ledger, is_output=is_output)
    bias = summed_bias(network, population)
    if any(p.is_bias for p in incoming):
        bias = np.zeros(population.size)
    is_stateful = cell.is_spiking and population.model.kind != "threshold"
    return Part(
        population=population,
        source=cell,
        cell=membrane_cell(population, cell, bias, form, profile, ledger),
        incoming=incoming,
        delays=tuple(timing.delays[p.name] for p in incoming),
        depth=timing.depth[population.name],
        reset_delay=timing.reset_delay if is_stateful else 0,
        bounds=Bounds(np.zeros(population.size), np.zeros(population.size)),
        explicit=explicit.get(population.name, {}),
        explicit_weights={p.name: explicit[p.name] for p in incoming if p.name in explicit},
        is_output=is_output,
    )


def _bounds(part: Part, activity: Activity | None) -> Bounds:
    gained = [p.with_gain(part.cell.gain) for p in part.incoming]
    worst = worst_case(part.cell, gained, part.spikes)
    return worst if activity is None else observed(part.cell, part.source, activity, worst)


def _note_headroom(name: str, parts: list[QuantizedPart], ledger: Ledger) -> None:
    """Say which states could leave their width if every source fired in every step."""
    arithmetic = ledger.chip.arithmetic
    states = (
        ("u", arithmetic.u_bits, arithmetic.u_overflow),
        ("v", arithmetic.v_bits, arithmetic.v_overflow),
    )
    for k, (state, bits, mode) in enumerate(states):
        over = [
            f"{p.population.name} ({p.overflow[k]:.3g} times)"
            if np.isfinite(p.overflow[k])
            else f"{p.population.name} (no leak, no bound)"
            for p in parts
            if p.overflow[k] > 1
        ]
        if over:
            text = (
                f"if every source fired in every step, {state} would leave its {bits} bits and "
                f"{mode.removesuffix('-full')} in {', '.join(over)}"
            )
            ledger.note(f"headroom-{state}", name, text, "warning", "calibration inputs")


def _without_gains(cell: FloatCell) -> FloatCell:
    ones = np.ones_like(cell.u_gain)
    return replace(cell, u_gain=ones, v_gain=ones)
