"""A Sequential over (samples, steps, ...): stateless layers see the steps as more samples."""

from __future__ import annotations

import torch
from torch import nn

from nmhw.torch.neurons import Neurons


class Sequential(nn.Sequential):
    """Layers one after the other on data of shape (samples, steps, ...).

    Neurons of ``nmhw.torch`` and containers with such neurons in them get the steps; every other
    layer (Linear, Conv2d, BatchNorm2d, AvgPool2d...) gets (samples * steps, ...), so that a
    BatchNorm averages over samples and steps.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (samples, steps, ...) to (samples, steps, ...)."""
        return _run(self, x)


def _run(container: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    for layer in container:
        if isinstance(layer, nn.Sequential):
            x = _run(layer, x)
        elif any(isinstance(part, Neurons) for part in layer.modules()):
            x = layer(x)
        else:
            n_samples, n_steps = x.shape[:2]
            x = layer(x.flatten(0, 1)).unflatten(0, (n_samples, n_steps))
    return x
