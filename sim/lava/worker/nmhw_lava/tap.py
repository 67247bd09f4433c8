"""A port that remembers what came in, to count the synapses that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np


class Tap:
    """Stands in for the input port of a stock connection.

    Parameters
    ----------
    port : Lava's input port
    settings : mapping
        ``fan_out`` (n_source,) synapses that an event of each source reads, ``delay`` steps until
        it reads them, ``period`` steps of a sample: what would be read behind its end is not.
    """

    def __init__(self, port: Any, settings: Any) -> None:
        self.port = port
        self.fan_out, self.delay = settings["fan_out"], settings["delay"]
        self.period = settings["period"]
        self.row = 0
        self.last: Any = None

    @property
    def is_start(self) -> bool:
        """Whether the step to come is the first of a sample."""
        return self.row % self.period == 0

    def recv(self) -> Any:
        """Receive, and keep what was received."""
        self.last = self.port.recv()
        return self.last

    def count(self) -> int:
        """Return the synapses that the events of this step read."""
        is_read = self.row % self.period + self.delay < self.period
        self.row += 1
        return int(self.fan_out @ np.asarray(self.last, np.int64)) if is_read else 0
