"""One network on several chips: fits or why not, accuracy, energy, latency, cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nmhw.api.deploying import deploy
from nmhw.api.deployment import Deployment
from nmhw.api.reading import chip as load_chip
from nmhw.errors import NmhwError, UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network

_COPIED = ("accuracy", "float_accuracy", "synops", "packets", "costs", "pace", "energy_unpriced")
_EMPTY: dict[str, Any] = dict.fromkeys(
    (
        "reason", "n_cores", *_COPIED,
        "energy_per_sample_j", "is_lower_bound", "latency_per_sample_s",
    )
)  # fmt: skip


def compare(
    network: Network,
    chips: Sequence[ChipSpec | str | Path],
    x: Any,
    labels: Any = None,
    *,
    calibration: Any = None,
    allow: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    **run_options: Any,
) -> list[dict[str, Any]]:
    """Deploy and run a network on every chip.

    Parameters
    ----------
    chips : sequence of ChipSpec, names or paths
    x, labels, **run_options
        As in ``Deployment.run``.
    calibration, allow, seed
        As in ``deploy``.
    progress : callable(chip name), optional

    Returns
    -------
    list of dict
        One row per chip, all with the same keys: ``chip, fits, reason, n_cores, accuracy,
        float_accuracy, energy_per_sample_j, is_lower_bound, latency_per_sample_s, synops, packets,
        costs, pace, energy_unpriced``. A chip that refuses the network has ``fits`` False and the
        reason; one that fits it but cannot run it (or these inputs) has the reason alone.

    Raises
    ------
    NmhwError
        For bad input (exit code 2); a network that does not fit is a row, not an error.
    """
    if not chips:
        raise UsageError("there is no chip to compare", hint="--chips A,B (nmhw chips lists them)")
    specs = [c if isinstance(c, ChipSpec) else load_chip(c) for c in chips]
    rows = []
    for spec in specs:
        if progress is not None:
            progress(spec.name)
        row = {"chip": spec.name, "fits": True, **_EMPTY}
        try:
            deployed = deploy(network, spec, calibration=calibration, allow=allow, seed=seed)
        except NmhwError as error:
            rows.append({**row, "fits": False, "reason": _reason(error)})
            continue
        rows.append({**row, **_run(deployed, x, labels, run_options)})
    return rows


def _reason(error: NmhwError) -> str:
    """Return why a chip refuses; raise what is not the chip's doing."""
    if error.exit_code != 3 and error.rule != "input.kind":
        raise error
    violations = getattr(error, "violations", ())
    return violations[0] if violations else str(error)


def _run(deployed: Deployment, x: Any, labels: Any, options: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"n_cores": len(deployed.mapping.cores)}
    try:
        summary = deployed.run(x, labels, **options).summary()
    except NmhwError as error:
        return {**row, "reason": _reason(error)}
    row |= {key: summary[key] for key in _COPIED if key in summary}
    return {
        **row,
        "energy_per_sample_j": summary["energy_j"]["per_sample"],
        "is_lower_bound": summary["energy_j"]["is_lower_bound"],
        "latency_per_sample_s": summary["latency_s"]["per_sample"],
    }
