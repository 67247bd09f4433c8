"""One step of a layer of neurons in PyTorch: the twin of the float run's step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nmhw.torch.surrogate import fire
from nmhw.values.discrete import FloatCell
from nmhw.values.profile import Profile

Floats = NDArray[np.float64]


class Layer(Protocol):
    """What a step needs of a layer."""

    profile: Profile
    surrogate: str
    surrogate_width: float


@dataclass(frozen=True, slots=True, eq=False)
class CellTensors:
    """A FloatCell on one device; coefficients that change nothing are None."""

    has_current: bool
    is_spiking: bool
    u_keep: torch.Tensor
    u_gain: torch.Tensor | None
    v_keep: torch.Tensor
    v_gain: torch.Tensor | None
    drive: torch.Tensor | None
    threshold: torch.Tensor
    v_reset: torch.Tensor
    v0: torch.Tensor
    v_min: torch.Tensor | None

    @staticmethod
    def of(
        cell: FloatCell, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
    ) -> CellTensors:
        """Return the coefficients with axes that broadcast against the features."""

        def tensor(values: Floats) -> torch.Tensor:
            return torch.tensor(values.reshape(shape), dtype=dtype, device=device)

        def unless(unchanged: bool, values: Floats) -> torch.Tensor | None:
            return None if unchanged else tensor(values)

        return CellTensors(
            cell.has_current,
            cell.is_spiking,
            tensor(cell.u_keep),
            unless(bool(np.all(cell.u_gain == 1)), cell.u_gain),
            tensor(cell.v_keep),
            unless(bool(np.all(cell.v_gain == 1)), cell.v_gain),
            unless(not np.any(cell.drive), cell.drive),
            tensor(cell.threshold),
            tensor(cell.v_reset),
            tensor(cell.v0),
            unless(not np.any(cell.v_min > -np.inf), cell.v_min),
        )


def first_state(cell: CellTensors, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return membranes and currents before the first step, in the shape of one step's input."""
    return cell.v0 + torch.zeros_like(x), torch.zeros_like(x)


def advance(
    layer: Layer, cell: CellTensors, x: torch.Tensor, v: torch.Tensor, u: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (spikes or membranes, v, u) after one step with input ``x``."""
    profile = layer.profile
    is_late = bool(profile.reset_delay) and cell.is_spiking
    pending = _spikes(layer, cell, v) if is_late else v
    resets_first = profile.reset != "subtract" or cell.has_current
    if is_late and resets_first:
        v = _reset(profile, cell, v, pending)
    above = _passes(profile, cell, v) if profile.overshoot_rule else None
    lags = profile.reset_lag and profile.reset == "subtract" and cell.is_spiking and not is_late
    before = _spikes(layer, cell, v) if lags else None
    if cell.has_current:
        weighted = x if cell.u_gain is None else cell.u_gain * x
        first = profile.synapse_order == "decay-add"
        u = u * cell.u_keep + weighted if first else (u + weighted) * cell.u_keep
        x = u
    v = v * cell.v_keep + (x if cell.v_gain is None else cell.v_gain * x)
    if cell.drive is not None:
        v = v + cell.drive
    if not cell.is_spiking:
        v = _clip(cell, v)
        return v, v, u
    if is_late:
        spikes = pending
        if not resets_first:
            v = _reset(profile, cell, v, spikes)
    elif before is not None:
        v = _reset(profile, cell, v, before)
        spikes = _spikes(layer, cell, v)
    else:
        compared = v
        if above is not None and profile.reset == "subtract":
            compared = v - above.to(v.dtype) * cell.threshold
        spikes = _spikes(layer, cell, compared)
        v = _reset(profile, cell, v, spikes)
    return spikes, _clip(cell, v), u


def _passes(profile: Profile, cell: CellTensors, v: torch.Tensor) -> torch.Tensor:
    return v > cell.threshold if profile.compare == ">" else v >= cell.threshold


def _spikes(layer: Layer, cell: CellTensors, v: torch.Tensor) -> torch.Tensor:
    profile = layer.profile
    return fire(
        v, cell.threshold, strict=profile.compare == ">", multi=profile.multi_spike,
        name=layer.surrogate, width=layer.surrogate_width,
    )  # fmt: skip


def _reset(
    profile: Profile, cell: CellTensors, v: torch.Tensor, spikes: torch.Tensor
) -> torch.Tensor:
    fired = spikes.detach()
    if profile.reset == "subtract":
        return v - fired * cell.threshold
    if profile.reset == "none":
        return v
    return torch.where(fired > 0, cell.v_reset, v)


def _clip(cell: CellTensors, v: torch.Tensor) -> torch.Tensor:
    return v if cell.v_min is None else torch.maximum(v, cell.v_min)
