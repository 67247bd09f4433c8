"""Train the spiking digits classifier that ``nmhw demo`` deploys, and export it to NIR.

The network is a plain PyTorch multilayer perceptron of leaky integrate-and-fire neurons, trained
with a surrogate gradient (Neftci, Mostafa and Zenke 2019, doi:10.1109/MSP.2019.2931595) on the
8 x 8 handwritten digits that scikit-learn carries, and written with nirtorch. Its discrete rule,
for every neuron and step (dt = 0.1 ms)::

    v[t] = beta * v[t - 1] + I[t],   beta = 1 - dt / tau
    s[t] = v[t] > 1                  (strict; s goes to the next layer within the same step)
    v[t] = 0 where s[t]              (reset to zero, same step)

Needs torch, nir, nirtorch and scikit-learn; ``nmhw`` itself needs none of torch, nirtorch and
scikit-learn to run the exported files. See ``examples/README.md``.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import nir
import nirtorch
import numpy as np
import torch
from digits_data import encode, export_data, load_split
from numpy.typing import NDArray
from run_nir_numpy import describe, predict, simulate_nir
from torch import nn

DT_S = 1e-4  # the step that snnTorch and SpikingJelly assume when they read NIR
HIDDEN = (128, 64)
# Powers of two times dt: beta is then a dyadic number, r * dt / tau is exactly 1 in any float
# format, and a 12-bit decay register represents the leak without error.
TAU_STEPS = (8, 8, 16)
WEIGHT_LSB = 2.0**-12  # exported weights are multiples of it: their sums do not depend on order
SHIPPED_SEED = 3


class _Spike(torch.autograd.Function):
    """Heaviside step forward, fast-sigmoid surrogate derivative backward."""

    slope = 5.0

    @staticmethod
    def forward(ctx: Any, distance: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        (distance,) = ctx.saved_tensors
        return grad_outputs[0] / (1.0 + _Spike.slope * distance.abs()) ** 2


class LIF(nn.Module):
    """A layer of leaky integrate-and-fire neurons over a whole raster.

    Parameters
    ----------
    n_neurons : int
    tau_steps : int
        Membrane time constant in steps; beta = 1 - 1 / tau_steps.
    dropout : float
        Probability of silencing a neuron for a whole sample while training.
    """

    def __init__(self, n_neurons: int, tau_steps: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_neurons = n_neurons
        self.tau_steps = tau_steps
        self.beta = 1.0 - 1.0 / tau_steps
        self.dropout = dropout
        self.spikes = torch.zeros(0)

    def forward(self, current: torch.Tensor) -> torch.Tensor:
        """Map currents (steps, batch, neurons) to spikes of the same shape."""
        v = torch.zeros_like(current[0])
        raster = []
        for current_now in current:
            v = self.beta * v + current_now
            spike = _Spike.apply(v - 1.0)
            v = v * (1.0 - spike.detach())
            raster.append(spike)
        self.spikes = torch.stack(raster)
        if not self.training or self.dropout == 0.0:
            return self.spikes
        keep = torch.rand_like(v) >= self.dropout
        return self.spikes * keep / (1.0 - self.dropout)


class NoisyLinear(nn.Linear):
    """Bias-free weights that jitter while training, so that rounding them later costs little."""

    relative_noise = 0.01

    def __init__(self, n_in: int, n_out: int, gain: float) -> None:
        super().__init__(n_in, n_out, bias=False)
        nn.init.normal_(self.weight, std=gain / math.sqrt(n_in))

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        weight = self.weight
        if self.training:
            step = self.relative_noise * weight.detach().abs().max()
            weight = weight + step * torch.randn_like(weight)
        return nn.functional.linear(spikes, weight)


class DigitsNet(nn.Module):
    """64 inputs, two hidden LIF layers, 10 spiking outputs read by their spike count."""

    def __init__(self) -> None:
        super().__init__()
        first, second = HIDDEN
        self.fc1 = NoisyLinear(64, first, gain=1.0)
        self.lif1 = LIF(first, TAU_STEPS[0], dropout=0.2)
        self.fc2 = NoisyLinear(first, second, gain=1.5)
        self.lif2 = LIF(second, TAU_STEPS[1], dropout=0.2)
        self.fc3 = NoisyLinear(second, 10, gain=1.5)
        self.lif3 = LIF(10, TAU_STEPS[2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map input spikes (steps, batch, 64) to output spikes (steps, batch, 10)."""
        return self.lif3(self.fc3(self.lif2(self.fc2(self.lif1(self.fc1(x))))))


