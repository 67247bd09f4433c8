"""Every figure of the further chips, typed a second time from the fact sheets."""

import pytest

from nmhw.io.chip_file import load_chip

UW, MW = 1e-6, 1e-3

#: (chip, cost table) -> (section, kind) -> (value, basis, grade, scope, volts); unpriced left out.
COSTS = {
    ("loihi2", "oheo-gulch"): {
        ("static_w", "chip"): (0.232, "board", "P", "incremental", None),
    },
    ("truenorth", "operating-point"): {
        ("energy_pj", "synop"): (26, "silicon", "S", "all-in", 0.775),
    },
    ("truenorth", "components"): {
        ("energy_pj", "hop"): (2.3, "silicon", "S", "incremental", None),
    },
    ("speck2e", "rest"): {
        ("static_w", "chip"): (0.42 * MW, "silicon", "P", "incremental", None),
    },
    ("speck2f", "rest"): {
        ("static_w", "chip"): (0.42 * MW, "silicon", "P", "incremental", None),
    },
    ("xylo-audio2", "devkit"): {
        ("static_w", "chip"): (219 * UW, "silicon", "S", "incremental", None),
    },
    ("xylo-audio3", "devkit"): {
        ("static_w", "chip"): (350 * UW, "board", "P", "incremental", None),
    },
    ("xylo-imu", "devkit"): {
        ("static_w", "chip"): (188 * UW, "board", "P", "incremental", None),
    },
    ("odin", "law"): {
        ("energy_pj", "synop"): (8.43, "silicon", "S", "incremental", 0.55),
        ("static_w", "chip"): (27.3 * UW, "silicon", "recalled", "incremental", 0.55),
    },
    ("odin", "max-rate"): {("energy_pj", "synop"): (12.7, "silicon", "S", "all-in", 0.55)},
    ("odin", "biological"): {("energy_pj", "synop"): (54, "silicon", "S", "all-in", None)},
    ("reckon", "headline"): {("energy_pj", "synop"): (5.3, "silicon", "P", "all-in", 0.5)},
    ("akd1000", "board"): {("static_w", "chip"): (0.9, "board", "P", "incremental", None)},
    ("anp-i", "headline"): {("energy_pj", "synop"): (1.5, "silicon", "P", "all-in", None)},
    ("darwin3", "incremental"): {
        ("energy_pj", "synop"): (5.47, "silicon", "S", "incremental", None),
    },
    ("tianjic", "phase"): {},
}

#: Chip -> published number -> value in base units.
PUBLISHED = {
    "loihi2": {
        "core-memory": 192 * 1024,
        "max-neurons": 1_000_000,
        "max-synapses": 120_000_000,
        "neuron-state": 4096,
        "pilotnet-frame": 0.001661,
        "pilotnet-power": 0.679,
        "pilotnet-rate": 408.91,
        "delay-network-sample": 0.46 * MW,
    },
    "truenorth": {
        "operating-power": 72 * MW,
        "operating-rate": 20,
        "operating-synapses": 128,
        "sram-bit": 0.047e-12,
        "core-to-core-bit": 0.072e-12,
        "periphery-bit": 2e-12,
        "detection-power": 63 * MW,
        "gesture-power": 200 * MW,
        "eedn-power": 275 * MW,
    },
    "ranc": {"router-buffer": 4},
    "speck2e": {
        "lowest-task-power": 0.7 * MW,
        "gesture-power": 9.5 * MW,
        "nmnist-sample": 180e-6,
    },
    "speck2f": {
        "lowest-task-power": 0.7 * MW,
        "gesture-power": 9.5 * MW,
        "nmnist-sample": 180e-6,
        "idle-io": 62 * UW,
        "idle-ram": 52 * UW,
        "idle-logic": 367 * UW,
        "idle-pixel-digital": 79 * UW,
        "idle-pixel-analog": 611 * UW,
    },
    "xylo-audio2": {
        "keyword-dynamic-power": 291 * UW,
        "keyword-inference": 6.6e-6,
        "scene-active-power": 692 * UW,
        "scene-inference": 57.6e-6,
        "ambient-step": 93e-9,
    },
    "xylo-audio3": {
        "task-digital-power": 588 * UW,
        "task-io-power": 456 * UW,
        "task-front-end-power": 13 * UW,
    },
    "xylo-imu": {"active-core-power": 201 * UW, "io-power": 333 * UW},
    "odin": {},
    "tinyodin": {},
    "reckon": {"training-power": 150 * UW},
    "akd1000": {"io-floor": 0.65 * MW},
    "anp-i": {
        "learning-sample": 0.1e-6,
        "learning-share": 0.15,
        "nmnist-sample": 343e-9,
        "gesture-sample": 3.9e-6,
    },
    "darwin3": {"max-neurons": 2_350_000, "clock": 333e6},
    "tianjic": {"typical-power": 0.4, "clock": 300e6},
}

KI = 1024

