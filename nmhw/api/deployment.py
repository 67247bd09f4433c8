"""Deployment: a network quantized and mapped to a chip, ready to run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nmhw
from nmhw.api.reading import chip as load_chip_spec
from nmhw.api.reading import give_meaning
from nmhw.api.run import Run
from nmhw.errors import UnsupportedError, UsageError
from nmhw.report.summary import summarize_mapping, summarize_run
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

Progress = Callable[[int, int], None]


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
        from nmhw.report.summary import check_json, notice_dict

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

    def run(
        self,
        x: Any,
        labels: Any = None,
        *,
        backend: str = "numba",
        readout: Any = None,
        pace: str | None = None,
        costs: str | None = None,
        probes: Sequence[Probe | str] = (),
        layout: str = "auto",
        encode: str | None = None,
        n_steps: int | None = None,
        compare_float: bool = True,
        continuous: bool = False,
        metric: Any = "accuracy",
        progress: Progress | None = None,
    ) -> Run:
        """Execute in the chip's integers and price the result.

        Parameters
        ----------
        x : array, SpikeEvents, or dict of them by input name
            (samples, steps, ...) counts, or with ``encode`` (samples, ...) values in [0, 1].
        labels : (samples,) int, optional
        backend : "numba" | "reference"
        readout : str or Readout, optional
            Default: spike count for spiking outputs, last membrane value else.
        pace : "free" | "realtime" | "period=1ms", optional
            Default: the chip's.
        costs : str, optional
            Name of a cost table of the chip, "none" = unpriced.
        probes : Probe or "population:variable:every=k"
        compare_float : bool
            Also run the float network and report flips and agreement.
        progress : callable(done, total), optional

        Raises
        ------
        InputError
            For inputs or labels of the wrong shape, kind or value.
        UnsupportedError
            For a chip sheet that only knows limits, or a feature the backend lacks.
        """
        from nmhw.api.execute import execute

        if not self.chip.is_executable:
            raise UnsupportedError(
                "this chip sheet only knows limits",
                got=self.chip.name,
                where=self.chip.not_executable_because or None,
                hint="nmhw check, or another chip",
            )
        wanted = tuple(p if isinstance(p, Probe) else Probe.parse(p) for p in probes)
        return execute(
            self,
            x,
            labels,
            backend=backend,
            readout=readout,
            pace=pace,
            costs=costs,
            probes=wanted,
            layout=layout,
            encode=encode,
            n_steps=n_steps,
            compare_float=compare_float,
            continuous=continuous,
            metric=metric,
            progress=progress,
        )


def deploy(
    network: Network,
    chip: ChipSpec | str,
    *,
    calibration: Any = None,
    allow: Sequence[str] = (),
    explicit: Mapping[str, Any] | None = None,
    seed: int = 0,
    mapping: CoreMapping | None = None,
) -> Deployment:
    """Quantize and map a network to a chip.

    Parameters
    ----------
    network : Network
        From ``load`` or ``Network.build()``; without a profile it gets the default one.
    chip : ChipSpec or str
    calibration : array or SpikeEvents, optional
        Input samples (not the evaluated ones) from which state ranges and firing rates are read.
    allow : sequence of str
        Profile fields whose mismatch is accepted as an approximation.
    explicit : mapping, optional
        Given integers by population or projection name.
    mapping : Mapping, optional
        A saved mapping instead of a new one; it is verified.

    Raises
    ------
    UnsupportedError
        When the chip lacks a semantic (exit code 3).
    DoesNotFitError
        When a budget is exceeded (exit code 3).
    """
    from nmhw.mappers.greedy import map_network
    from nmhw.mappers.verify import verify

    started = time.perf_counter()
    spec = load_chip_spec(chip) if isinstance(chip, str) else chip
    ready = network if network.profile is not None else give_meaning(network)
    samples = None if calibration is None else _calibration(ready, calibration)
    quantized, rates = quantize_with_rates(ready, spec, samples, allow, explicit)
    quantized_at = time.perf_counter()
    if mapping is None:
        mapping = map_network(quantized, spec, rates=rates, seed=seed)
    verdict = verify(quantized, spec, mapping)
    if verdict.violations:
        from nmhw.errors import DoesNotFitError

        what = "the mapping breaks the chip's rules"
        raise DoesNotFitError(what, violations=[str(v) for v in verdict.violations])
    mapped_at = time.perf_counter()
    wall = {"quantize": quantized_at - started, "map": mapped_at - quantized_at}
    return Deployment(ready, spec, quantized, mapping, seed, samples, wall)


def quantize(
    network: Network,
    chip: ChipSpec | str,
    *,
    calibration: Any = None,
    allow: Sequence[str] = (),
    explicit: Mapping[str, Any] | None = None,
) -> QuantizedNetwork:
    """Return the network in the chip's integers, without mapping it; see ``deploy``."""
    spec = load_chip_spec(chip) if isinstance(chip, str) else chip
    ready = network if network.profile is not None else give_meaning(network)
    samples = None if calibration is None else _calibration(ready, calibration)
    return quantize_with_rates(ready, spec, samples, allow, explicit)[0]


def map_network(quantized: QuantizedNetwork, chip: ChipSpec | str, *, seed: int = 0) -> CoreMapping:
    """Place a quantized network on a chip's cores; see ``deploy``."""
    from nmhw.mappers.greedy import map_network as run_mapper

    spec = load_chip_spec(chip) if isinstance(chip, str) else chip
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


__all__ = ["Deployment", "RunResult", "deploy", "map_network", "quantize", "summarize_run"]
