"""Experiments that show each local rule learning, against a control.

``EXPERIMENTS[name](seed=0, progress=None, quick=False, bits=8)`` runs one and returns an
`ExperimentResult`; ``quick`` takes a reduced size (seconds), ``bits=None`` keeps float weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from nmhw.errors import UsageError
from nmhw.sim.learning.experiments.result import ExperimentResult, Panel, Progress, Series

#: Module and function of every experiment, by name.
_PLACES: Mapping[str, tuple[str, str]] = {
    "stdp-fields": ("receptive_fields", "run_receptive_fields"),
    "triplet-frequency": ("pairing", "run_triplet"),
    "sum-of-products": ("pairing", "run_written"),
    "r-stdp-chase": ("reward_chase", "run_chase"),
    "pes-control": ("adaptive_control", "run_pes"),
    "e-prop-recall": ("delayed_recall", "run_recall"),
    "soft-hebb-adaptation": ("adaptation", "run_adaptation"),
    "delta-digits": ("digit_classes", "run_delta"),
    "drtp-digits": ("digit_classes", "run_drtp"),
    "decolle-digits": ("digit_classes", "run_decolle"),
    "sdsp-digits": ("sdsp_digits", "run_sdsp"),
}


def _load(name: str) -> Callable[..., ExperimentResult]:
    module, function = _PLACES[name]

    def run(seed: int = 0, progress: Progress | None = None, **options: Any) -> ExperimentResult:
        place = import_module(f"nmhw.sim.learning.experiments.{module}")
        return getattr(place, function)(seed, progress, **options)  # type: ignore[no-any-return]

    return run


EXPERIMENTS: Mapping[str, Callable[..., ExperimentResult]] = {name: _load(name) for name in _PLACES}


def run_experiment(
    name: str, seed: int = 0, progress: Progress | None = None, **options: Any
) -> ExperimentResult:
    """Run an experiment by name; see ``EXPERIMENTS``.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    if name not in EXPERIMENTS:
        raise UsageError("no such experiment", got=repr(name), hint=", ".join(EXPERIMENTS))
    return EXPERIMENTS[name](seed, progress, **options)


__all__ = ["EXPERIMENTS", "ExperimentResult", "Panel", "Progress", "Series", "run_experiment"]
