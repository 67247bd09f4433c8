"""The price of deployment: what changed from the float run to the chip run of the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.checkpoint import Checkpoint
from nmhw.api.judging import with_membranes
from nmhw.api.pieces import Progress, run_pieces
from nmhw.errors import UsageError
from nmhw.values.events import SpikeEvents
from nmhw.values.metrics import accuracy, compare_predictions
from nmhw.values.notice import Notice
from nmhw.values.readout import Outcome, read_out
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment
    from nmhw.api.execute import Plan, RunOptions

# A layer that keeps less of its spikes, or gains more, is named.
_FEWEST, _MOST = 0.5, 2.0


def compare_with_float(
    deployed: Deployment,
    plan: Plan,
    outcome: Outcome,
    result: RunResult,
    options: RunOptions,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Any], list[Notice]]:
    """Run the float network on the same samples.

    Returns
    -------
    facts : dict
        ``float_accuracy`` and ``deployment_loss``.
    notices : list of Notice
        Layers whose activity changed a lot.
    """
    if options.progress is not None:
        options.progress(0, plan.prepared.n_samples)
    parts = run_pieces(
        "float",
        lambda inputs, _, progress: _decide(deployed, plan, options, inputs, progress),
        plan.prepared,
        chunk=plan.prepared.n_samples if options.continuous else options.chunk,
        checkpoint=checkpoint,
        progress=options.progress,
    )
    predictions = np.concatenate([np.array(p["predictions"], np.int64) for p in parts])
    labels = plan.goal if plan.goal is not None and plan.goal.dtype.kind == "i" else None
    change = compare_predictions(predictions, outcome.predictions, labels)
    layers = [
        {
            "name": name,
            "float_spikes": sum(part["spikes"][name] for part in parts),
            "chip_spikes": len(result.windowed(name)),
        }
        for name in (p.name for p in deployed.quantized.populations if p.spec.is_spiking)
        if name in parts[0]["spikes"] and name in result.spikes
    ]
    loss = {
        "top1_agreement": change.agreement,
        "right_to_wrong": change.right_to_wrong,
        "wrong_to_right": change.wrong_to_right,
        "layers": layers,
    }
    value = None if labels is None else accuracy(predictions, labels).value
    notices = [notice for row in layers for notice in _changed_activity(row)]
    return {"float_accuracy": value, "deployment_loss": loss}, notices


def _decide(
    deployed: Deployment,
    plan: Plan,
    options: RunOptions,
    inputs: Mapping[str, SpikeEvents],
    progress: Progress | None,
) -> dict[str, Any]:
    """Return predictions and spikes per population of the float run, as a JSON object."""
    from nmhw.sim.backends import in_samples
    from nmhw.sim.float_run import run_float

    profile = deployed.network.profile
    if profile is None:
        raise UsageError("the network has no profile", hint="nmhw.load(path, profile=...)")
    reference = run_float(
        deployed.network,
        profile,
        inputs,
        probes=with_membranes((), plan.readout, plan.sources),
        continuous=options.continuous,
        progress=in_samples(progress, inputs),
    )
    before = read_out(reference, plan.readout, plan.sources)
    return {
        "predictions": before.predictions.tolist(),
        "spikes": {name: len(reference.windowed(name)) for name in reference.spikes},
    }


def _changed_activity(row: dict[str, Any]) -> list[Notice]:
    before, after = row["float_spikes"], row["chip_spikes"]
    if _FEWEST * before <= after <= _MOST * before:
        return []
    text = f"{after:,} spikes on the chip, {before:,} in the float run"
    hint = "calibration samples, more weight bits, or training with quantized weights"
    return [Notice("run.activity-changed", row["name"], text, hint=hint)]
