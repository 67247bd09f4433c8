"""One network on several chips: fits or why not, accuracy, energy, latency, cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nmhw.api.deploying import deploy
from nmhw.api.deployment import Deployment
from nmhw.api.reading import chip as load_chip
from nmhw.errors import NmhwError, UsageError
from nmhw.report.summary import summarize_utilization
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network

#: In place of a list of chips: every packaged one.
ALL_CHIPS = "all"

_COPIED = ("accuracy", "float_accuracy", "synops", "packets", "costs", "pace", "energy_unpriced")
_EMPTY: dict[str, Any] = dict.fromkeys(
    (
        "reason", "rule", "hint", "violations", "n_cores", "n_cores_available", "fullest",
        "fullest_share",
        *_COPIED, "energy_per_sample_j", "is_lower_bound", "latency_per_sample_s",
    )
)  # fmt: skip

#: Rules of refusals that are no verdict on the network.
_NOT_RUN = ("map.limits-only", "input.kind", "input.counts")


def compare(
    network: Network,
    chips: Sequence[ChipSpec | str | Path] | str,
    x: Any = None,
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
    chips : sequence of ChipSpec, names or paths; or "all", every packaged chip
    x, labels, **run_options
        As in ``Deployment.run``; without ``x`` the network is mapped and not run.
    calibration, allow, seed
        As in ``deploy``.
    progress : callable(chip name), optional

    Returns
    -------
    list of dict
        One row per chip, all with the same keys: ``chip, verdict, fits, reason, rule, hint,
        violations, n_cores, n_cores_available, fullest, fullest_share, accuracy, float_accuracy,
        energy_per_sample_j, is_lower_bound, latency_per_sample_s, synops, packets, costs, pace,
        energy_unpriced``. ``verdict``: "yes"; "no", a budget or limit is exceeded (each one in
        ``violations``); "refused", the chip lacks a semantic; "not run", the sheet only knows
        limits (which the network keeps; ``fits`` is None), or it fits and cannot run these inputs.
        Every verdict but "yes" has reason and rule. ``fullest`` is the resource with the largest
        share of any core's budget.

    Raises
    ------
    NmhwError
        For bad input (exit code 2); a network that does not fit is a row, not an error.
    """
    names = all_chips() if isinstance(chips, str) and chips == ALL_CHIPS else chips
    if isinstance(names, str | Path | ChipSpec) or not isinstance(names, Iterable):
        names = [names]
    if not names:
        raise UsageError("there is no chip to compare", hint="--chips A,B (nmhw chips lists them)")
    specs = [c if isinstance(c, ChipSpec) else load_chip(c) for c in names]
    rows = []
    for spec in specs:
        if progress is not None:
            progress(spec.name)
        row = {"chip": spec.name, "verdict": "yes", "fits": True, **_EMPTY}
        row["n_cores_available"] = spec.n_cores
        try:
            deployed = deploy(network, spec, calibration=calibration, allow=allow, seed=seed)
        except NmhwError as error:
            refused = _refusal(error)
            is_unknown = refused["verdict"] == "not run"
            rows.append({**row, "fits": None if is_unknown else False, **refused})
            continue
        row |= _use(deployed)
        rows.append({**row, **({} if x is None else _run(deployed, x, labels, run_options))})
    return rows


def all_chips() -> list[str]:
    """Return the names of all packaged chips."""
    from nmhw.io.chip_file import list_chips

    return [chip.name for chip in list_chips()]


def _refusal(error: NmhwError) -> dict[str, Any]:
    """Return verdict, reason, rule and hint; raise what is not the chip's doing."""
    if error.exit_code != 3 and error.rule not in _NOT_RUN:
        raise error
    violations = getattr(error, "violations", ())
    verdict = "no" if violations else "refused"
    if error.rule in _NOT_RUN:
        verdict = "not run"
    reason = "; ".join(violations) if violations else _without_hint(error)
    found = {"verdict": verdict, "reason": reason, "rule": error.rule, "hint": error.hint}
    return {**found, "violations": list(violations) or None}


def _without_hint(error: NmhwError) -> str:
    return str(NmhwError(error.what, got=error.got, limit=error.limit, where=error.where))


def _use(deployed: Deployment) -> dict[str, Any]:
    """Return the used cores and the resource that fills one of them most."""
    used = summarize_utilization(deployed.mapping)
    shares = {resource: row["max"] for resource, row in used.items()}
    fullest = max(shares, key=lambda name: shares[name], default=None)
    return {
        "n_cores": len(deployed.mapping.cores),
        "fullest": fullest,
        "fullest_share": None if fullest is None else shares[fullest],
    }


def _run(deployed: Deployment, x: Any, labels: Any, options: dict[str, Any]) -> dict[str, Any]:
    try:
        summary = deployed.run(x, labels, **options).summary()
    except NmhwError as error:
        return {**_refusal(error), "verdict": "not run"}
    row = {key: summary[key] for key in _COPIED if key in summary}
    return {
        **row,
        "energy_per_sample_j": summary["energy_j"]["per_sample"],
        "is_lower_bound": summary["energy_j"]["is_lower_bound"],
        "latency_per_sample_s": summary["latency_s"]["per_sample"],
    }
