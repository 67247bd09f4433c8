"""The two tables of the timed race: speed with a latency model on, and chip times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

SPEED_HEAD = """
Speed with latency and energy on. Chip time is what the model says a step takes. Rates: nmhw's are
of Deployment.run as a whole, SANA-FE's of chip.sim alone; CPU time, one thread (wall: --json).

workload   timing   chip time, us/step       M synops/s        M packets/s
                      nmhw SANA-FE ratio     nmhw SANA-FE     nmhw SANA-FE    times  work"""

CHIP_TIME_HEAD = """
Chip time in us per step: networks over their first steps; patterns of 1,024 neurons, 8 per core,
that fire in every step. Median of SANA-FE's chip objects; vary: largest less smallest, of the
median, detailed and Booksim.

workload      nmhw SANA-FE     nmhw  SANA-FE  Booksim in  noc over noc over  vary, %
          analytic  simple      noc detailed     SANA-FE  detailed  Booksim  d.   B.  steps  work"""


def render_head(facts: Row) -> str:
    """Return the lines above the tables."""
    versions = ", ".join(f"{k} {facts[k]}" for k in ("nmhw", "python", "numpy", "numba"))
    return (
        f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_average'] or 0:.1f}\n{versions}"
    )


def render_speed(row: Row) -> str:
    """Return one line of the speed table."""
    head = f"{row['workload']:<11}{row['timing']:<9}"
    if row["reason"]:
        return f"{head}{row['reason']}"
    ours, theirs = row["cpu_s"], row["sanafe_cpu_s"]
    chip = float(np.median(row["sanafe_step_s"]))
    synops, packets = row["events"] / 1e6, row["packets"] / 1e6
    return (
        f"{head}{row['chip_step_s'] * 1e6:>6.2f}{chip * 1e6:>8.2f}{row['chip_ratio']:>6.3f}"
        f"{synops / ours:>9,.0f}{synops / theirs:>8.2f}"
        f"{packets / ours:>9.2f}{packets / theirs:>8.3f}{row['ratio']:>9,.0f}  {work(row)}"
    )


def render_chip_times(rows: Sequence[Row]) -> str:
    """Return one line of the table of chip times from the rows of its timing models."""
    by_timing = {row["timing"]: row for row in rows}
    failed = [row["reason"] for row in rows if row["reason"]]
    if failed:
        return f"{rows[0]['workload']:<10}{failed[0]}"
    theirs = {t: float(np.median(row["sanafe_step_s"])) * 1e6 for t, row in by_timing.items()}
    ours = {t: row["chip_step_s"] * 1e6 for t, row in by_timing.items()}
    return (
        f"{rows[0]['workload']:<10}{ours['simple']:>8.2f}{theirs['simple']:>8.2f}"
        f"{ours['detailed']:>9.2f}{theirs['detailed']:>9.2f}{theirs['cycle']:>12.2f}"
        f"{ours['detailed'] / theirs['detailed']:>10.3f}{ours['cycle'] / theirs['cycle']:>9.3f}"
        f"{_vary(by_timing['detailed']):>5.0f}{_vary(by_timing['cycle']):>5.0f}"
        f"{rows[-1]['n_steps']:>6}  {', '.join(dict.fromkeys(work(row) for row in rows))}"
    )


def _vary(row: Row) -> float:
    """Return by how many percent the chip objects of SANA-FE differ."""
    found = row["sanafe_step_s"]
    return float((max(found) - min(found)) / np.median(found) * 100)


def work(row: Row) -> str:
    """Return whether both sides did the same work."""
    if row["differs"]:
        return "DIFFERS: " + ", ".join(row["differs"])
    return "equal" if row["is_counted"] else "MISCOUNTED"
