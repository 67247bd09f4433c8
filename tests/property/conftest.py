"""Random quantized networks: every storage, geometry, cell form and delay the simulator runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Pool
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import preset
from nmhw.values.quantized import (
    CellSpec,
    ConvGeometry,
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)

Case = tuple[QuantizedNetwork, dict[str, SpikeEvents], int]
Rng = np.random.Generator


def random_spec(r: Rng) -> CellSpec:
    """Return a cell that is simple half of the time and anything the arithmetic has otherwise."""
    if r.random() < 0.15:
        return CellSpec(
            state="float32",
            has_current=bool(r.random() < 0.5),
            is_spiking=bool(r.random() < 0.9),
            compare=str(r.choice([">", ">="])),  # type: ignore[arg-type]
            reset=str(r.choice(["zero", "value", "subtract", "none"])),  # type: ignore[arg-type]
            reset_delay=int(r.random() < 0.2),  # type: ignore[arg-type]
            max_spikes_per_step=int(r.choice([1, 1, 3])),
        )
    simple = r.random() < 0.5
    has_current = bool(r.random() < 0.4)
    decays = ["none", "clear", "mulshift", "shift", "subtract", "converge"]
    u_decay = "mulshift" if simple else str(r.choice(decays[:5]))
    v_decay = str(r.choice(decays if not (simple and has_current) else decays[:3]))
    return CellSpec(
        has_current=has_current,
        is_spiking=bool(r.random() < 0.9),
        u_decay=u_decay if has_current else "clear",  # type: ignore[arg-type]
        v_decay=v_decay,  # type: ignore[arg-type]
        decay_bits=int(r.choice([12, 12, 8, 4])),
        rounding=str(r.choice(["toward-zero", "floor"])),  # type: ignore[arg-type]
        input_shift=int(r.choice([0, 0, 6, 2])),
        u_bits=int(r.choice([32, 24, 24, 16, 10])),
        v_bits=int(r.choice([32, 24, 24, 16, 10])),
        u_overflow=str(r.choice(["wrap", "saturate"])),  # type: ignore[arg-type]
        v_overflow=str(r.choice(["wrap", "saturate"])),  # type: ignore[arg-type]
        compare=str(r.choice([">", ">="])),  # type: ignore[arg-type]
        reset=str(r.choice(["zero", "value", "subtract", "none"])),  # type: ignore[arg-type]
        reset_delay=0 if simple else int(r.random() < 0.3),  # type: ignore[arg-type]
        max_spikes_per_step=1 if simple else int(r.choice([1, 1, 4, 500])),
        sum_bits=0 if simple else int(r.choice([0, 0, 32])),
        lower=str(r.choice(["saturate", "reset"])),  # type: ignore[arg-type]
    )


def random_population(r: Rng, name: str, shape: tuple[int, ...]) -> QuantizedPopulation:
    """Return a population whose thresholds are within reach of a few synapses."""
    spec = random_spec(r)
    n = int(np.prod(shape))
    uniform = r.random() < 0.4

    def ints(low: int, high: int) -> np.ndarray:
        if uniform:
            return np.full(n, r.integers(low, high), np.int64)
        return r.integers(low, high, n).astype(np.int64)

    full = 2**spec.decay_bits
    keeps = {"mulshift": (0, full + 1), "shift": (0, 9), "subtract": (0, 40), "converge": (-9, 40)}
    unit = 1 << spec.input_shift
    plain = spec.max_spikes_per_step == 1 and r.random() < 0.6
    biased = r.random() < 0.4
    floats = None
    if spec.state == "float32":
        draws = {k: r.normal(0.5, 0.4, n) for k in ("u_keep", "u_gain", "v_keep", "v_gain")}
        draws |= {k: r.normal(0, 20, n) for k in ("drive", "v_reset", "v0")}
        draws["threshold"] = r.uniform(20, 200, n)
        floats = {key: value.astype(np.float32) for key, value in draws.items()}
    zeros = np.zeros(n, np.int64)
    return QuantizedPopulation(
        name,
        shape,
        spec,
        u_keep=ints(*keeps.get(spec.u_decay, (0, 1))),
        v_keep=ints(*keeps.get(spec.v_decay, (0, 1))),
        u_bias=ints(-40, 60) * unit if biased else zeros,
        v_bias=ints(-40, 60) * unit if biased or r.random() < 0.3 else zeros,
        threshold=ints(20, 300) * unit,
        v_reset=ints(-50, 50),
        v0=ints(-50, 90) if r.random() < 0.3 else zeros,
        scale=np.ones(n),
        profile_index=zeros,
        depth=0,
        v_min=None if plain else ints(-500, -1),
        refractory_steps=None if plain else ints(0, 4),
        floats=floats,
    )


def random_lane_population(r: Rng, name: str, shape: tuple[int, ...]) -> QuantizedPopulation:
    """Return a cell of the vector form: several spikes, late, with a lower bound or a rest."""
    kind = str(r.choice(["several", "several", "late", "single"]))
    has_current = bool(r.random() < 0.4)
    leak = str(r.choice(["shift", "mulshift"]))
    decays = (
        [leak, leak, "none", "clear"] if has_current else ["none", leak, "subtract", "converge"]
    )
    v_decay = str(r.choice(decays))
    has_low = bool(r.random() < 0.7)
    v_bits = int(r.choice([32, 24, 20]))
    wider = has_low and v_bits < 32 and r.random() < 0.4
    n = int(np.prod(shape))
    unit = int(r.choice([1, 1, 8, 64]))
    spec = CellSpec(
        has_current=has_current,
        is_spiking=bool(r.random() < 0.95),
        u_decay=str(r.choice(decays)) if has_current else "clear",  # type: ignore[arg-type]
        v_decay=v_decay,  # type: ignore[arg-type]
        decay_bits=int(r.choice([12, 8])),
        rounding=str(r.choice(["toward-zero", "floor"])),  # type: ignore[arg-type]
        u_bits=int(r.choice([32, 30, 24])),
        v_bits=v_bits,
        u_overflow=str(r.choice(["wrap", "saturate"])),  # type: ignore[arg-type]
        compare=str(r.choice([">", ">="])),  # type: ignore[arg-type]
        reset=str(r.choice(["subtract", "subtract", "zero", "value", "none"])),  # type: ignore[arg-type]
        reset_delay=int(kind == "late"),  # type: ignore[arg-type]
        max_spikes_per_step=int(r.choice([2, 15, 4096])) if kind == "several" else 1,
        sum_bits=32 if wider else 0,
    )
    full = 2**spec.decay_bits
    keeps = {"mulshift": (0, full + 1), "shift": (0, 9), "subtract": (0, 40), "converge": (-9, 40)}
    zeros = np.zeros(n, np.int64)
    at_the_edge = bool(r.random() < 0.15)  # of 32 bits
    reach = 2**30 if at_the_edge else 50 * unit
    threshold = r.integers(1, 2**30 if at_the_edge else 300 * unit, n)
    lows = {"zero": zeros, "threshold": -threshold, "any": r.integers(-900, 9, n) * unit}
    biased = bool(r.random() < 0.3)
    return QuantizedPopulation(
        name,
        shape,
        spec,
        u_keep=r.integers(*keeps.get(spec.u_decay, (0, 1)), n),
        v_keep=r.integers(*keeps.get(spec.v_decay, (0, 1)), n),
        u_bias=r.integers(-40, 60, n) if biased and has_current else zeros,
        v_bias=r.integers(-reach, reach, n) if biased or at_the_edge else zeros,
        threshold=threshold,
        v_reset=r.integers(-50, 50, n),
        v0=r.integers(-2 * reach + 2, 2 * reach - 2, n) if r.random() < 0.4 else zeros,
        scale=np.ones(n),
        profile_index=zeros,
        depth=0,
        v_min=lows[str(r.choice(list(lows)))] if has_low else None,
        refractory_steps=r.integers(0, 4, n) if r.random() < 0.35 else None,
    )


def random_weights(r: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Return weights of one of the widths that the kernels store differently."""
    style = r.integers(0, 5)
    low, high = [(-127, 128), (-128, 128), (-3, 4), (-3000, 3001), (-200000, 200001)][style]
    weights = r.integers(low, high, shape)
    if style == 1 and r.random() < 0.5:
        weights = weights * 2
    if r.random() < 0.3:
        weights = np.where(r.random(shape) < 0.98, 0, weights)
    return weights.astype(np.int64)


