"""A learning experiment as text, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import indented, new_table, render
from nmhw.values.units import format_percent, format_si

#: Epochs shown: the first, the last, and this many between.
_SHOWN_EPOCHS = 8

_FIGURES = (
    "Energies are counts times the unit prices of a named cost set: parameters with a range, no "
    "measurements. A ratio belongs to its baseline, number of steps, cost set and scope."
)


def render_learning(summary: Mapping[str, Any], *, color: bool = False) -> str:
    """Return the report of a learning experiment.

    Parameters
    ----------
    summary : mapping
        From ``LearningExperiment.to_json``.
    """
    parts: list[RenderableType] = [Text("\n".join(_head(summary)))]
    parts += [Text(""), _training_table(summary), Text(_notes(summary))]
    parts += [Text(""), _epoch_table(summary)]
    if summary["baselines"]:
        parts += [Text(""), *_ratio_tables(summary)]
    parts += [Text(""), _operation_table(summary), Text(""), Text(indented(_FIGURES, 0))]
    if summary["warnings"]:
        lines = "\n".join(indented(w) for w in summary["warnings"])
        parts.append(Text("\nWarnings\n" + lines))
    return render(parts, color=color)


def _head(summary: Mapping[str, Any]) -> list[str]:
    settings = summary["settings"]
    weights = settings["weights"]
    hypothetical = " (HYPOTHETICAL learning engine)" if summary["is_hypothetical"] else ""
    chip = summary["chip"] or "no chip"
    width = "float" if weights["bits"] is None else f"{weights['bits']} bits"
    rounding = "no" if weights["bits"] is None else weights["rounding"]
    data = summary["data"]
    head = f"{summary['rule']} on {data['name']}, {chip}{hypothetical}"
    parts = (data["n_train"], data["n_validation"], data["n_test"])
    size = "{} training, {} validation, {} test".format(*parts)
    code = "events" if data["is_events"] else f"code {settings['code']}"
    net = f"network {settings['net']}, {settings['n_steps']} steps, {code}"
    epochs = f"{settings['epochs']} epochs, batch {settings['batch']}, rate {settings['lr']:g}"
    stored = f"{rounding} rounding, write {weights['policy']}"
    how = f"{weights['accumulate']} accumulation; {settings['mode']} arithmetic"
    lines = [
        f"nmhw {summary['nmhw_version']}  {head}",
        f"  data: {data['title']}; {size}",
        f"  {net}, {epochs}",
        f"  weights {width}, {stored}, {how}, {settings['optimizer']}",
    ]
    if summary["is_reconstruction"]:
        lines.append(f"  rule: reconstructed {summary['rule_source']}")
    if summary["is_hypothetical"]:
        lines.append(
            f"  {chip} does not run {summary['rule']} itself: every figure below is hypothetical"
        )
    if summary["traffic"]:
        traffic = summary["traffic"]
        cores = f"mapped to {traffic['n_cores']} core{'s' if traffic['n_cores'] > 1 else ''}"
        widths = "/".join(map(str, traffic["packet_bits"]))
        packets = (
            f"error packets of {widths} bits, {traffic['packets_per_sample']:.3g} packets and "
            f"{traffic['hops_per_sample']:.3g} hops per sample"
        )
        lines.append(f"  {cores}; {packets if widths else 'no layer sends error packets'}")
    accuracy = summary["trainings"][0]["accuracy"]
    lines += ["", f"ACCURACY {_accuracy(accuracy)} on {summary['data']['n_test']} test samples"]
    if summary["starts_trained"]:
        lines.append(f"  before training: {format_percent(summary['accuracy_before'], 2)}")
    return [indented(line.strip(), 2 if line.startswith(" ") else 0) for line in lines]


def _accuracy(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "-"
    text = format_percent(value["mean"], 2)
    if value["low"] is not None:
        low, high = format_percent(value["low"], 2), format_percent(value["high"], 2)
        text += f" (95 % interval of the mean {low} to {high}, {value['n']} seeds)"
    return text


def _training_table(summary: Mapping[str, Any]) -> RenderableType:
    costs = next(iter(summary["costs"]), None)
    title, columns = "Trainings (no prices)", ["rule", "test accuracy"]
    if costs is not None:
        title = f"Trainings (energy per training sample, cost set {costs}, whole training)"
        columns += ["forward", "log", "backward", "update", "sum", "one training"]
    table = new_table(title, columns)
    for training in summary["trainings"]:
        accuracy = training["accuracy"]
        cells = ["-" if accuracy is None else format_percent(accuracy["mean"], 2)]
        if costs is not None:
            energy = training["energy_j"][costs]["whole training"]
            cells += [format_si(energy["by_phase"][p], "J") for p in _PHASES]
            cells += [format_si(energy[k], "J") for k in ("per_sample", "training")]
        table.add_row(_marked(training), *cells)
    return table


def _marked(training: Mapping[str, Any]) -> str:
    """Return a training's name; one that the chip does not run says so beside every figure."""
    return training["name"] + ("\nhypothetical" if training["is_hypothetical"] else "")


