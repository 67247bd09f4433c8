"""``nmhw chips``: every sheet printed whole, in 100 columns."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

from nmhw.cli.chips import command
from nmhw.io.chip_file import list_chips, load_chip
from nmhw.report.chip_text import render_chip, render_chip_list

NAMES = [chip.name for chip in list_chips()]


def words_of(text):
    """Return the text with its line breaks undone."""
    return " ".join(text.split())


def test_list_shows_every_chip_in_100_columns():
    text = render_chip_list([dataclasses.asdict(chip) for chip in list_chips()])
    assert max(len(line) for line in text.splitlines()) <= 100
    first_words = {line.split()[0] for line in text.splitlines() if line.split()}
    assert set(NAMES) <= first_words


@pytest.mark.parametrize("name", NAMES)
def test_sheet_is_whole_and_in_100_columns(name):
    chip = load_chip(name)
    text = render_chip(chip)
    assert max(len(line) for line in text.splitlines()) <= 100
    shown = words_of(text)
    for cited in (*chip.sources.values(), *chip.notes):
        assert words_of(cited) in shown
    for rule in chip.rules:
        assert words_of(rule.note) in shown
        assert f"rule {rule.kind} ({rule.severity})" in shown
    for table in chip.costs.values():
        assert f"Costs '{table.name}'" in shown
        for law_name, law in table.laws.items():
            assert f"Law '{law_name}' ({law.kind}, formula of {law.source})" in shown
            assert words_of(law.note) in shown
            assert all(words_of(figure.note) in shown for figure in law.terms.values())
    for key, figure in chip.published.items():
        assert key in shown
        assert words_of(figure.note) in shown


def test_sheet_that_cannot_run_shows_only_what_its_file_states():
    shown = render_chip(load_chip("anp-i"))
    assert "weight_bits" in shown
    assert "u_bits" not in shown
    assert "bias_exponent" not in shown
    assert "u_bits" in render_chip(load_chip("loihi1-d18"))


def test_json_of_such_a_sheet_has_no_defaults_either():
    printed = CliRunner().invoke(command, ["anp-i", "--json"])
    arithmetic = json.loads(printed.output)["arithmetic"]
    assert arithmetic["weight_bits"] == [8]
    assert "u_bits" not in arithmetic


def test_figures_show_scale_scope_voltage_and_what_is_unpriced():
    lines = {
        line.split()[0]: line
        for line in render_chip(load_chip("truenorth")).splitlines()[30:]
        if line.split()
    }
    assert "72.0 mW all-in" in lines["operating-power"]
    assert "0.775 V" in lines["operating-power"]
    assert "47.0 fJ" in lines["sram-bit"]
    shown = words_of(render_chip(load_chip("truenorth")))
    assert "synop energy 26 pJ all-in S silicon 0.775 V merolla-2014" in shown
    assert "neuron energy in synop" in shown
    assert "chip static unpriced" in shown


def test_laws_show_terms_in_their_units():
    shown = words_of(render_chip(load_chip("odin")))
    assert "cycle 1.78 pJ recalled silicon 0.55 V frenkel-2019" in shown
    assert "bistability 32,768 cycles P code odin-hdl" in shown
    shown = words_of(render_chip(load_chip("akd1000")))
    assert "256 neurons per layer 755 µs 700 µs..810 µs derived board" in shown