#: Chip -> (number of cores, budget) of each group.
CORES = {
    "loihi2": [(128, {"neurons": 8192, "synapse_bits": 128 * KI * 8})],
    "truenorth": [(4096, {"neurons": 256, "in_axons": 256, "synapse_bits": 256 * 256})],
    "ranc": [(4096, {"neurons": 256, "in_axons": 256, "synapse_bits": 256 * 256})],
    "speck2e": [
        (3, {"kernel_words": 16 * KI, "neuron_words": 64 * KI, "bias_words": KI}),
        (2, {"kernel_words": 32 * KI, "neuron_words": 32 * KI, "bias_words": KI}),
        (2, {"kernel_words": 64 * KI, "neuron_words": 16 * KI, "bias_words": KI}),
        (2, {"kernel_words": 16 * KI, "neuron_words": 16 * KI, "bias_words": KI}),
    ],
    "xylo-audio2": [(1, {"neurons": 1000 + 8})],
    "xylo-audio3": [(1, {"neurons": 992 + 32})],
    "xylo-imu": [(1, {"neurons": 496 + 16})],
    "odin": [(1, {"neurons": 256, "in_axons": 256, "synapse_bits": 32 * KI * 8})],
    "tinyodin": [(1, {"neurons": 256, "in_axons": 256, "synapse_bits": 64 * KI * 4})],
    "reckon": [(1, {"neurons": 256 + 16, "synapse_bits": (64 + 64 + 8) * KI * 8})],
    "akd1000": [(80, {})],
    "anp-i": [(1, {"neurons": 522, "synapses": 1024 * 512 + 512 * 10})],
    "darwin3": [(575, {"neurons": 4096})],
    "tianjic": [(156, {"neurons": 256, "in_axons": 256, "memory_bits": 22 * KI * 8})],
}

#: Chip -> rule kind -> parameters (one rule of a kind; layer-form rules are below).
RULES = {
    "loihi2": {},
    "truenorth": {
        "codebook": {"values_per_neuron": 4, "shared_by_axon_type": True},
        "destinations": {"max_destinations": 1},
    },
    "ranc": {
        "codebook": {"values_per_neuron": 4, "shared_by_axon_type": True},
        "destinations": {"max_destinations": 1},
    },
    "xylo-audio2": {
        "layer-sizes": {
            "inputs": 16,
            "hidden": 1000,
            "outputs": 8,
            "input_targets": 1000,
            "output_sources": 1000,
        },
        "pooled-fan-out": {"average": 32, "max_fan_out": 64, "recurrent_of": 1000},
    },
    "xylo-imu": {
        "layer-sizes": {
            "inputs": 16,
            "hidden": 496,
            "outputs": 16,
            "input_targets": 128,
            "output_sources": 128,
        },
        "pooled-fan-out": {"average": 64, "max_fan_out": 512, "recurrent_of": 496},
    },
    "odin": {"source-sign": {}, "shared-rows": {"rows": 256}},
    "tinyodin": {"shared-rows": {"rows": 256}},
    "reckon": {
        "layer-sizes": {"inputs": 256, "hidden": 256, "outputs": 16},
        "shared-pair": {"group_size": 2, "fields": ["v_keep", "threshold"]},
    },
    "anp-i": {},
    "darwin3": {},
    "tianjic": {"codebook": {"values_per_neuron": 32, "shared_by_axon_type": False}},
}

#: Chip -> widths and forms of the arithmetic that the sheet must state.
ARITHMETIC = {
    "loihi2": {
        "weight_bits": (1, 2, 3, 4, 5, 6, 7, 8),
        "u_bits": 24,
        "v_bits": 24,
        "threshold_bits": 17,
        "threshold_shift": 6,
        "bias_bits": 13,
        "max_extra_delay_steps": 62,
        "resets": ("zero",),
    },
    "truenorth": {
        "weight_coding": "axons",
        "v_bits": 20,
        "resets": ("zero", "subtract", "none"),
        "max_extra_delay_steps": 15 - 1,
    },
    "ranc": {"weight_coding": "axons", "v_bits": 9, "threshold_bits": 9 - 1, "bias_bits": 9},
    "speck2e": {
        "weight_bits": (8,),
        "weight_min": -128,
        "weight_max": 127,
        "v_bits": 16,
        "lowest_v": -(2**15),
        "bias_bits": 8,
        "compares": (">=",),
        "resets": ("subtract", "zero"),
        "timings": ("steps", "events"),
    },
    "xylo-audio2": {"v_bits": 16, "max_spikes_per_step": 31, "n_currents": 2},
    "xylo-audio3": {"max_output_spikes_per_step": 1, "max_input_events": 15, "n_currents": 2},
    "xylo-imu": {"weight_min": -128, "resets": ("subtract",), "n_currents": 1},
    "odin": {"weight_bits": (3,), "v_bits": 8 + 1, "threshold_bits": 8, "resets": ("zero",)},
    "tinyodin": {"weight_bits": (4,), "v_bits": 12},
    "reckon": {
        "weight_bits": (8,),
        "weight_exponent": (0, 7),
        "v_bits": 16,
        "decay_bits": 15,
        "resets": ("zero", "subtract"),
    },
}


