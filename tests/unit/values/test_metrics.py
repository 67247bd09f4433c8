from __future__ import annotations

import numpy as np
import pytest

from nmhw.errors import InputError, UsageError
from nmhw.values.metrics import (
    accuracy,
    compare_predictions,
    confusion,
    evaluate,
    is_classification,
    wilson_interval,
)


@pytest.mark.parametrize(
    # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, method 3
    ("n_right", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_of_published_examples(
    n_right: int, n: int, low: float, high: float
) -> None:
    assert wilson_interval(n_right, n) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(n - n_right, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_wilson_bounds_solve_the_score_equation() -> None:
    z = 1.959963984540054
    for bound in wilson_interval(37, 50):
        assert (0.74 - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / 50)


@pytest.mark.parametrize(("n_right", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_no_proportion_no_interval(n_right: int, n: int) -> None:
    with pytest.raises(UsageError):
        wilson_interval(n_right, n)


def test_accuracy_prints_n_and_interval() -> None:
    found = accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 0]))
    assert (found.n, found.n_right, found.value) == (4, 3, 0.75)
    assert str(found) == "75.00 % (3 of 4), 95 % interval 30.1 to 95.4 %"


def test_flips_and_agreement_against_a_reference() -> None:
    labels = np.array([0, 1, 2, 3, 4])
    reference = np.array([0, 1, 2, 0, 0])
    predictions = np.array([0, 1, 0, 3, 1])
    found = compare_predictions(reference, predictions, labels)
    assert (found.right_to_wrong, found.wrong_to_right, found.n_agree) == (1, 1, 2)
    assert found.agreement == 0.4
    assert compare_predictions(reference, predictions).right_to_wrong is None


def test_confusion_has_labels_as_rows() -> None:
    table = confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    assert table.tolist() == [[1, 1], [0, 1]]


SCORES = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])


@pytest.mark.parametrize(
    ("metric", "labels", "value"),
    [
        ("accuracy", [0, 1], 0.5),
        ("top-1", [0, 1], 0.5),
        ("top-2", [2, 1], 1.0),
        ("top-2", [1, 2], 0.0),
        (lambda scores, labels: scores.sum() + len(labels), [0, 0], 10.0),
    ],
)
def test_metrics_of_classes(metric: object, labels: list[int], value: float) -> None:
    predictions = SCORES.argmax(axis=1)
    assert evaluate(metric, predictions, SCORES, np.array(labels)) == value  # type: ignore[arg-type]


def test_metrics_of_values() -> None:
    values = np.array([[1.0], [2.0], [4.0]])
    targets = np.array([1.0, 3.0, 5.0])
    none = np.zeros(3, np.int64)
    assert evaluate("mse", none, values, targets) == pytest.approx(2 / 3)
    assert evaluate("r2", none, values, targets) == pytest.approx(1 - 2 / 8)
    assert evaluate("r2", none, values, values[:, 0]) == 1.0
    with pytest.raises(InputError, match="targets that vary"):
        evaluate("r2", none, values, np.ones(3))
    with pytest.raises(InputError, match="targets have the wrong shape"):
        evaluate("mse", none, values, np.ones((3, 2)))


def test_unknown_metrics_are_refused() -> None:
    for name in ("f1", "top-", "top-0", "top-4"):
        with pytest.raises(UsageError):
            evaluate(name, np.zeros(2, np.int64), SCORES, np.zeros(2, np.int64))
    assert [is_classification(m) for m in ("accuracy", "top-3", "mse", max)] == [
        True,
        True,
        False,
        False,
    ]


def test_lengths_must_agree_and_no_sample_is_no_accuracy() -> None:
    with pytest.raises(InputError, match=r"got \(2,\) \(limit \(3,\)\)"):
        accuracy(np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="no sample"):
        accuracy(np.zeros(0), np.zeros(0))
