"""What a chip lacks is refused by name, or printed where it is allowed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError, UsageError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import ALLOWABLE, quantize_network
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network
from nmhw.values.profile import Profile, preset

LOIHI, GENERIC, SPINNAKER2 = (load_chip(n) for n in ("loihi1-nahuku", "generic", "spinnaker2"))
EULER = Profile("test", dt_s=1e-3)


def network(kind: str = "lif", bias: Any = None, **parameters: Any) -> Network:
    if kind in ("lif", "cubalif", "li", "cubali"):
        parameters.setdefault("tau_mem_s", 0.02)
    if kind in ("cubalif", "cubali"):
        parameters.setdefault("tau_syn_s", 0.005)
    build = Network.build("net").input("in", 2).population("pop", 2, kind, **parameters)  # type: ignore[arg-type]
    build.project("in", "pop", np.array([[0.5, -0.25], [0.1, 0.3]]), bias=bias)
    return build.output("out", "pop").done()


def with_arithmetic(chip: ChipSpec, **changes: Any) -> ChipSpec:
    return replace(chip, arithmetic=replace(chip.arithmetic, **changes))


def rules(quantized: Any) -> dict[str, str]:
    return {n.rule: n.kind for n in quantized.notices}


@pytest.mark.parametrize(
    ("field", "chip", "net", "profile", "text"),
    [
        (
            "reset",
            LOIHI,
            network(),
            EULER.with_(reset="subtract"),
            (
                r"pop: loihi1-nahuku does not have the profile's soft reset \(by subtraction\) "
                r"in the step of the spike: got reset subtract "
                r"\(limit zero\); try: reset_delay=1 in the profile .*--allow reset"
            ),
        ),
        (
            "reset",
            SPINNAKER2,
            network(),
            EULER.with_(reset="none"),
            (
                r"pop: spinnaker2 does not have the profile's no reset: got reset none "
                r"\(limit zero, subtract\)"
            ),
        ),
        (
            "multi_spike",
            LOIHI,
            network(),
            EULER.with_(multi_spike=True),
            (
                r"pop: loihi1-nahuku makes at most one spike per neuron and step: got "
                r"multi_spike True \(limit 1 spike\); try: multi_spike=False in the profile, "
                r"or --allow multi_spike"
            ),
        ),
        (
            "overshoot_rule",
            GENERIC,
            network(),
            EULER.with_(reset="subtract", overshoot_rule=True),
            r"got overshoot_rule True \(limit a plain comparison\)",
        ),
        (
            "reset_lag",
            SPINNAKER2,
            network(),
            EULER.with_(reset="subtract", reset_lag=1),
            r"got reset_lag 1 \(limit 0\); try: --allow reset_lag",
        ),
        (
            "lower_bound",
            SPINNAKER2,
            network("if"),
            EULER.with_(lower_bound="minus-threshold"),
            r"pop: spinnaker2 has no programmable lower bound of the membrane: got lower_bound -1",
        ),
        (
            "reset_delay",
            GENERIC,
            network(),
            EULER.with_(reset="subtract", reset_delay=1),
            r"cannot subtract the threshold behind the decay of the next step: got reset_delay 1",
        ),
        (
            "bias",
            SPINNAKER2,
            network("cubalif", bias=0.1),
            EULER,
            (
                r"pop: spinnaker2 has no bias where this population needs one: got bias on the "
                r"synaptic current \(limit on the membrane\)"
            ),
        ),
        (
            "v0",
            SPINNAKER2,
            network(v0=0.5),
            EULER,
            r"pop: spinnaker2 starts every membrane at 0: got v0 0\.5 .*\(limit 0\)",
        ),
        (
            "current",
            with_arithmetic(GENERIC, has_current=False),
            network("cubalif"),
            EULER,
            r"pop: generic has no synaptic current: got current cubalif",
        ),
    ],
)
def test_mismatch_is_refused_by_name_and_printed_when_allowed(
    field: str, chip: ChipSpec, net: Network, profile: Profile, text: str
) -> None:
    with pytest.raises(UnsupportedError, match=text) as caught:
        quantize_network(net, chip, profile)
    assert caught.value.exit_code == 3
    assert caught.value.rule == f"quantize.{field}"
    allowed = quantize_network(net, chip, profile, allow={field})
    assert rules(allowed)[f"quantize.allow-{field}"] == "approximation"
    (notice,) = (n for n in allowed.notices if n.rule == f"quantize.allow-{field}")
    assert ALLOWABLE[field] in notice.text


def test_allowing_something_unknown_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"nothing of this name can be allowed: got 'resets'"):
        quantize_network(network(), LOIHI, EULER, allow={"resets"})


def test_recurrent_bias_that_starts_late_is_refused_where_there_is_one() -> None:
    def recurrent(bias: Any) -> Network:
        build = Network.build("rnn").input("in", 2).population("pop", 2, "lif", tau_mem_s=0.02)
        build.project("in", "pop", np.eye(2), bias=0.1)
        build.project("pop", "pop", np.eye(2), bias=bias, name="rec")
        return build.output("out", "pop").done()

    norse = replace(preset("norse"), dt_s=1e-3)
    with pytest.raises(UnsupportedError, match=r"pop \(rec\): .* got recurrent_bias_from_step 1"):
        quantize_network(recurrent(0.1), LOIHI, norse)
    assert quantize_network(recurrent(0.0), LOIHI, norse).populations[0].v_bias.any()
    allowed = quantize_network(recurrent(0.1), LOIHI, norse, allow={"recurrent_bias_from_step"})
    assert "quantize.allow-recurrent_bias_from_step" in rules(allowed)


def test_fires_at_threshold_becomes_one_lsb_less_in_integers() -> None:
    profile = EULER.with_(compare=">=")
    fine = with_arithmetic(GENERIC, compares=(">",))
    at, above = (quantize_network(network("if"), c, profile) for c in (GENERIC, fine))
    assert (at.populations[0].spec.compare, above.populations[0].spec.compare) == (">=", ">")
    np.testing.assert_array_equal(above.populations[0].threshold, at.populations[0].threshold - 1)
    assert rules(above)["quantize.compare"] == "approximation"
    # thresholds in steps of 64: a whole step where v has only multiples of 64, else none
    scaled = quantize_network(network("if"), LOIHI, EULER).populations[0].threshold
    moved = quantize_network(network("if"), LOIHI, profile).populations[0].threshold
    np.testing.assert_array_equal(moved, scaled - 64)
    leaky = [
        quantize_network(network(), LOIHI, p).populations[0].threshold for p in (EULER, profile)
    ]
    np.testing.assert_array_equal(*leaky)


def test_reset_to_a_value_is_shifted_to_zero_where_the_chip_has_only_zero() -> None:
    net = network("if", v_threshold=1.0, v_reset=0.25, v0=0.25)
    population = quantize_network(net, LOIHI, EULER).populations[0]
    assert population.spec.reset == "zero"
    np.testing.assert_allclose(population.threshold / population.scale, 0.75)
    native = quantize_network(net, GENERIC, EULER).populations[0]
    assert native.spec.reset == "value"
    np.testing.assert_allclose(native.v_reset / native.scale, 0.25, rtol=1e-3)
    away = network("if", v_threshold=1.0, v_reset=0.25)
    with pytest.raises(UnsupportedError, match=r"starts every membrane at 0: got v0 -0\.25"):
        quantize_network(away, SPINNAKER2, EULER)


def test_leak_to_a_potential_becomes_a_membrane_bias() -> None:
    population = quantize_network(network(v_leak=0.4), LOIHI, EULER).populations[0]
    np.testing.assert_allclose(population.v_bias / population.scale, 0.4 * 0.05, rtol=1e-3)


def test_bias_enters_current_or_membrane_with_the_gain_of_the_input() -> None:
    plain = quantize_network(network(bias=0.2), LOIHI, EULER).populations[0]
    np.testing.assert_allclose(plain.v_bias / plain.scale, 0.2 * 0.05, rtol=2e-3)
    current = quantize_network(network("cubalif", bias=0.2), GENERIC, EULER).populations[0]
    np.testing.assert_allclose(current.u_bias / current.scale, 0.2 * 0.2 * 0.05, rtol=2e-3)
    assert not current.v_bias.any()
    net = network("cubalif", bias=0.2)
    steady = quantize_network(net, LOIHI, EULER, allow={"bias"}).populations[0]
    np.testing.assert_allclose(steady.v_bias / steady.scale, 0.2 * 0.05, rtol=2e-3)


def test_add_decay_order_is_folded_into_the_gain() -> None:
    nets = [
        quantize_network(network("cubalif"), GENERIC, EULER.with_(synapse_order=order))
        for order in ("decay-add", "add-decay")
    ]
    ratio = nets[1].projections[0].weight_scale / nets[1].populations[0].scale
    ratio /= nets[0].projections[0].weight_scale / nets[0].populations[0].scale
    shift = nets[1].projections[0].shift - nets[0].projections[0].shift
    np.testing.assert_allclose(ratio * 2.0**shift, 0.8)  # u = a (u + x): x arrives times a


def test_readout_populations_do_not_spike_and_share_one_scale() -> None:
    for chip in (LOIHI, GENERIC, SPINNAKER2):
        for kind in ("li", "cubali", "i", "linear"):
            population = quantize_network(network(kind), chip, EULER).populations[0]
            assert not population.spec.is_spiking
            assert np.ptp(population.scale) == 0
    linear = quantize_network(network("linear"), GENERIC, EULER).populations[0]
    assert (linear.spec.v_decay, linear.spec.reset) == ("clear", "none")


def test_threshold_nodes_forget_everything_and_do_not_reset() -> None:
    population = quantize_network(network("threshold"), GENERIC, EULER).populations[0]
    assert (population.spec.v_decay, population.spec.reset) == ("clear", "none")
    assert population.spec.is_spiking


def test_a_population_without_spikes_cannot_feed_another() -> None:
    build = Network.build("net").input("in", 2).population("li", 2, "li", tau_mem_s=0.01)
    build.population("pop", 2, "if").project("in", "li", np.eye(2)).project("li", "pop", np.eye(2))
    text = r"li: a population without spikes sends its membrane value.*got li > pop \(li>pop\)"
    with pytest.raises(UnsupportedError, match=text):
        quantize_network(build.output("out", "pop").done(), GENERIC, EULER)


def test_a_sheet_that_is_not_executable_is_refused_with_its_reason() -> None:
    sheet = replace(GENERIC, is_executable=False, not_executable_because="limits only")
    with pytest.raises(UnsupportedError, match=r"cannot run networks here, because limits only"):
        quantize_network(network(), sheet, EULER)
