"""``nmhw learn --check-rule`` and ``--experiment``: checks and experiments of rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmhw.io.atomic import write_text

if TYPE_CHECKING:
    from nmhw.sim.learning.experiments import ExperimentResult, Progress


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One check of a rule.

    Attributes
    ----------
    name : str
    passed : bool or None
        None: it could not be run.
    detail : str
    """

    name: str
    passed: bool | None
    detail: str


def check_learning_rule(rule: str, seed: int = 0, **options: Any) -> tuple[RuleCheck, ...]:
    """Check a rule: gradients and counters of a gradient rule, twins and grid of a local one.

    Parameters
    ----------
    rule : str
        A gradient rule, a local rule, or ``my.py:MyRule``.
    **options
        Fields of the rule.

    Raises
    ------
    UsageError, InputError
        For a rule that does not exist or cannot be made.
    """
    from nmhw.sim.learning.gradient_rule import NAMES, named

    if rule in NAMES:
        from nmhw.sim.learning.gradient_checks import check_gradients

        rows = []
        for check in check_gradients(named(rule, **options), seed=seed):
            found = f"worst {check.worst:.2g} (limit {check.limit:.2g})"
            found += f", {check.n_compared} compared"
            if check.n_discarded:
                found += f", {check.n_discarded} discarded"
            detail = check.detail if check.passed is None else found
            rows.append(RuleCheck(check.name, check.passed, detail))
        return tuple(rows)
    from nmhw.sim.learning.local import check_rule, load_rule
    from nmhw.sim.learning.local.registry import run_own_code

    found_rule = load_rule(rule, **options)
    found = run_own_code(lambda: check_rule(found_rule, seed=seed), rule)
    return tuple(RuleCheck(r.name, r.passed, r.detail) for r in found)


def run_local_experiment(
    name: str, seed: int = 0, progress: Progress | None = None, bits: int | None = None
) -> ExperimentResult:
    """Run the experiment of a local rule by name.

    Parameters
    ----------
    bits : int, optional
        Of the weights; 0 keeps floats. Default: the experiment's own (8, or 4 for SDSP).

    Raises
    ------
    UsageError
        For an unknown name.
    """
    from nmhw.sim.learning.experiments import run_experiment

    if bits is None:
        return run_experiment(name, seed, progress)
    return run_experiment(name, seed, progress, bits=bits or None)


def draw(result: ExperimentResult, folder: str | Path) -> Path:
    """Write an experiment's figure and its numbers; return the figure's path."""
    from nmhw.report.experiment_figure import draw_experiment

    target = Path(folder)
    write_text(target / f"{result.name}.json", json.dumps(result.to_json(), indent=1) + "\n")
    return draw_experiment(result, target / f"{result.name}.png")
