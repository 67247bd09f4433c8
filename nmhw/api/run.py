"""Run: a finished execution that can be reported, saved, reopened and priced again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ResultFileError, UsageError
from nmhw.io.atomic import write_text
from nmhw.report.summary import check_json, summarize_energy, summarize_latency
from nmhw.values.chip import ChipSpec
from nmhw.values.cost import PICO, EnergyBreakdown, LatencyBreakdown, find_figure, price_energy
from nmhw.values.events import SpikeEvents
from nmhw.values.result import ProbeData, RunResult

#: Keys of the summary that depend on cost table and pace; the rest are facts of the run.
_PRICED = ("first_decision_s", "layer_synops")


class Run:
    """Result of ``Deployment.run`` or ``load_result``.

    Attributes
    ----------
    result : RunResult
        Spikes, probes and counters.
    chip : ChipSpec
    facts : dict
        The part of the summary that no price changes.
    energy : EnergyBreakdown;  latency : LatencyBreakdown
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
        outcome: Any = None,
        wall_s: Mapping[str, float] | None = None,
        mapping: Any = None,
    ) -> None:
        self.result = result
        self.chip = chip
        self.facts = dict(facts)
        self.outcome = outcome
        self.mapping = mapping
        self.wall_s = dict(wall_s or {})
        self.energy, self.latency = _price(result, chip, self.facts, costs, pace)

    @property
    def spikes(self) -> Mapping[str, SpikeEvents]:
        """Events of every population over all simulated steps, by the author's names."""
        return self.result.spikes

    @property
    def probes(self) -> Mapping[str, Mapping[str, ProbeData]]:
        """Probed variables: ``run.probes["lif1"]["v"].values`` is (samples, steps, neurons)."""
        nested: dict[str, dict[str, ProbeData]] = {}
        for (population, variable), probe in self.result.probes.items():
            nested.setdefault(population, {})[variable] = probe
        return nested

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Class per sample, ties to the lowest index."""
        return np.asarray(self._outcome().predictions)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Readout value per sample and class."""
        return np.asarray(self._outcome().scores)

    @property
    def accuracy(self) -> float | None:
        """Fraction of right predictions; None without labels."""
        return self.facts.get("accuracy")

    def price(self, costs: str | None = None, pace: str | None = None) -> Run:
        """Return the same run under another cost table of the chip and / or another pace."""
        return Run(
            self.result,
            self.chip,
            self.facts,
            costs=costs or self.energy.table,
            pace=pace or self.facts["pace_asked"],
            outcome=self.outcome,
            wall_s=self.wall_s,
            mapping=self.mapping,
        )

    def summary(self) -> dict[str, Any]:
        """Return everything the report shows as one JSON-safe dict (Joules and seconds)."""
        first = self.facts.get("first_output_step")
        step_s = self.latency.step_s
        decision = None if first is None or step_s is None else (first + 1) * step_s
        spikes = {**self.facts, **summarize_energy(self.energy)}
        latency = summarize_latency(self.latency, decision)
        layers = _layer_synops(self.facts.get("projections", ()), self.chip, self.energy.table)
        pace = {"pace": self.facts["pace_asked"]}
        return check_json({**spikes, **latency, **pace, "layer_synops": layers})

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
        from nmhw.report.html import render_html

        write_text(path, render_html(self.summary()))
        return Path(path)

    def save(self, folder: str | Path, *, keep_spikes: int = 10**8) -> Path:
        """Write ``result.h5``, ``result.json``, ``mapping.h5``, ``chip.json``, ``run-info.json``.

        All but the last (wall times, host, date) are the same bytes for the same inputs. A
        folder that holds anything else than an earlier result is refused.
        """
        from nmhw.io.result_file import save_result

        target = Path(folder)
        if target.exists() and not target.is_dir():
            raise UsageError("the output is not a folder", got=str(target))
        if target.is_dir() and any(target.iterdir()) and not (target / "result.json").exists():
            hint = "an empty or new folder"
            raise UsageError("the folder holds other files", got=str(target), hint=hint)
        save_result(self.result, target / "result.h5", keep_spikes)
        if self.mapping is not None:
            from nmhw.io.mapping_file import save_mapping

            save_mapping(self.mapping, target / "mapping.h5")
        write_text(target / "chip.json", json.dumps(self.chip.document, indent=1, sort_keys=True))
        write_text(target / "result.json", json.dumps(self.summary(), indent=1))
        from nmhw.values.provenance import volatile_info

        info = {"wall_s": check_json(self.wall_s), **volatile_info()}
        write_text(target / "run-info.json", json.dumps(info, indent=1, sort_keys=True))
        return target

    def to_dataframe(self) -> Any:
        """Return the layer table as a pandas DataFrame (needs pandas)."""
        from nmhw.api.extras import import_extra

        pandas = import_extra("pandas", "data")
        activity = {row["name"]: row for row in self.facts.get("activity", ())}
        rows = [{**row, **activity.get(row["name"], {})} for row in self.facts["layers"]]
        return pandas.DataFrame(rows).set_index("name")

    def _outcome(self) -> Any:
        if self.outcome is None:
            raise UsageError("this run has no readout", hint="readout='count'")
        return self.outcome


