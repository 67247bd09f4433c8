"""How well a run did: accuracy and its uncertainty, and the difference two runs make."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Metric = str | Callable[[Floats, NDArray[Any]], float]

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Fraction right with its 95 % Wilson interval."""

    n: int
    n_right: int

    @property
    def value(self) -> float:
        """Fraction of right predictions."""
        return self.n_right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval, see ``wilson_interval``."""
        return wilson_interval(self.n_right, self.n)

    def __str__(self) -> str:
        low, high = self.interval
        percent = f"{100 * self.value:.2f} % ({self.n_right} of {self.n})"
        return f"{percent}, 95 % interval {100 * low:.1f} to {100 * high:.1f} %"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from a reference run (float) to another (chip) on the same samples.

    Attributes
    ----------
    n : int
    n_agree : samples with the same prediction
    right_to_wrong, wrong_to_right : flips against the labels; None without labels
    """

    n: int
    n_agree: int
    right_to_wrong: int | None
    wrong_to_right: int | None

    @property
    def agreement(self) -> float:
        """Fraction of samples with the same prediction (top-1 agreement)."""
        return self.n_agree / self.n


def wilson_interval(n_right: int, n: int, z: float = _Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927) 209-212,
    doi:10.1080/01621459.1927.10502953.

    Raises
    ------
    UsageError
        For counts that are no proportion.
    """
    if n < 1 or not 0 <= n_right <= n:
        raise UsageError("a proportion needs 0 <= right <= n, n >= 1", got=f"{n_right} of {n}")
    share = n_right / n
    denominator = 1 + z * z / n
    center = (share + z * z / (2 * n)) / denominator
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / denominator
    # at 0 and n the bound is the share itself; rounding must not move it
    low = 0.0 if n_right == 0 else center - half
    high = 1.0 if n_right == n else center + half
    return low, high


def accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Accuracy:
    """Return the accuracy of (samples,) predictions."""
    _check_lengths(predictions, labels)
    return Accuracy(int(predictions.size), int(np.sum(predictions == labels)))


def compare_predictions(
    reference: NDArray[Any], predictions: NDArray[Any], labels: NDArray[Any] | None = None
) -> Comparison:
    """Return agreement and flips from ``reference`` to ``predictions``, both (samples,)."""
    _check_lengths(predictions, reference)
    agree = int(np.sum(reference == predictions))
    if labels is None:
        return Comparison(int(predictions.size), agree, None, None)
    _check_lengths(predictions, labels)
    before, after = reference == labels, predictions == labels
    lost, won = int(np.sum(before & ~after)), int(np.sum(~before & after))
    return Comparison(int(predictions.size), agree, lost, won)


def confusion(predictions: NDArray[Any], labels: NDArray[Any], n_classes: int) -> Ints:
    """Return counts (n_classes, n_classes): rows = label, columns = prediction."""
    _check_lengths(predictions, labels)
    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (np.asarray(labels), np.asarray(predictions)), 1)
    return table


def top_k(scores: Floats, labels: NDArray[Any], k: int) -> Accuracy:
    """Return how often the label is among the ``k`` best scores (ties: lower index first)."""
    if not 1 <= k <= scores.shape[1]:
        raise UsageError("top-k needs 1 <= k <= classes", got=k, limit=scores.shape[1])
    _check_lengths(scores[:, 0], labels)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    right = (best == np.asarray(labels)[:, None]).any(axis=1)
    return Accuracy(int(right.size), int(right.sum()))


def mse(values: Floats, targets: NDArray[Any]) -> float:
    """Return the mean squared error over samples and outputs."""
    goal = _as_targets(values, targets)
    return float(np.mean((values - goal) ** 2))


def r2(values: Floats, targets: NDArray[Any]) -> float:
    """Return the coefficient of determination, averaged over outputs.

    Raises
    ------
    InputError
        When a target does not vary.
    """
    goal = _as_targets(values, targets)
    spread = np.sum((goal - goal.mean(axis=0)) ** 2, axis=0)
    if (spread == 0).any():
        raise InputError("r2 needs targets that vary", where="labels", hint="metric=mse")
    return float(np.mean(1 - np.sum((values - goal) ** 2, axis=0) / spread))


def is_classification(metric: Metric) -> bool:
    """Whether the metric compares classes (and labels must be integers)."""
    return isinstance(metric, str) and (metric == "accuracy" or metric.startswith("top-"))


def evaluate(metric: Metric, predictions: Ints, scores: Floats, labels: NDArray[Any]) -> float:
    """Return a metric by name.

    Parameters
    ----------
    metric : "accuracy" | "top-K" (e.g. "top-3") | "mse" | "r2" | callable(scores, labels)
    predictions : (samples,)
    scores : (samples, outputs)
    labels : (samples,) classes, or (samples, outputs) targets

    Raises
    ------
    UsageError
        For an unknown name.
    InputError
        For labels of the wrong length or shape.
    """
    if callable(metric):
        return float(metric(scores, labels))
    if metric == "accuracy":
        return accuracy(predictions, labels).value
    if metric == "mse":
        return mse(scores, labels)
    if metric == "r2":
        return r2(scores, labels)
    match = re.fullmatch(r"top-(\d+)", metric) if isinstance(metric, str) else None
    if match is None:
        known = "accuracy, top-K (top-3), mse, r2, or a function of (scores, labels)"
        raise UsageError("no such metric", got=repr(metric), hint=known)
    return top_k(scores, labels, int(match[1])).value


def _check_lengths(predictions: NDArray[Any], labels: NDArray[Any]) -> None:
    if predictions.size == 0:
        raise InputError("there is no sample to judge", where="labels")
    if np.shape(labels) != predictions.shape:
        raise InputError(
            "one label per sample is needed", got=np.shape(labels), limit=predictions.shape,
            where="labels",
        )  # fmt: skip


def _as_targets(values: Floats, targets: NDArray[Any]) -> Floats:
    goal = np.asarray(targets, np.float64)
    if goal.ndim == 1 and values.shape[1] == 1:
        goal = goal[:, None]
    if goal.shape != values.shape or values.size == 0:
        raise InputError(
            "targets have the wrong shape", got=goal.shape, limit=values.shape, where="labels"
        )
    return goal
