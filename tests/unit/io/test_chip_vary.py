"""Variants: ``chip.with_(...)`` re-validates, renames, and never scales a price."""

import numpy as np
import pytest

from nmhw.errors import ChipFileError
from nmhw.io.chip_file import load_chip

NAHUKU = load_chip("loihi1-nahuku")
MINE = {"value": 1.0, "source": "boyle-2025", "grade": "P", "basis": "fitted"}


def values(table, section="energy_pj"):
    return {kind: figure.value for kind, figure in getattr(table, section).items()}


def test_mesh_sets_the_number_of_cores_and_the_name():
    chip = NAHUKU.with_(mesh=(4, 2))
    assert (chip.mesh.width, chip.mesh.height, chip.n_cores) == (4, 2, 32)
    assert chip.name == "loihi1-nahuku[mesh=4x2]"
    assert chip.sha256 != NAHUKU.sha256
    assert NAHUKU.n_cores == 128


def test_variants_of_variants_collect_their_changes():
    chip = NAHUKU.with_(mesh=(4, 2)).with_(board=(2, 1))
    assert chip.name == "loihi1-nahuku[mesh=4x2,board=2x1]"
    assert (chip.n_cores, chip.describes) == (64, "board")


def test_variation_depends_on_the_content_and_not_on_the_way():
    at_once = NAHUKU.with_(**{"mesh": (4, 2), "arithmetic.hop_steps": 0})
    nested = NAHUKU.with_(mesh=(4, 2), arithmetic={"hop_steps": 0})
    assert at_once.document == nested.document
    assert at_once.arithmetic.hop_steps == 0


def test_no_change_is_the_same_chip():
    assert NAHUKU.with_() == NAHUKU


@pytest.mark.parametrize(("cores", "height", "unused"), [(100, 4, 28), (128, 4, 0), (200, 7, 24)])
def test_number_of_cores_grows_the_mesh_or_leaves_positions_unused(cores, height, unused):
    chip = NAHUKU.with_(cores=cores)
    assert chip.n_cores == cores
    assert (chip.mesh.width, chip.mesh.height) == (8, height)
    assert chip.document["mesh"]["unused_cores"] == unused


def test_numpy_numbers_are_numbers():
    chip = NAHUKU.with_(cores=np.int64(64), arithmetic={"v_bits": np.int32(16)})
    assert (chip.n_cores, chip.arithmetic.v_bits) == (64, 16)
    assert chip.name == "loihi1-nahuku[cores=64,arithmetic.v_bits=16]"


def test_smaller_mesh_keeps_event_prices_and_loses_those_of_the_whole_chip():
    before, after = NAHUKU.cost_table(), NAHUKU.with_(mesh=(4, 2)).cost_table()
    changed = {k for k, v in values(before).items() if v != values(after)[k]}
    assert changed == {"reset"}
    assert after.static_w["chip"].value is None
    assert after.sync == before.sync


def test_barrier_beyond_the_measured_mesh_is_unpriced():
    points = NAHUKU.with_(mesh=(8, 8)).cost_table().sync.points
    assert [tiles for tiles, _ in points] == [1, 2, 4, 29, 33]
    assert points[-1][1].value is None
    assert "at most 32 tiles" in points[-1][1].note
    assert points[-2][1].value == 1800


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"budget": {"synapse_bits": 2**19}}, {"synop.dense", "synop.sparse", "synop.shared"}),
        (
            {"budget": {"neurons": 512}},
            {"neuron.visit", "neuron.active", "neuron.idle", "neuron.spike", "timestep"},
        ),
        ({"budget": {"in_axons": 2048}}, {"axon.in"}),
        ({"budget": {"out_axons": 2048}}, {"axon.out", "hop.local"}),
        (
            {"arithmetic": {"v_bits": 16}},
            {"neuron.visit", "neuron.active", "neuron.idle", "neuron.spike", "timestep"},
        ),
        (
            {"arithmetic": {"weight_bits": [4], "weight_min": -16, "weight_max": 14}},
            {"synop.dense", "synop.sparse", "synop.shared"},
        ),
        ({"mesh": {"cores_per_tile": 2, "width": 16}}, {"hop.local", "hop.x", "hop.y"}),
        ({"soft_budget": {"neurons": 512}}, set()),
        ({"arithmetic": {"hop_steps": 0}}, set()),
        ({"board": (4, 1)}, set()),
    ],
)
def test_only_the_affected_prices_are_lost(changes, lost):
    before, after = NAHUKU.cost_table(), NAHUKU.with_(**changes).cost_table()
    now_unpriced = {k for k, f in after.energy_pj.items() if not f.is_priced}
    assert now_unpriced - {"reset"} == lost
    kept = {k for k in before.energy_pj if k not in now_unpriced}
    assert all(after.energy_pj[k] == before.energy_pj[k] for k in kept)


def test_lost_prices_are_named_in_a_note():
    chip = NAHUKU.with_(budget={"synapse_bits": 2**19})
    note = next(n for n in chip.notes if "unpriced" in n)
    assert "nahuku.energy_pj.synop.dense" in note
    assert "nahuku.static_w.chip" in note
    assert len(chip.notes) == len(NAHUKU.notes) + 1


def test_price_given_with_the_change_is_kept():
    costs = {"nahuku": {"energy_pj": {"synop.dense": MINE}}}
    chip = NAHUKU.with_(budget={"synapse_bits": 2**19}, costs=costs)
    energies = values(chip.cost_table())
    assert energies["synop.dense"] == 1.0
    assert energies["synop.sparse"] is None


