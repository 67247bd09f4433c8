"""The event form: kernel and plain twin against a loop that knows kernels, not synapse tables.

The loop below reads the weights of each convolution where an event falls, pixel by pixel, and holds
one queue; nothing of nmhw but the description of the network is used in it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmhw.errors import UnsupportedError
from nmhw.sim.event_program import build_event_program
from nmhw.sim.event_run import EventTrace, trace_events
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


@dataclass
class Layer:
    """One convolution, its neurons, and from which layers (or the input, -1) it reads."""

    shape: tuple[int, int, int]
    cell: dict[str, Any]
    reads: list[dict[str, Any]] = field(default_factory=list)


def draw_layers(r: np.random.Generator) -> tuple[tuple[int, int, int], list[Layer]]:
    """Return the input shape and layers; the last ones may read from two layers."""
    shape = tuple(int(n) for n in r.integers([1, 2, 2], [3, 7, 7]))
    layers: list[Layer] = []
    shapes: list[Any] = []
    for k in range(int(r.integers(1, 4))):
        source = k - 1
        if k > 1 and r.random() < 0.3:
            source = k - 2
        read, out = draw_read(r, source, shape if source < 0 else shapes[source])
        cell = {
            "threshold": int(r.integers(3, 60)),
            "v_min": int(r.integers(-80, 0)),
            "bits": int(r.choice([8, 9, 16])),
            "bias": int(r.integers(-9, 20)) if r.random() < 0.3 else 0,
            "reset": str(r.choice(["subtract", "subtract", "zero"])),
            "compare": str(r.choice([">=", ">"])),
        }
        layers.append(Layer(out, cell, [read]))
        shapes.append(out)
        if r.random() < 0.3:  # a second source with a kernel of its own, onto the same map
            other, size = draw_read(r, -1, shape, n_out=out[0])
            if size == out:
                layers[-1].reads.append(other)
    return shape, layers  # type: ignore[return-value]


def draw_read(
    r: np.random.Generator, source: int, shape: Any, n_out: int | None = None
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Return a pool and a convolution over a map, and the shape they make."""
    pool = 2 if min(shape[1:]) >= 2 and source >= 0 and r.random() < 0.4 else 1
    c, h, w = shape[0], shape[1] // pool, shape[2] // pool
    kernel, pad, stride = int(r.integers(1, 4)), int(r.integers(0, 2)), int(r.integers(1, 3))
    kernel = min(kernel, h + 2 * pad, w + 2 * pad)
    n = int(r.integers(1, 4)) if n_out is None else n_out
    weight = r.integers(-20, 45, (n, c, kernel, kernel))
    out = (n, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
    read = {"source": source, "in": shape, "pool": pool, "pad": pad, "stride": stride}
    return {**read, "weight": weight, "out": out}, out


def walk(
    shape: Any, layers: list[Layer], entering: list[tuple[int, int]]
) -> tuple[list[tuple[int, int, int, int, int]], list[np.ndarray], list[np.ndarray]]:
    """Return (layer, index, step, layers passed, cause) of every event, v and updates."""
    v = [np.zeros(np.prod(layer.shape), np.int64) for layer in layers]
    updates = [np.zeros(np.prod(layer.shape), np.int64) for layer in layers]
    made = []

    def add(k: int, index: int, weight: int) -> bool:
        cell = layers[k].cell
        updates[k][index] += 1
        x = min(max(int(v[k][index]) + weight, cell["v_min"]), 2 ** (cell["bits"] - 1) - 1)
        fires = x >= cell["threshold"] if cell["compare"] == ">=" else x > cell["threshold"]
        if fires:
            x = x - cell["threshold"] if cell["reset"] == "subtract" else 0
        v[k][index] = x
        return fires

    def reached(source: int, index: int) -> Any:
        for k, layer in enumerate(layers):
            for read in layer.reads:
                if read["source"] != source:
                    continue
                c, y, x = np.unravel_index(index, read["in"])
                y, x = y // read["pool"], x // read["pool"]
                if (y + 1) * read["pool"] > read["in"][1] or (x + 1) * read["pool"] > read["in"][2]:
                    continue  # the border that the pool leaves out
                n, oh, ow = read["out"]
                size = read["weight"].shape[2]
                for o in range(n):
                    for oy in range(oh):
                        for ox in range(ow):
                            ky = y + read["pad"] - oy * read["stride"]
                            kx = x + read["pad"] - ox * read["stride"]
                            if 0 <= ky < size and 0 <= kx < size:
                                yield k, (o * oh + oy) * ow + ox, int(read["weight"][o, c, ky, kx])

    for cause, (step, index) in enumerate(entering):
        queue: deque[tuple[int, int, int]] = deque([(-2 if index < 0 else -1, index, 0)])
        while queue:
            source, at, passed = queue.popleft()
            if source == -2:
                targets: Any = [
                    (k, i, layer.cell["bias"])
                    for k, layer in enumerate(layers)
                    if layer.cell["bias"]
                    for i in range(int(np.prod(layer.shape)))
                ]
            else:
                targets = reached(source, at)
            for k, i, weight in targets:
                if add(k, i, weight):
                    made.append((k, i, step, passed + 1, cause))
                    queue.append((k, i, passed + 1))
    return made, v, updates


def as_network(shape: Any, layers: list[Layer]) -> QuantizedNetwork:
    """Return the layers as nmhw holds them."""
    populations, projections = [], []
    for k, layer in enumerate(layers):
        n = int(np.prod(layer.shape))
        cell, zeros = layer.cell, np.zeros(n, np.int64)
        spec = CellSpec(
            v_bits=cell["bits"],
            sum_bits=32,
            compare=cell["compare"],
            reset=cell["reset"],
            max_spikes_per_step=4096,
        )
        populations.append(
            QuantizedPopulation(
                f"l{k}", layer.shape, spec, zeros, zeros, zeros, np.full(n, cell["bias"]),
                np.full(n, cell["threshold"]), zeros, zeros, np.ones(n), zeros, 0,
                v_min=np.full(n, cell["v_min"]),
            )
        )  # fmt: skip
        for j, read in enumerate(layer.reads):
            source = "in" if read["source"] < 0 else f"l{read['source']}"
            c, h, w = read["in"]
            pool, side = read["pool"], (read["pool"],) * 2
            pools = (Pool("sum", (c, h, w), side, side),) if pool > 1 else ()
            geometry = ConvGeometry(
                (c, h // pool, w // pool), read["out"], (read["stride"],) * 2,
                (read["pad"],) * 4, (1, 1), 1,
            )  # fmt: skip
            projections.append(
                QuantizedProjection(
                    f"{source}>l{k}.{j}", source, f"l{k}", "conv", read["weight"], 0,
                    geometry=geometry, pools=pools,
                )
            )  # fmt: skip
    last = populations[-1]
    output = (OutputPort("out", last.shape, (last.name,)),)
    return QuantizedNetwork(
        "events", "speck2e", "speck", preset("sinabs"), (InputPort("in", shape),),
        tuple(populations), tuple(projections), output, 0,
    )  # fmt: skip


def draw_case(seed: int) -> tuple[Any, list[Layer], np.ndarray]:
    """Return input shape, layers and event counts (steps, c, h, w)."""
    r = np.random.default_rng(seed)
    shape, layers = draw_layers(r)
    counts = r.poisson(float(r.choice([0.1, 0.5, 1.5])), (int(r.integers(1, 5)), *shape))
    return shape, layers, counts


def entering_events(layers: list[Layer], counts: np.ndarray) -> list[tuple[int, int]]:
    """Return (step, index) in order; index -1 is the tick of the biases."""
    entering = []
    for step, frame in enumerate(counts):
        if any(layer.cell["bias"] for layer in layers):
            entering.append((step, -1))
        for index, n in enumerate(frame.ravel()):
            entering += [(step, index)] * int(n)
    return entering


@given(seed=st.integers(0, 2**32 - 1))
def test_every_event_in_its_order_every_state_and_every_update_is_equal(seed: int) -> None:
    shape, layers, counts = draw_case(seed)
    made, v, updates = walk(shape, layers, entering_events(layers, counts))
    network = as_network(shape, layers)
    program = build_event_program(network)
    given_events = {"in": SpikeEvents.from_dense(counts[None], shape)}
    first = [program.first[f"l{k}"] for k in range(len(layers))]
    expected = np.array([(first[k] + i, t, d, c) for k, i, t, d, c in made]).reshape(-1, 4).T
    for backend in ("numba", "reference"):
        trace = trace_events(program, given_events, backend=backend)
        got = np.stack([trace.node, trace.step, trace.layers, trace.cause])
        np.testing.assert_array_equal(got, expected, backend)
        for k, start in enumerate(first):
            here = slice(start, start + v[k].size)
            np.testing.assert_array_equal(trace.v[here], v[k])
            np.testing.assert_array_equal(trace.updates[here], updates[k])


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans())
def test_kernel_and_plain_twin_agree_over_several_samples(seed: int, continuous: bool) -> None:
    shape, layers, counts = draw_case(seed)
    program = build_event_program(as_network(shape, layers))
    samples = np.stack([counts, counts[::-1]])
    events = {"in": SpikeEvents.from_dense(samples, shape)}
    fast, plain = (
        trace_events(program, events, backend=backend, continuous=continuous)
        for backend in ("numba", "reference")
    )
    for name in EventTrace.__slots__:
        if name != "saturations":
            np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name), name)
    for p in program.quantized.populations:
        here = slice(program.first[p.name], program.first[p.name] + p.size)
        assert fast.saturations[here].sum() == plain.saturations[here].sum()


