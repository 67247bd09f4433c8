"""MPD-ED and STBP as PyTorch sees them: a masked surrogate inside backpropagation through time.

An oracle for the gradients, in float64, built from PyTorch's own convolution, pooling and autograd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import MissingExtraError
from nmhw.sim.learning.check_cases import Case
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningLayer

Floats = NDArray[np.float64]


def torch_gradients(
    case: Case, thresholds: list[Floats] | None = None
) -> tuple[float, list[Floats], list[Floats]]:
    """Return the loss and the gradients of weights and of every population's thresholds.

    Parameters
    ----------
    case : Case
        Of MPD-ED or STBP.
    thresholds : list of (n,) or None
        Per spiking population; None: ``rule.theta0``.

    Raises
    ------
    MissingExtraError
        Without PyTorch.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("PyTorch is not installed", hint="nmhw[torch]") from error
    rule, net = case.rule, case.net
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in case.weights]
    spikes = torch.tensor(case.inputs, dtype=torch.float64)
    thetas = []
    for population, k in enumerate(net.feedforward):
        layer = net.layers[k]
        drive = [_drive(layer, spikes[:, t], weights[k]) for t in range(rule.n_steps)]
        if k == len(net.layers) - 1 and rule.head == "integrator":
            scores = torch.stack(drive).sum(dim=0)
            break
        start = np.full(layer.n_out, rule.theta0) if thresholds is None else thresholds[population]
        theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        thetas.append(theta)
        loop = net.recurrent_of(k)
        spikes = _population(rule, drive, theta, None if loop is None else weights[loop])
        scores = spikes.sum(dim=1)
    loss = torch.nn.functional.cross_entropy(scores, torch.tensor(case.labels))
    loss.backward()
    return float(loss.detach()), [_gradient(w) for w in weights], [_gradient(t) for t in thetas]


def _gradient(leaf: Any) -> Floats:
    zeros = np.zeros(tuple(leaf.shape))
    return zeros if leaf.grad is None else np.asarray(leaf.grad.numpy(), np.float64)


def _drive(layer: LearningLayer, x: Any, weights: Any) -> Any:
    """Pool, then convolve or multiply; x (B, n_source)."""
    from torch.nn import functional

    if layer.pool is not None:
        pool = layer.pool
        planes = x.reshape(-1, *pool.in_shape)
        sums = functional.avg_pool2d(
            planes, pool.kernel, pool.stride, pool.padding, divisor_override=1
        )
        x = sums.flatten(1)
    if layer.geometry is None:
        return x @ weights
    geometry = layer.geometry
    top, bottom, left, right = geometry.padding
    planes = functional.pad(x.reshape(-1, *geometry.in_shape), (left, right, top, bottom))
    out = functional.conv2d(
        planes, weights, None, geometry.stride, 0, geometry.dilation, geometry.groups
    )
    return out.flatten(1)


def _population(rule: GradientRule, drive: list[Any], theta: Any, around: Any) -> Any:
    """Return the spikes (B, T, n) of LIF neurons with a hard reset that carries no gradient."""
    import torch

    spike = _masked_step(rule)
    v = torch.zeros_like(drive[0])
    before = torch.zeros_like(v)
    spikes = []
    for t, current in enumerate(drive):
        v = rule.decay * v + current
        if around is not None and t:
            v = v + before @ around
        level = theta
        if rule.threshold == "ramp":
            level = rule.theta0 * (1.0 - t / rule.n_steps) + rule.theta_floor
        before = spike(v - level)
        v = v * (1 - before.detach())
        spikes.append(before)
    return torch.stack(spikes, dim=1)


def _masked_step(rule: GradientRule) -> Any:
    """Return a step function whose derivative is the surrogate, where the mask admits it."""
    import torch

    class MaskedStep(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x >= 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, *outer: Any) -> Any:
            (x,) = ctx.saved_tensors
            if rule.surrogate == "atan":
                slope = rule.width / 2 / (1 + (torch.pi / 2 * rule.width * x) ** 2)
            else:
                slope = torch.relu(1 - x.abs() / rule.width) / rule.width
            if rule.mask == "spike":
                slope = slope * (x >= 0)
            elif rule.mask == "band":
                slope = slope * (x.abs() < rule.band)
            return outer[0] * slope

    return MaskedStep.apply
