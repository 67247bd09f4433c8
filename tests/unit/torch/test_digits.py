"""A small network trained in torch on the digits that ship with nmhw, deployed to a chip."""

import numpy as np
import pytest
import torch
from torch import nn

import nmhw
from nmhw.api.demo import load_demo_images
from nmhw.io.learning_data import load_digits
from nmhw.torch import LIF, Sequential

N_STEPS = 16


def encode(pixels: np.ndarray) -> torch.Tensor:
    """Spikes of nmhw/data/ORIGIN.md: every pixel p (0 to 16) makes p spikes, evenly spaced."""
    steps = np.arange(1, N_STEPS + 1)[:, None]
    fired = (steps * pixels[:, None]) // 16 > ((steps - 1) * pixels[:, None]) // 16
    return torch.from_numpy(fired.astype(np.float32))


@pytest.mark.filterwarnings("ignore:Detected call")
def test_a_net_trained_in_torch_works_in_a_chips_integers() -> None:
    data = load_digits()
    with_labels = data.split == 0
    pixels = np.rint(data.images[with_labels].reshape(-1, 64) * 16 / data.images.max())
    labels = torch.from_numpy(data.labels[with_labels].astype(np.int64))
    x = encode(pixels.astype(np.int64))
    torch.manual_seed(0)
    net = Sequential(
        nn.Linear(64, 48, bias=False), nn.BatchNorm1d(48), LIF(8e-3), nn.Linear(48, 10), LIF(8e-3)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(5):
        for rows in torch.randperm(len(x)).split(128):
            loss = nn.functional.cross_entropy(net(x[rows]).sum(1), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network = nmhw.from_torch(net, x[:8])
    images = load_demo_images()
    run = nmhw.deploy(network, "loihi1-nahuku", calibration=x[:64]).run(
        images.events, images.labels
    )
    facts = run.to_json()
    assert facts["accuracy"] > 0.85
    assert abs(facts["accuracy"] - nmhw.run_float(network, images.events, images.labels)
               .to_json()["accuracy"]) < 0.05  # fmt: skip