def test_another_process_node_leaves_nothing_priced():
    table = NAHUKU.with_(node_nm=7).cost_table()
    assert all(figure.value is None for figure in table.energy_pj.values())
    assert table.static_w["chip"].value is None
    assert all(figure.value is None for _, figure in table.sync.points)


def test_chip_price_comes_back_only_when_stated():
    there_and_back = NAHUKU.with_(budget={"neurons": 512}).with_(budget={"neurons": 1024})
    assert there_and_back.cost_table().energy_pj["neuron.visit"].value is None


def test_budget_reaches_every_core():
    chip = NAHUKU.with_(budget={"neurons": 256})
    assert [group.budget["neurons"] for group in chip.cores] == [256]
    assert chip.cores[0].budget["in_axons"] == 4096


def test_dotted_key_finds_names_that_contain_dots():
    chip = NAHUKU.with_(**{"costs.nahuku.energy_pj.hop.x": MINE})
    assert chip.cost_table().energy_pj["hop.x"].value == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mehs": (8, 8)}, r"mehs: unknown key: got \[8, 8\]; try: did you mean 'mesh'"),
        ({"mesh": 8}, r"mesh must be \(width, height\): got 8"),
        ({"mesh": (0, 8)}, "mesh must be positive"),
        ({"cores": 0}, "cores must be a positive number: got 0"),
        ({"cores": 2.5}, r"cores must be a positive number: got 2\.5"),
        ({"board": (2,)}, r"board must be \(width, height\)"),
        ({"budget": {"neuron": 3}}, "did you mean 'neurons'"),
        ({"budget": {"neurons": 0}}, "must be at least 1: got 0"),
        ({"arithmetic": {"v_bit": 3}}, r"arithmetic\.v_bit: unknown key"),
        ({"arithmetic.v_bits": "wide"}, r"arithmetic\.v_bits: wrong type"),
        ({"mesh": (2, 2), "cores": 32}, "do not fill 2 x 2 tiles of 4 = 16 positions"),
        ({"pace": "fast"}, "pace: not one of the allowed values: got 'fast'"),
    ],
)
def test_changes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ChipFileError, match=message):
        NAHUKU.with_(**changes)


def test_chip_with_several_kinds_of_cores_wants_to_know_which(tmp_path):
    text = 'name = "two"\ntitle = "Two"\nextends = "loihi1-d18"\n'
    text += "[cores.neurocore]\ncount = 120\n[cores.big]\ncount = 8\nbudget = { neurons = 4096 }\n"
    path = tmp_path / "two.toml"
    path.write_text(text, encoding="utf-8")
    chip = load_chip(path)
    assert (chip.core_spec(119).name, chip.core_spec(120).name) == ("neurocore", "big")
    with pytest.raises(ChipFileError, match="several kinds of cores: say which"):
        chip.with_(cores=16)
    smaller = chip.with_(cores={"big": {"count": 4}}, mesh={"unused_cores": 4})
    assert smaller.n_cores == 124


@pytest.mark.parametrize(
    ("name", "costs", "changes"),
    [
        ("truenorth", ("operating-point",), {"budget": {"neurons": 128}}),
        ("truenorth", ("operating-point",), {"mesh": (32, 32)}),
        ("truenorth", ("operating-point",), {"cores": 1024}),
        ("truenorth", ("operating-point",), {"arithmetic": {"v_bits": 9}}),
        ("truenorth", ("operating-point",), {"arithmetic": {"hop_steps": 0}}),
        ("odin", ("max-rate", "biological"), {"budget": {"neurons": 128}}),
        ("odin", ("max-rate", "biological"), {"arithmetic": {"leak_bits": 5}}),
    ],
)
def test_any_change_of_the_hardware_unprices_all_in_figures(name, costs, changes):
    chip = load_chip(name)
    varied = chip.with_(**changes)
    for table in costs:
        assert chip.cost_table(table).energy_pj["synop"].value is not None
        after = varied.cost_table(table).energy_pj
        assert [figure.value for figure in after.values()] == [None] * len(after)
        assert not any(figure.included_in for figure in after.values())
        assert "changed" in after["synop"].note


@pytest.mark.parametrize("changes", [{"title": "mine"}, {"soft_budget": {"neurons": 100}}])
def test_a_change_beside_the_hardware_keeps_all_in_figures(changes):
    table = load_chip("odin").with_(**changes).cost_table("max-rate")
    assert table.energy_pj["synop"].value == 12.7


@pytest.mark.parametrize(
    ("name", "costs", "changes"),
    [
        ("odin", "law", {"arithmetic": {"leak_bits": 5}}),
        ("xylo-audio2", "devkit", {"arithmetic": {"n_currents": 1}}),
        ("xylo-audio2", "devkit", {"rules.layers.parameters.hidden": 500}),
    ],
)
def test_laws_belong_to_the_arithmetic_and_the_layer_sizes_they_were_found_on(name, costs, changes):
    laws = load_chip(name).with_(**changes).cost_table(costs).laws
    assert laws
    assert all(figure.value is None for law in laws.values() for figure in law.terms.values())


def test_fewer_hidden_neurons_have_no_known_idle_power():
    chip = load_chip("xylo-audio2").with_(**{"rules.layers.parameters.hidden": 500})
    assert chip.cost_table().static_w["chip"].value is None
