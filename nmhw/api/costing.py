"""``nmhw.cost``: a recorded program on a chip, mapped, counted and priced without simulation."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nmhw.api.compartments import gather_result, spread_inputs
from nmhw.api.deploying import deploy
from nmhw.api.facts import first_output_step, mean_rate, projection_rows
from nmhw.api.host_operations import operation_facts
from nmhw.api.pricing import check_prices
from nmhw.api.reading import chip as load_chip_spec
from nmhw.api.run import Run
from nmhw.errors import UsageError
from nmhw.report.summary import notice_dict, summarize_run
from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.notice import Notice
from nmhw.values.trace import SPIKES_AS_GIVEN, Trace


def cost(
    trace: Trace | str | Path,
    chip: ChipSpec | str | Path,
    *,
    costs: str | None = None,
    pace: str | None = None,
    allow: Iterable[str] | None = None,
    seed: int = 0,
    mapping: CoreMapping | str | Path | None = None,
) -> Run:
    """Map a recorded program to a chip, count its spikes there and price them.

    Nothing is executed in the chip's integers: the spikes are those of the program that was
    recorded, and the report says so. Updates of neurons with and without state are therefore not
    told apart (``neuron.visit`` counts them together); operations of the host are listed and not
    priced.

    Parameters
    ----------
    trace : Trace, or the path of a file written by ``save_trace``
    chip : ChipSpec, name or path
    costs : str, optional
        Name of a cost table of the chip, "none" = unpriced.
    pace : "free" | "realtime" | "period=1ms", optional
    allow : sequence of str, optional
        Profile fields in which the chip may differ; default all of them, because the chip's
        arithmetic is not run (each is listed in the report).
    seed : int
    mapping : Mapping or path, optional
        One made earlier instead of a new one.

    Returns
    -------
    Run
        As of an execution, without readout and accuracy.

    Raises
    ------
    UsageError
        For what is no trace, an unknown cost table or pace.
    UnsupportedError, DoesNotFitError
        As ``deploy``.
    """
    from nmhw.mappers.quantize import ALLOWABLE
    from nmhw.sim.recorded import count_recorded

    if isinstance(trace, str | Path):
        trace = load_trace(trace)
    if not isinstance(trace, Trace):
        raise UsageError("this takes a trace", got=type(trace).__name__, hint="nmhw.record(...)")
    if not isinstance(chip, ChipSpec | str | Path):
        got, hint = type(chip).__name__, "the name of a chip, a .toml file or nmhw.chip(name)"
        raise UsageError("this takes a chip", got=got, hint=hint)
    spec = load_chip_spec(chip) if isinstance(chip, str | Path) else chip
    profile = trace.network.profile
    check_prices(spec, costs, pace, None if profile is None else profile.step_s)
    allowed = tuple(ALLOWABLE) if allow is None else tuple(allow)
    deployed = deploy(trace.network, spec, allow=allowed, seed=seed, mapping=mapping)
    started = time.perf_counter()
    counted = count_recorded(
        deployed.quantized,
        deployed.mapping,
        spec,
        spread_inputs(trace.spikes, deployed.quantized),
        n_samples=trace.n_samples,
        n_steps=trace.n_steps,
    )
    result = gather_result(counted, deployed.network, deployed.quantized)
    sources = tuple(dict.fromkeys(n for o in trace.network.outputs for n in o.sources))
    facts = {**deployed.summary(), **summarize_run(result, deployed.quantized)}
    facts |= _record_facts(trace, facts)
    facts["first_output_step"] = first_output_step(result, sources)
    facts["readout_populations"] = list(sources)
    facts["projections"] = projection_rows(deployed, result)
    facts |= operation_facts(trace.host, facts["projections"])
    facts["spikes_per_neuron_sample"] = mean_rate(facts)
    of_run = summarize_run(result, deployed.quantized)["notices"]
    given = Notice("cost.spikes-as-given", trace.name, SPIKES_AS_GIVEN, "assumption")
    notices = [notice_dict(n) for n in (given, *trace.notices)]
    facts["notices"] = [*notices, *deployed.summary()["notices"], *of_run]
    wall = {**deployed.wall_s, "run": time.perf_counter() - started}
    return Run(result, spec, facts, costs=costs, pace=pace, wall_s=wall, mapping=deployed.mapping)


def _record_facts(trace: Trace, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what distinguishes a record from a run."""
    counted = facts["neuron_updates"] + facts["active_updates"]
    assert counted == 0  # the two kinds that a record does not tell apart
    visits = sum(row["compartments"] for row in facts["layers"])
    steps = facts["n_samples"] * (facts["n_steps"] + facts["drain_steps"])
    return {
        "spikes_as_given": SPIKES_AS_GIVEN,
        "neuron_updates": visits * steps,
        "active_updates": None,
        "uncounted": ["neuron.active", "neuron.idle"],
        "accuracy": None,
        "readout": "none",
        "readout_scale": None,
        "timing": "steps",
        "event_latency": None,
    }


def save_trace(trace: Trace, path: str | Path) -> Path:
    """Write a trace (HDF5); a file that nmhw did not write is never replaced.

    Raises
    ------
    UsageError
        When the file cannot be written, or another one is there.
    """
    from nmhw.api.targets import check_file_target
    from nmhw.io.trace_file import save_trace as save

    if not isinstance(trace, Trace):
        raise UsageError("this takes a trace", got=type(trace).__name__, hint="nmhw.record(...)")
    check_file_target(path, "trace")
    save(trace, path)
    return Path(path)


def load_trace(path: str | Path) -> Trace:
    """Read a trace written by ``save_trace``.

    Raises
    ------
    ResultFileError
        When the file is missing, damaged or no trace.
    """
    from nmhw.io.trace_file import load_trace as load

    return load(path)
