"""What a finished run has to say about itself: reused samples, host readout, what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmhw.api.judging import MOST_STEPS
from nmhw.values.notice import Notice
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment
    from nmhw.api.execute import Plan, RunOptions


def calibration_notices(deployed: Deployment, plan: Plan) -> list[Notice]:
    """Warn about evaluated samples that were also used for calibration."""
    if not plan.n_reused:
        return []
    n_samples = plan.prepared.n_samples
    text = f"{plan.n_reused} of {n_samples} evaluated samples were also used for calibration"
    hint = "calibrate on training samples"
    return [Notice("run.calibration-overlap", deployed.network.name, text, hint=hint)]


def readout_notices(deployed: Deployment, plan: Plan, options: RunOptions) -> list[Notice]:
    """Name membranes that the host reads out where the chip does not offer it."""
    on_chip = deployed.chip.arithmetic.membrane_readout
    if not plan.readout.needs_membrane or on_chip or not options.readout_on_host:
        return []
    text = "membranes are read out by the host, which this chip does not offer; not priced"
    return [Notice("readout.on-host", ", ".join(plan.sources), text, "assumption")]


def float_notices(deployed: Deployment, result: RunResult, options: RunOptions) -> list[Notice]:
    """Say that a float run, which takes every step, is not made for so many time stamps."""
    too_many = options.timing == "events" and result.n_steps > MOST_STEPS
    if not too_many or not options.compare_float:
        return []
    text = f"not compared with a float run, which would take all {result.n_steps:,} time stamps"
    hint = f"--bin-dt for at most {MOST_STEPS:,} steps"
    return [Notice("run.float-skipped", deployed.network.name, text, "assumption", hint)]


def kept_notices(deployed: Deployment, result: RunResult) -> list[Notice]:
    """Name populations whose spikes were counted and not kept."""
    populations = deployed.quantized.populations
    names = [p.name for p in populations if p.spec.is_spiking and not p.is_added]
    dropped = [name for name in names if name not in result.spikes]
    if not dropped:
        return []
    text = f"too many spikes to keep those of {', '.join(dropped)}; all counts are complete"
    hint = "--keep-spikes N"
    return [Notice("run.spikes-dropped", deployed.network.name, text, "assumption", hint)]
