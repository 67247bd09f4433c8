"""The forward pass of integer learning spikes as the chip simulator does on the same integers."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.sim.engine import run_program
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.integer_steps import population_of
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.packed import pack_events
from nmhw.sim.learning.tables import THETA_BITS, IntegerFormat
from nmhw.sim.program import build_program
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import WeightFormat
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import preset
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

SIZES = ("9-12-7-3", "2x6x6-c3k3p1-p2-8-3", "1x7x5-p2-c2k2-4", "6-r8-r5-4", "5-6-5-6-2")
KEEP = {12: 3686, 8: 230}


def quantized_of(engine: Engine, form: IntegerFormat) -> QuantizedNetwork:
    """Return the engine's spiking populations as a network of the chip simulator."""
    net = engine.net
    populations: list[QuantizedPopulation] = []
    projections: list[QuantizedProjection] = []
    source, named_by_layer = "in", {}
    thresholds = engine.state()["thresholds"] >> THETA_BITS
    first = 0
    for k, layer in enumerate(net.layers[:-1]):
        name = f"pop{k}"
        common: dict[str, Any] = {"weights": engine.store.codes(k).astype(np.int64)}
        common["pools"] = () if layer.pool is None else (layer.pool,)
        common["geometry"] = layer.geometry
        common["storage"] = layer.kind
        if layer.is_recurrent:
            name = named_by_layer[k - 1]
            projections.append(QuantizedProjection(f"loop{k}", name, name, delay_steps=1, **common))
            continue
        projections.append(QuantizedProjection(f"to{k}", source, name, delay_steps=0, **common))
        cell = population_of(name, layer.n_out, KEEP[form.decay_bits], form)
        limits = thresholds[first : first + layer.n_out]
        populations.append(replace(cell, shape=layer.target_shape, threshold=limits))
        first += layer.n_out
        named_by_layer[k] = source = name
    last = populations[-1]
    return QuantizedNetwork(
        "learned", "generic", "generic", preset("lava"), (InputPort("in", net.in_shape),),
        tuple(populations), tuple(projections), (OutputPort("out", last.shape, (last.name,)),), 0,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(SIZES), st.integers(0, 2**20), st.sampled_from([8, 12]),
    st.sampled_from(["toward-zero", "floor"]), st.sampled_from([">", ">="]),
    st.sampled_from([0, 6]), st.sampled_from([14, 24]),
)  # fmt: skip
def test_forward_spikes_are_those_of_the_simulator(
    sizes: str, seed: int, decay_bits: int, rounding: str, compare: str, shift: int, v_bits: int
) -> None:
    rng = np.random.default_rng(seed)
    form = IntegerFormat(decay_bits, rounding, shift, v_bits, compare)
    rule = named("mpd-ed", n_steps=11, init_mean=2.0)
    net = parse_sizes(sizes)
    weights = initial_weights(net, rule, seed)
    engine = Engine(net, weights, rule, WeightFormat(), mode="integer", form=form)
    raster = rng.random((3, 11, net.n_inputs)) < 0.4
    events = SpikeEvents.from_dense(raster, net.in_shape)
    packed = pack_events(events)
    engine.train(packed, np.array([0, 1, 0]), np.array([1, 0, 2]))
    quantized = quantized_of(engine, form)
    done = run_program(build_program(quantized), {"in": events}, n_steps=11, n_samples=3)
    for sample in range(3):
        log = engine.log_of(packed, sample)
        log = log[(log[:, 4] & 1) > 0]
        for k, population in zip(net.feedforward, quantized.populations, strict=False):
            dense = done.spikes[population.name].dense()[sample]
            own = log[log[:, 0] == k]
            assert own[:, 1:3].tolist() == np.argwhere(dense > 0).tolist()
