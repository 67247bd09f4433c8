"""Steps or events: which of them a chip has, and what an event run says about time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nmhw.errors import UnsupportedError, UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.laws import interpolate_points
from nmhw.values.notice import Notice
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

TIMINGS = ("steps", "events")


def check_timing(chip: ChipSpec, timing: str, probes: Sequence[Probe]) -> None:
    """Refuse a timing that does not exist, that the chip lacks, or that has nothing to probe.

    Raises
    ------
    UsageError
        For an unknown timing, and for probes, which belong to steps.
    UnsupportedError
        For a chip whose sheet does not list it.
    """
    if timing not in TIMINGS:
        raise UsageError("no such timing", got=repr(timing), hint=" or ".join(TIMINGS))
    if timing not in chip.arithmetic.timings:
        raise UnsupportedError(
            "the chip does not run this way", got=f"timing {timing}",
            limit=", ".join(chip.arithmetic.timings), where=chip.name,
            hint="timing " + chip.arithmetic.timings[0], rule="run.timing",
        )  # fmt: skip
    if timing == "events" and probes:
        raise UsageError(
            "probes are taken after every step, which events do not have",
            got=str(probes[0]),
            hint="timing steps",
            rule="run.timing-probe",
        )


def timing_notices(quantized: QuantizedNetwork, chip: ChipSpec, timing: str) -> list[Notice]:
    """Return what a run assumes about time on a chip that has no steps."""
    if "events" not in chip.arithmetic.timings:
        return []
    if timing == "steps":
        text = (
            "the chip works event by event; steps, and the visits and updates counted per step, "
            "are those of the simulation it is compared with"
        )
        return [Notice("run.stepwise", chip.name, text, "assumption", "--timing events")]
    notices = []
    biased = [p.name for p in quantized.populations if (p.u_bias + p.v_bias).any()]
    if biased:
        text = "biases are ticks of a slow clock: one per time stamp, before its input events"
        notices.append(Notice("run.bias-clock", ", ".join(biased), text, "assumption"))
    leaky = [p.name for p in quantized.populations if p.spec.v_decay == "subtract"]
    if leaky:
        text = "leaks are time reference events: one per time stamp, before its input events"
        notices.append(Notice("run.leak-clock", ", ".join(leaky), text, "assumption"))
    for population in quantized.populations:
        sources = {p.source for p in quantized.projections if p.target == population.name}
        if len(sources) > 1:
            text = (
                f"{len(sources)} sources send here: their events are worked off breadth first, an "
                "order that the chip need not share"
            )
            notices.append(Notice("run.merge-order", population.name, text, "assumption"))
    return notices


def summarize_timing(
    chip: ChipSpec, timing: str, costs: str | None, result: RunResult
) -> dict[str, Any]:
    """Return ``timing`` and, for events, ``event_latency``: per population how many events passed
    how many layers, and the time the chip's published law gives for that.

    ``mean_s`` and ``max_s`` are None where no law covers every number of layers that occurred.
    """
    if timing == "steps":
        return {"timing": timing, "event_latency": None}
    table = chip.cost_table(costs)
    law = None if table is None else table.laws.get("latency")
    rows = {}
    for name, layers in result.events_by_layers.items():
        row: dict[str, Any] = {"layers": {str(k): n for k, n in sorted(layers.items())}}
        row |= {"events": sum(layers.values()), "mean_s": None, "max_s": None, "source": None}
        if law is not None and layers and law.kind == "points" and law.variable == "layers":
            try:
                times = {k: interpolate_points(law, k) for k in layers}
            except UsageError:  # beyond the measured range: not extrapolated
                times = {}
            if times:
                total = sum(times[k] * n for k, n in layers.items())
                row |= {"mean_s": total / row["events"], "max_s": max(times.values())}
                row["source"] = law.source
        rows[name] = row
    return {"timing": timing, "event_latency": rows}
