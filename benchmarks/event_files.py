"""Event recordings of millions of events: time and peak memory of reading, binning and running.

    python benchmarks/event_files.py                     # ten million events per format
    python benchmarks/event_files.py --quick --json      # one million

Every row is a process of its own. ``peak_mb`` is the largest resident memory of the whole process,
``base_mb`` the largest before it opened the file (Python, NumPy, Numba, nmhw). ``read``: checked,
cut into windows of 10 ms, binned and counted by ``nmhw.load_events``; ``run``: also executed as a
small network on the chip ``generic``, with the spikes of the outputs kept alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT = 34, 34
GAP_US = 2


def write(path: Path, n_events: int, block: int = 1 << 20) -> None:
    """Write random events, GAP_US apart, as .dat, EVT 2.0 (.raw) or a structured .npy."""
    rng = np.random.default_rng(0)
    with path.open("wb") as stream:
        stream.write(_header(path, n_events))
        for start in range(0, n_events, block):
            n = min(block, n_events - start)
            t = (start + np.arange(n, dtype=np.int64)) * GAP_US
            x, y = rng.integers(0, WIDTH, n), rng.integers(0, HEIGHT, n)
            p = rng.integers(0, 2, n)
            stream.write(_records(path, t, x, y, p))


def _header(path: Path, n_events: int) -> bytes:
    if path.suffix == ".dat":
        return f"% Height {HEIGHT}\n% Width {WIDTH}\n".encode() + bytes([12, 8])
    if path.suffix == ".raw":
        return f"% evt 2.0\n% geometry {WIDTH}x{HEIGHT}\n% end\n".encode()
    text = f"{{'descr': {_KIND.descr}, 'fortran_order': False, 'shape': ({n_events},), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


_KIND = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "|b1")])


def _records(path: Path, t: Any, x: Any, y: Any, p: Any) -> bytes:
    if path.suffix == ".dat":
        return np.stack([t, p << 28 | y << 14 | x], axis=1).astype("<u4").tobytes()
    if path.suffix == ".raw":
        words = p << 28 | (t & 63) << 22 | x << 11 | y
        at = np.flatnonzero(np.diff(t >> 6, prepend=-1))
        return np.insert(words, at, 8 << 28 | (t[at] >> 6)).astype("<u4").tobytes()
    rows = np.zeros(t.size, _KIND)
    for name, column in (("x", x), ("y", y), ("t", t), ("p", p)):
        rows[name] = column
    return rows.tobytes()


def measure(path: Path, what: str) -> dict[str, Any]:
    """Read a file, or read and run it; called in a fresh process."""
    import nmhw

    deployed = _deployed() if what == "run" else None
    base = _peak_mb()
    started = time.perf_counter()
    sensor = f"{WIDTH}x{HEIGHT}"
    found = nmhw.load_events(path, dt="1ms", sensor=sensor, window="10ms", bin="clip(15)")
    if deployed is not None:
        deployed.run(found, compare_float=False, keep_spikes=0)
    elapsed = time.perf_counter() - started
    n = found.account.n_read
    return {
        "format": path.suffix[1:], "what": what, "events": n, "bytes": path.stat().st_size,
        "seconds": round(elapsed, 3), "events_per_s": round(n / elapsed),
        "base_mb": round(base, 1), "peak_mb": round(_peak_mb(), 1),
    }  # fmt: skip


def _deployed() -> Any:
    """Deploy a network of one layer and run it once, so that its kernels are there."""
    import nmhw

    rng = np.random.default_rng(1)
    build = nmhw.Network.build("events").input("camera", (2, HEIGHT, WIDTH))
    build = build.population("cells", 10, "if", v_threshold=50.0)
    weight = rng.normal(size=(10, 2 * HEIGHT * WIDTH))
    build = build.project("camera", "cells", weight).output("out", "cells")
    deployed = nmhw.deploy(build.done(), "generic")
    deployed.run(np.zeros((1, 10, 2, HEIGHT, WIDTH), np.uint8), compare_float=False)
    return deployed


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Write every format, measure each in its own process, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--quick", action="store_true", help="one million events")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), options.measure[1])))
        return
    n_events = 1_000_000 if options.quick else options.events
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("dat", "raw", "npy"):
            path = Path(folder) / f"events.{suffix}"
            write(path, n_events)
            for what in ("read", "run"):
                command = [sys.executable, __file__, "--measure", str(path), what]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append(json.loads(done.stdout.splitlines()[-1]))
            path.unlink()
    if options.json:
        print(json.dumps({"rows": rows}, indent=1))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