def random_projection(
    r: Rng, name: str, source: tuple[str, tuple[int, ...]], target: tuple[str, tuple[int, ...]]
) -> QuantizedProjection:
    """Return a projection between two given shapes (a convolution is made by ``conv_target``)."""
    pools: tuple[Pool, ...] = ()
    shape = source[1]
    if len(shape) == 3 and min(shape[1:]) >= 2 and r.random() < 0.4:
        kernel = (int(r.integers(1, 3)), int(r.integers(1, 3)))
        stride = (int(r.integers(1, 3)), int(r.integers(1, 3)))
        padding = (int(r.integers(0, kernel[0])), int(r.integers(0, kernel[1])))
        pools = (Pool("sum", shape, kernel, stride, padding),)  # type: ignore[arg-type]
        shape = pools[0].output_shape
    n_in, n_out = int(np.prod(shape)), int(np.prod(target[1]))
    common = {
        "delay_steps": int(r.choice([1, 1, 2, 4])),
        "shift": int(r.choice([0, 0, 0, 1, 3, -1, -3])),
        "pools": pools,
    }
    if r.random() < 0.5:
        weights = random_weights(r, (n_in, n_out))
        return QuantizedProjection(name, source[0], target[0], "dense", weights, **common)  # type: ignore[arg-type]
    counts = r.integers(0, min(n_out, 11) + 1, n_in)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    picks = [np.sort(r.permutation(n_out)[:k]) for k in counts]
    indices = np.concatenate([np.zeros(0, np.int64), *picks]).astype(np.int64)
    weights = random_weights(r, (indices.size,))
    return QuantizedProjection(
        name,
        source[0],
        target[0],
        "sparse",
        weights,
        indptr=indptr,
        indices=indices,
        **common,  # type: ignore[arg-type]
    )


