"""What a user waits for: whole data sets with the full report, wall time by phase.

    python benchmarks/user_runs.py [--only digits,events,vgg] [--samples N] [--threads N] [--json]

digits: all test images of the shipped network, float run included. events: 1,000 samples of a
network the size of N-MNIST's (2x34x34, three convolutions, 100 steps). vgg: a CIFAR-sized VGG-9
(random weights, T = 4) on 10,000 samples; --samples N runs N of them and says so. Both follow
sinabs' rules: several spikes per step, a lower bound of v.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import nmhw
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Reshape

Row = dict[str, Any]

#: Channels of the VGG-9's convolutions, 0 = sum pool; thresholds for some percent of activity.
VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0)
PHASES = ("load", "map", "tables", "run", "price")
VGG_STEPS, VGG_SAMPLES = 4, 10_000
EVENT_SAMPLES = 1_000


def time_run(
    name: str,
    prepare: Callable[[], tuple[Any, Any, Any]],
    wanted: int,
    boards: int,
    **options: Any,
) -> Row:
    """Deploy to so many chips and run with the report of it all."""
    started = time.perf_counter()
    network, inputs, labels = prepare()
    loaded = time.perf_counter()
    chip = nmhw.chip("generic")
    if boards > 1:
        chip = chip.with_(board=(boards, 1))
    deployed = nmhw.deploy(network, chip)
    mapped = time.perf_counter()
    first = {name: events.samples(0, 1) for name, events in inputs.items()}
    deployed.run(first, compare_float=False)  # compiles, and makes the tables of the mapping
    prepared, cpu = time.perf_counter(), time.process_time()
    run = deployed.run(inputs, labels, **options)
    ran, cpu = time.perf_counter(), time.process_time() - cpu
    text = run.report()
    reported = time.perf_counter()
    facts = run.summary()
    samples = facts["n_samples"]
    row = {
        "run": name,
        "samples": samples,
        "load_s": loaded - started,
        "map_s": mapped - loaded,
        "tables_s": prepared - mapped,
        "run_cpu_s": cpu,
        "run_s": ran - prepared - (run.wall_s["price"] or 0.0),
        "price_s": (run.wall_s["price"] or 0.0) + reported - ran,
        "synops": facts["synops"],
        "cores": facts["n_cores"],
        "wanted": wanted,
        "lines": len(text.splitlines()),
    }
    per_sample = row["run_s"] / samples
    row["total_s"] = sum(row[f"{k}_s"] for k in PHASES if k != "run") + per_sample * wanted
    return row


def digits() -> tuple[Any, Any, Any]:
    """Return the shipped network and its test images."""
    from nmhw.api.demo import load_demo_images, load_demo_network

    images = load_demo_images()
    return load_demo_network(), images.events, images.labels


def events(samples: int) -> tuple[Any, Any, Any]:
    """Return a network the size of N-MNIST's and moving rings as its input."""
    from workloads import load

    from nmhw.api.reading import give_meaning

    workload = load("W2@1", min(samples, 200))
    (given,) = workload.inputs.values()
    times = -(-samples // workload.n_samples)
    sample = [given.sample + np.int32(k * workload.n_samples) for k in range(times)]
    tiled = SpikeEvents(
        np.concatenate(sample), np.tile(given.step, times), np.tile(given.index, times),
        times * workload.n_samples, given.n_steps, given.shape,
    )  # fmt: skip
    network = give_meaning(workload.network, "sinabs", dt_s=1e-3)
    return network, {"in": tiled.samples(0, samples)}, np.arange(samples) % 10


def vgg(samples: int) -> tuple[Any, Any, Any]:
    """Return a VGG-9 for 3x32x32 frames with random weights, and rate-coded frames."""
    from nmhw.api.reading import give_meaning
    from nmhw.io.encode import encode_rate

    rng = np.random.default_rng(5)
    build = nmhw.Network.build("vgg9").input("in", (3, 32, 32))
    shape, source, k = (3, 32, 32), "in", 0
    pools: list[LinearOp] = []
    for channels in VGG:
        if not channels:
            pools.append(Pool("sum", shape, (2, 2), (2, 2)))
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
            continue
        weight = rng.normal(0.0, 1.0, (channels, shape[0], 3, 3)) / np.sqrt(9 * shape[0])
        conv = Conv(weight, shape, (1, 1), (1, 1, 1, 1), (1, 1), 1)
        shape = (channels, *shape[1:])
        build.population(f"if{k}", shape, "if", v_threshold=1.2)
        build.project(source, f"if{k}", ops=(*pools, conv), name=f"conv{k}")
        source, pools, k = f"if{k}", [], k + 1
    small = (shape[0], shape[1], shape[2])
    flat = int(np.prod(small))
    for n in (1024, 10):
        matrix = rng.normal(0.0, 1.0, (n, flat)) / np.sqrt(flat)
        chain = (*pools, Reshape(small, (flat,)), Dense(matrix)) if n == 1024 else (Dense(matrix),)
        build.population(f"if{k}", n, "if", v_threshold=0.8)
        build.project(source, f"if{k}", ops=chain, name=f"fc{k}")
        source, flat, pools, k = f"if{k}", n, [], k + 1
    network = give_meaning(build.output("out", source).done(), "sinabs", dt_s=1e-3)
    frames = rng.random((samples, 3, 32, 32))
    return network, {"in": encode_rate(frames, VGG_STEPS)}, rng.integers(0, 10, samples)


def render(row: Row) -> str:
    """Return one line of the table."""
    split = "  ".join(f"{k} {row[f'{k}_s']:.2f} s" for k in PHASES)
    split = split.replace("  price", f" (CPU {row['run_cpu_s']:.2f} s)  price")
    line = f"{row['run']:<8}{row['samples']:>7,} samples  {split}  {row['cores']} cores"
    if row["wanted"] != row["samples"]:
        line += f"; {row['wanted']:,} samples at that rate: {row['total_s'] / 60:.1f} min"
    return line + f"  ({row['synops'] / row['run_s'] / 1e6:,.0f} M synops/s)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="digits,events,vgg")
    parser.add_argument("--samples", type=int, help="of events and vgg")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    n_events, n_vgg = options.samples or EVENT_SAMPLES, options.samples or VGG_SAMPLES
    runs: dict[str, tuple[Any, ...]] = {
        "digits": (digits, None, {}),
        "events": (lambda: events(n_events), EVENT_SAMPLES, {"compare_float": False}),
        "vgg": (lambda: vgg(n_vgg), VGG_SAMPLES, {"compare_float": False}),
    }
    rows = []
    for name in options.only.split(","):
        prepare, wanted, more = runs[name]
        boards = 2 if name == "vgg" else 1
        row = time_run(name, prepare, wanted or 0, boards, threads=options.threads, **more)
        if wanted is None:
            row["wanted"] = row["samples"]
        rows.append(row)
        print(render(row), file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
