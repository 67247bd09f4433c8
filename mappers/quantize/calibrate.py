"""Bounds on the states: from a calibration run where there is one, else from the worst case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.mappers.quantize.cells import MembraneCell
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.scales import Bounds
from nmhw.values.discrete import FloatCell
from nmhw.values.network import Network
from nmhw.values.runner import Activity, Runner

Floats = NDArray[np.float64]

#: States of unseen inputs may be this much larger than those of the calibration inputs.
HEADROOM = 2.0


def observe(
    network: Network, calibration: Mapping[str, Any] | None, runner: Runner | None
) -> Mapping[str, Activity]:
    """Return what every population does on the calibration inputs (empty without any).

    Raises
    ------
    UsageError
        For calibration inputs without a runner.
    """
    if calibration is None:
        return {}
    if runner is None:
        raise UsageError(
            "calibration inputs need a runner that executes the network",
            hint="nmhw.deploy(network, chip, calibration=...) supplies one",
        )
    return runner(network, calibration)


def worst_case(
    cell: MembraneCell, incoming: Sequence[LoweredProjection], spikes: Sequence[int]
) -> Bounds:
    """Return bounds (n,) that no input can pass: all sources fire in all steps.

    Parameters
    ----------
    incoming : projections with weights in membrane units
    spikes : most spikes per step of each projection's sources
    """
    high, low = np.maximum(cell.u_bias, 0), np.maximum(-cell.u_bias, 0)
    for projection, n in zip(incoming, spikes, strict=True):
        more, less = projection.most_input()
        high, low = high + n * more, low + n * less
    high, low = (_accumulate(x, cell.u_keep) for x in (high, low))
    above, below = high + np.maximum(cell.v_bias, 0), low + np.maximum(-cell.v_bias, 0)
    rise, fall = (_accumulate(x, cell.v_keep) for x in (above, below))
    if cell.is_spiking and cell.form.reset in ("zero", "value"):
        rise = np.minimum(rise, cell.threshold + above)
    fall = np.where(np.isfinite(cell.v_min), np.maximum(-cell.v_min, 0), fall)
    edges = np.maximum(np.abs(cell.v0), np.abs(cell.v_reset))
    return Bounds(np.maximum(high, low), np.maximum(np.maximum(rise, fall), edges))


def observed(cell: MembraneCell, source: FloatCell, activity: Activity, worst: Bounds) -> Bounds:
    """Return bounds (n,) from a calibration run, with headroom, never above the worst case.

    One value per population: channels that were quiet on few inputs are no promise.
    """
    u = np.where(cell.has_current, activity.peak_u * np.abs(source.v_gain), 0.0)
    v = activity.peak_v + (np.abs(source.v_reset) if cell.form.shifts_reset else 0.0)
    if cell.is_spiking:
        v = np.maximum(v, cell.threshold)
    # a state that never moved says nothing
    has_u, has_v = bool(np.any(u)), bool(np.any(activity.peak_v))
    return Bounds(
        np.minimum(worst.u, HEADROOM * u.max()) if has_u else worst.u,
        np.minimum(worst.v, HEADROOM * v.max()) if has_v else worst.v,
        is_u_observed=has_u,
        is_v_observed=has_v,
    )


def _accumulate(step: Floats, keep: Floats) -> Floats:
    """Return where a constant input per step leads: step / (1 - keep), inf without leak."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(step == 0, 0.0, step / (1 - np.minimum(keep, 1.0)))
