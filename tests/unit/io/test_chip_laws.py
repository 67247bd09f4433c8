"""Laws, published numbers and layer rules in chip files."""

import pytest

from nmhw.io.chip_file import load_chip
from nmhw.io.chip_problems import ChipFileProblems, dotted

HEAD = 'name = "mine"\ntitle = "Mine"\nextends = "odin"\n[sources]\nme = "my lab book"\n'
TABLE = (
    '[costs.mine]\ntitle = "t"\n'
    '[costs.mine.defaults]\nsource = "me"\ngrade = "P"\nbasis = "silicon"\nvoltage_v = 0.9\n'
)
POWER = "static = { value = 1e-6 }\ncycle = { value = 1 }\nsynop = { value = 2 }\n"


@pytest.fixture
def load(tmp_path):
    def make(text):
        path = tmp_path / "mine.toml"
        path.write_text(HEAD + TABLE + text, encoding="utf-8")
        return load_chip(path)

    return make


@pytest.fixture
def refused(load):
    def problems(text):
        with pytest.raises(ChipFileProblems) as caught:
            load(text)
        return {dotted(p.key): p for p in caught.value.problems}

    return problems


def law(kind, terms):
    return f'[costs.mine.laws.l]\nkind = "{kind}"\n[costs.mine.laws.l.terms]\n{terms}'


def test_terms_take_units_of_the_formula_and_provenance_of_the_table(load):
    found = load(law("clocked-power", POWER)).costs["mine"].laws["l"]
    assert {k: f.unit for k, f in found.terms.items()} == {
        "static": "W",
        "cycle": "pJ",
        "synop": "pJ",
    }
    assert (found.source, found.terms["synop"].voltage_v) == ("me", 0.9)


def test_points_take_provenance_of_the_table(load):
    text = '[costs.mine.laws.l]\nkind = "points"\nvariable = "layers"\npoints = ['
    found = load(text + "{ at = 1, value = 2 }, { at = 3, value = 4 }]\n").costs["mine"].laws["l"]
    assert [(at, f.value, f.unit, f.source) for at, f in found.points] == [
        (1, 2, "s", "me"),
        (3, 4, "s", "me"),
    ]


def test_unknown_law_suggests_a_known_one(refused):
    problems = refused(law("clock-power", POWER))
    assert "did you mean 'clocked-power'?" in str(problems["costs.mine.laws.l.kind"])


def test_missing_and_unknown_terms_are_named(refused):
    problems = refused(law("clocked-power", POWER.replace("cycle", "cycel")))
    assert problems["costs.mine.laws.l.terms.cycle"].rule == "chip.missing-key"
    assert "did you mean 'cycle'" in str(problems["costs.mine.laws.l.terms.cycel"])


def test_wrong_unit_of_a_term_is_refused(refused):
    text = POWER.replace("value = 1 }", 'value = 1, unit = "nJ" }')
    (problem,) = refused(law("clocked-power", text)).values()
    assert problem.rule == "chip.unit"
    assert "pJ expected" in problem.reason


def test_negative_and_infinite_terms_are_refused(refused):
    text = POWER.replace("value = 1 }", "value = -1 }").replace("value = 2 }", "value = inf }")
    rules = {key: p.rule for key, p in refused(law("clocked-power", text)).items()}
    assert rules["costs.mine.laws.l.terms.cycle.value"] == "chip.negative"
    assert rules["costs.mine.laws.l.terms.synop.value"] == "chip.not-finite"


def test_points_must_ascend(refused):
    text = '[costs.mine.laws.l]\nkind = "points"\nvariable = "layers"\npoints = ['
    problems = refused(text + "{ at = 3, value = 2 }, { at = 1, value = 4 }]\n")
    assert problems["costs.mine.laws.l.points"].rule == "chip.order"


@pytest.mark.parametrize(
    "text",
    [
        '[costs.mine.laws.l]\nkind = "points"\nvariable = "layers"\n',
        '[costs.mine.laws.l]\nkind = "points"\npoints = [{ at = 1, value = 1 }]\n',
        law("clocked-power", POWER).replace("\n[", '\nvariable = "layers"\n[', 1),
    ],
)
def test_points_and_variable_belong_together(refused, text):
    assert refused(text)["costs.mine.laws.l.points"].rule == "chip.law"


def published(fields):
    return f"[published.rest]\nvalue = 1.0\n{fields}"


def test_published_number_needs_unit_and_provenance(refused):
    problems = refused(published('source = "me"\n'))
    assert problems["published.rest.unit"].rule == "chip.missing-key"
    problems = refused(published('unit = "W"\nsource = "me"\n'))
    assert {p.rule for p in problems.values()} == {"chip.missing-grade", "chip.missing-basis"}
    assert "costs" not in str(problems["published.rest.grade"])


def test_published_number_is_in_a_base_unit(refused):
    text = 'unit = "mW"\nsource = "me"\ngrade = "P"\nbasis = "silicon"\n'
    assert refused(published(text))["published.rest.unit"].rule == "chip.choice"


def test_published_number_cites_a_known_source(refused):
    text = 'unit = "W"\nsource = "nobody"\ngrade = "P"\nbasis = "silicon"\n'
    assert refused(published(text))["published.rest.source"].rule == "chip.unknown-source"


def rule(kind, parameters):
    return f'[rules.r]\nkind = "{kind}"\nsource = "me"\n[rules.r.parameters]\n{parameters}'


def test_layer_rules_take_optional_parameters(load):
    chip = load(rule("layer-sizes", "hidden = 9\noutputs = 2\ninputs = 4\n"))
    assert chip.rules[-1].parameters == {"hidden": 9, "outputs": 2, "inputs": 4}


def test_optional_parameters_are_checked_too(refused):
    text = 'layer = "convolution"\nkernels = [3]\nmax_padding = "7"\nstride = [1]\n'
    problems = refused(rule("layer-form", text))
    assert problems["rules.r.parameters.max_padding"].reason == "must be a positive integer"
    assert "did you mean 'strides'?" in str(problems["rules.r.parameters.stride"])


def test_false_is_a_choice_and_not_a_number_below_one(load):
    text = "values_per_neuron = 4\nshared_by_axon_type = false\n"
    assert load(rule("codebook", text)).rules[-1].parameters["shared_by_axon_type"] is False


def test_variant_with_another_memory_loses_the_inherited_laws():
    before = load_chip("odin")
    after = before.with_(budget={"synapse_bits": 2**17})
    laws = after.costs["law"].laws
    assert all(f.value is None for law in laws.values() for f in law.terms.values())
    assert "was 8.43" in laws["power"].terms["synop"].note
    assert "law.laws.power" in after.notes[-1]
    assert before.costs["law"].laws["power"].terms["synop"].value == 8.43


def test_variant_keeps_laws_that_its_change_does_not_touch():
    before = load_chip("odin")
    assert before.with_(pace="free").costs["law"].laws == before.costs["law"].laws


def test_variant_may_state_its_own_law():
    power = load_chip("odin").document["costs"]["law"]["laws"]["power"]
    after = load_chip("odin").with_(
        **{"cores.core.budget.synapse_bits": 2**17, "costs.law.laws.power": power}
    )
    assert after.costs["law"].laws["power"].terms["synop"].value == 8.43
    assert after.costs["law"].laws["cycles"].terms["synop"].value is None
