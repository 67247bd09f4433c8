"""``nmhw chips new`` and ``chips check``: a file for one's own chip, from start to a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nmhw.io.chip_file import load_chip


@pytest.fixture
def own(nmhw: Callable, tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    assert nmhw("chips", "new", "mine", "-o", path).code == 0
    return path


def test_a_new_chip_is_valid_and_runs_a_network(nmhw: Callable, own: Path, files: Path) -> None:
    assert load_chip(own).name == "mine"
    checked = nmhw("chips", "check", own)
    assert checked.code == 0
    assert "a valid chip file" in " ".join(checked.out.split())
    assert "4 x core: neurons 256, in_axons 256, synapse_bits 262,144" in checked.out
    assert "costs bench (default): 5 figures with a value, 1 without" in checked.out
    run = nmhw("run", files / "model.nir", "--chip", own, "--input", files / "x.npy", "--json")
    assert run.code == 0
    assert run.json["chip"] == "mine"
    assert run.json["energy_j"]["total"] > 0
    assert sum(run.json["spikes"].values()) > 0


def test_the_demo_network_runs_on_it(nmhw: Callable, own: Path) -> None:
    run = nmhw("demo", "--samples", "50", "--chip", own, "--json")
    assert run.code == 0
    assert run.json["accuracy"] >= 0.9


def test_without_a_file_it_is_printed(nmhw: Callable, own: Path) -> None:
    assert nmhw("chips", "new", "mine").out == own.read_text(encoding="utf-8")
    assert nmhw("chips", "--json", "new", "mine").json["text"] == own.read_text(encoding="utf-8")


def test_an_existing_file_is_never_replaced(nmhw: Callable, own: Path) -> None:
    before = own.read_bytes()
    again = nmhw("chips", "new", "other", "-o", own)
    assert again.code == 2
    assert "the output is an existing file: got" in again.err
    assert own.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("generic", "a packaged chip has this name: got 'generic'; try: my-generic"),
        ("check", "name: is a word of the command line"),
        ("all", "name: is a word of the command line"),
        ('x" \n', "must be lower-case letters"),
    ],
)
def test_names_that_no_new_chip_can_have(nmhw: Callable, name: str, text: str) -> None:
    refused = nmhw("chips", "new", name)
    assert refused.code == 2
    assert text in refused.err


def test_a_wrong_file_is_refused_with_all_its_problems(nmhw: Callable, own: Path) -> None:
    text = own.read_text(encoding="utf-8").replace("width = 4", "widht = 4")
    own.write_text(text.replace("{ value = 2 }", "{ value = -2 }"), encoding="utf-8")
    refused = nmhw("chips", "check", own)
    assert refused.code == 2
    assert "mesh.widht: unknown key: got 4; try: did you mean 'width'?" in refused.err
    assert 'energy_pj."neuron.visit".value' in refused.err
    assert nmhw("chips", "check", own, "--json").json["exit_code"] == 2


def test_a_packaged_chip_can_be_checked_and_shown(nmhw: Callable, own: Path) -> None:
    assert nmhw("chips", "check", "loihi1-nahuku").code == 0
    shown = nmhw("chips", own)
    assert shown.code == 0
    assert "mine: My chip" in shown.out
    assert nmhw("chips", "-q", "--json", own).json["name"] == "mine"


def test_help_names_the_subcommands(nmhw: Callable) -> None:
    text = nmhw("chips", "--help").out
    assert "[NAME | new NAME | check FILE]" in text
    assert "Start a chip file" in text
    assert "Validate a chip file" in text
    assert "(show)" not in text
