"""Tables and plots of the energy study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.report.learn_plots import COLORS, new_axes, save_figure
from nmhw.values.cost_sets import COST_SETS
from nmhw.values.op_cost import BASELINES
from nmhw.values.units import format_si

Found = dict[str, Any]
SCOPE = "learning only"
RULES = ("std-ed", "mpd-ed")
CODES = ("latency", "rate")


def tables(study: Found, goal: float, *, is_full: bool = False) -> str:
    """Return the tables of the study as text; full ones give every range."""
    lines = [*_accuracy_table(study), ""]
    for scope in ("learning only", "whole training"):
        if not is_full:
            lines += [*_compact_table(study, scope), ""]
            continue
        for rule in RULES:
            for code in CODES:
                lines += [*_ratio_table(study, rule, code, scope), ""]
    return "\n".join([*lines, *_goal_table(study, goal)])


def _compact_table(study: Found, scope: str) -> Iterator[str]:
    sets = " / ".join(COST_SETS)
    yield f"STBP / rule, {scope}; energy ratios under {sets}"
    heads = "".join(f"{f'T={t}':>16s}" for t in study["steps"])
    yield f"{'rule':7s}{'code':8s}{'baseline':16s}{'writes':7s}{heads}"
    for rule in RULES:
        for code in CODES:
            for baseline in BASELINES:
                for writes in ("sample", "stream"):
                    rows = _select(study, rule=rule, code=code, scope=scope, baseline=baseline,
                                   writes=writes)  # fmt: skip
                    cells = ""
                    for row in rows:
                        values = (row["energy_ratio"][c]["value"] for c in COST_SETS)
                        shown = "/".join(f"{v:.0f}" if v >= 9.95 else f"{v:.1f}" for v in values)
                        cells += f"{shown:>16s}"
                    yield f"{rule:7s}{code:8s}{baseline:16s}{writes:7s}{cells}"


def _accuracy_table(study: Found) -> Iterator[str]:
    yield "Accuracy (%, test, mean of the seeds) and energy of one training (horowitz-32bit,"
    yield "whole training), each on its own machine; * = best T on validation"
    head = f"{'rule':10s} {'code':8s} {'writes':7s} {'T':>3s} {'lr':>6s} {'validation':>10s}"
    yield f"{head} {'test':>6s} {'energy':>9s} {'silent':>7s}"
    best = _best(study)
    for name, found in study["trainings"].items():
        accuracy, mark = np.mean(found["accuracy"]), "*" if name in best else " "
        energy = format_si(training_energy(found, "horowitz-32bit"), "J")
        yield (
            f"{found['rule']:10s} {found['code']:8s} {found['writes']:7s} {found['n_steps']:3d} "
            f"{found['lr']:6g} "
            f"{_percent(found['validation_accuracy']):>10s} {100 * accuracy:6.2f}{mark}"
            f"{energy:>9s} {100 * found['silent']:5.0f} %"
        )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _best(study: Found) -> set[str]:
    """Return the name of the best T on validation of each rule and code."""
    best: dict[tuple[str, ...], tuple[float, str]] = {}
    for name, found in study["trainings"].items():
        if found["validation_accuracy"] is None:
            continue
        key = (found["rule"], found["code"])
        candidate = (found["validation_accuracy"], name)
        if key not in best or candidate[0] > best[key][0]:
            best[key] = candidate
    return {name for _, name in best.values()}


def training_energy(found: Found, cost: str, kind: str | None = None) -> float:
    """Return joules of one training on a machine (default: the first one), whole training."""
    machine = found["machines"][kind or next(iter(found["machines"]))]
    prices = COST_SETS[cost].price_vectors()[0]
    actions = np.array(machine["actions"]["whole training"])
    return float(actions @ prices) * 1e-12 * float(found["n_samples"])


def _select(study: Found, **wanted: Any) -> list[Found]:
    return [r for r in study["ratios"] if all(r[k] == v for k, v in wanted.items())]


def _ratio_table(study: Found, rule: str, code: str, scope: str) -> Iterator[str]:
    yield f"STBP / {rule}, {code} code, {scope} (ratio; range over all prices of the set)"
    steps = study["steps"]
    heads = "".join(f"{f'T={t}':>15s}" for t in steps)
    yield f"{'baseline':16s}{'writes':7s}{'prices':15s}{heads}"
    for baseline in BASELINES:
        for writes in ("sample", "stream"):
            rows = _select(
                study, rule=rule, code=code, scope=scope, baseline=baseline, writes=writes
            )
            cells = "".join(f"{r['op_ratio']:15.1f}" for r in rows)
            yield f"{baseline:16s}{writes:7s}{'operations':15s}{cells}"
            for cost in COST_SETS:
                cells = "".join(f"{_cell(r['energy_ratio'][cost]):>15s}" for r in rows)
                yield f"{'':23s}{cost:15s}{cells}"


def _cell(ratio: Found) -> str:
    return (
        f"{ratio['value']:.0f} ({ratio['low']:.0f}-{ratio['high']:.0f})"
        if (ratio["value"] >= 9.95)
        else f"{ratio['value']:.1f} ({ratio['low']:.1f}-{ratio['high']:.1f})"
    )


def _goal_table(study: Found, goal: float) -> Iterator[str]:
    yield f"T at which the ratio reaches {goal:.0f} ({SCOPE}; log-log interpolation between the T"
    yield "that were trained; '-': not up to the largest)"
    yield f"{'rule':8s}{'code':9s}{'baseline':16s}{'writes':8s}" + "".join(
        f"{cost:>16s}" for cost in COST_SETS
    )
    for rule in RULES:
        for code in CODES:
            for baseline in BASELINES:
                for writes in ("sample", "stream"):
                    rows = _select(study, rule=rule, code=code, scope=SCOPE, baseline=baseline,
                                   writes=writes)  # fmt: skip
                    cells = ""
                    for cost in COST_SETS:
                        values = [r["energy_ratio"][cost]["value"] for r in rows]
                        cells += f"{crossing(study['steps'], values, goal):>16s}"
                    yield f"{rule:8s}{code:9s}{baseline:16s}{writes:8s}{cells}"


def crossing(steps: list[int], values: list[float], goal: float) -> str:
    """Return the T at which rising ratios reach the goal, as text."""
    if values[0] >= goal:
        return f"<= {steps[0]}"
    for k in range(1, len(steps)):
        if values[k] >= goal:
            share = np.log(goal / values[k - 1]) / np.log(values[k] / values[k - 1])
            return f"{steps[k - 1] * (steps[k] / steps[k - 1]) ** share:.0f}"
    return "-"


def plot(study: Found, folder: Path) -> None:
    """Write learning-ratios.png and learning-accuracy-energy.png."""
    _plot_ratios(study, folder / "learning-ratios.png")
    _plot_accuracy(study, folder / "learning-accuracy-energy.png")


def _plot_ratios(study: Found, path: Path) -> None:
    figure, axes = new_axes(8.0, 4.4)
    styles = {"stbp-dense": "-", "stbp-gated": "--", "stbp-gated-once": "-.", "stbp-band": ":"}
    cost = "horowitz-32bit"
    pairs = {
        ("std-ed", "latency"): "std-ed, STBP latency",
        ("std-ed", "rate"): "std-ed, STBP rate",
        ("mpd-ed", "latency"): "mpd-ed, latency",
        ("mpd-ed", "rate"): "mpd-ed, rate",
    }
    for ((rule, code), label), color in zip(pairs.items(), COLORS, strict=False):
        for baseline, style in styles.items():
            rows = _select(study, rule=rule, code=code, scope=SCOPE, baseline=baseline,
                           writes="sample")  # fmt: skip
            found = [r["energy_ratio"][cost] for r in rows]
            shown = label if style == "-" else None
            axes.plot(study["steps"], [f["value"] for f in found], style, marker="o", ms=3,
                      color=color, label=shown)  # fmt: skip
            if style == "-":
                lows, highs = ([f[k] for f in found] for k in ("low", "high"))
                axes.fill_between(study["steps"], lows, highs, color=color, alpha=0.12, lw=0)
    for baseline, style in styles.items():
        axes.plot([], [], style, color="#555555", label=baseline)
    axes.axhline(30.0, color="#888888", lw=0.8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="steps T of STBP (and of the rule)",
        ylabel="STBP / rule, energy, learning only",
        title=f"digits 64-128-10, {cost}, weights written once per sample",
    )
    axes.set_xticks(study["steps"], [str(t) for t in study["steps"]])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save_figure(figure, path)


def _plot_accuracy(study: Found, path: Path) -> None:
    figure, axes = new_axes(7.0, 4.4)
    cost = "horowitz-32bit"
    lines = [("std-ed", "latency", "event"), ("mpd-ed", "latency", "event"),
             ("mpd-ed", "rate", "event"), ("stbp", "latency", "gated"), ("stbp", "rate", "gated"),
             ("stbp", "latency", "dense"), ("stbp", "rate", "dense")]  # fmt: skip
    for (rule, code, kind), color in zip(lines, COLORS, strict=True):
        wanted = (rule, code, "sample")
        all_found = study["trainings"].values()
        found = [f for f in all_found if (f["rule"], f["code"], f["writes"]) == wanted]
        points = [(training_energy(f, cost, kind), f["accuracy"], f["n_steps"]) for f in found]
        x, y = [p[0] for p in points], [100 * float(np.mean(p[1])) for p in points]
        label = f"{rule} {code}" + ("" if kind == "event" else f", {kind}")
        axes.plot(x, y, "o-", ms=4, color=color, label=label)
        for energy, accuracy, n_steps in points:
            axes.annotate(str(n_steps), (energy, 100 * float(np.mean(accuracy))), fontsize=6,
                          textcoords="offset points", xytext=(3, 3))  # fmt: skip
    axes.set(
        xscale="log",
        xlabel=f"energy of one training, whole training, {cost} (J)",
        ylabel="test accuracy (%)",
        title="digits 64-128-10; numbers: T",
    )
    axes.legend(frameon=False, fontsize=7)
    save_figure(figure, path)
