"""Every figure of the packaged chips, typed a second time from the fact sheets."""

import pytest

from nmhw.io.chip_document import packaged_files
from nmhw.io.chip_file import load_chip

#: (table, section, kind) -> (value, low, high, source, basis); None = not given or unpriced.
D18 = {
    ("energy_pj", "synop"): (23.6, 23.6, None, "davies-2018", "simulated"),
    ("energy_pj", "neuron.active"): (81, None, None, "davies-2018", "simulated"),
    ("energy_pj", "neuron.idle"): (52, None, None, "davies-2018", "simulated"),
    ("energy_pj", "hop.local"): (1.7, None, None, "davies-2018", "simulated"),
    ("energy_pj", "hop.x"): (3.0, None, None, "davies-2018", "simulated"),
    ("energy_pj", "hop.y"): (4.0, None, None, "davies-2018", "simulated"),
    ("energy_pj", "weight.update"): (120, None, None, "davies-2018", "simulated"),
    ("latency_ns", "weight.update"): (6.1, None, None, "davies-2018", "simulated"),
    ("energy_pj", "reset"): (5_940_000, None, None, "frady-2020", "silicon"),
    ("latency_ns", "synop"): (3.5, None, 3.5, "davies-2018", "simulated"),
    ("latency_ns", "neuron.active"): (8.4, None, None, "davies-2018", "simulated"),
    ("latency_ns", "neuron.idle"): (5.3, None, None, "davies-2018", "simulated"),
    ("latency_ns", "hop.local"): (2.1, None, None, "davies-2018", "simulated"),
    ("latency_ns", "hop.x"): (4.1, None, None, "davies-2018", "simulated"),
    ("latency_ns", "hop.y"): (6.5, None, None, "davies-2018", "simulated"),
    ("static_w", "chip"): (0.1044, None, None, "frady-2020", "silicon"),
}
NAHUKU_ENERGY = {
    "synop.dense": 35.5,
    "synop.sparse": 33.6,
    "synop.shared": 24.0,
    "neuron.visit": 51.2,
    "neuron.active": 21.6,
    "neuron.spike": 69.3,
    "axon.in": 0.0,
    "axon.out": 111.0,
    "hop.x": 3.0,
    "hop.y": 4.2,
}
NAHUKU_LATENCY = {
    "synop.dense": 3.8,
    "synop.sparse": 4.7,
    "synop.shared": 3.1,
    "neuron.visit": 6.0,
    "neuron.active": 3.7,
    "neuron.spike": 30.0,
    "axon.in": 16.0,
    "axon.out": 5.1,
    "hop.x": 4.1,
    "hop.y": 6.5,
}
NAHUKU_SYNC = {1: 600, 2: 1000, 4: 1400, 29: 1800}


def priced(table):
    """Return (section, kind) -> figure of every figure with a value."""
    return {
        (section, kind): figure
        for section in ("energy_pj", "latency_ns", "static_w")
        for kind, figure in getattr(table, section).items()
        if figure.value is not None
    }


def test_loihi1_d18_has_the_published_figures_and_no_other():
    found = priced(load_chip("loihi1-d18").cost_table())
    typed = {k: (f.value, f.low, f.high, f.source, f.basis) for k, f in found.items()}
    assert typed == D18


def test_loihi1_d18_leaves_unpriced_what_davies_2018_does_not_have():
    table = load_chip("loihi1-d18").cost_table()
    unpriced = {k for k, f in table.energy_pj.items() if not f.is_priced}
    assert unpriced == {"neuron.spike", "axon.in", "axon.out", "timestep"}
    assert all(table.energy_pj[k].note for k in unpriced)


def test_simulated_figures_state_their_voltage_and_measured_ones_none():
    for figure in priced(load_chip("loihi1-d18").cost_table()).values():
        assert figure.voltage_v == (0.75 if figure.basis == "simulated" else None)


def test_loihi1_d18_barrier_has_the_two_published_points():
    sync = load_chip("loihi1-d18").cost_table().sync
    assert [(tiles, f.value) for tiles, f in sync.points] == [(1, 113), (32, 465)]
    assert (sync.points[0][1].low, sync.points[0][1].high) == (113, 465)


@pytest.mark.parametrize(
    ("section", "typed", "error"),
    [("energy_pj", NAHUKU_ENERGY, 0.117), ("latency_ns", NAHUKU_LATENCY, 0.243)],
)
def test_loihi1_nahuku_has_the_fitted_figures_with_the_published_error(section, typed, error):
    table = load_chip("loihi1-nahuku").cost_table()
    found = {k: f for k, f in getattr(table, section).items() if f.basis == "fitted"}
    valued = {k: f for k, f in found.items() if f.value is not None}
    assert {k: f.value for k, f in valued.items()} == typed
    for figure in valued.values():
        if figure.value:
            assert figure.low == pytest.approx(figure.value / (1 + error), rel=3e-4)
            assert figure.high == pytest.approx(figure.value / (1 - error), rel=3e-4)


