"""One network on several chips: fits or why not, accuracy, energy, latency, cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nmhw.api.deployment import deploy
from nmhw.api.reading import chip as load_chip
from nmhw.errors import NmhwError
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network

_COPIED = ("n_cores", "accuracy", "float_accuracy", "synops", "packets", "costs", "pace")


def compare(
    network: Network,
    chips: Sequence[ChipSpec | str],
    x: Any,
    labels: Any = None,
    *,
    calibration: Any = None,
    progress: Callable[[str], None] | None = None,
    **run_options: Any,
) -> list[dict[str, Any]]:
    """Deploy and run a network on every chip.

    Parameters
    ----------
    chips : sequence of ChipSpec or names
    x, labels, **run_options
        As in ``Deployment.run``.
    progress : callable(chip name), optional

    Returns
    -------
    list of dict
        One row per chip: ``chip, fits, reason, n_cores, accuracy, energy_j, is_lower_bound,
        latency_s`` and more; a chip that refuses the network has ``fits`` False and the reason.

    Raises
    ------
    NmhwError
        For bad input (exit code 2); a network that does not fit is a row, not an error.
    """
    rows = []
    for entry in chips:
        spec = load_chip(entry) if isinstance(entry, str) else entry
        if progress is not None:
            progress(spec.name)
        rows.append(_row(network, spec, x, labels, calibration, run_options))
    return rows


def _row(
    network: Network,
    spec: ChipSpec,
    x: Any,
    labels: Any,
    calibration: Any,
    run_options: dict[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = {"chip": spec.name, "fits": True, "reason": None}
    try:
        deployed = deploy(network, spec, calibration=calibration)
        summary = deployed.run(x, labels, **run_options).summary()
    except NmhwError as error:
        if error.exit_code != 3:
            raise
        violations = getattr(error, "violations", ())
        return {**row, "fits": False, "reason": violations[0] if violations else str(error)}
    row |= {key: summary.get(key) for key in _COPIED}
    energy, latency = summary["energy_j"], summary["latency_s"]
    return {
        **row,
        "energy_per_sample_j": energy["per_sample"],
        "is_lower_bound": energy["is_lower_bound"],
        "latency_per_sample_s": latency["per_sample"],
        "energy_unpriced": summary["energy_unpriced"],
    }
