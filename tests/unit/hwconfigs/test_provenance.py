"""Provenance of the packaged chips, the README in step, and laws that files alone must obey."""

from importlib import resources
from pathlib import Path

import pytest

from nmhw.io.chip_file import list_chips, load_chip
from nmhw.io.chip_tables import insert_chip_tables, main

NAMES = [chip.name for chip in list_chips()]
README = resources.files("nmhw.hwconfigs") / "README.md"


def cited_keys(node):
    """Yield every source and citation of a document."""
    if isinstance(node, list):
        for item in node:
            yield from cited_keys(item)
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "source":
                yield value
            elif name == "citations":
                yield from value.values()
            elif name != "sources":
                yield from cited_keys(value)


@pytest.mark.parametrize("name", NAMES)
def test_sources_and_citations_match_one_to_one(name):
    chip = load_chip(name)
    cited = set(cited_keys(chip.document))
    assert cited <= set(chip.sources)
    described = " ".join(chip.notes)
    inherited = set()
    for key in set(chip.sources) - cited:
        author, _, year = key.partition("-")
        if not (author.lower() in described.lower() and year in described):
            inherited.add(key)
    allowed = {"davies-2018", "frady-2020"} if name == "loihi1-nahuku" else set()
    assert inherited <= allowed


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_has_a_citation(name):
    for group in load_chip(name).cores:
        assert {*group.budget, *group.soft_budget} == set(group.citations)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "generic"])
def test_every_stated_arithmetic_field_has_a_citation(name):
    chip = load_chip(name)
    free = {"family", "claim", "citations", "state", "weight_step", "sign_modes", "reset_delays"}
    quantizer = {"weight_rounding"} if chip.arithmetic.family == "loihi" else set()
    stated = set(chip.document["arithmetic"]) - free - quantizer
    assert stated <= set(chip.arithmetic.citations)


@pytest.mark.parametrize("name", NAMES)
def test_every_encoding_rule_memory_and_mesh_has_a_source(name):
    chip = load_chip(name)
    parts = [*chip.encodings, *chip.rules, chip.mesh]
    parts += [chip.memory] if chip.memory else []
    assert all(part.source in chip.sources for part in parts)


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_it_describes(name):
    chip = load_chip(name)
    text = " ".join(chip.notes).lower()
    assert "describes" in text or chip.is_imaginary


def test_readme_tables_are_those_of_the_files():
    text = README.read_text(encoding="utf-8")
    assert insert_chip_tables(text) == text, (
        "run: python -m nmhw.io.chip_tables hwconfigs/README.md"
    )


def test_readme_command_restores_the_tables(tmp_path: Path):
    text = README.read_text(encoding="utf-8")
    copy = tmp_path / "README.md"
    copy.write_text(text.replace("23.6 pJ", "9.9 pJ"), encoding="utf-8")
    assert main([str(copy)]) == 0
    restored = copy.read_text(encoding="utf-8")
    assert restored.partition("<!--")[2] == text.partition("<!--")[2]


@pytest.mark.parametrize("name", NAMES)
def test_readme_names_every_chip(name):
    assert f"\n## {name}\n" in README.read_text(encoding="utf-8")


def test_law_an_idle_step_of_a_full_loihi_costs_6_8_microjoule():
    chip = load_chip("loihi1-d18")
    n_neurons = chip.n_cores * chip.cores[0].budget["neurons"]
    idle_pj = chip.cost_table().energy_pj["neuron.idle"].value
    assert n_neurons == 131_072
    assert n_neurons * idle_pj * 1e-6 == pytest.approx(6.8, abs=0.05)


def test_law_an_idle_neuron_costs_two_synaptic_operations():
    energy = load_chip("loihi1-d18").cost_table().energy_pj
    assert energy["neuron.idle"].value / energy["synop"].value == pytest.approx(2.2, abs=0.01)


def test_law_learning_a_synapse_costs_five_times_reading_it():
    table = load_chip("loihi1-d18").cost_table()
    energy, latency = table.energy_pj, table.latency_ns
    assert energy["weight.update"].value / energy["synop"].value == pytest.approx(5.1, abs=0.05)
    assert latency["weight.update"].value / latency["synop"].value == pytest.approx(1.7, abs=0.05)


def test_law_north_south_hops_cost_more_than_east_west():
    table = load_chip("loihi1-d18").cost_table()
    energy, latency = table.energy_pj, table.latency_ns
    assert energy["hop.y"].value / energy["hop.x"].value == pytest.approx(1.33, abs=0.01)
    assert latency["hop.y"].value / latency["hop.x"].value == pytest.approx(1.59, abs=0.01)
    assert energy["hop.x"].value < energy["synop"].value / 5


def test_law_fitted_barrier_is_never_below_the_simulated_one():
    simulated = load_chip("loihi1-d18").cost_table().sync.points
    fitted = load_chip("loihi1-nahuku").cost_table().sync.points
    assert min(f.value for _, f in fitted) > max(f.value for _, f in simulated)


def test_law_static_power_and_reset_are_one_thirty_second_of_the_published_system():
    table = load_chip("loihi1-d18").cost_table()
    assert table.static_w["chip"].value * 32 == pytest.approx(3.34, abs=0.005)
    assert table.energy_pj["reset"].value * 32 == pytest.approx(0.19e9, rel=0.01)
