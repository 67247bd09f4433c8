"""Workloads of the timed race: networks in Loihi's integers that SANA-FE can hold exactly.

| name | network | a spike |
|---|---|---|
| dense | 784 clocks, 1024-1024-10 leaky neurons, all to all, 5 % | few packets, many synapses |
| recurrent | 4,096 leaky neurons, 256 random synapses each, 1,024 per core, 5 % | 4 packets |
| spread | 16,384 clocks, 100 random synapses each, 128 per core, 2 % | 1.4 synapses per packet |
| patterns | 1,024 neurons, 8 per core, that fire in every step | below |

local: i to i. mirror: i to 1023 - i. hotspot: all to the eight neurons of core 0. broadcast: one
neuron per core, to a neuron of each of the 128 cores.

A clock has no leak and a constant bias B; it fires every ``period`` steps, whatever arrives
(|input| < B / 2 within a period). Everything is driven by biases: a chip's input port has no
counterpart in SANA-FE. All state is a multiple of 2^-6 of SANA-FE's unit, which it keeps exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from workloads import W3_FAN, W3_THETA, _cached, w1_weights, w3_synapses

from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.network_builder import NetworkBuilder

Ints = NDArray[np.int64]

#: Loihi shifts the sum of the weights and the threshold's mantissa by so many bits.
SHIFT = 6
#: Weights of both signs keep their even values on Loihi: workloads in odd ones are doubled.
EVEN = 2
#: Bias of a clock, 1024 << 7.
CLOCK = 1 << 17
#: Thresholds of the two leaky layers and the last, in units of 2^6, found once by bisection.
DENSE_THETA = (3500, 4680, 5070)
N_PATTERN, PER_CORE = 1024, 8


@dataclass(frozen=True, slots=True, eq=False)
class TimedWorkload:
    """One workload.

    Attributes
    ----------
    explicit : registers for ``make_explicit``
    cores : mapping of population to (n,) int64 cores, or None: nmhw's own mapper chooses
    n_steps, cycle_steps : int
        Steps of the race for speed, and of the comparison of chip times.
    is_pattern : bool
        A traffic pattern, raced for chip time and not for speed.
    """

    name: str
    network: Network
    explicit: dict[str, Any]
    n_steps: int
    cycle_steps: int
    cores: dict[str, Ints] | None = None
    is_pattern: bool = False

    def inputs(self, n_steps: int) -> dict[str, SpikeEvents]:
        """Return the silent input."""
        none = np.zeros(0, np.int32)
        return {"in": SpikeEvents(none, none, none, 1, n_steps, (1,))}


def load_timed(name: str) -> TimedWorkload:
    """Return a workload by name."""
    return WORKLOADS[name]()


def _start(name: str) -> NetworkBuilder:
    return Network.build(name).input("in", 1)


def _silent(n: int) -> csr_array:
    """Return the one synapse of the input that never spikes; a network needs an input."""
    return csr_array(([2.0], ([0], [0])), shape=(1, n))


def clock_registers(n: int, period: int, seed: int) -> dict[str, Any]:
    """Return the registers of n clocks with random phases."""
    phase = np.random.default_rng(seed).integers(0, period, n)
    return {
        "threshold": (CLOCK * period - CLOCK // 2) >> SHIFT,
        "bias_mantissa": CLOCK >> 7,
        "bias_exponent": 7,
        "v0": CLOCK * phase,
    }


def _dense() -> TimedWorkload:
    build = _start("dense").population("clocks", 784, "if", v_threshold=1.0)
    build.project("in", "clocks", _silent(784), name="drive")
    explicit: dict[str, Any] = {"clocks": clock_registers(784, 20, seed=3)}
    source = "clocks"
    for k, (matrix, theta) in enumerate(zip(w1_weights(), DENSE_THETA, strict=True)):
        weights = EVEN * matrix.T.astype(np.float64)
        build.population(f"lif{k}", matrix.shape[1], "lif", tau_mem_s=16, v_threshold=1.0)
        build.project(source, f"lif{k}", weights, name=f"fc{k}")
        explicit[f"lif{k}"] = {"threshold": theta}
        source = f"lif{k}"
    network = build.output("out", source).done()
    return TimedWorkload("dense", network, explicit, 500, 40)


def _recurrent() -> TimedWorkload:
    n = 4096
    data = _cached(f"w3-{n}", lambda: w3_synapses(n))
    bias = np.rint(1976 * (0.5 + data["u"])).astype(np.int64)
    pointers = np.arange(n + 1, dtype=np.int64) * W3_FAN
    weights = EVEN * data["w"].astype(np.float64).ravel()
    matrix = csr_array((weights, data["targets"].astype(np.int64).ravel(), pointers), shape=(n, n))
    network = (
        _start("recurrent")
        .population("lif", n, "lif", tau_mem_s=16, v_threshold=1.0)
        .project("in", "lif", _silent(n), name="drive")
        .project("lif", "lif", matrix, name="loop")
        .output("out", "lif")
        .done()
    )
    registers = {"threshold": EVEN * W3_THETA >> SHIFT, "bias_mantissa": bias, "bias_exponent": 1}
    cores = {"lif": np.arange(n, dtype=np.int64) // 1024}
    return TimedWorkload("recurrent", network, {"lif": registers}, 200, 40, cores)


def _spread() -> TimedWorkload:
    n, fan = 16_384, 100
    data = _cached(f"w3-{n}-{fan}", lambda: w3_synapses(n, fan))
    signs = np.where(data["w"] > 0, 2.0, -2.0).ravel()
    pointers = np.arange(n + 1, dtype=np.int64) * fan
    matrix = csr_array((signs, data["targets"].astype(np.int64).ravel(), pointers), shape=(n, n))
    registers = clock_registers(n, 50, seed=4)
    cores = np.arange(n, dtype=np.int64) // (n // 128)
    return _placed("spread", matrix, registers, 100, cores)


def _pattern(name: str, pairs: Callable[[Ints], tuple[Ints, Ints]]) -> TimedWorkload:
    i = np.arange(N_PATTERN, dtype=np.int64)
    source, target = pairs(i)
    n = N_PATTERN
    matrix = csr_array(coo_array((np.full(source.size, 2.0), (source, target)), shape=(n, n)))
    registers = {"threshold": 1, "bias_mantissa": 1024, "bias_exponent": 0}
    return _placed(name, matrix, registers, 100, i // PER_CORE, is_pattern=True)


def _placed(
    name: str,
    matrix: csr_array,
    registers: dict[str, Any],
    n_steps: int,
    cores: Ints,
    *,
    is_pattern: bool = False,
) -> TimedWorkload:
    """Return one recurrent population on given cores."""
    n = matrix.shape[0]
    network = (
        _start(name)
        .population("pop", n, "if", v_threshold=1.0)
        .project("in", "pop", _silent(n), name="drive")
        .project("pop", "pop", matrix, name="loop")
        .output("out", "pop")
        .done()
    )
    explicit = {"pop": registers}
    return TimedWorkload(name, network, explicit, n_steps, 10, {"pop": cores}, is_pattern)


def _broadcast(i: Ints) -> tuple[Ints, Ints]:
    source = np.repeat(i[::PER_CORE], N_PATTERN // PER_CORE)
    step = np.tile(np.arange(N_PATTERN // PER_CORE) * PER_CORE, N_PATTERN // PER_CORE)
    return source, (source + step) % N_PATTERN


WORKLOADS: dict[str, Callable[[], TimedWorkload]] = {
    "dense": _dense,
    "recurrent": _recurrent,
    "spread": _spread,
    "local": lambda: _pattern("local", lambda i: (i, i)),
    "mirror": lambda: _pattern("mirror", lambda i: (i, N_PATTERN - 1 - i)),
    "hotspot": lambda: _pattern("hotspot", lambda i: (i, i % PER_CORE)),
    "broadcast": lambda: _pattern("broadcast", _broadcast),
}