def priced(table):
    """Return (section, kind) -> figure of every figure with a value."""
    return {
        (section, kind): figure
        for section in ("energy_pj", "latency_ns", "static_w")
        for kind, figure in getattr(table, section).items()
        if figure.value is not None
    }


@pytest.mark.parametrize(("name", "table"), list(COSTS))
def test_cost_table_has_the_published_figures_and_no_other(name, table):
    found = priced(load_chip(name).costs[table])
    typed = {k: (f.value, f.basis, f.grade, f.scope, f.voltage_v) for k, f in found.items()}
    assert typed.keys() == COSTS[name, table].keys()
    for key, (value, *rest) in COSTS[name, table].items():
        assert typed[key][0] == pytest.approx(value, rel=1e-12)
        assert list(typed[key][1:]) == rest


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_no_cost_table_is_without_a_second_typing(name):
    assert {table for chip, table in COSTS if chip == name} == set(load_chip(name).costs)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_numbers(name):
    found = {key: figure.value for key, figure in load_chip(name).published.items()}
    assert found == pytest.approx(PUBLISHED[name], rel=1e-12)


@pytest.mark.parametrize("name", list(CORES))
def test_cores_and_budgets(name):
    groups = load_chip(name).cores
    assert [(group.count, dict(group.budget)) for group in groups] == CORES[name]


@pytest.mark.parametrize("name", list(RULES))
def test_rules(name):
    rules = load_chip(name).rules
    assert {r.kind: dict(r.parameters) for r in rules if r.kind != "graph"} == RULES[name]


@pytest.mark.parametrize("name", list(ARITHMETIC))
def test_stated_arithmetic(name):
    chip = load_chip(name)
    found = {field: getattr(chip.arithmetic, field) for field in ARITHMETIC[name]}
    assert found == ARITHMETIC[name]
    assert set(ARITHMETIC[name]) <= set(chip.document["arithmetic"])


def test_speck2f_has_the_cores_and_rules_of_speck2e():
    older, newer = load_chip("speck2e"), load_chip("speck2f")
    assert (newer.cores, newer.rules) == (older.cores, older.rules)
    assert sum(g.count * g.budget["kernel_words"] for g in newer.cores) == 272 * KI
    assert sum(g.count * g.budget["neuron_words"] for g in newer.cores) == 320 * KI


def test_speck_layers():
    (form,) = (r.parameters for r in load_chip("speck2e").rules if r.kind == "layer-form")
    assert form["kernels"] == list(range(1, 17))
    assert (form["strides"], form["pools"], form["max_padding"]) == ([1, 2, 4, 8], [1, 2, 4], 7)
    assert (form["max_input_size"], form["max_output_size"], form["max_channels"]) == (
        128,
        64,
        1024,
    )
    (fan_out,) = (r.parameters for r in load_chip("speck2e").rules if r.kind == "destinations")
    assert fan_out == {"max_destinations": 2}


def test_xylo_audio3_refuses_more_than_32_outputs_and_warns_above_16():
    rules = [r for r in load_chip("xylo-audio3").rules if r.kind == "layer-sizes"]
    assert {r.severity: r.parameters["outputs"] for r in rules} == {"error": 32, "warning": 16}
    assert {r.parameters["hidden"] for r in rules} == {992}
    (pool,) = (r.parameters for r in load_chip("xylo-audio3").rules if r.kind == "pooled-fan-out")
    assert pool == {"average": 32, "max_fan_out": 1024, "recurrent_of": 992}


def test_akida_layers():
    forms = {
        r.parameters["layer"]: r.parameters
        for r in load_chip("akd1000").rules
        if r.kind == "layer-form"
    }
    kernels = {layer: form["kernels"] for layer, form in forms.items()}
    assert kernels == {
        "input convolution": [3, 5, 7],
        "convolution": [1, 3, 5, 7],
        "separable convolution": [3, 5, 7],
        "fully connected": [1],
    }
    assert forms["input convolution"]["strides"] == [1, 2, 3]
    assert forms["separable convolution"]["weight_bits"] == [2, 4]
    assert forms["fully connected"]["max_input_elements"] == 57334


def test_loihi2_prices_nothing_but_static_power():
    chip = load_chip("loihi2")
    table = chip.cost_table()
    assert not any(figure.is_priced for figure in table.energy_pj.values())
    assert not table.latency_ns
    assert [point.value for _, point in table.sync.points] == [None]
    assert (table.static_w["chip"].low, table.static_w["chip"].high) == (0.097, 0.282)
    assert chip.is_executable


#: Chips with published figures that also run networks.
RUNNING = ("loihi2", "odin", "ranc", "reckon", "speck2e", "speck2f", "tinyodin", "truenorth")
RUNNING += ("xylo-audio2", "xylo-audio3", "xylo-imu")


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n not in RUNNING])
def test_a_sheet_that_cannot_run_says_why_and_claims_no_arithmetic(name):
    chip = load_chip(name)
    assert not chip.is_executable
    assert len(chip.not_executable_because) > 20
    assert chip.arithmetic.claim.startswith("none: ")
