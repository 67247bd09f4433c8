"""Run: a finished execution that can be reported, saved, reopened and priced again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmhw.api.execution import Execution
from nmhw.api.judging import in_author_units
from nmhw.api.pricing import price_run
from nmhw.report.priced import OVERRUN, overrun_notices
from nmhw.report.summary import check_json, notice_dict
from nmhw.values.chip import ChipSpec
from nmhw.values.cost import EnergyBreakdown, LatencyBreakdown
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.readout import Outcome, Readout, read_out
from nmhw.values.result import RunResult

#: Host seconds that every run reports; "load" is known where a command read the files.
_WALL_KEYS = ("load", "map", "run", "price")


class Run(Execution):
    """Result of ``Deployment.run`` or ``load_result``.

    Attributes
    ----------
    result : RunResult
        Spikes, probes and counters.
    chip : ChipSpec
    mapping : nmhw.Mapping
    facts : dict
        The part of the summary that no price changes.
    pace : str
    energy : EnergyBreakdown
    latency : LatencyBreakdown
    wall_s : dict
        Host seconds of load, map, run and price; not part of saved, compared output.
    """

    def __init__(
        self,
        result: RunResult,
        chip: ChipSpec,
        facts: Mapping[str, Any],
        *,
        costs: str | None = None,
        pace: str | None = None,
        outcome: Outcome | None = None,
        wall_s: Mapping[str, float | None] | None = None,
        mapping: CoreMapping | None = None,
    ) -> None:
        super().__init__(result, facts, outcome)
        started = time.perf_counter()
        self.chip = chip
        self.mapping = mapping
        self._priced = price_run(result.counters, chip, costs, pace, self.facts["dt_s"], result.noc)
        self.wall_s: dict[str, float | None] = dict.fromkeys(_WALL_KEYS)
        self.wall_s |= {**(wall_s or {}), "price": time.perf_counter() - started}

    @property
    def energy(self) -> EnergyBreakdown:
        """Energy by event kind under this run's cost table and pace."""
        return self._priced.energy

    @property
    def latency(self) -> LatencyBreakdown:
        """Times under this run's cost table and pace."""
        return self._priced.latency

    @property
    def pace(self) -> str:
        """The pace that the run is priced at."""
        return self._priced.pace

    def price(self, costs: str | None = None, pace: str | None = None) -> Run:
        """Return the same run under another cost table of the chip and / or another pace.

        Parameters
        ----------
        costs : str, optional
            Name of a cost table, "none" = unpriced; default: this run's.
        pace : str, optional
            "free", "realtime" or "period=1ms"; default: this run's.
        """
        return Run(
            self.result,
            self.chip,
            self.facts,
            costs=(self.energy.table or "none") if costs is None else costs,
            pace=self.pace if pace is None else pace,
            outcome=self._outcome,
            wall_s=self.wall_s,
            mapping=self.mapping,
        )

    def summary(self) -> dict[str, Any]:
        """Return everything the report shows as one JSON-safe dict (Joules and seconds)."""
        overruns = overrun_notices(self.pace, self.latency)
        # A reopened run brings the warning of the pace it was saved under.
        kept = [notice for notice in self.facts["notices"] if notice["rule"] != OVERRUN]
        notices = [*kept, *(notice_dict(n) for n in overruns)]
        return check_json({**self.facts, **self._priced.summary(self.facts), "notices": notices})

    def to_json(self) -> dict[str, Any]:
        """Return the summary plus the host's wall times."""
        return {**self.summary(), "wall_s": check_json(self.wall_s)}

    def report(self, *, color: bool = False) -> str:
        """Return the text report, at most 100 columns wide."""
        from nmhw.report.text import render_report

        return render_report(self.summary(), color=color)

    def __str__(self) -> str:
        return self.report()

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file (needs the extra ``report``)."""
        from nmhw.api.targets import check_file_target
        from nmhw.io.atomic import write_text
        from nmhw.report.html import render_html

        check_file_target(path, "HTML report")
        write_text(path, render_html(self.summary()))
        return Path(path)

    def save(self, folder: str | Path, *, keep_spikes: int = 10**8) -> Path:
        """Write the run to a folder; ``load_result`` opens it again.

        ``result.h5``, ``result.json``, ``mapping.h5``, ``chip.json`` and their ``SHA256SUMS`` are
        the same bytes for the same inputs; ``run-info.json`` (wall times, host, date) is not.
        Files take the place of an earlier run only when all of them are written.

        Parameters
        ----------
        keep_spikes : int
            Beyond so many events, only those of the outputs are saved.

        Raises
        ------
        UsageError
            When the folder holds anything else than an earlier run, or cannot be written.
        """
        from nmhw.api.saved_run import save_run

        return save_run(self, Path(folder), keep_spikes)

    def to_dataframe(self) -> Any:
        """Return the layer table as a pandas DataFrame (needs pandas)."""
        from nmhw.io.extras import import_extra

        pandas = import_extra("pandas", "pip install pandas")
        activity = {row["name"]: row for row in self.facts["activity"]}
        rows = [{**row, **activity[row["name"]]} for row in self.facts["layers"]]
        return pandas.DataFrame(rows).set_index("name")

    def _read_out_again(self) -> Outcome:
        """Repeat the readout of a reopened run from its saved spikes or membranes."""
        names = tuple(self.facts["readout_populations"])
        result = in_author_units(self.result, self.facts["readout_scale"] or {})
        return read_out(result, Readout.parse(self.facts["readout"]), names)


def load_result(folder: str | Path) -> Run:
    """Reopen a saved run for reporting and re-pricing.

    Raises
    ------
    ResultFileError
        When the folder is not a complete saved run, or a file changed since it was written.
    """
    from nmhw.api.saved_run import load_run

    return load_run(Path(folder))
