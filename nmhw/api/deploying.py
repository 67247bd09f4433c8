"""From a float network to a deployment: quantize, map, verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.api.arguments import check_network
from nmhw.api.bias_stage import (
    BiasStage,
    check_explicit,
    check_stage,
    first_layer,
    largest_drives,
    stage_notice,
    with_drives,
)
from nmhw.api.deployment import Deployment
from nmhw.api.inputs import check_seed
from nmhw.api.reading import chip as load_chip_spec
from nmhw.api.reading import give_meaning
from nmhw.errors import UsageError
from nmhw.io.input_events import KINDS, InputKind
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.network import Network
from nmhw.values.quantized import QuantizedNetwork


def deploy(
    network: Network,
    chip: ChipSpec | str | Path,
    *,
    calibration: Any = None,
    allow: Sequence[str] = (),
    explicit: Mapping[str, Any] | None = None,
    seed: int = 0,
    mapping: CoreMapping | str | Path | None = None,
    input_stage: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Deployment:
    """Quantize and map a network to a chip.

    Parameters
    ----------
    network : Network
        From ``load`` or ``Network.build()``; without a profile it gets the default one.
    chip : ChipSpec, name or path
    calibration : array or SpikeEvents, optional
        Input samples (not the evaluated ones) from which state ranges and firing rates are read.
    allow : sequence of str
        Profile fields whose mismatch is accepted as an approximation.
    explicit : mapping, optional
        Given integers by population or projection name.
    seed : int
        Root seed of the mapper and of encoders.
    mapping : Mapping or path, optional
        One made earlier (``Deployment.save``) instead of a new one; it is verified.
    input_stage : "bias", optional
        Inputs are constant frames of any values: the host computes the first layer's drive once
        per sample and writes it as biases. ``nmhw.host_stage`` is the other input stage.
    progress : callable(phase), optional
        Told what begins: quantizing, wiring, cutting and packing, placing n cores, verifying.

    Raises
    ------
    UnsupportedError
        When the chip lacks a semantic (exit code 3).
    DoesNotFitError
        When a budget is exceeded (exit code 3).
    UsageError
        When a given mapping does not suit the network or the chip.
    """
    from nmhw.mappers.base import say_nothing
    from nmhw.mappers.greedy import map_network as find_mapping

    started = time.perf_counter()
    say = progress or say_nothing
    check_seed(seed)
    check_input_stage(input_stage)
    kinds = ("spikes", "counts") if input_stage is None else KINDS
    ready, spec, samples = _prepare(network, chip, calibration, kinds)
    stage = None
    say("quantizing")
    if input_stage is None:
        quantized, rates = quantize_with_rates(ready, spec, samples, allow, explicit)
    else:
        ready, quantized, rates, stage = quantize_with_stage(ready, spec, samples, allow, explicit)
    quantized_at = time.perf_counter()
    if mapping is not None:
        say("verifying")
    chosen = _given_mapping(mapping, quantized, spec)
    if chosen is None:
        chosen = find_mapping(quantized, spec, rates=rates, seed=seed, progress=say)
    wall = {"quantize": quantized_at - started, "map": time.perf_counter() - quantized_at}
    return Deployment(ready, spec, quantized, chosen, seed, samples, wall, stage)


def check_input_stage(input_stage: str | None) -> None:
    """Refuse unknown input stages of a deployment.

    Raises
    ------
    UsageError
        For anything but "bias" or None.
    """
    if input_stage not in (None, "bias"):
        what = "no such input stage of a deployment"
        raise UsageError(what, got=repr(input_stage), hint="bias, or nmhw.host_stage(network)")


def quantize_with_stage(
    network: Network,
    chip: ChipSpec,
    calibration: Mapping[str, SpikeEvents] | None,
    allow: Sequence[str],
    explicit: Mapping[str, Any] | None,
) -> tuple[Network, QuantizedNetwork, Mapping[str, Any] | None, BiasStage]:
    """Quantize a network whose first layer's drive the host writes as biases.

    Returns
    -------
    network : Network
        The whole one, with a notice of the stage.
    quantized : QuantizedNetwork
        Without synapses of the first layer, its scale made for the largest drive.
    rates, stage
    """
    from nmhw.mappers.quantize.sample_biases import bias_registers

    profile = network.profile
    if profile is None:
        raise UsageError("the network has no profile", hint="nmhw.load(path, profile=...)")
    into = first_layer(network)
    check_explicit(into, explicit or {})
    targets = dict.fromkeys(p.target for p in into)
    registers = {name: bias_registers(network, chip, profile, name, allow) for name in targets}
    rest = with_drives(network, into, largest_drives(network, into, calibration))
    # a bias acts at once: no hop in front of the first layer
    at_once = replace(chip, arithmetic=replace(chip.arithmetic, input_hop_steps=0))
    quantized, rates = quantize_with_rates(rest, at_once, calibration, allow, explicit, network)
    inputs = {port.name for port in network.inputs}
    kept = tuple(q for q in quantized.projections if q.source not in inputs)
    quantized = replace(quantized, projections=kept)
    check_stage(quantized, chip, targets)
    notice = stage_notice(network, into, calibration is not None)
    told = replace(network, notices=(*network.notices, notice))
    return told, quantized, rates, BiasStage(into, registers)


def _given_mapping(
    mapping: CoreMapping | str | Path | None, quantized: QuantizedNetwork, chip: ChipSpec
) -> CoreMapping | None:
    """Return a mapping that was made earlier, after checking it against network and chip."""
    from nmhw.io.mapping_file import load_mapping
    from nmhw.mappers.verify import verify

    if mapping is None:
        return None
    where = str(mapping) if isinstance(mapping, str | Path) else "mapping"
    given = load_mapping(mapping) if isinstance(mapping, str | Path) else mapping
    violations = [str(v) for v in verify(quantized, chip, given).violations]
    if violations:
        more = f" and {len(violations) - 1} more" if len(violations) > 1 else ""
        raise UsageError(
            "the mapping does not suit this network on this chip",
            got=violations[0] + more,
            where=where,
            hint="map it again with the same model, chip, profile and calibration",
            rule="mapping.unsuitable",
        )
    return given


def quantize(
    network: Network,
    chip: ChipSpec | str | Path,
    *,
    calibration: Any = None,
    allow: Sequence[str] = (),
    explicit: Mapping[str, Any] | None = None,
) -> QuantizedNetwork:
    """Return the network in the chip's integers, without mapping it; see ``deploy``."""
    ready, spec, samples = _prepare(network, chip, calibration)
    return quantize_with_rates(ready, spec, samples, allow, explicit)[0]


