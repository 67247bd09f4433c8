"""Labeled data of a learning experiment, with its fixed split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.values.events import SpikeEvents

Part = Literal["train", "validation", "test"]

#: Code of every part in ``LabeledData.split``.
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, eq=False)
class LabeledData:
    """Samples, labels and which part each sample belongs to.

    Attributes
    ----------
    name, title, source : str
        ``source`` cites where the samples come from, or names the generator.
    images : (n_samples, ...) float64 in [0, 1], or None
        Analog values that a code turns into spikes.
    events : SpikeEvents or None
        Spikes, for data that are events already. Exactly one of the two is set.
    labels : (n_samples,) int64, from 0
    split : (n_samples,) uint8
        0 train, 1 validation, 2 test. Hyperparameters are chosen on validation, never on test.
    n_classes : int
    """

    name: str
    title: str
    source: str
    images: NDArray[np.float64] | None
    events: SpikeEvents | None
    labels: NDArray[np.int64]
    split: NDArray[np.uint8]
    n_classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample (of one step, for events)."""
        if self.events is not None:
            return self.events.shape
        assert self.images is not None
        return tuple(int(n) for n in self.images.shape[1:])

    @property
    def n_inputs(self) -> int:
        """Number of input addresses."""
        return int(np.prod(self.shape, dtype=np.int64))

    def rows(self, part: Part) -> NDArray[np.int64]:
        """Return the ascending sample numbers of one part.

        Raises
        ------
        UsageError
            For an unknown part.
        """
        if part not in PARTS:
            raise UsageError("no such part", got=repr(part), hint=", ".join(PARTS))
        return np.flatnonzero(self.split == PARTS.index(part)).astype(np.int64)

    def merge_validation(self) -> LabeledData:
        """Return the data with the validation samples used for training."""
        return replace(self, split=np.where(self.split == 1, 0, self.split).astype(np.uint8))

    def take(
        self, n_train: int | None, n_validation: int | None, n_test: int | None
    ) -> LabeledData:
        """Return the data with at most that many samples of each part, classes in turn.

        Samples that are left out belong to no part.
        """
        split = np.full(self.split.size, len(PARTS), np.uint8)
        for code, limit in enumerate((n_train, n_validation, n_test)):
            rows = np.flatnonzero(self.split == code)
            split[rows if limit is None else _in_turn(rows, self.labels)[:limit]] = code
        return replace(self, split=split)


def check_labeled(data: LabeledData) -> LabeledData:
    """Return the data when labels, split and samples agree.

    Raises
    ------
    InputError
        Naming what does not agree.
    """
    n_samples = data.labels.size
    found = data.images.shape[0] if data.images is not None else _samples(data.events)
    if found != n_samples or data.split.size != n_samples:
        got = f"{found} samples, {n_samples} labels, {data.split.size} split entries"
        raise InputError("samples, labels and split differ in number", got=got, where=data.name)
    if not n_samples:
        raise InputError("the data have no samples", where=data.name)
    if data.labels.min() < 0:
        lowest = int(data.labels.min())
        raise InputError("labels are whole numbers from 0", got=lowest, where=data.name)
    value = None if data.events is None else data.events.value
    if value is not None and not ((value >= 1) & (value == np.floor(value))).all():
        bad = value[(value < 1) | (value != np.floor(value))][0]
        raise InputError(
            "learning takes spikes: an event's value is their number", got=float(bad),
            limit="whole numbers from 1", where=data.name, rule="learn.graded-events",
        )  # fmt: skip
    for part in ("train", "test"):
        if not (data.split == PARTS.index(part)).any():  # type: ignore[arg-type]
            raise InputError(f"no sample is for {part}", where=data.name, rule="learn.empty-part")
    return data


def random_split(
    labels: NDArray[Any], rng: np.random.Generator, validation: float = 0.15, test: float = 0.25
) -> NDArray[np.uint8]:
    """Return a split code per sample, the same shares in every class."""
    split = np.zeros(labels.size, np.uint8)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        n_test, n_validation = round(test * rows.size), round(validation * rows.size)
        split[rows[:n_test]] = 2
        split[rows[n_test : n_test + n_validation]] = 1
    return split


def _in_turn(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order rows so that classes take turns."""
    turn = np.zeros(rows.size, np.int64)
    for label in np.unique(labels[rows]):
        mine = labels[rows] == label
        turn[mine] = np.arange(mine.sum())
    return rows[np.lexsort((labels[rows], turn))]


def _samples(events: SpikeEvents | None) -> int:
    return 0 if events is None else events.n_samples
