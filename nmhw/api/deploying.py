"""From a float network to a deployment: quantize, map, verify."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.api.arguments import check_network
from nmhw.api.deployment import Deployment
from nmhw.api.inputs import check_seed
from nmhw.api.reading import chip as load_chip_spec
from nmhw.api.reading import give_meaning
from nmhw.errors import UsageError
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

    Raises
    ------
    UnsupportedError
        When the chip lacks a semantic (exit code 3).
    DoesNotFitError
        When a budget is exceeded (exit code 3).
    UsageError
        When a given mapping does not suit the network or the chip.
    """
    from nmhw.mappers.greedy import map_network as find_mapping

    started = time.perf_counter()
    check_seed(seed)
    ready, spec, samples = _prepare(network, chip, calibration)
    quantized, rates = quantize_with_rates(ready, spec, samples, allow, explicit)
    quantized_at = time.perf_counter()
    chosen = _given_mapping(mapping, quantized, spec)
    if chosen is None:
        chosen = find_mapping(quantized, spec, rates=rates, seed=seed)
    wall = {"quantize": quantized_at - started, "map": time.perf_counter() - quantized_at}
    return Deployment(ready, spec, quantized, chosen, seed, samples, wall)


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
) -> tuple[QuantizedNetwork, Mapping[str, Any] | None]:
    """Quantize; with calibration samples also return spikes per sample and neuron.

    What a lowering adds fires in every step.
    """
    from nmhw.api.runner import FloatRunner
    from nmhw.mappers.quantize import quantize_network

    if network.profile is None:
        raise UsageError("the network has no profile", hint="nmhw.load(path, profile=...)")
    runner = FloatRunner(network.profile) if calibration is not None else None
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
    network: Network, chip: ChipSpec | str | Path, calibration: Any
) -> tuple[Network, ChipSpec, Mapping[str, SpikeEvents] | None]:
    """Return the network with a profile, the chip, and calibration samples by input name."""
    from nmhw.io.input_arrays import as_inputs

    check_network(network)
    spec = _read_chip(chip)
    ready = network if network.profile is not None else give_meaning(network)
    return ready, spec, None if calibration is None else as_inputs(ready, calibration)
