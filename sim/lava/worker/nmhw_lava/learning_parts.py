"""What the learning processes are made of: a clock, counters, weight codes, the teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.fixed_point import code_changes, output_errors, rewritten
from nmhw_lava.shift_register import draw_words


class Clock:
    """Where in its sample a process is.

    A sample takes ``period`` rows (time steps of Lava). A process meets the sample's step t in row
    ``start + t`` and, walking back, its n-th step from the end in row ``turn + n``.

    Parameters
    ----------
    settings : mapping
        ``period``, ``start``, ``turn``, ``n_samples``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.period, self.n_samples = settings["period"], settings["n_samples"]
        self.start, self.turn = settings["start"], settings["turn"]
        self.row = -1

    def tick(self) -> None:
        """Go to the next row."""
        self.row += 1

    @property
    def sample(self) -> int:
        """Number of the sample."""
        return self.row // self.period

    @property
    def step(self) -> int:
        """Step of the sample that this row brings; outside the sample's steps: none."""
        return self.row % self.period - self.start

    @property
    def back(self) -> int:
        """Steps walked back before this row; negative: not yet."""
        return self.row % self.period - self.turn

    @property
    def is_last(self) -> bool:
        """Whether this is the last row of a sample."""
        return self.row % self.period == self.period - 1

    @property
    def is_over(self) -> bool:
        """Whether all samples are behind us."""
        return self.row == self.period * self.n_samples


class Counter:
    """Names for the columns of a process's ``counts`` variable."""

    def __init__(self, operations: Any) -> None:
        self.column = {str(name): k for k, name in enumerate(operations)}

    def add(self, counts: Any, operation: str, n: Any) -> None:
        """Add to one column."""
        counts[self.column[operation]] += int(n)


class Codes:
    """Read-modify-write of weight codes, with the register that rounds them, counted.

    Parameters
    ----------
    settings : mapping
        ``register``, ``max_code``, ``is_stochastic``, ``writes_always``, ``is_stream``,
        ``keeps_history``, ``shape``, ``operations``.
    a : arithmetic
    """

    def __init__(self, settings: Mapping[str, Any], a: Any) -> None:
        self.settings, self.a = settings, a
        self.register = int(settings["register"])
        self.counter = Counter(settings["operations"])
        self.gradient = np.zeros(settings["shape"], np.int64)
        self.touched = np.zeros(settings["shape"], bool)
        self.tally = np.zeros(2, np.int64)  # rewrites, and those that changed their weight
        self.history: list[Any] = []

    def take(self, weights: Any, counts: Any, parts: Any, is_met: Any) -> None:
        """Take in contributions of one step where ``is_met``: now, or with the sample's others."""
        if self.settings["is_stream"]:
            at = np.flatnonzero(is_met)
            self._rewrite(weights, counts, at, parts.ravel()[at])
        else:
            self.gradient[is_met] += parts[is_met]
            self.touched |= is_met

    def finish(self, weights: Any, counts: Any) -> None:
        """Rewrite the touched weights, in order of position."""
        at = np.flatnonzero(self.touched)
        self._rewrite(weights, counts, at, self.gradient.ravel()[at])
        self.gradient[:] = 0
        self.touched[:] = False

    def keep(self, weights: Any) -> None:
        """Remember the weights behind a sample, if they were asked for."""
        if self.settings["keeps_history"]:
            self.history.append(weights.astype(np.int32))

    def save(self, weights: Any) -> None:
        """Write codes, register and history."""
        shape = (-1, *self.settings["shape"])
        np.savez(
            Path(self.settings["path"]),
            codes=weights.astype(np.int32),
            register=np.array([self.register], np.uint32),
            tally=self.tally,
            history=np.array(self.history, np.int32).reshape(shape),
        )

    def _rewrite(self, weights: Any, counts: Any, at: Any, gradient: Any) -> None:
        if not at.size:
            return
        words = np.full(at.size, 1 << 15, np.int64)  # to nearest
        if self.settings["is_stochastic"]:
            drawn, self.register = draw_words(self.register, at.size)
            words = drawn.astype(np.int64)
            self.counter.add(counts, "random_word", at.size)
        most, old = self.settings["max_code"], weights.ravel()[at]
        new = np.clip(rewritten(old, code_changes(gradient, 1, self.a), words), -most, most)
        weights.reshape(-1)[at] = new
        n_changed = int((new != old).sum())
        self.tally += (at.size, n_changed)
        self.counter.add(counts, "weight_read", at.size)
        self.counter.add(
            counts, "weight_write", at.size if self.settings["writes_always"] else n_changed
        )


class Teacher:
    """Knows the labels; makes the outputs' errors of a sample's scores.

    Parameters
    ----------
    labels : (n_samples,) int64, or empty: nothing is learned
    """

    def __init__(self, labels: Any, n_samples: int, n_classes: int, a: Any) -> None:
        self.labels, self.a = labels, a
        self.scores = np.zeros((n_samples, n_classes), np.int64)
        self.n_learned = 0

    @property
    def teaches(self) -> bool:
        """Whether there are labels."""
        return self.labels.size > 0

    def judge(self, sample: int) -> tuple[Any, Any]:
        """Return the errors of a sample's outputs and which of them take one; none if skipped."""
        error, on, p = output_errors(self.scores[sample], int(self.labels[sample]), self.a)
        if not on.any() or 0 < self.a.skip_confidence <= p:
            return np.zeros_like(error), np.zeros_like(on)
        self.n_learned += 1
        return error, on
