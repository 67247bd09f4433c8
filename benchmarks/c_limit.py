"""The C kernels in ``kernels/``: built on first use, called through ctypes.

Without a C compiler ``load_kernels`` returns None and the benchmark has no C column.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from workloads import W3_THETA, Workload, cache_folder

FOLDER = Path(__file__).with_name("kernels")
FLAGS = ("-std=gnu11", "-O3", "-shared", "-fPIC")
#: Tried in turn: not every compiler knows this machine, or has OpenMP.
EXTRAS = (("-march=native", "-fopenmp"), ("-march=native",), ())


@dataclass(frozen=True, slots=True, eq=False)
class Kernels:
    """The built library and what it is, in words."""

    library: ctypes.CDLL
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """One workload ready to run in C.

    Attributes
    ----------
    run : callable(threads) -> None
    totals : () -> spikes of every population over all samples
    synops : () -> synaptic events of the last run
    """

    run: Callable[[int], None]
    totals: Callable[[], dict[str, int]]
    synops: Callable[[], int]


def load_kernels(*, portable: bool = False) -> Kernels | None:
    """Build (once per source and compiler) and load the kernels; None without a compiler."""
    names = (os.environ.get("CC", ""), "gcc", "clang", "cc")
    compiler = next((found for n in names if n and (found := shutil.which(n))), None)
    if compiler is None:
        return None
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    first_line = version.stdout.splitlines()[:1] or ["unknown"]
    for extra in EXTRAS:
        flags = (*FLAGS, *extra, *(["-DPORTABLE"] if portable else []))
        # -march=native: the machine is part of the identity of the result
        sources = [path.read_text() for path in sorted(FOLDER.iterdir())]
        identity = "\n".join((*sources, *flags, *first_line, _cpu_flags()))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        target = cache_folder() / f"kernels-{digest}.so"
        if target.exists() or _compile(compiler, flags, target):
            library = ctypes.CDLL(str(target))
            form = "AVX-512 intrinsics" if library.uses_avx512() else "portable vector types"
            text = f"{form}, {first_line[0]}, {' '.join(('-O3', *extra))}"
            return Kernels(library, text)
    return None


def prepare(workload: Workload, kernels: Kernels) -> Limit:
    """Return the workload in the layout of the C kernels."""
    maker = {"W1": _w1, "W2": _w2, "W3": _w3}[workload.family]
    return maker(workload, kernels.library)


def _compile(compiler: str, flags: tuple[str, ...], target: Path) -> bool:
    partial = target.with_suffix(f".{os.getpid()}.tmp")
    sources = [str(path) for path in sorted(FOLDER.glob("*.c"))]
    command = [compiler, *flags, *sources, "-o", str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return False
    partial.replace(target)
    return True


def _cpu_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _aligned(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return a contiguous copy at a multiple of 64 bytes."""
    values = np.ascontiguousarray(array, dtype)
    raw = np.empty(values.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out = raw[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out


def _at(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _events(workload: Workload) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return indices of all input events and the first one of every (sample, step)."""
    events = workload.inputs["in"]
    return _aligned(events.index, np.uint16), events.pointers()


def _w1(workload: Workload, library: ctypes.CDLL) -> Limit:
    arrays = workload.arrays
    tiles = []
    for k in range(3):
        weights = arrays[f"w{k}"]
        n_in, n_out = weights.shape
        padded = np.pad(weights, ((0, 0), (0, -n_out % 64)))
        tiles.append(_aligned(padded.reshape(n_in, -1, 64).transpose(1, 0, 2), np.int8))
    events, first = _events(workload)
    totals = np.zeros(3, np.int64)
    theta = arrays["theta"]
    n_samples, n_steps = workload.n_samples, workload.n_steps
    batch = 1 if workload.is_sequence else n_samples
    n_in_events = len(workload.inputs["in"])

    def run(threads: int) -> None:
        places = (ctypes.c_void_p * 3)(*(t.ctypes.data for t in tiles))
        library.w1_run(
            places, n_samples, batch, n_steps, _at(events), _at(first), _at(theta), _at(totals),
            threads,
        )  # fmt: skip

    def synops() -> int:
        fan = np.array([arrays[f"w{k}"].shape[1] for k in range(3)])
        return int(fan @ np.array([n_in_events, totals[0], totals[1]]))

    return Limit(run, lambda: {f"lif{k}": int(n) for k, n in enumerate(totals)}, synops)


def _w2(workload: Workload, library: ctypes.CDLL) -> Limit:
    arrays = workload.arrays
    flipped = [arrays[k][:, :, ::-1, ::-1] for k in ("k2", "k3")]
    kernels = [_aligned(k.transpose(1, 2, 3, 0), np.int16) for k in (arrays["k1"], *flipped)]
    rows = arrays["fc"].reshape(64, 8, 8, 10).transpose(1, 2, 0, 3).reshape(4096, 10)
    kernels.append(_aligned(np.pad(rows, ((0, 0), (0, 6))), np.int16))
    events, first = _events(workload)
    totals, work = np.zeros(4, np.int64), np.zeros(1, np.int64)

    def run(threads: int) -> None:
        library.w2_run(
            *map(_at, kernels), workload.n_samples, workload.n_steps, _at(events), _at(first),
            _at(arrays["theta"]), _at(totals), _at(work), threads,
        )  # fmt: skip

    return Limit(
        run, lambda: {f"if{k}": int(n) for k, n in enumerate(totals)}, lambda: int(work[0])
    )


def _w3(workload: Workload, library: ctypes.CDLL) -> Limit:
    arrays = workload.arrays
    targets, weights = _aligned(arrays["targets"], np.uint16), _aligned(arrays["w"], np.int8)
    bias, totals = _aligned(arrays["bias"], np.int32), np.zeros(2, np.int64)
    n, fan = weights.shape

    def run(threads: int) -> None:
        library.w3_run(
            _at(targets), _at(weights), ctypes.c_int64(n), ctypes.c_int64(fan),
            workload.n_samples, workload.n_steps, _at(bias), W3_THETA, _at(totals),
        )  # fmt: skip

    return Limit(run, lambda: {"lif": int(totals[0])}, lambda: int(totals[0] - totals[1]) * fan)