def to_raster(pixels: torch.Tensor) -> torch.Tensor:
    """Encode integer pixels (batch, 64) as float spikes (steps, batch, 64)."""
    spikes = encode(pixels.numpy().astype(np.int64))
    return torch.from_numpy(spikes.swapaxes(0, 1).astype(np.float32))


def jitter(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate, scale, shear, shift and rescale training images a little, each its own way."""
    n = len(pixels)

    def uniform(limit: float) -> torch.Tensor:
        return (2.0 * torch.rand(n, generator=generator) - 1.0) * limit

    angle, shear = uniform(0.2), uniform(0.15)
    scale_x, scale_y = 1.0 + uniform(0.12), 1.0 + uniform(0.12)
    theta = torch.stack(
        [
            torch.stack([scale_x * angle.cos(), shear - angle.sin(), uniform(0.2)], dim=1),
            torch.stack([angle.sin(), scale_y * angle.cos(), uniform(0.2)], dim=1),
        ],
        dim=1,
    )
    grid = nn.functional.affine_grid(theta, [n, 1, 8, 8], align_corners=False)
    images = pixels.view(n, 1, 8, 8).to(torch.float32)
    moved = nn.functional.grid_sample(images, grid, align_corners=False).view(n, 64)
    contrast = 1.0 + uniform(0.15).unsqueeze(1)
    return (moved * contrast).round().clamp(0, 16)


def train(
    pixels: torch.Tensor, labels: torch.Tensor, *, seed: int, n_epochs: int
) -> tuple[DigitsNet, float]:
    """Train one network; returns it, in evaluation mode and rounded, and the seconds it took."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = DigitsNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    batch = 64
    n_batches = math.ceil(len(labels) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=5e-3, total_steps=n_epochs * n_batches
    )
    started = time.perf_counter()
    for epoch in range(n_epochs):
        total = 0.0
        for rows in torch.randperm(len(labels), generator=generator).split(batch):
            counts = net(to_raster(jitter(pixels[rows], generator))).sum(dim=0)
            loss = nn.functional.cross_entropy(0.7 * counts, labels[rows], label_smoothing=0.02)
            loss = loss + activity_penalty(net)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if (epoch + 1) % 10 == 0 or epoch + 1 == n_epochs:
            seconds = time.perf_counter() - started
            line = f"seed {seed} epoch {epoch + 1}/{n_epochs}"
            print(f"{line} loss {total / len(labels):.4f} {seconds:.0f} s", file=sys.stderr)
    net.eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_((weight / WEIGHT_LSB).round() * WEIGHT_LSB)
    return net, time.perf_counter() - started


def activity_penalty(net: DigitsNet) -> torch.Tensor:
    """Price spikes, and neurons that no sample of the batch wakes or that never rest."""
    penalty = torch.zeros(())
    for layer in (net.lif1, net.lif2):
        rate = layer.spikes.mean(dim=(0, 1))
        silent = (0.02 - rate).clamp_min(0.0).mean()
        busy = (rate - 0.3).clamp_min(0.0).mean()
        penalty = penalty + 0.3 * rate.mean() + 5.0 * silent + 2.0 * busy
    return penalty


def to_nir(net: DigitsNet) -> nir.NIRGraph:
    """Export with nirtorch and put right what it leaves to the caller.

    nirtorch names the input node after the argument of ``forward``; here it becomes ``input``.
    r = tau / dt makes the input gain r * dt / tau exactly 1, which lets a reader prove dt.
    """

    def lif_node(layer: LIF) -> nir.LIF:
        full = np.ones(layer.n_neurons)
        return nir.LIF(
            tau=full * (layer.tau_steps * DT_S),
            r=full * layer.tau_steps,
            v_leak=0.0 * full,
            v_threshold=full,
            v_reset=0.0 * full,
        )

    graph = nirtorch.torch_to_nir(
        net,
        {
            LIF: lif_node,
            NoisyLinear: lambda layer: nir.Linear(layer.weight.detach().numpy().copy()),
        },
    )
    nodes = {"input" if name == "x" else name: node for name, node in graph.nodes.items()}
    edges = [tuple("input" if end == "x" else end for end in edge) for edge in graph.edges]
    return nir.NIRGraph(nodes=nodes, edges=edges)


def run_torch(net: DigitsNet, raster: torch.Tensor) -> dict[str, NDArray[np.bool_]]:
    """Return the spikes (samples, steps, neurons) of every LIF layer in evaluation mode."""
    with torch.no_grad():
        net(raster)
    layers = {name: layer for name, layer in net.named_children() if isinstance(layer, LIF)}
    return {name: layer.spikes.numpy().swapaxes(0, 1) > 0 for name, layer in layers.items()}


def train_and_export(seed: int, folder: Path, n_epochs: int) -> dict[str, NDArray[np.bool_]]:
    """Train one seed, write ``digits_seed<seed>.nir``, check the file; return torch's spikes.

    The check runs the written file in plain NumPy on the test images; a prediction that differs
    from torch's ends the program.
    """
    split = load_split()
    pixels, labels = torch.from_numpy(split["pixels"]), torch.from_numpy(split["labels"])
    rows = torch.from_numpy(split["train"])
    net, seconds = train(pixels[rows], labels[rows], seed=seed, n_epochs=n_epochs)

    path = folder / f"digits_seed{seed}.nir"
    nir.write(path, to_nir(net))
    raster = to_raster(pixels[split["test"]])
    in_torch = run_torch(net, raster)
    in_file = simulate_nir(path, raster.numpy().swapaxes(0, 1))
    n_bins = sum(int((in_torch[name] != in_file[name]).sum()) for name in in_torch)
    predicted = predict(in_torch["lif3"])
    n_differ = int((predicted != predict(in_file["lif3"])).sum())
    accuracy = float((predicted == split["labels"][split["test"]]).mean())
    print(describe(in_torch), file=sys.stderr)
    print(f"{path.name}: {path.stat().st_size} bytes, trained {seconds:.0f} s", file=sys.stderr)
    print(
        f"seed {seed} test accuracy {100 * accuracy:.2f} % (n = {len(predicted)}); "
        f"file against torch: {n_differ} predictions and {n_bins} spike bins differ"
    )
    if n_differ:
        raise SystemExit(f"{path}: the exported file predicts differently from the trained network")
    return in_torch


def write_reference(path: Path, by_seed: dict[int, dict[str, NDArray[np.bool_]]]) -> None:
    """Write what torch computed on the test images, for tests that run without torch.

    ``seed`` (seeds,), ``output_counts`` (seeds, samples, 10) and ``layer_spikes`` (seeds, samples,
    layers): spikes of each output neuron, and of each whole layer.
    """
    counts = [spikes["lif3"].sum(axis=1) for spikes in by_seed.values()]
    totals = [[raster.sum(axis=(1, 2)) for raster in run.values()] for run in by_seed.values()]
    np.savez_compressed(
        path,
        seed=np.array(list(by_seed), dtype=np.uint8),
        output_counts=np.array(counts, dtype=np.uint8),
        layer_spikes=np.array(totals, dtype=np.uint16).swapaxes(1, 2),
    )
    labels = (split := load_split())["labels"][split["test"]]
    correct = np.array(counts).argmax(axis=2) == labels
    print(f"mean over {len(counts)} seeds {100 * correct.mean():.2f} %")


def main() -> None:
    """Train, export and check, as the command line asks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=SHIPPED_SEED, help="training seed")
    parser.add_argument("--all-seeds", action="store_true", help="train seeds 0 to 4")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--export-data", action="store_true", help="also write the spike files")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same sums in the same order on every machine of a kind
    arguments.output.mkdir(parents=True, exist_ok=True)
    seeds = range(5) if arguments.all_seeds else [arguments.seed]
    spikes = {s: train_and_export(s, arguments.output, arguments.epochs) for s in seeds}
    if arguments.all_seeds:
        write_reference(arguments.output / "digits_seeds_torch.npz", spikes)
    if arguments.export_data:
        export_data(arguments.output)


if __name__ == "__main__":
    main()
