"""Deployment: a network quantized and mapped to a chip, ready to run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nmhw
from nmhw.api.execute import Progress, RunOptions, execute
from nmhw.api.inputs import check_seed
from nmhw.api.judging import as_probes
from nmhw.api.reading import chip as load_chip_spec
from nmhw.api.reading import give_meaning
from nmhw.api.run import Run
from nmhw.errors import UnsupportedError, UsageError
from nmhw.report.summary import check_json, notice_dict, summarize_mapping
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.metrics import Metric
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.readout import Readout


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """What ``deploy`` returns.

    Attributes
    ----------
    network : the float network with its profile
    chip : ChipSpec
    quantized : QuantizedNetwork
    mapping : nmhw.Mapping
    seed : int
    calibration : inputs used for quantization, by name, or None
    wall_s : host seconds of quantize and map
    """

    network: Network
    chip: ChipSpec
    quantized: QuantizedNetwork
    mapping: CoreMapping
    seed: int = 0
    calibration: Mapping[str, SpikeEvents] | None = None
    wall_s: Mapping[str, float] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return the mapping's part of the report as a dict."""
        facts = summarize_mapping(self.quantized, self.mapping, self.chip)
        facts["notices"] = [notice_dict(n) for n in self.network.notices] + facts["notices"]
        profile = self.quantized.profile
        header = {
            "nmhw_version": nmhw.__version__,
            "model": model_name(self.network),
            "model_sha256": self.network.sha256,
            "profile": profile.name,
            "dt_s": profile.dt_s,
            "seed": self.seed,
            "chip_file": self.chip.path or self.chip.name,
            "chip_sha256": self.chip.sha256,
        }
        return check_json({**header, **facts})

    def report(self) -> str:
        """Return the text report of the mapping."""
        from nmhw.report.text import render_report

        return render_report(self.summary())

    def save(self, path: str | Path) -> Path:
        """Write the mapping (HDF5); ``deploy(..., mapping=path)`` uses it again."""
        from nmhw.io.mapping_file import save_mapping

        save_mapping(self.mapping, path)
        return Path(path)

    def run(
        self,
        x: Any,
        labels: Any = None,
        *,
        backend: str = "numba",
        readout: Readout | str | None = None,
        readout_on_host: bool = False,
        pace: str | None = None,
        costs: str | None = None,
        probes: Sequence[Probe | str] | Mapping[str, Sequence[str]] = (),
        layout: str = "auto",
        encode: str | None = None,
        n_steps: int | None = None,
        compare_float: bool = True,
        continuous: bool = False,
        metric: Metric = "accuracy",
        keep_spikes: int = 10**8,
        progress: Progress | None = None,
    ) -> Run:
        """Execute in the chip's integers and price the result.

        Parameters
        ----------
        x : array, tensor, DataLoader, SpikeEvents, or dict of them by input name
            (samples, steps, ...) spikes, or with ``encode`` (samples, ...) values in [0, 1].
        labels : (samples,) classes, or (samples, outputs) targets, optional
        backend : "numba" | "reference"
        readout : str or Readout, optional
            Default: spike count for spiking outputs, last membrane value else.
        readout_on_host : bool
            Allow membrane readouts on a chip that cannot read membranes out.
        pace : "free" | "realtime" | "period=1ms", optional
            Default: the chip's.
        costs : str, optional
            Name of a cost table of the chip, "none" = unpriced.
        probes : sequence of Probe or "population:variable:every=k", or {"lif1": ["v"]}
        layout : "auto" | "NT" | "TN"
            "TN" = time first.
        encode : "rate" | "latency" | "delta" | "accumulate", optional
            Makes spikes of analog values, ``n_steps`` of them.
        compare_float : bool
            Also run the float network and report flips and agreement.
        continuous : bool
            Keep state from sample to sample.
        metric : "accuracy" | "top-K" | "mse" | "r2" | callable(scores, labels)
        keep_spikes : int
            Beyond so many events, only those of the outputs are kept (counts stay complete).
        progress : callable(samples done, samples in all)

        Raises
        ------
        InputError
            For inputs or labels of the wrong shape, kind or value.
        UsageError
            For an unknown backend, readout, pace, metric or probe.
        UnsupportedError
            For a chip sheet that only knows limits, or a feature the backend lacks.
        """
        if not self.chip.is_executable:
            raise UnsupportedError(
                "this chip sheet only knows limits",
                got=self.chip.name,
                where=self.chip.not_executable_because or None,
                hint="nmhw check, or another chip",
            )
        options = RunOptions(
            backend=backend,
            readout=readout,
            readout_on_host=readout_on_host,
            pace=pace,
            costs=costs,
            probes=as_probes(probes),
            layout=layout,
            encode=encode,
            n_steps=n_steps,
            compare_float=compare_float,
            continuous=continuous,
            metric=metric,
            keep_spikes=keep_spikes,
            progress=progress,
        )
        return execute(self, x, labels, options)


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
    started = time.perf_counter()
    check_seed(seed)
    spec = load_chip_spec(chip) if isinstance(chip, str | Path) else chip
    ready = network if network.profile is not None else give_meaning(network)
    samples = None if calibration is None else _calibration(ready, calibration)
    quantized, rates = quantize_with_rates(ready, spec, samples, allow, explicit)
    quantized_at = time.perf_counter()
    chosen = _given_mapping(mapping, quantized, spec)
    if chosen is None:
        chosen = _new_mapping(quantized, spec, rates, seed)
    wall = {"quantize": quantized_at - started, "map": time.perf_counter() - quantized_at}
    return Deployment(ready, spec, quantized, chosen, seed, samples, wall)


