"""A spiking transformer recorded by hooks and priced on two chips, without simulation.

    python examples/spiking_transformer.py                      # loihi1-nahuku and spinnaker2
    python examples/spiking_transformer.py --chips loihi2 --trace transformer.trace
    nmhw cost transformer.trace --chip loihi1-nahuku

Spiking self-attention multiplies spikes by spikes (Zhou et al., Spikformer, ICLR 2023,
arXiv:2209.15425): no synapse does that and NIR has no node for it, so these products are listed as
operations of the host. The weights are random: the figures show the way, not a trained network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

import nmhw


class OwnLIF(nn.Module):
    """Leaky neurons over (steps, samples, ...): v += (x - v) / 2, a spike and reset at v >= 0.5."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the spikes of all steps."""
        v, spikes = torch.zeros_like(x[0]), []
        for now in x:
            v = v + (now - v) / 2
            fired = (v >= 0.5).to(x.dtype)
            v = v * (1 - fired)
            spikes.append(fired)
        return torch.stack(spikes)


class Tokens(nn.Module):
    """Linear, BatchNorm and neurons over tokens (steps, samples, tokens, width)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear, self.norm, self.lif = nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), OwnLIF()

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes of ``n_out`` features per token."""
        y = self.norm(self.linear(x.flatten(0, 1)).transpose(1, 2)).transpose(1, 2)
        return self.lif(y.unflatten(0, x.shape[:2]))


class SpikingAttention(nn.Module):
    """Attention without softmax: (q k') v of spikes, scaled, into neurons."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q, self.k, self.v = (Tokens(width, width) for _ in range(3))
        self.lif, self.out = OwnLIF(), Tokens(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes in the shape of ``x``."""
        q, k, v = (
            part(x).unflatten(-1, (self.n_heads, -1)).transpose(2, 3)
            for part in (self.q, self.k, self.v)
        )
        mixed = (q @ k.transpose(-1, -2)) @ v * 0.25
        return self.out(self.lif(mixed.transpose(2, 3).flatten(-2)))


class SpikingTransformer(nn.Module):
    """Patches of an image, one block with residual sums, a class per sample."""

    def __init__(self, n_steps: int = 4, width: int = 32, n_heads: int = 4) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.stem, self.stem_norm, self.stem_lif = (
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), OwnLIF(),
        )  # fmt: skip
        self.patch, self.patch_norm, self.patch_lif = (
            nn.Conv2d(8, width, 4, 4, bias=False), nn.BatchNorm2d(width), OwnLIF(),
        )  # fmt: skip
        self.attention = SpikingAttention(width, n_heads)
        self.wide, self.narrow = Tokens(width, 2 * width), Tokens(2 * width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (samples, classes) of images (samples, 1, 16, 16)."""
        x = image.unsqueeze(0).repeat(self.n_steps, 1, 1, 1, 1)
        steps = x.shape[:2]
        x = self.stem_lif(self.stem_norm(self.stem(x.flatten(0, 1))).unflatten(0, steps))
        x = self.patch_lif(self.patch_norm(self.patch(x.flatten(0, 1))).unflatten(0, steps))
        x = x.flatten(3).transpose(2, 3)
        x = x + self.attention(x)
        x = x + self.narrow(self.wide(x))
        return self.head(x.mean(2)).mean(0)


def make_model() -> SpikingTransformer:
    """Return the model with seeded weights, large enough that every layer fires."""
    torch.manual_seed(0)
    model = SpikingTransformer()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("head"):
                parameter.mul_(3)
    return model


def main() -> None:
    """Record, save where asked, price."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", default="loihi1-nahuku,spinnaker2")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--trace", type=Path, help="save the trace here")
    options = parser.parse_args()
    images = torch.rand(options.samples, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    model = make_model()
    try:
        trace = nmhw.record(model, images, layout="N", n_steps=model.n_steps)
        if options.trace is not None:
            nmhw.save_trace(trace, options.trace)
        for chip in options.chips.split(","):
            print(nmhw.cost(trace, chip).report())
    except nmhw.NmhwError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
