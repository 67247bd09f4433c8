"""Laws that the packaged sheets must reproduce from their own figures."""

import pytest

from nmhw.errors import UsageError
from nmhw.io.chip_file import load_chip
from nmhw.values.laws import (
    clocked_power_w,
    clocked_synop_pj,
    event_time_s,
    interpolate_points,
    max_synops_per_s,
    required_clock_hz,
    xylo_cycles,
)


def published(name, key):
    return load_chip(name).published[key].value


def test_odin_power_law_reproduces_its_headline():
    laws = load_chip("odin").costs["law"].laws
    clock_hz = 75e6
    rate = max_synops_per_s(laws["cycles"], clock_hz)
    assert rate == 37.5e6
    assert clocked_power_w(laws["power"], clock_hz, rate) == pytest.approx(477e-6, rel=1e-3)
    headline = load_chip("odin").cost_table("max-rate").energy_pj["synop"].value
    assert clocked_synop_pj(laws["power"], clock_hz, rate) == pytest.approx(headline, abs=0.05)
    assert headline == 12.7


def test_odin_power_law_reproduces_the_energy_at_biological_rates():
    laws = load_chip("odin").costs["law"].laws
    rate = 256 * 256 * 10.0  # every neuron at 10 Hz on a full crossbar
    slowest_hz = rate * laws["cycles"].terms["synop"].value
    energy_pj = clocked_synop_pj(laws["power"], slowest_hz, rate)
    assert energy_pj == pytest.approx(
        load_chip("odin").cost_table("biological").energy_pj["synop"].value, abs=0.7
    )


def test_odin_spike_visits_the_whole_crossbar():
    law = load_chip("odin").costs["law"].laws["cycles"]
    n_neurons = load_chip("odin").cores[0].budget["neurons"]
    per_synapse = law.terms["synop"].value
    assert law.terms["spike"].value == 1 + n_neurons * per_synapse
    assert event_time_s(law, "spike", 75e6) == pytest.approx(6.84e-6)


def test_truenorth_all_in_energy_is_that_of_its_operating_point():
    chip = load_chip("truenorth")
    rate_hz, synapses = (published("truenorth", f"operating-{k}") for k in ("rate", "synapses"))
    synops_per_s = chip.n_cores * chip.cores[0].budget["neurons"] * rate_hz * synapses
    assert synops_per_s == pytest.approx(2.68e9, rel=2e-3)
    energy_pj = published("truenorth", "operating-power") / synops_per_s * 1e12
    assert energy_pj == pytest.approx(26.8, abs=0.05)
    figure = chip.cost_table("operating-point").energy_pj["synop"]
    assert figure.value == pytest.approx(energy_pj, rel=0.035)
    assert figure.scope == "all-in"


def test_truenorth_refuses_a_price_beside_the_all_in_one():
    chip = load_chip("truenorth")
    with pytest.raises(Exception, match="would be counted twice"):
        chip.with_(
            **{
                "costs.operating-point.energy_pj.hop": {
                    "value": 2.3,
                    "source": "merolla-2014",
                    "grade": "S",
                    "basis": "silicon",
                }
            }
        )


def audio2_cycles(p):
    rule = next(r for r in load_chip("xylo-audio2").rules if r.kind == "layer-sizes").parameters
    pool = next(r for r in load_chip("xylo-audio2").rules if r.kind == "pooled-fan-out")
    return xylo_cycles(
        n_in=rule["inputs"],
        n_hidden=rule["hidden"],
        n_out=rule["outputs"],
        fan_out=pool.parameters["average"],
        p_in=p,
        p_hidden=p,
        n_input_targets=rule["input_targets"],
        n_output_sources=rule["output_sources"],
    )


@pytest.mark.parametrize(("activity", "cycles"), [(0.0, 22.1e3), (0.05, 39.5e3), (1.0, 370e3)])
def test_xylo_cycles_of_a_full_audio2_network(activity, cycles):
    assert audio2_cycles(activity) == pytest.approx(cycles, rel=2e-3)


