"""Wrong chip files are refused with key, value, reason and suggestion, all at once."""

import pytest

from nmhw.errors import ChipFileError
from nmhw.io.chip_file import load_chip
from nmhw.io.chip_problems import ChipFileProblems, dotted, suggest

HEAD = 'name = "mine"\ntitle = "Mine"\nextends = "loihi1-d18"\n'
FIGURE = 'source = "davies-2018", grade = "S", basis = "simulated"'


@pytest.fixture
def refused(tmp_path):
    def check(text: str) -> ChipFileProblems:
        path = tmp_path / "mine.toml"
        path.write_text(HEAD + text, encoding="utf-8")
        with pytest.raises(ChipFileError) as caught:
            load_chip(path)
        assert caught.value.exit_code == 2
        assert isinstance(caught.value, ChipFileProblems)
        assert "pydantic" not in str(caught.value)
        assert caught.value.where.startswith(str(path))
        return caught.value

    return check


def energy(kind: str, rest: str) -> str:
    return f'[costs.d18.energy_pj]\n"{kind}" = {{ {rest} }}\n'


CASES = {
    "unknown key": (
        "[mesh]\nwidht = 8\n",
        "mesh.widht: unknown key: got 8; try: did you mean 'width'? [chip.unknown-key]",
    ),
    "unknown top key": (
        "[budget]\nneurons = 8\n",
        "budget: unknown key",
    ),
    "unknown resource": (
        "[cores.neurocore.budget]\nneuron = 8\n",
        "cores.neurocore.budget.neuron: unknown key; try: did you mean 'neurons'",
    ),
    "unknown event kind": (
        energy("synop.dens", f"value = 1, {FIGURE}"),
        "costs.d18.energy_pj.\"synop.dens\": unknown key; try: did you mean 'synop.dense'",
    ),
    "unknown key of a figure": (
        energy("axon.in", f"value = 1, volts = 1, {FIGURE}"),
        'costs.d18.energy_pj."axon.in".volts: unknown key: got 1',
    ),
    "negative energy": (
        energy("axon.in", f"value = -1.5, {FIGURE}"),
        'costs.d18.energy_pj."axon.in".value: must not be negative: got -1.5 [chip.negative]',
    ),
    "nan energy": (
        energy("axon.in", f"value = nan, {FIGURE}"),
        'costs.d18.energy_pj."axon.in".value: must be a finite number: got nan [chip.not-finite]',
    ),
    "infinite latency": (
        f'[costs.d18.latency_ns]\n"axon.in" = {{ value = inf, {FIGURE} }}\n',
        'costs.d18.latency_ns."axon.in".value: must be a finite number: got inf',
    ),
    "wrong unit": (
        energy("axon.in", f'value = 0.5, unit = "nJ", {FIGURE}'),
        (
            'costs.d18.energy_pj."axon.in".unit: wrong unit, pJ expected: '
            "got 'nJ'; try: value = 500, unit = 'pJ' [chip.unit]"
        ),
    ),
    "unit that is no energy": (
        energy("axon.in", f'value = 0.5, unit = "ns", {FIGURE}'),
        "wrong unit, pJ expected: got 'ns'; try: the value in pJ",
    ),
    "missing source": (
        energy("axon.in", 'value = 1, grade = "S", basis = "simulated"'),
        (
            'costs.d18.energy_pj."axon.in".source: missing source; try: here, or for the '
            "whole table in costs.d18.defaults [chip.missing-source]"
        ),
    ),
    "missing grade": (
        energy("axon.in", 'value = 1, source = "davies-2018", basis = "simulated"'),
        "missing grade",
    ),
    "unknown citation key": (
        energy("axon.in", 'value = 1, source = "davis-2018", grade = "S", basis = "simulated"'),
        (
            'costs.d18.energy_pj."axon.in".source: is not a key of [sources]: '
            "got 'davis-2018'; try: did you mean 'davies-2018'"
        ),
    ),
    "limit with an unknown citation": (
        '[cores.neurocore.citations]\nneurons = "me"\n',
        "cores.neurocore.citations.neurons: is not a key of [sources]: got 'me'",
    ),
    "missing value without a note": (
        energy("axon.in", FIGURE),
        'costs.d18.energy_pj."axon.in".value: missing value; try: value = ..., or a note',
    ),
    "range the wrong way round": (
        energy("axon.in", f"value = 1, low = 2, {FIGURE}"),
        'costs.d18.energy_pj."axon.in": low <= value <= high does not hold',
    ),
    "included in nothing": (
        energy("axon.in", f'included_in = "host.io", {FIGURE}'),
        "names a kind without a value in this table: got 'host.io'",
    ),
    "value and included": (
        energy("axon.in", f'value = 1, included_in = "hop.x", {FIGURE}'),
        "a figure is either a value or included in another one",
    ),
    "more cores than the mesh holds": (
        "[cores.neurocore]\ncount = 130\n",
        (
            "mesh: 130 cores do not fill 8 x 4 tiles of 4 = 128 positions: got 130; "
            "try: a larger mesh or fewer cores [chip.cores-mesh]"
        ),
    ),
    "fewer cores than the mesh holds": (
        "[cores.neurocore]\ncount = 100\n",
        (
            "mesh: 100 cores do not fill 8 x 4 tiles of 4 = 128 positions: got 100; "
            "try: mesh.unused_cores = 28"
        ),
    ),
    "a second group overlapping the first": (
        "[cores.other]\ncount = 8\n",
        "mesh: 136 cores do not fill 8 x 4 tiles of 4 = 128 positions",
    ),
    "port outside": (
        "[mesh]\nport = [8, 0]\n",
        "mesh.port: is outside the 8 x 4 mesh: got [8, 0]",
    ),
    "soft above hard": (
        "[cores.neurocore.soft_budget]\nthreshold_profiles = 20\n",
        "cores.neurocore.soft_budget.threshold_profiles: is above the budget of 16: got 20",
    ),
    "text for a number": (
        '[cores.neurocore.budget]\nneurons = "many"\n',
        "cores.neurocore.budget.neurons: wrong type: expected a valid integer: got 'many'",
    ),
    "number for a table": (
        "mesh = 8\n",
        "mesh: wrong type: expected a valid dictionary",
    ),
    "true for a number": (
        "[cores.neurocore.budget]\nneurons = true\n",
        "cores.neurocore.budget.neurons: wrong type: expected a valid integer: got True",
    ),
    "zero budget": (
        "[cores.neurocore.budget]\nneurons = 0\n",
        "cores.neurocore.budget.neurons: must be at least 1: got 0",
    ),
    "unknown choice": (
        '[arithmetic]\nv_overflow = "saturates"\n',
        (
            "arithmetic.v_overflow: not one of the allowed values: got 'saturates'; "
            "try: did you mean 'saturate'"
        ),
    ),
    "unknown static figure": (
        f"[costs.d18.static_w]\nchips = {{ value = 1, {FIGURE} }}\n",
        "costs.d18.static_w.chips: unknown key; try: did you mean 'chip'",
    ),
    "wrong number of elements": (
        "[mesh]\nport = [1]\n",
        "mesh.port: list should have at least 2 items: got [1]",
    ),
    "zero voltage": (
        energy("axon.in", f"value = 1, voltage_v = 0, {FIGURE}"),
        'costs.d18.energy_pj."axon.in".voltage_v: must be greater than 0: got 0',
    ),
    "too many bits": (
        "[arithmetic]\nv_bits = 65\n",
        "arithmetic.v_bits: must be at most 64: got 65",
    ),
    "unknown family": (
        '[arithmetic]\nfamily = "loihi3"\n',
        "arithmetic.family: not one of the allowed values: got 'loihi3'; try: did you mean 'loihi'",
    ),
    "float decay of integers": (
        '[arithmetic]\ndecays = ["float"]\n',
        "arithmetic.decays: a decay that int states do not have: got 'float'",
    ),
    "weights without zero": (
        "[arithmetic]\nweight_min = 3\n",
        "weight_min 3 and weight_max 254 must enclose 0",
    ),
    "unknown default table": (
        'default_costs = "d19"\n',
        "default_costs: no such cost table: got 'd19'; try: did you mean 'd18'",
    ),
    "invented figure in a real chip": (
        energy("axon.in", 'value=1, source="davies-2018", grade="illustrative", basis="imaginary"'),
        "an invented number in a chip that is not marked is_imaginary",
    ),
    "unsorted barrier": (
        (
            '[costs.d18.sync]\nkind = "table"\npoints = ['
            f"{{ tiles = 4, value = 1, {FIGURE} }}, {{ tiles = 1, value = 1, {FIGURE} }}]\n"
        ),
        "costs.d18.sync.points: tiles must ascend without repeats: got [4, 1]",
    ),
    "tick without a period": (
        '[costs.d18.sync]\nkind = "tick"\n',
        "costs.d18.sync.tick_s: missing key",
    ),
    "unknown rule": (
        '[rules.mine]\nkind = "destination"\n',
        "rules.mine.kind: not one of the allowed values: got 'destination'; try: did you mean",
    ),
    "rule without its parameter": (
        '[rules.mine]\nkind = "destinations"\n',
        "rules.mine.parameters.max_destinations: missing key; try: a positive integer",
    ),
    "rule with a strange parameter": (
        '[rules.mine]\nkind = "source-sign"\nparameters = { sign = 1 }\n',
        "rules.mine.parameters.sign: unknown key",
    ),
    "sparse without an index": (
        '[encodings.mine]\nkind = "sparse"\nweight_bits = [8]\n',
        "encodings.mine.index_bits: a sparse encoding needs an index",
    ),
    "widths out of order": (
        '[encodings.mine]\nkind = "dense"\nweight_bits = [8, 4]\n',
        "encodings.mine.weight_bits: must ascend without repeats: got [8, 4]",
    ),
    "shared memory without a size": (
        "[memory]\nfixed_bits = 1\n",
        "cores.neurocore.budget.memory_bits: missing key",
    ),
    "sheet without a reason": (
        "is_executable = false\n",
        "not_executable_because: missing key; try: say why in one sentence",
    ),
    "several chips called one": (
        "[board]\nwidth = 2\n",
        "describes: is one chip, but [board] has 2",
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_refusal(refused, case):
    text, expected = CASES[case]
    assert expected in str(refused(text))


def test_all_problems_are_listed_at_once(refused):
    error = refused(
        "[mesh]\nwidht = 8\n[cores.neurocore.budget]\nneurons = -1\n"
        + energy("axon.in", 'value = nan, unit = "nJ", source = "me"')
    )
    text = str(error)
    rules = {p.rule for p in error.problems}
    assert rules >= {
        "chip.unknown-key",
        "chip.range",
        "chip.not-finite",
        "chip.unit",
        "chip.unknown-source",
        "chip.missing-grade",
        "chip.missing-basis",
    }
    assert f"{len(error.problems)} problems in the chip file" in text
    assert text.count("\n  - ") == len(error.problems)


def test_every_problem_stands_once(refused):
    error = refused("[arithmetic]\nfamily = 'x'\n")
    assert len(error.problems) == 1


def test_wrong_default_is_reported_once_and_not_per_figure(tmp_path):
    text = HEAD + 'drop = ["costs.d18"]\ndefault_costs = "mine"\n[costs.mine]\ntitle = "t"\n'
    text += '[costs.mine.defaults]\nsource = "davies-2018"\ngrade = "X"\nbasis = "simulated"\n'
    text += '[costs.mine.energy_pj]\n"hop.x" = { value = 1 }\n"hop.y" = { value = 2 }\n'
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChipFileProblems) as caught:
        load_chip(path)
    assert [dotted(p.key) for p in caught.value.problems] == ["costs.mine.defaults.grade"]


def test_problems_are_plain_json_fields(refused):
    record = refused("[mesh]\nwidht = 8\n").to_dict()
    assert record["error"] == "ChipFileError"
    assert record["exit_code"] == 2
    assert record["problems"] == [
        {
            "key": "mesh.widht",
            "value": "8",
            "reason": "unknown key",
            "hint": "did you mean 'width'?",
            "rule": "chip.unknown-key",
        }
    ]


def test_all_in_figure_cannot_be_added_to_another(refused):
    error = refused(energy("synop", f'value = 26, scope = "all-in", {FIGURE}'))
    assert "would be counted twice: synop is all-in" in str(error)
    assert {p.rule for p in error.problems} == {"chip.all-in"}


def test_empty_file_names_every_missing_key(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ChipFileProblems) as caught:
        load_chip(path)
    missing = {dotted(p.key) for p in caught.value.problems if p.reason == "missing key"}
    assert missing >= {"name", "title", "mesh", "cores", "arithmetic", "sources", "pace"}


def test_name_that_is_no_identifier_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD.replace('"mine"', '"My Chip"'), encoding="utf-8")
    with pytest.raises(ChipFileProblems, match="must be lower-case letters"):
        load_chip(path)


def test_dotted_key_quotes_parts_with_dots():
    assert dotted(("costs", "d18", "energy_pj", "hop.x")) == 'costs.d18.energy_pj."hop.x"'
    assert dotted(("a", "points", 1, "value")) == "a.points[1].value"


def test_no_suggestion_where_nothing_is_known():
    assert suggest("x", []) is None