def chain(weight: int, threshold: int, *, loop: int = 0) -> QuantizedNetwork:
    """Return one neuron behind one input, with a synapse onto itself if ``loop`` is not 0."""
    cell = {"threshold": threshold, "v_min": -9, "bits": 16, "bias": 0}
    layer = Layer((1, 1, 1), {**cell, "reset": "subtract", "compare": ">="})
    one = {"in": (1, 1, 1), "pool": 1, "pad": 0, "stride": 1, "out": (1, 1, 1)}
    layer.reads = [{**one, "source": -1, "weight": np.full((1, 1, 1, 1), weight)}]
    if loop:
        layer.reads.append({**one, "source": 0, "weight": np.full((1, 1, 1, 1), loop)})
    return as_network((1, 1, 1), [layer])


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_what_stays_above_the_threshold_waits_for_the_next_event(backend: str) -> None:
    program = build_event_program(chain(10, 4))
    events = {"in": SpikeEvents.from_dense(np.ones((1, 3, 1, 1, 1), np.int64))}
    trace = trace_events(program, events, backend=backend)
    assert trace.step.tolist() == [0, 1, 2]
    assert trace.v[1] == 3 * 10 - 3 * 4


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_a_loop_that_never_rests_is_refused_and_a_damped_one_runs(backend: str) -> None:
    events = {"in": SpikeEvents.from_dense(np.ones((1, 1, 1, 1, 1), np.int64))}
    with pytest.raises(UnsupportedError, match="never comes to rest"):
        trace_events(build_event_program(chain(5, 5, loop=5)), events, backend=backend, most=100)
    trace = trace_events(build_event_program(chain(20, 5, loop=2)), events, backend=backend)
    # 20 leaves 15; every return adds 2 and takes 5: 12, 9, 6, 3, 0 and then 2 is below 5
    assert trace.layers.tolist() == [1, 2, 3, 4, 5, 6]
    assert trace.v[1] == 2


