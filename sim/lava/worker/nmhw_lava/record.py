"""What a population did, kept in its own process and saved behind the last step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Record:
    """Spikes, activity, probes and final states of one population.

    Parameters
    ----------
    settings : mapping
        ``path`` (of the npz), ``n_rows`` (steps of all samples), ``period`` (steps after which
        states start anew), ``steps`` (per sample), ``probes`` ([variable, every] pairs).
    """

    def __init__(self, settings: Any) -> None:
        self.path = Path(settings["path"])
        self.n_rows, self.period = settings["n_rows"], settings["period"]
        self.steps = settings["steps"]
        self.probes = [(str(name), int(every)) for name, every in settings["probes"]]
        self.row = 0
        self.events: list[Any] = []
        self.active: list[Any] = []
        self.probed: dict[str, list[Any]] = {name: [] for name, _ in self.probes}
        self.n_saturated = 0

    @property
    def is_start(self) -> bool:
        """Whether the step to come is the first of a sample."""
        return self.row % self.period == 0

    def add(self, spikes: Any, is_active: Any, n_saturated: int, states: Any) -> None:
        """Take in what one step did; ``states`` maps names to arrays after the step."""
        (index,) = np.nonzero(spikes)
        if index.size:
            count = spikes[index]
            self.events.append(np.stack([np.full(index.size, self.row), index, count]))
        self.active.append(np.packbits(is_active))
        self.n_saturated += n_saturated
        for name, every in self.probes:
            if self.row % self.steps % every == 0:
                self.probed[name].append(np.array(states[name]))
        self.row += 1
        if self.row == self.n_rows:
            self._save(states)

    def _save(self, states: Any) -> None:
        empty = np.zeros((3, 0), np.int64)
        arrays = {
            "events": np.concatenate([empty, *self.events], axis=1).astype(np.int32),
            "active": np.array(self.active),
            "n_saturated": np.array(self.n_saturated),
            **{f"state/{name}": value for name, value in states.items()},
            **{f"probe/{name}": np.array(values) for name, values in self.probed.items()},
        }
        with open(self.path, "wb") as file:
            np.savez(file, **arrays)
