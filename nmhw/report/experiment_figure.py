"""Figure and text of a local rule's experiment."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.report.layout import indented
from nmhw.report.learn_plots import COLORS, load_pyplot, save_figure
from nmhw.sim.learning.experiments.result import ExperimentResult, Panel


def draw_experiment(result: ExperimentResult, path: str | Path) -> Path:
    """Write the figure of an experiment as PNG.

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed.
    """
    n = len(result.panels)
    figure = load_pyplot()(figsize=(5.0 * n, 3.8), layout="constrained")
    figure.suptitle(f"{result.title} (seed {result.seed})", fontsize=11)
    parts = figure.subfigures(1, n, squeeze=False)[0]
    for panel, part in zip(result.panels, parts, strict=True):
        if panel.kind == "images":
            _draw_images(panel, part)
        else:
            _draw_axes(panel, part.subplots())
    return save_figure(figure, Path(path))


def _draw_axes(panel: Panel, axes: Any) -> None:
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for series, color in zip(panel.series, COLORS, strict=False):
        if panel.kind == "bars":
            axes.bar(series.x, series.y, color=color)
            axes.set_xticks(series.x, panel.labels)
        else:
            mark = "o-" if series.x.size <= 25 else "-"
            axes.plot(series.x, series.y, mark, ms=3, lw=1.2, color=color, label=series.label)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set_title(panel.title, fontsize=9)
    if any(series.label for series in panel.series):
        axes.legend(frameon=False, fontsize=8)


def _draw_images(panel: Panel, part: Any) -> None:
    fields = panel.images
    if fields is None:
        return
    columns = math.ceil(math.sqrt(len(fields)))
    grid = part.subplots(math.ceil(len(fields) / columns), columns, squeeze=False)
    limit = float(np.abs(fields).max()) or 1.0
    for axes in grid.ravel():
        axes.set_axis_off()
    for axes, field in zip(grid.ravel(), fields, strict=False):
        axes.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    part.suptitle(panel.title, fontsize=9)


def render_experiment(result: ExperimentResult) -> str:
    """Return what was measured, against which control, as text."""
    rows = [
        f"{result.title}  [{result.name}, rule {result.rule}, seed {result.seed}]",
        indented(f"data       {result.generator}"),
        indented(f"measure    {result.measure}"),
        f"  learned    {result.learned:.4g}",
        f"  control    {result.control:.4g}  ({result.control_name})",
        *(f"  {name}: {value:.4g}" for name, value in result.facts.items()),
        indented(f"criterion  {result.criterion}: {'met' if result.passed else 'NOT met'}"),
    ]
    if result.counts is not None:
        used = {k: n for k, n in result.counts.by_operation().items() if n}
        rows.append(indented("operations " + ", ".join(f"{k} {n}" for k, n in used.items())))
    return "\n".join(rows)