@given(seed=st.integers(0, 2**32 - 1))
def test_in_a_chain_any_order_that_keeps_each_queue_gives_the_same_events(seed: int) -> None:
    """Cores as a pipeline: all inputs are there at once, and a random core works next."""
    r = np.random.default_rng(seed)
    shape, layers, counts = draw_case(seed)
    for k, layer in enumerate(layers):
        layer.cell["bias"] = 0
        layer.reads = layer.reads[:1]
        if layer.reads[0]["source"] != k - 1:
            layers = layers[:k]
            break
    program = build_event_program(as_network(shape, layers))
    trace = trace_events(program, {"in": SpikeEvents.from_dense(counts[None], shape)})
    queues: list[deque[int]] = [deque() for _ in range(len(layers) + 1)]
    queues[0].extend(index for _, index in entering_events(layers, counts))
    cells = [np.zeros(np.prod(x.shape), np.int64) for x in layers]
    made: list[list[int]] = [[] for _ in layers]
    while any(queues[:-1]):
        k = int(r.choice([k for k, q in enumerate(queues[:-1]) if q]))
        fired = step_layer(layers[k], cells[k], queues[k].popleft())
        made[k] += fired
        queues[k + 1].extend(fired)
    for k in range(len(layers)):
        start = program.first[f"l{k}"]
        here = (trace.node >= start) & (trace.node < start + cells[k].size)
        assert (trace.node[here] - start).tolist() == made[k]
        np.testing.assert_array_equal(trace.v[start : start + cells[k].size], cells[k])


def step_layer(layer: Layer, v: np.ndarray, index: int) -> list[int]:
    """Let one event update a layer whose membranes are ``v``; return the events it makes."""
    read, cell = layer.reads[0], layer.cell
    c, y, x = np.unravel_index(index, read["in"])
    y, x = y // read["pool"], x // read["pool"]
    if (y + 1) * read["pool"] > read["in"][1] or (x + 1) * read["pool"] > read["in"][2]:
        return []
    n, oh, ow = read["out"]
    size, fired = read["weight"].shape[2], []
    for at in range(n * oh * ow):
        o, oy, ox = np.unravel_index(at, (n, oh, ow))
        ky, kx = (p + read["pad"] - q * read["stride"] for p, q in ((y, oy), (x, ox)))
        if not (0 <= ky < size and 0 <= kx < size):
            continue
        new = max(int(v[at]) + int(read["weight"][o, c, ky, kx]), cell["v_min"])
        new = min(new, 2 ** (cell["bits"] - 1) - 1)
        if new > cell["threshold"] or (new == cell["threshold"] and cell["compare"] == ">="):
            new = new - cell["threshold"] if cell["reset"] == "subtract" else 0
            fired.append(at)
        v[at] = new
    return fired