def map_network(
    quantized: QuantizedNetwork, chip: ChipSpec | str | Path, *, seed: int = 0
) -> CoreMapping:
    """Place a quantized network on a chip's cores (or on those of a variant of it); see ``deploy``.

    Raises
    ------
    UsageError
        For a network that is not quantized, or whose integers were made for another chip.
    """
    from nmhw.mappers.greedy import map_network as find_mapping

    check_seed(seed)
    spec = _read_chip(chip)
    if not isinstance(quantized, QuantizedNetwork):
        got = type(quantized).__name__
        raise UsageError("this takes a quantized network", got=got, hint="nmhw.quantize(...)")
    made_for, asked = (name.partition("[")[0] for name in (quantized.chip_name, spec.name))
    if made_for != asked:
        raise UsageError(
            "the integers were made for another chip",
            got=quantized.chip_name,
            limit=spec.name,
            where=quantized.name,
            hint=f"nmhw.quantize(network, {spec.name!r})",
            rule="map.other-chip",
        )
    return find_mapping(quantized, spec, seed=seed)


def quantize_with_rates(
    network: Network,
    chip: ChipSpec,
    calibration: Mapping[str, SpikeEvents] | None,
    allow: Sequence[str],
    explicit: Mapping[str, Any] | None,
    observed: Network | None = None,
) -> tuple[QuantizedNetwork, Mapping[str, Any] | None]:
    """Quantize; with calibration samples also return spikes per sample and neuron.

    What a lowering adds fires in every step. ``observed`` is the network that calibration samples
    run through where it is another.
    """
    from nmhw.api.runner import FloatRunner
    from nmhw.mappers.quantize import quantize_network

    if network.profile is None:
        raise UsageError("the network has no profile", hint="nmhw.load(path, profile=...)")
    runner = None
    if calibration is not None:
        runner = FloatRunner(network.profile, observed)
    quantized = quantize_network(
        network,
        chip,
        network.profile,
        calibration=calibration,
        runner=runner,
        allow=allow,
        explicit=explicit,
    )
    if calibration is None or runner is None or runner.rates is None:
        return quantized, None
    n_steps = next(iter(calibration.values())).n_steps + quantized.drain_steps
    always = {p.name: np.full(p.size, float(n_steps)) for p in quantized.populations if p.is_added}
    always |= {p: np.full(quantized.sizes()[p], float(n_steps)) for p in quantized.constant_inputs}
    rates = {
        name: rate[quantized.copies[name]] if name in quantized.copies else rate
        for name, rate in runner.rates.items()
    }
    return quantized, {**rates, **always}


def _read_chip(chip: ChipSpec | str | Path) -> ChipSpec:
    if not isinstance(chip, ChipSpec | str | Path):
        got, hint = type(chip).__name__, "the name of a chip, a .toml file or nmhw.chip(name)"
        raise UsageError("this takes a chip", got=got, hint=hint)
    return load_chip_spec(chip) if isinstance(chip, str | Path) else chip


def _prepare(
    network: Network,
    chip: ChipSpec | str | Path,
    calibration: Any,
    kinds: Sequence[InputKind] = ("spikes", "counts"),
) -> tuple[Network, ChipSpec, Mapping[str, SpikeEvents] | None]:
    """Return the network with a profile, the chip, and calibration samples by input name."""
    from nmhw.io.input_arrays import as_inputs

    check_network(network)
    spec = _read_chip(chip)
    ready = network if network.profile is not None else give_meaning(network)
    samples = None if calibration is None else as_inputs(ready, calibration, kinds=kinds)
    return ready, spec, samples