def load_result(folder: str | Path) -> Run:
    """Reopen a saved run for reporting and re-pricing.

    Raises
    ------
    ResultFileError
        When the folder is not a complete saved run.
    """
    from nmhw.io.chip_file import restore_chip
    from nmhw.io.result_file import load_saved_result

    source = Path(folder)
    summary = _read_json(source / "result.json")
    if not {"chip_file", "costs", "pace_asked", "notices"} <= summary.keys():
        raise ResultFileError("not a saved run", where=str(source / "result.json"))
    chip = restore_chip(_read_json(source / "chip.json"), summary["chip_file"])
    result = load_saved_result(source / "result.h5")
    return Run(result, chip, summary, costs=summary["costs"] or "none", pace=summary["pace_asked"])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultFileError("no saved run here", got=str(path)) from error
    except (ValueError, OSError) as error:
        raise ResultFileError("cannot read the saved run", got=error, where=str(path)) from error
    if not isinstance(data, dict):
        raise ResultFileError("not a saved run", where=str(path))
    return data


def _price(
    result: RunResult,
    chip: ChipSpec,
    facts: dict[str, Any],
    costs: str | None,
    pace: str | None,
) -> tuple[EnergyBreakdown, LatencyBreakdown]:
    from nmhw.sim.timing import estimate_latency, parse_pace

    if result.counters is None:
        raise UsageError("this run has no counters to price", got=result.backend)
    table = chip.cost_table(costs)
    asked = pace or (chip.pace if facts.get("dt_s") or chip.pace == "free" else "free")
    kind, step_s = parse_pace(asked, facts.get("dt_s"))
    facts["pace_asked"] = asked
    latency = estimate_latency(result.counters, table, kind, step_s)
    return price_energy(result.counters, table, latency), latency


def _layer_synops(
    projections: Any, chip: ChipSpec, table_name: str | None
) -> dict[str, dict[str, Any]]:
    """Sum synops and their energy per target population (None where a kind is unpriced)."""
    table = chip.cost_table(table_name) if table_name else None
    figures = table.energy_pj if table is not None else {}
    layers: dict[str, dict[str, Any]] = {}
    for row in projections:
        layer = layers.setdefault(row["target"], {"synops": 0, "energy_j": 0.0})
        layer["synops"] += row["synops"]
        found = [find_figure(figures, f"synop.{encoding}") for encoding in row["encodings"]]
        prices = {f.value if f is not None else None for f in found}
        if len(prices) != 1 or None in prices or layer["energy_j"] is None:
            layer["energy_j"] = None
        else:
            layer["energy_j"] += row["synops"] * (prices.pop() or 0.0) * PICO
    return layers
