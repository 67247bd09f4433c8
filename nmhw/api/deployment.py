"""Deployment: a network quantized and mapped to a chip, ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nmhw
from nmhw.api.bias_stage import BiasStage
from nmhw.api.execute import RunOptions, execute
from nmhw.api.judging import as_probes
from nmhw.api.pieces import Progress
from nmhw.api.run import Run
from nmhw.errors import UnsupportedError
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
    stage : what the host writes as biases per sample (``input_stage="bias"``), or None
    """

    network: Network
    chip: ChipSpec
    quantized: QuantizedNetwork
    mapping: CoreMapping
    seed: int = 0
    calibration: Mapping[str, SpikeEvents] | None = None
    wall_s: Mapping[str, float] = field(default_factory=dict)
    stage: BiasStage | None = None
    #: What the simulator builds from the network and its mapping, for the next run.
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

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
            "dt_s": profile.step_s,
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
        from nmhw.api.targets import check_file_target
        from nmhw.io.mapping_file import save_mapping

        check_file_target(path, "mapping")
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
        repeat: int | None = None,
        compare_float: bool = True,
        continuous: bool = False,
        metric: Metric = "accuracy",
        keep_spikes: int = 10**8,
        timing: str = "steps",
        latency: str = "analytic",
        noc_steps: int | None = None,
        progress: Progress | None = None,
        threads: int | None = None,
        chunk: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> Run:
        """Execute in the chip's integers and price the result.

        Parameters
        ----------
        x : array, tensor, DataLoader, SpikeEvents, EventInput, or dict of them by input name
            (samples, steps, ...) spikes, or with ``encode`` (samples, ...) values in [0, 1].
            A DataLoader gives batches (x, y) or x; ``nmhw.load_events`` is read in pieces.
        labels : (samples,) classes, or (samples, outputs) targets, optional
        backend : "numba" | "reference" | "lava"
            "lava" runs in its own environment (``nmhw lava install``), on chips of the families
            loihi, generic and spinnaker2.
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
        repeat : int, optional
            ``x`` is (samples, ...) without steps; every sample is presented in so many steps.
        compare_float : bool
            Also run the float network and report flips and agreement.
        continuous : bool
            Keep state from sample to sample.
        metric : "accuracy" | "top-K" | "mse" | "r2" | callable(scores, labels)
        keep_spikes : int
            Beyond so many events, only those of the outputs are kept (counts stay complete); input
            events that are read from a file or a loader are held to the same number.
        timing : "steps" | "events"
            "events" on chips that have it: every input event is worked off by itself, in the order
            of its step, without updates per step; the step is a time stamp.
        latency : "analytic" | "noc"
            "noc" sends every message over the links and buffers of the chip's mesh
            (docs/cost.md), on chips whose file has their figures.
        noc_steps : int, optional
            Time so many steps, evenly spread, and estimate the mean from them; default: all.
        progress : callable(done, in all)
            Samples of the chip run; then, from 0 again, the float run it is compared with.
        threads : int, optional
            Default: one per processor where the run is long enough; results do not depend on it.
        chunk : int, optional
            Samples that are read and run at a time; default: all, or as many as fit the memory
            where the inputs lie in a file. Results do not depend on it.
        checkpoint : path, optional
            Folder that keeps finished pieces of the run until it is saved there (``Run.save``).
        resume : bool
            Go on with the pieces that an interrupted run left in ``checkpoint``.

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
                rule="map.limits-only",
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
            repeat=repeat,
            compare_float=compare_float,
            continuous=continuous,
            metric=metric,
            keep_spikes=keep_spikes,
            timing=timing,
            latency=latency,
            noc_steps=noc_steps,
            progress=progress,
            threads=threads,
            chunk=chunk,
            checkpoint=checkpoint,
            resume=resume,
        )
        return execute(self, x, labels, options)


def model_name(network: Network) -> str:
    """Return the file name without its folder, or the name given in code."""
    return Path(network.path).name if network.path else network.name
