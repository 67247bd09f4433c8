"""A spike camera's stream reconstructed on a chip: TFP and TFI as networks.

    python examples/spike_camera.py                      # 250 x 400, picture in spike_camera.png
    python examples/spike_camera.py --chip loihi1-d18 --size 32x32 -o small.png

A pixel of a spike camera adds up light and sends a spike whenever the sum passes a threshold; all
pixels are read 40,000 times a second, one bit each. Two classical reconstructions (L. Zhu et al., A
retina-inspired sampling method for visual texture reconstruction, ICME 2019):

TFP, texture from playback: brightness is the number of spikes in a window. One neuron per pixel
that fires whenever its pixel does; the count readout adds up.

TFI, texture from interval: brightness is one over the time between two spikes. Two neurons per
pixel, both with a synapse onto themselves that keeps them firing once they have fired: ``second``
starts at the second spike of its pixel (threshold 1.5) and then silences ``interval``, which starts
at the first one (threshold 0.5). The spikes of ``interval`` are the steps from the first spike to
the second; the division 1 / interval is the host's. The interval is the first one that begins in
the window, and one that the window cuts off counts up to its end, in the network and in NumPy
alike.

All weights and thresholds are 1, 2, 0.5, 1.5 or their negatives, so the counts are those of NumPy,
exactly, in any chip's integers that hold these ratios; the pictures then have the same PSNR.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

import nmhw
from nmhw.io.recordings.spike_camera import write_frames

Image = NDArray[np.float64]

#: Light per reading at brightness 1: a spike every second reading, the fastest used here.
GAIN = 0.5
DT = "25us"


def scene(height: int, width: int) -> Image:
    """Return a picture of brightness 0.1 to 1: a ramp, stripes, discs and a chequered corner."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    image = 0.15 + 0.35 * x
    image = np.where(y > 0.75, 0.55 + 0.4 * np.sin(2 * np.pi * 12 * x * (0.4 + x)), image)
    for cx, cy, r, light in ((0.25, 0.3, 0.18, 0.9), (0.6, 0.45, 0.22, 0.7), (0.62, 0.4, 0.1, 0.2)):
        inside = ((x - cx) * width / height) ** 2 + (y - cy) ** 2 < r**2
        image = np.where(inside, light * (0.7 + 0.3 * y), image)
    checks = (np.floor(x * 40) + np.floor(y * 25)) % 2
    image = np.where((x > 0.85) & (y < 0.3), 0.2 + 0.8 * checks, image)
    return np.clip(image, 0.1, 1.0)


def film(image: Image, n_frames: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return the spikes (frames, height, width) of a still picture; pixels start at random."""
    filled = np.random.default_rng(seed).random(image.shape)
    frames = np.zeros((n_frames, *image.shape), np.uint8)
    for frame in frames:
        filled += GAIN * image
        frame[:] = filled >= 1
        filled -= frame
    return frames


def tfp_network(height: int, width: int) -> nmhw.Network:
    """Return one neuron per pixel that fires when its pixel does."""
    n = height * width
    build = nmhw.Network.build("tfp").input("camera", (1, height, width))
    build = build.population("pixel", (1, height, width), "if", v_threshold=0.5)
    build = build.project("camera", "pixel", sparse.eye(n, format="csr"))
    return build.output("out", "pixel").done()


def tfi_network(height: int, width: int) -> nmhw.Network:
    """Return two neurons per pixel; ``interval`` fires between the first two spikes."""
    shape, one = (1, height, width), sparse.eye(height * width, format="csr")
    build = nmhw.Network.build("tfi").input("camera", shape)
    build = build.population("second", shape, "if", v_threshold=1.5)
    build = build.population("interval", shape, "if", v_threshold=0.5)
    build = build.project("camera", "second", one).project("camera", "interval", one)
    build = build.project("second", "second", 2 * one).project("interval", "interval", one)
    return build.project("second", "interval", -2 * one).output("out", "interval").done()


def intervals(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return steps from the first to the second spike, or to the end; 0 without a spike."""
    fired = np.cumsum(frames, axis=0)
    return np.sum(fired == 1, axis=0)


def as_tfp(counts: NDArray[Any], n_frames: int) -> Image:
    """Return brightness from spikes in the window."""
    return np.asarray(counts / n_frames / GAIN)


def as_tfi(steps: NDArray[Any]) -> Image:
    """Return brightness from intervals; dark without any spike."""
    return np.where(steps > 0, 1 / np.maximum(steps, 1) / GAIN, 0.0)


def psnr(image: Image, truth: Image) -> float:
    """Return the peak signal-to-noise ratio in dB for a peak of 1."""
    return float(10 * np.log10(1 / np.mean((image - truth) ** 2)))


def reconstruct(
    network: nmhw.Network, chip: nmhw.ChipSpec, path: Path, size: tuple[int, int]
) -> tuple[NDArray[np.float64], nmhw.Run]:
    """Run a stream through a network; return spikes per pixel (height, width) and the run."""
    width, height = size
    events = nmhw.load_events(path, dt=DT, sensor=size, format="spike-camera")
    deployed = nmhw.deploy(network, chip)
    run = deployed.run(events, readout="count", compare_float=False, keep_spikes=0)
    return run.scores.reshape(height, width), run


def room_for(chip: str, n_neurons: int) -> nmhw.ChipSpec:
    """Return the chip, or a board with as many of them as the neurons need."""
    spec = nmhw.chip(chip)
    room = sum(core.count * core.budget.get("neurons", n_neurons) for core in spec.cores)
    return spec if n_neurons <= room else spec.with_(board=(-(-n_neurons // room), 1))


def draw(path: Path, pictures: dict[str, Image]) -> None:
    """Write the pictures side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(pictures), figsize=(5 * len(pictures), 3.6))
    for axis, (title, image) in zip(axes, pictures.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Film a scene, reconstruct it on a chip and in NumPy, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chip", default="generic")
    parser.add_argument("--size", default="400x250", help="width x height")
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("-o", "--output", type=Path, default=Path("spike_camera.png"))
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    truth = scene(height, width)
    frames = film(truth, options.frames)
    pictures = {"scene": truth}
    with tempfile.TemporaryDirectory() as folder:
        path = write_frames(Path(folder) / "scene.dat", frames)
        for name, network in (("TFP", tfp_network), ("TFI", tfi_network)):
            built = network(height, width)
            n_neurons = sum(p.size for p in built.populations)
            started = time.perf_counter()
            found, run = reconstruct(
                built, room_for(options.chip, n_neurons), path, (width, height)
            )
            plain = frames.sum(axis=0) if name == "TFP" else intervals(frames)
            image = as_tfp(found, options.frames) if name == "TFP" else as_tfi(found)
            numpy_image = as_tfp(plain, options.frames) if name == "TFP" else as_tfi(plain)
            pictures[f"{name} on {options.chip}, {psnr(image, truth):.2f} dB"] = image
            print(
                f"{name}: {psnr(image, truth):.4f} dB on {options.chip}, "
                f"{psnr(numpy_image, truth):.4f} dB in NumPy, "
                f"{int((found != plain).sum())} of {plain.size} pixels differ; "
                f"{n_neurons:,} neurons, {run.facts['synops']:,} synops, "
                f"{time.perf_counter() - started:.0f} s"
            )
    draw(options.output, pictures)
    print(f"{options.output}: the scene and both reconstructions")


if __name__ == "__main__":
    main()