def test_loihi1_nahuku_keeps_measured_static_power_apart_from_the_fit():
    table = load_chip("loihi1-nahuku").cost_table()
    measured = {k for k, f in priced(table).items() if f.basis != "fitted"}
    assert measured == {("energy_pj", "reset"), ("static_w", "chip")}
    assert table.static_w["chip"].value == 0.1044
    assert table.energy_pj["reset"].value == 5_940_000


@pytest.mark.parametrize("name", ["loihi1-d18", "loihi1-nahuku"])
def test_loihi1_links_and_buffers(name):
    noc = load_chip(name).noc
    assert (noc.link_ns.value, noc.link_ns.source, noc.link_ns.grade) == (
        round(1 / 3.44, 4),
        "davies-2018",
        "derived",
    )
    for figure in (noc.link_buffer, noc.receiver_queue):
        assert (figure.value, figure.source, figure.basis) == (16, "sana-fe", "code")
        assert "assumed" in figure.note


def test_no_other_chip_has_a_network():
    named = {name for name in packaged_files() if load_chip(name).noc is not None}
    assert named == {"loihi1-d18", "loihi1-nahuku"}


def test_loihi1_nahuku_barrier_is_the_fitted_table():
    points = load_chip("loihi1-nahuku").cost_table().sync.points
    assert {tiles: f.value for tiles, f in points} == NAHUKU_SYNC
    for _, figure in points:
        assert figure.low == pytest.approx(figure.value / 1.243, rel=3e-4)
        assert figure.high == pytest.approx(figure.value / 0.757, rel=3e-4)


def test_spinnaker2_prices_static_power_alone_unless_asked():
    chip = load_chip("spinnaker2")
    assert priced(chip.cost_table()).keys() == {("static_w", "chip")}
    assert chip.cost_table().static_w["chip"].high == 0.25
    assert chip.cost_table().sync.tick_s.value == 1e-3
    other = priced(chip.cost_table("unverified"))
    assert other.keys() == {("static_w", "chip"), ("energy_pj", "synop")}
    assert (other["energy_pj", "synop"].value, other["energy_pj", "synop"].grade) == (10, "S")


def test_generic_is_unpriced_by_default():
    chip = load_chip("generic")
    assert chip.cost_table() is None
    assert all(
        (f.grade, f.basis) == ("illustrative", "imaginary")
        for f in priced(chip.cost_table("illustrative")).values()
    )


#: Budgets of one core.
BUDGETS = {
    "loihi1-d18": {
        "neurons": 1024,
        "in_axons": 4096,
        "out_axons": 4096,
        "synapse_bits": 16384 * 64,
        "neuron_profiles": 32,
        "threshold_profiles": 16,
        "synapse_formats": 16,
    },
    "spinnaker2": {"neurons": 1000, "memory_bits": 128 * 1024 * 8},
}


@pytest.mark.parametrize("name", list(BUDGETS))
def test_budgets_of_a_core(name):
    (group,) = load_chip(name).cores
    assert dict(group.budget) == BUDGETS[name]


def test_loihi_arithmetic_is_that_of_the_fixed_point_model():
    a = load_chip("loihi1-d18").arithmetic
    assert a.claim == "bit-exact to the fixed_pt models of lava-nc 0.10.0"
    assert (a.u_bits, a.u_overflow, a.v_bits, a.v_overflow) == (24, "wrap", 24, "saturate")
    assert (a.decay_bits, a.u_decay_offset, a.rounding) == (12, 1, "toward-zero")
    assert (a.input_shift, a.threshold_bits, a.threshold_shift) == (6, 17, 6)
    assert (a.weight_min, a.weight_max, a.weight_step) == (-256, 254, 2)
    assert (a.weight_exponent, a.bias_bits, a.bias_exponent) == ((-7, 7), 13, (0, 7))
    assert (a.compares, a.resets, a.hop_steps, a.max_extra_delay_steps) == (
        (">",),
        ("zero",),
        1,
        62,
    )
    assert a.weight_bits == (1, 2, 3, 4, 5, 6, 8)


def test_spinnaker2_arithmetic_is_the_published_rule():
    a = load_chip("spinnaker2").arithmetic
    assert (a.state, a.weight_rounding, a.weight_min, a.weight_max) == (
        "float32",
        "truncate",
        -127,
        127,
    )
    assert (a.compares, a.resets, a.hop_steps) == ((">",), ("zero", "subtract"), 1)
