"""A BatchNorm + MaxPool + direct-coded convolutional network, from PyTorch to two chips.

The usual form for CIFAR-10 with small maps and weights that are not trained: what counts here is
the way, not the accuracy. Everything that is not exact is printed: what was folded, what runs on
the host, what the chip rounds.

    python examples/cifar_form_two_chips.py
"""

import torch
from torch import nn

import nmhw
from nmhw.torch import LIF, Sequential

N_STEPS = 6


def make_model() -> nn.Module:
    """Return the network, its BatchNorm statistics those of random images."""
    torch.manual_seed(2)
    net = Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), LIF(2e-3),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), LIF(2e-3),
        nn.MaxPool2d(2), nn.Dropout2d(0.1),
        nn.Conv2d(8, 12, 3, bias=False), nn.BatchNorm2d(12), LIF(2e-3),
        nn.AvgPool2d(3), nn.Flatten(), nn.Linear(48, 10), LIF(2e-3),
    )  # fmt: skip
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.bias.fill_(0.3)
        net[13].weight.mul_(6.0)
        for _ in range(10):
            net(torch.rand(8, N_STEPS, 3, 16, 16))
    return net


def main() -> None:
    """Print the report of two chips."""
    model, images = make_model(), torch.rand(8, 3, 16, 16)
    # from here on: module, images and names of chips in, reports out
    frames = images.unsqueeze(1).expand(-1, N_STEPS, -1, -1, -1)
    network = nmhw.from_torch(model, frames)
    stage = nmhw.host_stage(network)
    spikes = stage.spikes(images, n_steps=N_STEPS)
    for chip in ("loihi1-nahuku", "spinnaker2"):
        print(nmhw.deploy(stage.rest, chip).run(spikes).report())


if __name__ == "__main__":
    main()
