"""A neuron that fires in every step stands in for a bias that the chip lacks on its currents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.reference import run_reference
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.profile import Profile, preset
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

LOIHI, GENERIC = load_chip("loihi1-nahuku"), load_chip("generic")
EULER = Profile("test", dt_s=1e-3)
BIAS = np.array([0.2, 0.0, -0.1])


def with_arithmetic(chip: ChipSpec, **changes: Any) -> ChipSpec:
    return replace(chip, arithmetic=replace(chip.arithmetic, **changes))


def network(bias: Any = BIAS, n_before: int = 0, name: str = "pop") -> Network:
    """``n_before`` IF layers and one population with a synaptic current and a bias."""
    build, before = Network.build("net").input("in", 2), "in"
    for k in range(n_before):
        build.population(f"if{k}", 2, "if").project(before, f"if{k}", np.eye(2))
        before = f"if{k}"
    build.population(name, 3, "cubalif", tau_mem_s=0.02, tau_syn_s=0.005)
    build.project(before, name, np.full((3, 2), 0.5), bias=bias)
    return build.output("out", name).done()


def added(quantized: QuantizedNetwork) -> list[QuantizedPopulation]:
    return [p for p in quantized.populations if p.is_added]


def test_one_neuron_and_one_synapse_per_bias_at_the_depth_of_the_target() -> None:
    q = quantize_network(network(n_before=2), LOIHI, EULER)
    (neuron,) = added(q)
    assert (neuron.name, neuron.size, q.populations[-1] is neuron) == ("(bias)", 1, True)
    axon = q.projections[-1]
    assert (axon.name, axon.source, axon.target) == ("(bias)>pop", "(bias)", "pop")
    assert axon.delay_steps == q.population("pop").depth == 3
    assert axon.indices is not None
    assert axon.indices.tolist() == [0, 2]
    pop = q.population("pop")
    assert not pop.u_bias.any()
    assert not pop.v_bias.any()
    # what one spike adds to the current is gain x bias, to 8 bits of the largest
    added_current = (axon.weights.astype(np.int64) << (axon.shift + 6)) / pop.scale[[0, 2]]
    np.testing.assert_allclose(added_current, BIAS[[0, 2]] * 0.2 * 0.05, atol=0.2 * 0.01 / 128)


def test_its_cost_is_printed() -> None:
    q = quantize_network(network(), LOIHI, EULER)
    (notice,) = (n for n in q.notices if n.rule == "quantize.bias-neuron")
    assert (notice.where, notice.kind) == ("pop", "assumption")
    assert "over 2 synapses" in notice.text
    assert "1 neuron, and per step 1 spike" in notice.text
    assert "--allow bias" in (notice.hint or "")
    assert "quantize.first-steps" not in {n.rule for n in q.notices}


def test_allowing_the_approximation_puts_the_bias_on_the_membrane_instead() -> None:
    q = quantize_network(network(), LOIHI, EULER, allow={"bias"})
    assert not added(q)
    pop = q.population("pop")
    np.testing.assert_allclose(pop.v_bias / pop.scale, BIAS * 0.05, atol=1e-5)


@pytest.mark.parametrize(
    ("net", "chip"),
    [
        (network(), GENERIC),  # has the bias
        (network(bias=np.zeros(3)), LOIHI),
        (network(bias=None), LOIHI),
    ],
)
def test_without_need_there_is_no_neuron(net: Network, chip: ChipSpec) -> None:
    assert not added(quantize_network(net, chip, EULER))


def test_a_bias_on_a_membrane_stays_a_bias() -> None:
    build = Network.build("net").input("in", 2).population("pop", 2, "lif", tau_mem_s=0.02)
    net = build.project("in", "pop", np.eye(2), bias=0.1).output("out", "pop").done()
    q = quantize_network(net, LOIHI, EULER)
    assert not added(q)
    assert q.population("pop").v_bias.all()


def test_names_of_the_author_are_never_taken() -> None:
    build = Network.build("net").input("in", 2)
    build.population("(bias)", 3, "cubalif", tau_mem_s=0.02, tau_syn_s=0.005)
    build.population("b", 3, "cubalif", tau_mem_s=0.02, tau_syn_s=0.005)
    build.project("in", "(bias)", np.ones((3, 2)), bias=0.1)
    build.project("(bias)", "b", np.eye(3), bias=0.1, name="(bias) 2>b")
    q = quantize_network(build.output("out", "b").done(), LOIHI, EULER)
    assert [p.name for p in added(q)] == ["(bias) 2"]
    names = [p.name for p in q.projections]
    assert names[2:] == ["(bias) 2>(bias)", "(bias) 2>b 2"]
    assert len({p.name for p in q.populations} | {"in"}) == 4


def test_too_little_synaptic_delay_is_refused_with_both_numbers() -> None:
    # the layer runs 4 steps late, a spike arrives after 1
    chip = with_arithmetic(LOIHI, max_extra_delay_steps=2)
    text = (
        r"pop: loihi1-nahuku has no bias on a synaptic current, and too little synaptic delay .*: "
        r"got bias 3 extra steps \(limit 2 extra steps\); try: .*--allow bias"
    )
    with pytest.raises(UnsupportedError, match=text) as caught:
        quantize_network(network(n_before=3), chip, EULER)
    assert caught.value.exit_code == 3
    assert quantize_network(network(n_before=2), chip, EULER).projections[-1].delay_steps == 3
    assert not added(quantize_network(network(n_before=3), chip, EULER, allow={"bias"}))


def test_a_bias_of_the_first_step_makes_the_other_inputs_wait() -> None:
    # one step per hop is also the profile's, but the bias acts before the first spike arrives
    meaning = EULER.with_(hop_steps=1)
    q = quantize_network(network(), with_arithmetic(LOIHI, max_extra_delay_steps=1), meaning)
    assert [p.delay_steps for p in q.projections] == [2, 1]
    with pytest.raises(UnsupportedError, match=r"got bias 1 extra steps \(limit 0 extra steps\)"):
        quantize_network(network(), with_arithmetic(LOIHI, max_extra_delay_steps=0), meaning)


def test_a_recurrent_bias_may_start_later() -> None:
    build = Network.build("rnn").input("in", 2)
    build.population("pop", 2, "cubalif", tau_mem_s=0.02, tau_syn_s=0.005)
    build.project("in", "pop", np.eye(2), bias=0.1)
    build.project("pop", "pop", np.eye(2), bias=0.3, name="rec")
    norse = replace(preset("norse"), dt_s=1e-3)
    q = quantize_network(build.output("out", "pop").done(), LOIHI, norse)
    delays = {p.name: p.delay_steps for p in q.projections}
    first = q.population("pop").depth
    assert delays["(bias)>pop#d1"] == delays["(bias)>pop"] + 1
    assert delays["(bias)>pop"] <= first
    assert not [n for n in q.notices if n.rule.startswith("quantize.allow")]


def test_a_large_bias_takes_no_precision_from_the_weights() -> None:
    plain = quantize_network(network(bias=None), LOIHI, EULER)
    biased = quantize_network(network(bias=4.0), LOIHI, EULER)
    np.testing.assert_array_equal(plain.projections[0].weights, biased.projections[0].weights)
    assert plain.projections[0].shift == biased.projections[0].shift
    assert biased.losses[0].clipped_weights_fraction == 0


def test_given_registers_of_the_bias_are_not_doubled() -> None:
    with pytest.raises(UnsupportedError, match="bias on the synaptic current"):
        quantize_network(network(), LOIHI, EULER, explicit={"pop": {"bias_mantissa": 5}})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"compares": (">=",)},
        {"resets": ("value",)},
        {"reset_delays": (1,)},
        {"decays": ("shift", "clear")},
        {"decays": ("mulshift",), "threshold_shift": 6, "threshold_bits": 17, "hop_steps": 0},
    ],
)
def test_it_fires_in_every_step_and_its_first_spike_arrives_in_time(
    changes: dict[str, Any],
) -> None:
    chip = with_arithmetic(GENERIC, **{"bias_on": ("membrane",), "hop_steps": 1, **changes})
    late = int(chip.arithmetic.reset_delays == (1,))  # spikes on the membrane of the step before
    profile = EULER.with_(reset_delay=late)
    q = quantize_network(network(), chip, profile)
    silent = {"in": SpikeEvents.from_dense(np.zeros((1, 8, 2), np.uint8))}
    spikes = run_reference(q, silent, n_steps=8).spikes["(bias)"].dense()[0, :, 0]
    assert spikes.tolist() == [0] * late + [1] * (8 - late)
    assert late + q.projections[-1].delay_steps == q.population("pop").depth
