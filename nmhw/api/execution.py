"""What every finished run offers, on a chip or in float: spikes, probes, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents
from nmhw.values.readout import Outcome
from nmhw.values.result import ProbeData, RunResult


class Execution:
    """Base of ``Run`` and ``FloatRun``.

    Attributes
    ----------
    result : RunResult
        Spikes, probes and counters as the backend made them.
    facts : dict
        The part of the summary that no price changes.
    """

    def __init__(
        self, result: RunResult, facts: Mapping[str, Any], outcome: Outcome | None
    ) -> None:
        self.result = result
        self.facts = dict(facts)
        self._outcome = outcome

    @property
    def outcome(self) -> Outcome:
        """Scores and predictions of the readout."""
        if self._outcome is None:
            self._outcome = self._read_out_again()
        return self._outcome

    def _read_out_again(self) -> Outcome:
        raise NotImplementedError

    @property
    def spikes(self) -> Mapping[str, SpikeEvents]:
        """Events of every input and population over all simulated steps, by the author's names."""
        return self.result.spikes

    @property
    def probes(self) -> dict[str, dict[str, ProbeData]]:
        """Probed variables: ``run.probes["lif1"]["v"]`` is (samples, steps, neurons)."""
        return self.result.probes_by_population

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Class per sample, ties to the lowest index."""
        return self.outcome.predictions

    @property
    def scores(self) -> NDArray[np.float64]:
        """Readout value, (samples, classes)."""
        return self.outcome.scores

    @property
    def accuracy(self) -> float | None:
        """Fraction of right predictions; None without labels or under another metric."""
        return self.facts.get("accuracy")

    @property
    def accuracy_per_step(self) -> NDArray[np.float64] | None:
        """Accuracy of a decision taken after step t, (steps,); NaN before the readout starts.

        None without labels, and beyond 10,000 steps (native time stamps).
        """
        found = (self.facts.get("accuracy_detail") or {}).get("per_step")
        return None if found is None else np.array(found, np.float64)

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """Samples by label (rows) and prediction (columns)."""
        detail = self.facts.get("accuracy_detail")
        return None if detail is None else np.array(detail["confusion"], np.int64)