def _notes(summary: Mapping[str, Any]) -> str:
    """Return what the rows of the trainings say beside their numbers; equal notes once."""
    names: dict[str, list[str]] = {}
    for training in summary["trainings"]:
        for note in training["notes"]:
            names.setdefault(note, []).append(training["name"])
    lines = [f"{', '.join(of)}: {note}" for note, of in names.items()]
    return "\n".join(indented(line) for line in lines)


_PHASES = ("forward", "log", "backward", "update")


def _epoch_table(summary: Mapping[str, Any]) -> RenderableType:
    costs = next(iter(summary["costs"]), None)
    mark = "hypothetical; " if summary["is_hypothetical"] else ""
    title = f"Epochs of {summary['rule']} ({mark}means over seeds"
    title += ")" if costs is None else f"; energy per sample, {costs})"
    columns = ["epoch", "training", "validation", "test", "updated", "silent"]
    columns += [] if costs is None else ["learning", "whole"]
    table = new_table(title, columns)
    rows = summary["epochs"]
    for row in (rows[k] for k in _some(len(rows))):
        silent = max((s for s in row["silent"].values() if s is not None), default=None)
        scopes = {} if costs is None else row["energy_j_per_sample"][costs]
        table.add_row(
            str(row["epoch"]),
            *(format_percent(row[k], 1) for k in (
                "train_accuracy", "validation_accuracy", "accuracy", "updated_share")),
            format_percent(silent, 1),
            *(format_si(scopes[s], "J") for s in ("learning only", "whole training") if scopes),
        )  # fmt: skip
    return table


def _some(n: int) -> Iterable[int]:
    if n <= _SHOWN_EPOCHS + 2:
        return range(n)
    return sorted({round(k * (n - 1) / (_SHOWN_EPOCHS + 1)) for k in range(_SHOWN_EPOCHS + 2)})


def _ratio_tables(summary: Mapping[str, Any]) -> Iterable[RenderableType]:
    names = list(summary["baselines"])
    shown = [_marked(t) for t in summary["trainings"][1:]]
    steps = summary["settings"]["n_steps"]
    for scope, ratios in summary["ratios"].items():
        title = f"Baseline / {summary['rule']} ({scope}, {steps} steps; range over all prices)"
        table = new_table(title, ["", *shown])
        operations = [f"{ratios['op_ratio'][n]:.1f}" for n in names]
        table.add_row("operations, no prices", *operations)
        for cost, found in ratios["energy_ratio"].items():
            cells = [found[n] for n in names]
            table.add_row(
                cost, *(f"{c['value']:.1f} ({c['low']:.1f}-{c['high']:.1f})" for c in cells)
            )
        yield table
        yield Text("")


def _operation_table(summary: Mapping[str, Any]) -> RenderableType:
    trainings = summary["trainings"]
    columns = ["operation", *(_marked(t) for t in trainings)]
    table = new_table("Operations per training sample", columns)
    for name in trainings[0]["operations_per_sample"]:
        counts = [t["operations_per_sample"][name] for t in trainings]
        if any(counts):
            table.add_row(name, *(_number(c) for c in counts))
    return table


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def render_checks(rule: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line per check of a rule."""
    marks = {True: "ok", False: "FAILED", None: "not run"}
    table = new_table(f"Checks of {rule}", ["check", "", ""], left=3)
    for row in rows:
        table.add_row(row["name"], marks[row["passed"]], row["detail"])
    return render([table])


def render_groups(summary: Mapping[str, Any]) -> str:
    """Return the accuracy on every group of classes after every stage.

    Parameters
    ----------
    summary : mapping
        From ``ClassesInTurn.to_json``.
    """
    names = [",".join(map(str, group)) for group in summary["groups"]]
    title = "Test accuracy on each group of classes (rows: after learning)"
    table = new_table(title, ["after", *names])
    for name, row in zip(names, summary["accuracy"], strict=True):
        table.add_row(name, *(format_percent(a, 1) for a in row))
    lost = format_percent(summary["forgetting"], 1)
    text = f"FORGETTING {lost}: best accuracy of the earlier groups minus that at the end, mean"
    return render([Text(text), Text(""), table])