def test_xylo_pays_22_cycles_per_hidden_neuron_without_a_spike():
    assert audio2_cycles(0.0) / 1000 == pytest.approx(22, abs=0.2)
    assert audio2_cycles(0.0) / audio2_cycles(1.0) == pytest.approx(0.06, abs=0.001)


def test_xylo_clock_has_the_published_margin():
    law = load_chip("xylo-audio2").costs["devkit"].laws["cycles"]
    assert required_clock_hz(law, audio2_cycles(1.0), 1e-3) == pytest.approx(444.1e6, rel=1e-3)


@pytest.mark.parametrize("name", ["xylo-audio2", "xylo-audio3", "xylo-imu"])
def test_recurrent_pool_of_xylo(name):
    rules = {r.kind: r.parameters for r in load_chip(name).rules if r.severity == "error"}
    pool = rules["layer-sizes"]["hidden"] * rules["pooled-fan-out"]["average"]
    assert pool == {"xylo-audio2": 32_000, "xylo-audio3": 31_744, "xylo-imu": 31_744}[name]


def test_xylo_first_report_is_consistent_with_steps_of_a_millisecond():
    assert published("xylo-audio2", "ambient-step") * 1000 == pytest.approx(93e-6)


def test_xylo_keyword_inference_lasts_what_its_power_implies():
    duration_s = published("xylo-audio2", "keyword-inference") / published(
        "xylo-audio2", "keyword-dynamic-power"
    )
    assert duration_s == pytest.approx(22.7e-3, rel=2e-3)


def test_speck_latency_grows_by_a_quarter_microsecond_per_layer():
    law = load_chip("speck2f").costs["rest"].laws["latency"]
    assert interpolate_points(law, 1) == 1.58e-6
    assert interpolate_points(law, 9) == 3.36e-6
    assert interpolate_points(law, 5) == pytest.approx(2.47e-6)
    with pytest.raises(UsageError, match="1 to 9 layers"):
        interpolate_points(law, 10)


def test_akida_latency_is_flat_and_then_grows_almost_with_the_square():
    law = load_chip("akd1000").costs["board"].laws["latency"]
    floor_s = published("akd1000", "io-floor")
    assert interpolate_points(law, 256) - floor_s < 0.2e-3
    wide = [interpolate_points(law, n) - floor_s for n in (1024, 2048, 4096)]
    assert 3 < wide[1] / wide[0] < 4
    assert 3 < wide[2] / wide[1] < 4


def test_tianjic_phase_takes_16_8_microseconds():
    law = load_chip("tianjic").costs["phase"].laws["cycles"]
    time_s = event_time_s(law, "phase", published("tianjic", "clock"))
    assert time_s == pytest.approx(16.8e-6, rel=3e-3)


def test_darwin3_cores_hold_the_published_neurons():
    chip = load_chip("darwin3")
    total = chip.n_cores * chip.cores[0].budget["neurons"]
    assert total == pytest.approx(published("darwin3", "max-neurons"), rel=0.01)


def test_anp_i_learning_is_below_its_share_of_a_sample():
    sample = published("anp-i", "gesture-sample")
    assert published("anp-i", "learning-sample") / sample < published("anp-i", "learning-share")


def test_loihi2_static_power_is_bounded_by_what_other_papers_imply():
    static = load_chip("loihi2").cost_table().static_w["chip"]
    implied = (0.46e-3 - 0.28e-3) / 1.46e-3, (0.36e-3 - 0.21e-3) / 1.54e-3
    assert static.low == pytest.approx(min(implied), rel=5e-3)
    assert static.low < max(implied) < static.value < static.high


def test_loihi2_pilotnet_energy_is_power_over_rate():
    energy = published("loihi2", "pilotnet-power") / published("loihi2", "pilotnet-rate")
    assert energy == pytest.approx(published("loihi2", "pilotnet-frame"), rel=1e-3)
