"""Quantization over random networks: on the chip's grid, next to the floats, input untouched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import random_array

from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import ALLOWABLE, quantize_network
from nmhw.sim.float_run import run_float
from nmhw.sim.reference import run_reference
from nmhw.values.chip import ArithmeticSpec, ChipSpec
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.delays import split_by_delay
from nmhw.values.discretize import discretize
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Dense, Pool, Reshape, Scale, compose_csr
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork

CHIPS = {name: load_chip(name) for name in ("loihi1-nahuku", "loihi1-d18", "generic", "spinnaker2")}
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)
Rng = np.random.Generator


def random_weights(r: Rng, *shape: int) -> Any:
    """Weights with unequal rows, sometimes one-signed, sometimes with silent rows."""
    w = r.normal(size=shape) * np.exp(r.normal(size=(shape[0],) + (1,) * (len(shape) - 1)))
    if r.random() < 0.2:
        w = np.abs(w) * r.choice([-1, 1])
    w[r.random(shape[0]) < 0.1] = 0
    return w * float(r.choice([1e-3, 0.3, 1.0, 30.0]))


def random_neuron(r: Rng, size: int) -> dict[str, Any]:
    kind = str(r.choice(["if", "lif", "cubalif"]))
    values: dict[str, Any] = {"kind": kind, "v_threshold": r.uniform(0.3, 2)}
    if r.random() < 0.3:
        values["v_threshold"] = r.uniform(0.3, 2, size)
    if kind != "if":
        values["tau_mem_s"] = r.uniform(2e-3, 0.1)
        values["r"] = r.uniform(0.5, 20)
    if kind == "cubalif":
        values["tau_syn_s"] = r.uniform(2e-3, 0.02, size if r.random() < 0.3 else 1)
    return values


def random_network(seed: int, *, bias: str = "everywhere") -> Network:
    """A network with convolutions, pools, matrices, loops and skips.

    ``bias``: "everywhere", or "current" for populations with a synaptic current alone.
    """
    r = np.random.default_rng(seed)
    build = Network.build("random").input("in", (2, 5, 4))
    c = int(r.integers(1, 4))
    kernel = random_weights(r, c, 2, 2, 3)
    conv = Conv(kernel, (2, 5, 4), padding=(0, 1, 1, 1), stride=(1, int(r.integers(1, 3))))
    shape = conv.output_shape
    drive = r.normal() * 0.1
    neuron = random_neuron(r, int(np.prod(shape)))
    build.population("a", shape, **neuron)
    has_bias = bias == "everywhere" or neuron["kind"] == "cubalif"
    build.project("in", "a", conv, bias=drive if has_bias else None)
    pool = Pool(str(r.choice(["sum", "avg"])), shape, (2, 2), (1, 1))  # type: ignore[arg-type]
    n = int(np.prod(pool.output_shape))
    neuron = random_neuron(r, 6)
    build.population("b", 6, **neuron)
    has_bias = bias == "everywhere" or neuron["kind"] == "cubalif"
    chain = [pool, Reshape(pool.output_shape, (n,)), Dense(random_weights(r, 6, n))]
    if r.random() < 0.5:
        chain.append(Scale(r.normal(size=6)))
    build.project("a", "b", ops=tuple(chain), bias=drive if has_bias else None)
    if r.random() < 0.5:
        build.project("b", "b", random_weights(r, 6, 6), delay_steps=int(r.integers(0, 3)))
    build.population("c", 5, **random_neuron(r, 5))
    matrix = random_array((6, 5), density=0.5, rng=r, data_sampler=lambda size: r.normal(size=size))
    build.project("b", "c", matrix)
    if r.random() < 0.5:
        flat = int(np.prod(shape))
        build.project("a", "c", random_weights(r, 5, flat))
    if r.random() < 0.3:
        build.project("c", "b", random_weights(r, 5, 6).T, delay_steps=1)
    return build.output("out", "c").done()


PROFILES = [
    Profile("zero", dt_s=1e-3),
    Profile("at", dt_s=1e-3, compare=">="),
    Profile("late", dt_s=1e-3, reset_delay=1),
    Profile("hop", dt_s=1e-3, hop_steps=1, integrator="exponential", input_gain="unit"),
    Profile("soft", dt_s=1e-3, reset="subtract", synapse_order="add-decay"),
]


def is_mantissa(values: Any, bits: int, shift: int) -> bool:
    return bool(np.all(values % (1 << shift) == 0) and np.all(values >> shift < 1 << bits))


def has_bias_code(value: int, arithmetic: ArithmeticSpec) -> bool:
    low, high = arithmetic.bias_exponent
    half = 1 << (arithmetic.bias_bits - 1)
    return any(
        value % (1 << e) == 0 and -half <= value >> e < half for e in range(max(low, 0), high + 1)
    )


def check_grid(q: QuantizedNetwork, chip: ChipSpec) -> None:
    """Independent of the quantizer's own grid code: the chip file's words, spelled out."""
    a = chip.arithmetic
    for p in q.populations:
        if a.state == "float32":
            assert p.floats is not None
            assert all(v.dtype == np.float32 and v.shape == (p.size,) for v in p.floats.values())
            continue
        assert is_mantissa(p.threshold, a.threshold_bits, a.threshold_shift)
        assert np.all(p.threshold >= 0)
        for bias in (p.u_bias, p.v_bias):
            assert all(has_bias_code(int(b), a) for b in bias)
        assert p.spec.v_decay in a.decays
        top = 1 << a.decay_bits
        if p.spec.v_decay == "mulshift":
            assert np.all((p.v_keep >= 1) & (p.v_keep <= top))
        if p.spec.has_current and p.spec.u_decay == "mulshift":
            du = top - p.u_keep - a.u_decay_offset
            assert np.all((du >= 0) & (du < top))
        assert p.spec.reset in a.resets
        assert p.spec.compare in a.compares
        assert (p.spec.u_bits, p.spec.v_bits, p.spec.input_shift) == (
            a.u_bits,
            a.v_bits,
            a.input_shift,
        )
    for w in q.projections:
        stored = w.weights.astype(np.int64)
        codes = [stored << s for s in range(4)]  # storage may have dropped factors of two
        low, high, step = a.weight_min, a.weight_max, a.weight_step
        if w.sign_mode != "mixed":
            step //= 2
            low, high = (0, 255) if w.sign_mode == "excitatory" else (-255, 0)
        legal = [
            np.all((m >= low) & (m <= high) & (m % step == 0))
            and a.weight_exponent[0] <= w.shift - s <= a.weight_exponent[1]
            for s, m in enumerate(codes)
        ]
        assert any(legal), (w.name, w.shift, w.sign_mode, stored.min(), stored.max())
        assert w.weight_bits in a.weight_bits
        assert a.hop_steps <= w.delay_steps <= a.hop_steps + a.max_extra_delay_steps


def snapshot(network: Network) -> list[Any]:
    arrays: list[Any] = []
    for p in network.populations:
        fields = type(p.model).__dataclass_fields__
        arrays += [
            np.copy(getattr(p.model, f)) for f in fields if hasattr(getattr(p.model, f), "shape")
        ]
    for projection in network.projections:
        matrix = compose_csr(projection.ops, network.sizes()[projection.source]).toarray()
        arrays += [matrix, np.copy(projection.bias) if projection.bias is not None else 0]
    return arrays


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    chip=st.sampled_from(sorted(CHIPS)),
    profile=st.sampled_from(PROFILES),
)
def test_integers_are_on_the_grid_and_next_to_the_floats(
    seed: int, chip: str, profile: Profile
) -> None:
    network = random_network(seed)
    before = snapshot(network)
    q = quantize_network(network, CHIPS[chip], profile, allow=ALLOWABLE)
    for old, new in zip(before, snapshot(network), strict=True):
        np.testing.assert_array_equal(old, new)
    check_grid(q, CHIPS[chip])
    split = split_by_delay(network, profile.dt_s)
    cells = discretize(split, profile)
    sizes = split.sizes()
    a = CHIPS[chip].arithmetic
    for projection, w in zip(split.projections, q.projections, strict=True):
        assert projection.name == w.name
        wanted = compose_csr(projection.ops, sizes[projection.source]).toarray()
        stored = stored_synapses(w, sizes[w.target])
        integers = (pooled_map(w, sizes[w.source]).astype(np.int64) @ stored).toarray()
        scale = np.broadcast_to(w.weight_scale, (sizes[w.target],))
        # every source sums at most this many stored synapses into one target
        overlap = int(np.diff(pooled_map(w, sizes[w.source]).indptr).max(initial=0))
        step = a.weight_step if w.sign_mode == "mixed" else 1
        half = step if a.weight_rounding == "truncate" else step / 2
        error = np.abs(integers - wanted * scale)
        assert error.max(initial=0) <= half * overlap * (1 + 1e-6) + 1e-9, w.name
    for p in q.populations:
        theta = cells[p.name].threshold
        if p.floats is not None:
            np.testing.assert_allclose(p.floats["threshold"], theta * p.scale, rtol=1e-6)
            continue
        lsb = 1 << a.threshold_shift
        assert np.all(np.abs(p.threshold - theta * p.scale) <= lsb * (1 + 1e-9) + 1e-6)
    for loss in q.losses:
        assert loss.clipped_weights_fraction == 0
        assert loss.weight_sqnr_db > 10


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    chip=st.sampled_from(["loihi1-nahuku", "loihi1-d18"]),
    profile=st.sampled_from([p for p in PROFILES if p.reset == "zero"]),
)
def test_biases_of_currents_become_synapses_on_the_grid_next_to_the_floats(
    seed: int, chip: str, profile: Profile
) -> None:
    network = random_network(seed)
    allow = {"hop_steps", "reset_delay"}
    q = quantize_network(network, CHIPS[chip], profile, allow=allow)
    check_grid(q, CHIPS[chip])
    biases = {
        population.name: sum(
            p.bias for p in network.incoming(population.name) if p.bias is not None
        )
        for population in network.populations
        if population.model.has_current
    }
    wanted = {name: bias for name, bias in biases.items() if np.any(bias)}
    neurons = [p for p in q.populations if p.is_added]
    assert len(neurons) == bool(wanted)
    axons = {p.target: p for p in q.projections if neurons and p.source == neurons[0].name}
    assert axons.keys() == wanted.keys()
    for name, axon in axons.items():
        assert axon.indices is not None
        assert axon.indices.tolist() == np.flatnonzero(wanted[name]).tolist()
        scale = np.broadcast_to(axon.weight_scale, wanted[name].shape)[axon.indices]
        exact = wanted[name][axon.indices] * scale
        step = 2 if axon.sign_mode == "mixed" else 1
        assert np.abs(axon.weights - exact).max() <= step / 2 * (1 + 1e-6)
        population = q.population(name)
        assert not population.u_bias.any()
        assert not population.v_bias.any()


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    chip=st.sampled_from(["loihi1-nahuku", "generic", "spinnaker2"]),
    power=st.integers(-3, 3),
)
def test_rescaling_a_population_changes_no_integer(seed: int, chip: str, power: int) -> None:
    r = np.random.default_rng(seed)
    weights, recurrent = random_weights(r, 7, 5), random_weights(r, 7, 7)
    factor = 2.0**power

    def network(c: float) -> Network:
        build = Network.build("net").input("in", 5)
        build.population("p", 7, "lif", tau_mem_s=0.02, v_threshold=c)
        build.project("in", "p", c * weights, bias=0.1 * c).project("p", "p", c * recurrent)
        return build.output("out", "p").done()

    profile = Profile("zero", dt_s=1e-3)
    one, other = (quantize_network(network(c), CHIPS[chip], profile) for c in (1.0, factor))
    for a, b in zip(one.projections, other.projections, strict=True):
        np.testing.assert_array_equal(a.weights, b.weights)
        assert a.shift == b.shift
    p, q = one.populations[0], other.populations[0]
    for field in ("threshold", "v_bias", "v_keep", "v_reset"):
        np.testing.assert_array_equal(getattr(p, field), getattr(q, field))
    np.testing.assert_allclose(p.scale, q.scale * factor)


def precise(hop: int, late: bool, bias_on: tuple[str, ...]) -> ChipSpec:
    """Return a chip whose integers are so fine that only the timing can differ from floats."""
    top = (1 << 21) - 1
    arithmetic = replace(
        CHIPS["generic"].arithmetic,
        weight_bits=(22,),
        weight_min=-top,
        weight_max=top,
        decay_bits=24,
        u_bits=39,
        v_bits=39,
        threshold_bits=38,
        bias_bits=38,
        bias_on=bias_on,
        weight_exponent=(-20, 20),
        hop_steps=hop,
        reset_delays=(0, 1) if late else (0,),
        max_extra_delay_steps=8,
    )
    return replace(CHIPS["generic"], arithmetic=arithmetic)


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    hop=st.sampled_from([0, 1]),
    late=st.booleans(),
    has_current_bias=st.booleans(),
    profile=st.sampled_from(PROFILES),
)
def test_fine_integers_fire_in_the_steps_of_the_float_run(
    seed: int, hop: int, late: bool, has_current_bias: bool, profile: Profile
) -> None:
    # a bias in a register acts from the chip's first step on, so it is the same only without
    # hops; a neuron that carries it is in time
    is_timed = hop == 1 or profile.hop_steps == 1
    network = random_network(seed, bias="current" if is_timed else "everywhere")
    has_register = has_current_bias and not is_timed
    bias_on = ("membrane", "current") if has_register else ("membrane",)
    q = quantize_network(network, precise(hop, late, bias_on), profile, allow={"hop_steps"})
    if any(n.rule == "quantize.allow-hop_steps" for n in q.notices):
        return
    n_steps = 25
    r = np.random.default_rng(seed)
    events = SpikeEvents.from_dense(r.random((1, n_steps, 40)) < 0.3, (2, 5, 4))
    probes = [Probe(p.name) for p in network.populations]
    floats = run_float(network, profile, {"in": events}, probes=probes)
    chip = run_reference(q, {"in": events}, n_steps=n_steps + q.drain_steps, probes=probes)
    for population in q.populations:
        name = population.name
        if population.is_added:
            fired = chip.spikes[name].dense()[0, population.depth :]
            assert fired.all()
            assert not has_register
            continue
        start, depth = floats.depths[name], population.depth
        if profile.reset_delay and not hop and not population.spec.reset_delay:
            start += 1  # the chip's spikes leave at once, the profile's a step late
        length = min(n_steps, n_steps + q.drain_steps - depth, n_steps + floats.drain_steps - start)
        wanted = floats.spikes[name].dense()[0, start : start + length]
        got = chip.spikes[name].dense()[0, depth : depth + length]
        different = np.argwhere(got != wanted)
        if different.size:
            # only a membrane exactly at its threshold may fall to either side; then the runs part
            step, neuron = different[0]
            values = chip.probes[name, "v"].values[0, depth + step, neuron]
            if got[step, neuron]:
                values = floats.probes[name, "v"].values[0, start + step, neuron]
                values *= population.scale[neuron]
            assert values == pytest.approx(population.threshold[neuron], rel=1e-9), name
            return
