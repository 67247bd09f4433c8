"""``extends``: what a chip file inherits, replaces, drops, and which prices it loses."""

import pytest

from nmhw.errors import ChipFileError
from nmhw.io.chip_file import load_chip
from nmhw.io.chip_problems import ChipFileProblems

HEAD = 'name = "mine"\ntitle = "Mine"\nextends = "loihi1-d18"\n'


@pytest.fixture
def write(tmp_path):
    def make(text: str, name: str = "mine.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_child_keeps_what_it_does_not_name(write):
    parent = load_chip("loihi1-d18")
    chip = load_chip(write(HEAD + "[mesh]\nport = [1, 1]\n"))
    assert chip.mesh.port == (1, 1)
    assert (chip.mesh.width, chip.arithmetic) == (8, parent.arithmetic)
    assert chip.costs == parent.costs


def test_nahuku_has_the_geometry_of_d18_and_none_of_its_costs():
    parent, child = load_chip("loihi1-d18"), load_chip("loihi1-nahuku")
    same = ("arithmetic", "cores", "mesh", "encodings", "rules")
    assert all(getattr(parent, name) == getattr(child, name) for name in same)
    assert set(child.costs) == {"nahuku"}
    figures = child.costs["nahuku"].energy_pj.values()
    assert all(f.source != "davies-2018" for f in figures)


def test_relative_parent_is_looked_up_beside_the_child(write):
    write(HEAD.replace('"mine"', '"base"') + "[mesh]\nport = [2, 2]\n", "base/base.toml")
    path = write('name="leaf"\ntitle="Leaf"\nextends="../base/base.toml"\n', "leaf/leaf.toml")
    assert load_chip(path).mesh.port == (2, 2)


def test_cycle_is_refused_with_its_chain(write):
    write('extends = "b.toml"\n', "a.toml")
    write('extends = "a.toml"\n', "b.toml")
    with pytest.raises(ChipFileError, match=r"cycle: a\.toml -> b\.toml -> a\.toml"):
        load_chip(write('extends = "a.toml"\n', "c.toml"))


def test_file_that_extends_itself_is_a_cycle(write):
    with pytest.raises(ChipFileError, match=r"extends: cycle: a\.toml -> a\.toml"):
        load_chip(write('extends = "a.toml"\n', "a.toml"))


def test_missing_parent_names_the_child_and_suggests(write):
    path = write('extends = "loihi-d18"\n')
    with pytest.raises(ChipFileError, match=r"mine\.toml: extends: parent not found.*loihi1-d18"):
        load_chip(path)


def test_parent_must_be_text(write):
    with pytest.raises(ChipFileError, match="extends: must be a name or a path: got 3"):
        load_chip(write("extends = 3\n"))


def test_dropped_key_must_exist(write):
    text = HEAD + 'drop = ["costs.d81"]\n'
    with pytest.raises(ChipFileError, match=r"drop: the parent has no such key: got 'costs\.d81'"):
        load_chip(write(text))


def test_a_single_figure_can_be_dropped(write):
    chip = load_chip(write(HEAD + 'drop = ["costs.d18.energy_pj.hop.x"]\n'))
    assert "hop.x" not in chip.costs["d18"].energy_pj
    assert "hop.y" in chip.costs["d18"].energy_pj


def test_drop_without_a_parent_is_refused(write):
    with pytest.raises(ChipFileError, match="drop: needs 'extends'"):
        load_chip(write('drop = ["mesh"]\n'))


def test_figure_is_replaced_as_a_whole_so_that_it_cannot_borrow_a_source(write):
    text = HEAD + '[costs.d18.energy_pj]\n"hop.x" = { value = 1 }\n'
    with pytest.raises(ChipFileProblems) as caught:
        load_chip(write(text))
    assert {p.rule for p in caught.value.problems} == {
        "chip.missing-source",
        "chip.missing-grade",
        "chip.missing-basis",
    }


def test_defaults_of_the_child_do_not_rename_the_sources_of_the_parent(write):
    text = HEAD + '[sources]\nme = "my lab book"\n'
    text += '[costs.d18.defaults]\nsource = "me"\ngrade = "P"\nbasis = "silicon"\n'
    text += '[costs.d18.energy_pj]\n"hop.x" = { value = 1 }\n'
    figures = load_chip(write(text)).costs["d18"].energy_pj
    assert (figures["hop.x"].source, figures["hop.x"].basis) == ("me", "silicon")
    assert figures["hop.x"].voltage_v is None
    assert (figures["hop.y"].source, figures["hop.y"].voltage_v) == ("davies-2018", 0.75)


def test_figure_with_its_own_source_takes_no_voltage_from_the_defaults():
    figures = load_chip("loihi1-d18").costs["d18"].energy_pj
    assert figures["hop.x"].voltage_v == 0.75
    assert figures["reset"].source == "frady-2020"
    assert figures["reset"].voltage_v is None


def test_changed_limit_loses_the_inherited_citation(write):
    chip = load_chip(write(HEAD + "[cores.neurocore.budget]\nneurons = 512\n"))
    citations = chip.cores[0].citations
    assert "neurons" not in citations
    assert citations["in_axons"] == "davies-2018"


def test_changed_width_loses_the_inherited_citation(write):
    chip = load_chip(write(HEAD + "[arithmetic]\nv_bits = 32\n"))
    assert "v_bits" not in chip.arithmetic.citations
    assert chip.arithmetic.citations["u_bits"] == "nengo-loihi"


def test_file_that_changes_the_memory_loses_the_inherited_prices(write):
    text = HEAD + "[cores.neurocore.budget]\nsynapse_bits = 2097152\n"
    costs = load_chip(write(text)).costs["d18"]
    synop = costs.energy_pj["synop"]
    assert synop.value is None
    assert not synop.is_priced
    assert synop.note.startswith("stale: synapse_bits of neurocore changed from 1048576 to 2097152")
    assert "was 23.6" in synop.note
    assert costs.energy_pj["neuron.active"].value == 81
    assert costs.static_w["chip"].value is None


def test_file_that_changes_the_memory_may_state_its_own_price(write):
    text = (
        HEAD + '[sources]\nme = "my lab book"\n[cores.neurocore.budget]\nsynapse_bits = 2097152\n'
    )
    text += "[costs.d18.energy_pj]\n"
    text += 'synop = { value = 30, source = "me", grade = "P", basis = "silicon" }\n'
    assert load_chip(write(text)).costs["d18"].energy_pj["synop"].value == 30
