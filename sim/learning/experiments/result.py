"""ExperimentResult: what was measured, against which control, and what the figure shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.values.learning import OperationCounts

Floats = NDArray[np.float64]

#: Called as ``progress(done, total)``.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One line (or group of bars) of a panel: x and y of equal length."""

    label: str
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One drawing of a figure.

    Attributes
    ----------
    kind : "lines" | "bars" | "images"
    series : tuple of Series
        Of lines and bars.
    images : (n, height, width) float64 or None
    labels : tuple of str
        Names of the bars.
    """

    title: str
    kind: Literal["lines", "bars", "images"] = "lines"
    x_label: str = ""
    y_label: str = ""
    series: tuple[Series, ...] = ()
    images: Floats | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentResult:
    """One run of one experiment.

    Attributes
    ----------
    name, title : str
    rule : str
    generator : str
        Where the data come from.
    seed : int
    measure : str
        What ``learned`` and ``control`` are.
    learned, control : float
    control_name : str
    criterion : str
        When the rule counts as having learned.
    passed : bool
    facts : mapping of str to float
        Further numbers.
    panels : tuple of Panel
    counts : OperationCounts or None
        Of the learned run.
    """

    name: str
    title: str
    rule: str
    generator: str
    seed: int
    measure: str
    learned: float
    control: float
    control_name: str
    criterion: str
    passed: bool
    facts: Mapping[str, float] = field(default_factory=dict)
    panels: tuple[Panel, ...] = ()
    counts: OperationCounts | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, without the figure."""
        plain = ("name", "title", "rule", "generator", "seed", "measure", "learned", "control",
                 "control_name", "criterion", "passed")  # fmt: skip
        record: dict[str, Any] = {key: getattr(self, key) for key in plain}
        # accuracies are often NumPy scalars, which json refuses
        record |= {key: float(record[key]) for key in ("learned", "control")}
        record["passed"] = bool(self.passed)
        record["facts"] = {name: float(value) for name, value in self.facts.items()}
        record["operations"] = self.counts.by_operation() if self.counts else None
        return record


def lines(title: str, x_label: str, y_label: str, **series: tuple[Any, Any]) -> Panel:
    """Return a panel of lines; underscores of the names become spaces."""
    found = (
        Series(name.replace("_", " "), np.asarray(x, np.float64), np.asarray(y, np.float64))
        for name, (x, y) in series.items()
    )
    return Panel(title, "lines", x_label, y_label, tuple(found))


def bars(title: str, y_label: str, values: Mapping[str, float]) -> Panel:
    """Return a panel of named bars."""
    heights = np.array(list(values.values()), np.float64)
    one = Series("", np.arange(heights.size, dtype=np.float64), heights)
    return Panel(title, "bars", "", y_label, (one,), labels=tuple(values))


def images(title: str, fields: Any) -> Panel:
    """Return a panel of small images."""
    return Panel(title, "images", images=np.asarray(fields, np.float64))


def report(progress: Progress | None, done: int, total: int) -> None:
    """Tell how far it is, if anybody listens."""
    if progress is not None:
        progress(done, total)
