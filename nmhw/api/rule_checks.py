"""``nmhw learn --check-rule``: the checks of a gradient rule or of a local rule, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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

    found_rule = load_rule(rule, **options)
    return tuple(RuleCheck(r.name, r.passed, r.detail) for r in check_rule(found_rule, seed=seed))
