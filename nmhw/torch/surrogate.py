"""The step function of a spike: exact forward, a surrogate derivative backward.

Neftci, Mostafa and Zenke, "Surrogate gradient learning in spiking neural networks", IEEE Signal
Processing Magazine 36(6), 2019, doi:10.1109/MSP.2019.2931595.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from nmhw.errors import UsageError

SurrogateName = Literal["atan", "triangle"]
SURROGATES: tuple[SurrogateName, ...] = ("atan", "triangle")


def check_surrogate(name: str, width: float) -> None:
    """Refuse an unknown surrogate or a width that is not positive.

    Raises
    ------
    UsageError
    """
    if name not in SURROGATES:
        raise UsageError("no such surrogate", got=repr(name), hint=" or ".join(SURROGATES))
    if not (math.isfinite(width) and width > 0):
        raise UsageError("surrogate_width must be positive", got=width)


def surrogate_derivative(distance: torch.Tensor, name: str, width: float) -> torch.Tensor:
    """Return d spike / d v at ``distance`` = v - threshold.

    ``atan``: 1 / (w (1 + (pi x / w)^2)), the derivative of atan(pi x / w) / pi (Fang et al., ICCV
    2021, doi:10.1109/ICCV48922.2021.00266, with their alpha = 2 / w). ``triangle``:
    max(0, 1 - |x| / w) / w. Both enclose an area of 1.
    """
    if name == "atan":
        return 1.0 / (width * (1.0 + (math.pi * distance / width) ** 2))
    return (1.0 - distance.abs() / width).clamp_min(0.0) / width


class Fire(torch.autograd.Function):
    """Spikes of membranes: at most one per step, or floor(v / threshold)."""

    @staticmethod
    def forward(
        ctx: Any,
        v: torch.Tensor,
        threshold: torch.Tensor,
        strict: bool,
        multi: bool,
        name: str,
        width: float,
    ) -> torch.Tensor:
        ctx.name, ctx.width = name, width
        fired = v > threshold if strict else v >= threshold
        if not multi:
            ctx.save_for_backward(v - threshold)
            return fired.to(v.dtype)
        ratio = v / threshold
        # the nearest of the thresholds 1, 2, 3... that one more or one less spike would need
        ctx.save_for_backward((ratio - ratio.round().clamp_min(1.0)) * threshold)
        return torch.where(fired, ratio.floor(), torch.zeros_like(v))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> Any:
        (distance,) = ctx.saved_tensors
        slope = surrogate_derivative(distance, ctx.name, ctx.width)
        return grad_outputs[0] * slope, None, None, None, None, None


def fire(
    v: torch.Tensor, threshold: torch.Tensor, *, strict: bool, multi: bool, name: str, width: float
) -> torch.Tensor:
    """Return the spikes (0, 1 or a count) of membranes ``v``; differentiable by the surrogate."""
    spikes: torch.Tensor = Fire.apply(v, threshold, strict, multi, name, width)
    return spikes