def random_conv(
    r: Rng, name: str, source: tuple[str, tuple[int, ...]], target: str
) -> tuple[QuantizedProjection, tuple[int, ...]] | None:
    """Return a convolution from a 3-D source and the shape of its target, or None."""
    shape = source[1]
    pools: tuple[Pool, ...] = ()
    if r.random() < 0.3 and min(shape[1:]) >= 2:
        stride = (int(r.integers(1, 3)), 2)
        pools = (Pool("sum", shape, (2, 2), stride, (0, 0)),)  # type: ignore[arg-type]
        shape = pools[0].output_shape
    c_in, h, w = shape
    groups = int(r.choice([g for g in range(1, c_in + 1) if c_in % g == 0]))
    c_out = groups * int(r.integers(1, 4))
    kernel = (int(r.integers(1, 4)), int(r.integers(1, 4)))
    geometry = ConvGeometry(
        (c_in, h, w),
        (c_out, 0, 0),
        (int(r.integers(1, 4)), int(r.integers(1, 4))),
        tuple(int(x) for x in r.integers(0, 4, 4)),  # type: ignore[arg-type]
        (int(r.integers(1, 3)), int(r.integers(1, 3))),
        groups,
    )
    weights = random_weights(r, (c_out, c_in // groups, *kernel))
    out_h, out_w = geometry.as_conv(weights).out_spatial
    if out_h < 1 or out_w < 1:
        return None
    out = (c_out, out_h, out_w)
    projection = QuantizedProjection(
        name,
        source[0],
        target,
        "conv",
        weights,
        delay_steps=int(r.choice([1, 1, 2])),
        shift=int(r.choice([0, 0, 2, -2])),
        geometry=replace(geometry, out_shape=out),
        pools=pools,
    )
    return projection, out


def make_case(
    seed: int, make_population: Callable[..., QuantizedPopulation] = random_population
) -> Case:
    """Return a network, its input events and the steps to simulate."""
    r = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {}
    for k in range(int(r.integers(1, 3))):
        spatial = r.random() < 0.6
        shapes[f"in{k}"] = (
            tuple(int(x) for x in r.integers(1, 7, 3)) if spatial else (int(r.integers(1, 40)),)
        )
    inputs = tuple(InputPort(name, shape) for name, shape in shapes.items())
    populations: list[QuantizedPopulation] = []
    projections: list[QuantizedProjection] = []
    for k in range(int(r.integers(1, 4))):
        name = f"pop{k}"
        source = str(r.choice(list(shapes)))
        made = None
        if len(shapes[source]) == 3 and r.random() < 0.8:
            made = random_conv(r, f"{source}>{name}", (source, shapes[source]), name)
        if made is not None:
            projections.append(made[0])
            shape = made[1] if r.random() < 0.8 else (int(np.prod(made[1])),)
        else:
            shape = (int(r.integers(1, 90)),)
            projections.append(
                random_projection(r, f"{source}>{name}", (source, shapes[source]), (name, shape))
            )
        populations.append(make_population(r, name, shape))
        shapes[name] = shape
    for k in range(int(r.integers(0, 4))):
        source = str(r.choice(list(shapes)))
        target = str(r.choice([p.name for p in populations]))
        ends = ((source, shapes[source]), (target, shapes[target]))
        projections.append(random_projection(r, f"extra{k}:{source}>{target}", *ends))
    if r.random() < 0.5:
        order = {p.name: k for k, p in enumerate(populations)}
        projections = [
            replace(q, delay_steps=0)
            if r.random() < 0.6 and order.get(q.source, -1) < order[q.target]
            else q
            for q in projections
        ]
    last = populations[-1]
    network = QuantizedNetwork(
        f"random-{seed}",
        "generic",
        "generic",
        preset("lava"),
        inputs,
        tuple(populations[:: 1 if r.random() < 0.5 else -1]),
        tuple(projections),
        (OutputPort("out", last.shape, (last.name,)),),
        int(r.integers(0, 3)),
    )
    n_samples, n_steps = int(r.integers(1, 3)), int(r.integers(1, 14))
    rate = float(r.choice([0.05, 0.3, 0.8]))
    events = {}
    for port in inputs:
        raster = (r.random((n_samples, n_steps, port.size)) < rate).astype(np.int64)
        if r.random() < 0.2:
            raster *= r.integers(1, 4, raster.shape)
        events[port.name] = SpikeEvents.from_dense(raster, port.shape)
    return network, events, n_steps + network.drain_steps


@pytest.fixture(scope="session")
def random_case() -> Callable[[int], Case]:
    """Return ``make_case``: seed -> (network, events by input, steps to simulate)."""
    return make_case


def make_lane_case(seed: int) -> Case:
    """Return a case all of whose cells go into the lanes of the vector form, if they fit."""
    return make_case(seed, random_lane_population)


@pytest.fixture(scope="session")
def lane_case() -> Callable[[int], Case]:
    """Return ``make_lane_case``: seed -> (network, events by input, steps to simulate)."""
    return make_lane_case


@pytest.fixture(scope="session")
def random_cells() -> Callable[[Rng, str, tuple[int, ...]], QuantizedPopulation]:
    """Return ``random_population``: generator, name, shape -> population."""
    return random_population