def _new_mapping(
    quantized: QuantizedNetwork, chip: ChipSpec, rates: Mapping[str, Any] | None, seed: int
) -> CoreMapping:
    from nmhw.mappers.greedy import map_network
    from nmhw.mappers.verify import verify

    mapping = map_network(quantized, chip, rates=rates, seed=seed)
    violations = verify(quantized, chip, mapping).violations
    if violations:  # no input may get here: the mapper and its independent check disagree
        raise RuntimeError(f"mapper {mapping.mapper!r} broke a rule: {violations[0]}")
    return mapping


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
    spec = load_chip_spec(chip) if isinstance(chip, str | Path) else chip
    ready = network if network.profile is not None else give_meaning(network)
    samples = None if calibration is None else _calibration(ready, calibration)
    return quantize_with_rates(ready, spec, samples, allow, explicit)[0]


def map_network(
    quantized: QuantizedNetwork, chip: ChipSpec | str | Path, *, seed: int = 0
) -> CoreMapping:
    """Place a quantized network on a chip's cores; see ``deploy``."""
    from nmhw.mappers.greedy import map_network as run_mapper

    spec = load_chip_spec(chip) if isinstance(chip, str | Path) else chip
    return run_mapper(quantized, spec, seed=seed)


def quantize_with_rates(
    network: Network,
    chip: ChipSpec,
    calibration: Mapping[str, SpikeEvents] | None,
    allow: Sequence[str],
    explicit: Mapping[str, Any] | None,
) -> tuple[QuantizedNetwork, Mapping[str, Any] | None]:
    """Quantize; with calibration samples also return spikes per sample and neuron."""
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
        allow=frozenset(allow),
        explicit=explicit,
    )
    rates = runner.rates if runner is not None else None
    return quantized, rates


def model_name(network: Network) -> str:
    """Return the file name without its folder, or the name given in code."""
    return Path(network.path).name if network.path else network.name


def _calibration(network: Network, calibration: Any) -> Mapping[str, SpikeEvents]:
    from nmhw.io.input_arrays import as_inputs

    return as_inputs(network, calibration)
