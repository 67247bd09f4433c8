"""The raced workloads: integer weights and inputs from fixed seeds, as networks for chip generic.

| name | network | steps |
|---|---|---|
| W1@a@b | b samples, 784-1024-1024-10 dense LIF; every layer fires at a % | 100 |
| W2@b | b samples, 2x34x34, conv16 k5 s2, conv32 k3, sum pool 2, conv64 k3, 10 dense; IF | 100 |
| W3@n@a | n LIF neurons, 256 random synapses each, driven by a bias to a % | 200 |

LIF: v <- v - (v >> 4) + (I << 6) + bias, spike if v >= theta, then v <- 0.
IF: v <- v + I, spike if v >= theta, then v <- v - theta.

No hop costs a step (``hop_steps`` of the profile is 0), so a feed-forward layer answers in the
step of its input, nothing drains, and T steps are simulated here and in C. The synapses of W3
have one step of delay: a spike of step t arrives in step t + 1, those of the last step nowhere.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Reshape
from nmhw.values.network import Network

Arrays = dict[str, NDArray[Any]]

#: Samples of a workload with batch 1: they run one after another in one call.
SEQUENCE = 200
N_STEPS = {"W1": 100, "W2": 100, "W3": 200}

#: Thresholds at which every layer of W1 fires at the wanted rate, found once by bisection.
W1_THETA = {
    2: (68270, 94127, 115913),
    5: (111472, 149286, 161772),
    20: (153171, 204974, 219105),
}
#: The same for W2: 3 % of the neurons of each convolution, 10 % of the last ten.
W2_THETA = (103, 422, 2075, 948)
#: The same for W3: biases are base * (0.5 + u), u uniform in [0, 1).
W3_BIAS = {(4096, 5): 1976, (4096, 1): 1113, (65536, 5): 1978, (65536, 1): 1113}
W3_THETA = 400 * 64
W3_FAN = 256

NAMES = (
    *(f"W1@{activity}@{batch}" for activity in (2, 5, 20) for batch in (1, 64)),
    "W2@1",
    "W2@64",
    *(f"W3@{n}@{activity}" for n in (4096, 65536) for activity in (5, 1)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """One workload.

    Attributes
    ----------
    name, family : str
        "W1@5@64", "W1"
    network : Network
    explicit : mapping of projection name to fields for ``make_explicit``
    inputs : mapping of input name to SpikeEvents
    n_samples, n_steps : int
    is_sequence : bool
        Batch 1: the C kernels get one sample per call too.
    arrays : what the C kernels need: weights, thresholds or biases
    """

    name: str
    family: str
    network: Network
    explicit: dict[str, Any]
    reset: Literal["zero", "subtract"]
    inputs: dict[str, SpikeEvents]
    n_samples: int
    n_steps: int
    is_sequence: bool
    arrays: Arrays


def load(name: str, n_samples: int | None = None) -> Workload:
    """Return a workload; ``n_samples`` replaces the batch (or the sequence) by another length."""
    family, *numbers = name.split("@")
    if family not in N_STEPS or (name not in NAMES and n_samples is None):
        raise KeyError(f"no workload {name!r}; one of " + ", ".join(NAMES))
    parameters = [int(x) for x in numbers]
    if family == "W3":
        neurons, activity = parameters
        return _w3(name, neurons, activity, n_samples or (SEQUENCE if neurons <= 4096 else 1))
    batch = parameters[-1]
    samples = n_samples or (SEQUENCE if batch == 1 else batch)
    if family == "W1":
        return _w1(name, parameters[0], samples, batch == 1)
    return _w2(name, samples, batch == 1)


def cache_folder() -> Path:
    """Return the folder of generated data and compiled kernels (NMHW_BENCH_DATA, or temporary)."""
    default = Path(tempfile.gettempdir()) / f"nmhw-bench-{os.getuid() if os.name == 'posix' else 0}"
    folder = Path(os.environ.get("NMHW_BENCH_DATA", default))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def integers(rng: np.random.Generator, mean: float, spread: float, shape: Any) -> NDArray[np.int8]:
    """Return rounded normal weights within -127..127."""
    return np.clip(np.rint(rng.normal(mean, spread, shape)), -127, 127).astype(np.int8)


@cache
def w1_weights() -> tuple[NDArray[np.int8], ...]:
    """Return the three matrices, rows = source."""
    rng = np.random.default_rng(1)
    return tuple(integers(rng, 4, 24, s) for s in ((784, 1024), (1024, 1024), (1024, 10)))


def w1_raster(activity: int, n_samples: int) -> NDArray[np.bool_]:
    """Return (n_samples, 100, 784) Bernoulli spikes; a longer raster starts with the shorter."""
    rng = np.random.default_rng(2)
    return rng.random((n_samples, N_STEPS["W1"], 784)) < activity / 100


def _w1(name: str, activity: int, n_samples: int, is_sequence: bool) -> Workload:
    weights, theta = w1_weights(), W1_THETA[activity]
    build = Network.build(name).input("in", 784)
    source, explicit = "in", {}
    for k, (matrix, threshold) in enumerate(zip(weights, theta, strict=True)):
        layer = f"lif{k}"
        build.population(layer, matrix.shape[1], "lif", tau_mem_s=16, v_threshold=threshold)
        build.project(source, layer, matrix.T.astype(np.float64), name=f"fc{k}")
        explicit[f"fc{k}"] = {"exponent": 6}
        source = layer
    raster = w1_raster(activity, n_samples)
    arrays = {f"w{k}": matrix for k, matrix in enumerate(weights)}
    return Workload(
        name=name,
        family="W1",
        network=build.output("out", source).done(),
        explicit=explicit,
        reset="zero",
        inputs={"in": SpikeEvents.from_dense(raster)},
        n_samples=n_samples,
        n_steps=N_STEPS["W1"],
        is_sequence=is_sequence,
        arrays=arrays | {"theta": np.array(theta, np.int32)},
    )


@cache
def w2_weights() -> Arrays:
    """Return kernels (out, in, y, x) and the last matrix, rows = source (c, y, x)."""
    rng = np.random.default_rng(11)
    return {
        "k1": integers(rng, 6, 20, (16, 2, 5, 5)),
        "k2": integers(rng, 3, 20, (32, 16, 3, 3)),
        "k3": integers(rng, 2, 20, (64, 32, 3, 3)),
        "fc": integers(rng, 1, 20, (64 * 8 * 8, 10)),
    }


def w2_raster(n_samples: int) -> NDArray[np.bool_]:
    """Return (n_samples, 100, 2, 34, 34) spikes: a ring that moves as a saccading digit does."""
    rng = np.random.default_rng(12)
    raster = np.zeros((n_samples, N_STEPS["W2"], 2, 34, 34), np.bool_)
    y, x = np.mgrid[0:34, 0:34]
    for sample in range(n_samples):
        for step in range(N_STEPS["W2"]):
            phase = step / 8 + sample
            distance = np.hypot(x - (17 + 4 * np.cos(phase)), y - (17 + 4 * np.sin(phase)))
            rate = np.where(np.abs(distance - 8) < 1.6, 0.06, 0.0015)
            raster[sample, step] = rng.random((2, 34, 34)) < rate
    return raster


def _w2(name: str, n_samples: int, is_sequence: bool) -> Workload:
    weights = w2_weights()
    k1, k2, k3 = (weights[k].astype(np.float64) for k in ("k1", "k2", "k3"))
    shapes = ((16, 16, 16), (32, 16, 16), (64, 8, 8), (10,))
    edge = (1, 1, 1, 1)
    pool = Pool("sum", (32, 16, 16), (2, 2), (2, 2))
    chains: tuple[tuple[LinearOp, ...], ...] = (
        (Conv(k1, (2, 34, 34), (2, 2), edge, (1, 1), 1),),
        (Conv(k2, (16, 16, 16), (1, 1), edge, (1, 1), 1),),
        (pool, Conv(k3, (32, 8, 8), (1, 1), edge, (1, 1), 1)),
        (Reshape((64, 8, 8), (4096,)), Dense(weights["fc"].T.astype(np.float64))),
    )
    build = Network.build(name).input("in", (2, 34, 34))
    source = "in"
    for k, (shape, chain, threshold) in enumerate(zip(shapes, chains, W2_THETA, strict=True)):
        build.population(f"if{k}", shape, "if", v_threshold=threshold)
        build.project(source, f"if{k}", ops=chain, name=f"conv{k}" if k < 3 else "fc")
        source = f"if{k}"
    packed = _cached(f"w2-{n_samples}", lambda: {"x": np.packbits(w2_raster(n_samples))})["x"]
    shape = (n_samples, N_STEPS["W2"], 2, 34, 34)
    raster = np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape)
    return Workload(
        name=name,
        family="W2",
        network=build.output("out", source).done(),
        explicit={},
        reset="subtract",
        inputs={"in": SpikeEvents.from_dense(raster)},
        n_samples=n_samples,
        n_steps=N_STEPS["W2"],
        is_sequence=is_sequence,
        arrays=weights | {"theta": np.array(W2_THETA, np.int32)},
    )


def w3_synapses(n: int, fan: int = W3_FAN) -> Arrays:
    """Return weights (n, fan), distinct sorted targets (n, fan) and u (n,), uniform in [0, 1)."""
    rng = np.random.default_rng(21)
    weights = integers(rng, 0, 20, (n, fan))
    weights[weights == 0] = 1
    targets = np.empty((n, fan), np.uint16)
    for row in targets:
        found = np.unique(rng.integers(0, n, fan + 64))
        while found.size < fan:
            found = np.unique(np.concatenate([found, rng.integers(0, n, fan)]))
        row[:] = np.sort(rng.permutation(found)[:fan])
    return {"w": weights, "targets": targets, "u": rng.random(n).astype(np.float32)}


def _w3(name: str, n: int, activity: int, n_samples: int) -> Workload:
    from scipy.sparse import csr_array

    data = _cached(f"w3-{n}", lambda: w3_synapses(n))
    bias = (W3_BIAS[n, activity] * (0.5 + data["u"])).astype(np.int32)
    pointers = np.arange(n + 1, dtype=np.int64) * W3_FAN
    weights = data["w"].astype(np.float64).ravel()
    matrix = csr_array((weights, data["targets"].astype(np.int64).ravel(), pointers), shape=(n, n))
    silent = csr_array(([1.0], ([0], [0])), shape=(1, n))
    network = (
        Network.build(name)
        .input("in", 1)
        .population("lif", n, "lif", tau_mem_s=16, v_threshold=W3_THETA)
        # a network needs an input; this one never spikes
        .project("in", "lif", silent, bias=bias.astype(np.float64), name="drive")
        .project("lif", "lif", matrix, delay_steps=1, name="loop")
        .output("out", "lif")
        .done()
    )
    none = np.zeros(0, np.int32)
    return Workload(
        name=name,
        family="W3",
        network=network,
        explicit={"drive": {"exponent": 6}, "loop": {"exponent": 6}},
        reset="zero",
        inputs={"in": SpikeEvents(none, none, none, n_samples, N_STEPS["W3"], (1,))},
        n_samples=n_samples,
        n_steps=N_STEPS["W3"],
        is_sequence=True,
        arrays={"w": data["w"], "targets": data["targets"], "bias": bias},
    )


def _cached(name: str, make: Any) -> Arrays:
    """Return arrays from the cache folder, made on first use."""
    path = cache_folder() / f"{name}.npz"
    if not path.exists():
        # write beside it, then rename: two runs at once never read half a file
        partial = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial, **make())
        partial.replace(path)
    with np.load(path) as stored:
        return {key: stored[key] for key in stored.files}
