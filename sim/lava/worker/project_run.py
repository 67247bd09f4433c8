"""Run the network of this folder with lava-nc alone; the spikes go to ``spikes.npz``.

``python run.py`` takes the input that lies here and compares the spikes with the expected ones, if
both are here. ``python run.py --input FILE`` takes another: ``.npy`` (samples, steps, ...) counts
for a network with one input, or ``.npz`` with ``n_samples``, ``n_steps`` and per input
``NAME/sample``, ``NAME/step``, ``NAME/index``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent


def read_events(path: Path, network: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """Return (sample, step, index) by input name, the samples and the steps."""
    own = [port for port in network["inputs"] if not port["is_constant"]]
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        sys.exit(f"{path}: no .npy or .npz file: {error}")
    if isinstance(file, np.ndarray):
        counts = file
        if len(own) != 1 or counts.ndim < 3:
            sys.exit("an .npy file is (samples, steps, ...) counts for a network with one input")
        flat = counts.reshape(*counts.shape[:2], -1)
        if flat.shape[2] != own[0]["n"] or (flat < 0).any() or (flat != np.floor(flat)).any():
            sys.exit(f"the input takes {own[0]['n']} whole numbers, 0 or more, per step")
        places = np.nonzero(flat)
        times = flat[places].astype(np.int64)
        columns = tuple(np.repeat(column, times) for column in places)
        return {own[0]["name"]: columns}, counts.shape[0], counts.shape[1]
    with file:
        events = {}
        for port in own:
            names = [f"{port['name']}/{column}" for column in ("sample", "step", "index")]
            missing = [name for name in (*names, "n_samples", "n_steps") if name not in file]
            if missing:
                sys.exit(f"{path}: no array {missing[0]!r}")
            events[port["name"]] = tuple(file[name] for name in names)
        return events, int(file["n_samples"]), int(file["n_steps"])


def input_arrays(
    network: dict[str, Any], events: dict[str, Any], n_samples: int, n_steps: int
) -> dict[str, Any]:
    """Return the input arrays of the worker; ``n_steps`` without the steps to drain."""
    total = n_steps + network["drain_steps"]
    n_rows = n_samples * total
    network |= {"n_rows": n_rows, "steps": total, "period": total}
    arrays: dict[str, Any] = {}
    for k, port in enumerate(network["inputs"]):
        if port["is_constant"]:
            row = np.repeat(np.arange(n_rows), port["n"])
            index = np.tile(np.arange(port["n"]), n_rows)
        else:
            sample, step, index = events[port["name"]]
            for what, values, limit in (
                ("sample", sample, n_samples), ("step", step, n_steps), ("index", index, port["n"])
            ):  # fmt: skip
                if values.size and not 0 <= values.min() <= values.max() < limit:
                    sys.exit(f"{port['name']}: {what} must be 0 to {limit - 1}")
            row = sample.astype(np.int64) * total + step
            order = np.lexsort((index, row))
            row, index = row[order], index[order]
            _, repeated = np.unique(row * port["n"] + index, return_counts=True)
            if repeated.size and repeated.max() > port["most"]:
                sys.exit(f"{port['name']}: more than {port['most']} events of one element and step")
        arrays[f"inputs/{k}/pointers"] = np.searchsorted(row, np.arange(n_rows + 1))
        arrays[f"inputs/{k}/index"] = index.astype(np.int32)
    return arrays


def run(network: dict[str, Any], arrays: dict[str, Any], deadline_s: float) -> tuple[Any, Any]:
    """Run in a child interpreter; return the counts and the arrays of the populations."""
    from nmhw_lava.files import read, write
    from nmhw_lava.launch import Failure, run_child

    with tempfile.TemporaryDirectory(prefix="lava-run-") as name:
        folder = Path(name)
        job = {"kind": "run", "networks": [network]}
        write(folder, "job", job, {f"0/{key}": value for key, value in arrays.items()})
        try:
            run_child(sys.executable, HERE / "start.py", folder, silence_s=deadline_s)
        except Failure as failure:
            sys.exit(f"{failure}\n{failure.detail}".strip())
        answer, found = read(folder, "answer")
    return answer["networks"][0], found


def spikes_of(network: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return ``NAME/sample``, ``NAME/step``, ``NAME/index`` of every population."""
    spikes = {}
    for k, population in enumerate(network["populations"]):
        row, index, count = found[f"0/{k}/events"]
        columns = (row // network["steps"], row % network["steps"], index)
        for name, column in zip(("sample", "step", "index"), columns, strict=True):
            spikes[f"{population['name']}/{name}"] = np.repeat(column, count)
    return spikes


def main() -> int:
    """Run, save, print the counts, and compare where that is possible."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--input", type=Path, help=".npy or .npz file  [default: input.npz]")
    parser.add_argument("-o", "--output", type=Path, default=Path("spikes.npz"))
    parser.add_argument("--deadline", type=float, default=120.0, help="seconds of silence")
    options = parser.parse_args()
    network = json.loads((HERE / "network.json").read_text("utf-8"))
    own = HERE / "input.npz"
    path = own if options.input is None else options.input
    if not path.is_file():
        sys.exit(f"no input: {path}")
    output = options.output
    if output.suffix != ".npz":
        output = output.with_name(f"{output.name}.npz")
    if not os.access(output.parent, os.W_OK) or output.is_dir():
        sys.exit(f"cannot write {output}")
    with np.load(HERE / "network.npz", allow_pickle=False) as file:
        arrays = dict(file)
    arrays |= input_arrays(network, *read_events(path, network))
    counts, found = run(network, arrays, options.deadline)
    spikes = spikes_of(network, found)
    np.savez_compressed(output, **spikes)
    for kind in ("n_events", "n_spikes", "n_updates", "n_synops"):
        for name, count in counts[kind].items():
            print(f"{kind:10} {name:24} {count:>12,}")
    print(f"saved {output}")
    expected = HERE / "expected.npz"
    if options.input is not None or not expected.is_file():
        return 0
    with np.load(expected, allow_pickle=False) as file:
        other = [name for name in file.files if not np.array_equal(file[name], spikes[name])]
    print(f"differs from expected.npz: {other[0]}" if other else "equal to expected.npz")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
