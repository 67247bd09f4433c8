"""Plots of a learning experiment; matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmhw.errors import MissingExtraError
from nmhw.io.atomic import replacing

#: Colors that stay apart for color-blind readers (Okabe and Ito).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def load_pyplot() -> Any:
    """Return matplotlib's Figure class (no window, no global state).

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib", hint="pip install 'nmhw[report]'"
        ) from error
    return Figure


def save_figure(figure: Any, path: Path) -> Path:
    """Write a PNG without date or version, so that equal figures have equal bytes."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})
    return path


def plot_learning(summary: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write ``learning-curve.png``, ``accuracy-energy.png`` (with prices), ``operations.png``."""
    target = Path(folder)
    return [
        _learning_curve(summary, target / "learning-curve.png"),
        *([_accuracy_energy(summary, target / "accuracy-energy.png")] if summary["costs"] else []),
        _operations(summary, target / "operations.png"),
    ]


def new_axes(width: float = 6.0, height: float = 4.0) -> tuple[Any, Any]:
    """Return (figure, axes) with a light grid."""
    figure = load_pyplot()(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _title(summary: Mapping[str, Any]) -> str:
    settings = summary["settings"]
    mark = ", hypothetical" if summary["is_hypothetical"] else ""
    return f"{summary['rule']}, {summary['data']['name']}, {settings['net']}{mark}"


def _label(training: Mapping[str, Any]) -> str:
    return str(training["name"]) + (", hypothetical" if training["is_hypothetical"] else "")


def _learning_curve(summary: Mapping[str, Any], path: Path) -> Path:
    figure, axes = new_axes()
    rows = summary["epochs"]
    epochs = [row["epoch"] for row in rows]
    parts = (("train_accuracy", "training"), ("validation_accuracy", "validation"),
             ("accuracy", "test"))  # fmt: skip
    for (key, label), color in zip(parts, COLORS, strict=False):
        values = [row[key] for row in rows]
        if any(v is not None for v in values):
            axes.plot(epochs, [100 * v for v in values], "o-", ms=3, color=color, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", title=_title(summary))
    axes.legend(frameon=False)
    return save_figure(figure, path)


def _accuracy_energy(summary: Mapping[str, Any], path: Path) -> Path:
    figure, axes = new_axes()
    rows = [row for row in summary["epochs"] if row["accuracy"] is not None]
    n_train = summary["data"]["n_train"]
    for cost, color in zip(summary["costs"], COLORS, strict=False):
        spent, points = 0.0, []
        for row in rows:
            spent += row["energy_j_per_sample"][cost]["whole training"] * n_train
            points.append((spent, 100 * row["accuracy"]))
        label = f"{cost}, hypothetical" if summary["is_hypothetical"] else cost
        axes.plot(*zip(*points, strict=True), "o-", ms=3, color=color, label=label)
    axes.set_xscale("log")
    axes.set(xlabel="energy since the first epoch (J)", ylabel="test accuracy (%)",
             title=_title(summary))  # fmt: skip
    axes.legend(frameon=False)
    return save_figure(figure, path)


def _operations(summary: Mapping[str, Any], path: Path) -> Path:
    trainings = summary["trainings"]
    kinds = [
        name
        for name in trainings[0]["operations_per_sample"]
        if any(t["operations_per_sample"][name] for t in trainings)
    ]
    figure, axes = new_axes(7.0, 0.32 * len(kinds) + 1.6)
    height = 0.8 / len(trainings)
    for k, training in enumerate(trainings):
        rows = [i + (k - (len(trainings) - 1) / 2) * height for i in range(len(kinds))]
        values = [training["operations_per_sample"][name] for name in kinds]
        axes.barh(rows, values, height, color=COLORS[k % len(COLORS)], label=_label(training))
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set(xlabel="operations per training sample", title=_title(summary))
    axes.legend(frameon=False)
    return save_figure(figure, path)
