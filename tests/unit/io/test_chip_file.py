"""Loading and listing chip files."""

import json
import math
from pathlib import Path

import pytest

from nmhw.errors import ChipFileError
from nmhw.io.chip_file import list_chips, load_chip, restore_chip, write_chip_schema
from nmhw.values.chip import ChipSpec

CHILD = """
name = "mine"
title = "A chip of mine"
extends = "loihi1-d18"
"""


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["generic", "loihi1-d18", "loihi1-nahuku", "spinnaker2"])
def test_packaged_chips_load_by_bare_name(name):
    chip = load_chip(name)
    assert chip.name == name
    assert chip.path == f"nmhw/hwconfigs/{name}.toml"
    assert len(chip.sha256) == 64
    assert all(f.value is None or f.value >= 0 for t in chip.costs.values() for f in figures(t))


def figures(table):
    yield from table.energy_pj.values()
    yield from table.latency_ns.values()
    yield from table.static_w.values()
    yield from (figure for _, figure in table.sync.points)


@pytest.mark.parametrize("name", ["generic", "loihi1-nahuku"])
def test_the_label_of_a_packaged_chip_loads_as_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chip = load_chip(name)
    assert load_chip(chip.path) == chip


def test_a_variant_is_restored_from_its_stored_document():
    variant = load_chip("loihi1-nahuku").with_(mesh=(4, 2), arithmetic={"v_bits": 16})
    stored = json.loads(json.dumps(variant.document))
    restored = restore_chip(stored, "result.json")
    assert (restored.name, restored.sha256) == (variant.name, variant.sha256)
    assert restored.costs == variant.costs


def test_list_holds_every_packaged_chip_in_order():
    chips = list_chips()
    names = [chip.name for chip in chips]
    assert names == sorted(names)
    assert {"generic", "loihi1-d18", "loihi1-nahuku", "spinnaker2"} <= set(names)
    by_name = {chip.name: chip for chip in chips}
    assert by_name["loihi1-nahuku"].n_cores == 128
    assert by_name["loihi1-nahuku"].max_neurons == 131_072
    assert by_name["generic"].is_imaginary
    assert by_name["generic"].default_costs is None
    assert by_name["spinnaker2"].n_cores == 148


@pytest.mark.parametrize("as_path", [True, False])
def test_a_file_loads_by_path(tmp_path, as_path):
    path = write(tmp_path, CHILD)
    chip = load_chip(path if as_path else str(path))
    assert isinstance(chip, ChipSpec)
    assert (chip.name, chip.n_cores, chip.path) == ("mine", 128, str(path))


def test_bare_file_name_ending_in_toml_is_a_file_of_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path, CHILD)
    monkeypatch.chdir(tmp_path)
    assert load_chip("mine.toml").name == "mine"


def test_hash_follows_the_content_and_not_the_comments(tmp_path):
    plain = load_chip(write(tmp_path, CHILD))
    commented = load_chip(write(tmp_path, "# a comment\n" + CHILD, "commented.toml"))
    changed = load_chip(write(tmp_path, CHILD + "node_nm = 7\n", "changed.toml"))
    assert plain.sha256 == commented.sha256
    assert plain.sha256 != changed.sha256


def test_unknown_name_suggests_the_closest_chips():
    with pytest.raises(ChipFileError, match="did you mean 'loihi1-nahuku'") as caught:
        load_chip("loihi1-nahuk")
    assert caught.value.exit_code == 2
    assert caught.value.rule == "chip.unknown"


def test_hopeless_name_lists_all_chips():
    with pytest.raises(ChipFileError, match="one of akd1000, anp-i, darwin3"):
        load_chip("q")


def test_missing_file_suggests_a_packaged_chip(tmp_path):
    with pytest.raises(ChipFileError, match=r"no such chip file; try: a packaged chip.*loihi1-d18"):
        load_chip(tmp_path / "loihi1-d8.toml")


def test_folder_is_refused_as_such(tmp_path):
    (tmp_path / "chips.toml").mkdir()
    with pytest.raises(ChipFileError, match="is a folder, not a chip file"):
        load_chip(tmp_path / "chips.toml")


def test_broken_toml_names_the_line_and_shows_it(tmp_path):
    path = write(tmp_path, 'name = "x"\ntitle = \n')
    with pytest.raises(ChipFileError, match=r"line 2: not valid TOML: .*got 'title ='"):
        load_chip(path)


def test_toml_that_ends_too_early_names_its_last_line(tmp_path):
    path = write(tmp_path, 'name = "x"\nnotes = [\n"a",')
    with pytest.raises(ChipFileError, match=r"line 3: not valid TOML"):
        load_chip(path)


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b'title = "\xe9"')
    with pytest.raises(ChipFileError, match=r"not UTF-8 text \(byte 9\)"):
        load_chip(path)


def test_schema_is_json_and_knows_the_keys(tmp_path):
    text = write_chip_schema(tmp_path / "schema.json")
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == text
    schema = json.loads(text)
    assert {"name", "costs", "cores", "mesh", "arithmetic"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_default_arithmetic_of_values_is_not_assumed_for_an_executable_chip(tmp_path):
    text = CHILD + 'drop = ["arithmetic.weight_min"]\n'
    with pytest.raises(ChipFileError, match=r"arithmetic\.weight_min: missing key"):
        load_chip(write(tmp_path, text))


def test_integers_are_taken_where_floats_stand(tmp_path):
    text = CHILD + "\n[costs.d18.static_w]\n"
    text += 'chip = { value = 1, source = "davies-2018", grade = "S", basis = "silicon" }\n'
    chip = load_chip(write(tmp_path, text))
    assert math.isclose(chip.costs["d18"].static_w["chip"].value, 1.0)
