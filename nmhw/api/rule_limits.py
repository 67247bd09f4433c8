"""What rules outside the engine cannot take: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmhw.errors import UnsupportedError, UsageError
from nmhw.values.learning import WeightFormat

#: How the SRM rule keeps its weights: floats, all rewritten by every batch.
SRM_WEIGHTS = WeightFormat(bits=None, policy="always")


def local_settings(rule: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a local rule: float arithmetic, one sample at a time, no optimizer.

    Its weights stay on the grid of the format.

    Raises
    ------
    UsageError
        For a mode, batch or optimizer that a local rule does not have.
    """
    fixed = {"mode": "float", "batch": 1, "optimizer": "sgd"}
    if given.get("code") == "direct":
        raise UsageError(
            f"{rule} counts a source once per step: it takes no levels", got="direct",
            hint="--code accumulate", rule="learn.local-options",
        )  # fmt: skip
    for name, value in fixed.items():
        if given.get(name, value) != value:
            raise UsageError(
                f"{rule} learns sample by sample in float arithmetic: it has no such {name}",
                got=given[name], limit=value, hint=f"no --{name}", rule="learn.local-options",
            )  # fmt: skip
    return {**given, **fixed}


def srm_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the SRM rule: float arithmetic and float weights.

    Raises
    ------
    UnsupportedError
        For integer arithmetic, and for any weight format but floats that are all rewritten.
    """
    if given.get("mode", "float") != "float":
        raise _refusal("integer arithmetic", given["mode"], "--mode float")
    weights = given.get("weights", SRM_WEIGHTS)
    if weights not in (SRM_WEIGHTS, WeightFormat(bits=None)):
        raise _refusal(
            "weight formats, write policies and skipped updates", weights,
            "no --weight-bits, --rounding, --write-policy, --accumulate, --skip, --skip-error",
        )  # fmt: skip
    return {**given, "mode": "float", "weights": SRM_WEIGHTS}


def refuse_frozen_srm(rule: str, frozen: Sequence[str]) -> None:
    """Raise UnsupportedError for frozen layers under the SRM rule."""
    if rule == "srm" and frozen:
        raise _refusal("frozen layers", ", ".join(frozen), "--rule mpd-ed")


def _refusal(what: str, got: Any, hint: str) -> UnsupportedError:
    return UnsupportedError(
        f"srm trains all layers in float: it has no {what}", got=got, hint=hint,
        rule="learn.srm-options",
    )  # fmt: skip
