"""The complete file in docs/chips.md loads as it stands."""

import re
from pathlib import Path

import pytest

from nmhw.errors import ChipFileError
from nmhw.io.chip_file import load_chip
from nmhw.io.chip_template import write_template

DOCS = Path(__file__).parents[3] / "docs" / "chips.md"


def test_the_documented_chip_loads(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "my-chip.toml"
    path.write_text(text, encoding="utf-8")
    chip = load_chip(path)
    assert (chip.n_cores, chip.default_costs) == (4, "bench")
    figures = chip.cost_table().energy_pj
    assert figures["synop"].voltage_v == 0.8
    assert not figures["neuron.spike"].is_priced
    assert figures["neuron.idle"].is_priced


def test_the_documented_mistakes_are_reported_so(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    wrong = text.replace("width = 4", "widht = 8\nwidth = 4").replace(
        "[costs.bench.static_w]", '"hop.x" = { value = 0.5, unit = "nJ" }\n[costs.bench.static_w]'
    )
    path = tmp_path / "my.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(ChipFileError) as caught:
        load_chip(path)
    (shown,) = re.findall(r"```\n(my\.toml.*?)\n```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert str(caught.value).replace(str(path), "my.toml") == shown


def test_the_documented_chip_is_what_chips_new_writes():
    (text,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert text == write_template("my-chip")
