"""The schema: one set of defaults with the values, and room for the chips still to come."""

from dataclasses import MISSING, fields

import pytest

from nmhw.io.chip_checks import OPTIONAL_PARAMETERS, RULE_PARAMETERS
from nmhw.io.chip_cost_schema import COST_KINDS, CostsModel, FigureModel, LawModel
from nmhw.io.chip_file import load_chip
from nmhw.io.chip_schema import (
    RESOURCES,
    RULE_KINDS,
    ArithmeticModel,
    BoardModel,
    ChipModel,
    EncodingModel,
    MemoryModel,
    MeshModel,
    RuleModel,
)
from nmhw.mappers import footprint
from nmhw.values import chip as values

PAIRS = [
    (ArithmeticModel, values.ArithmeticSpec, set()),
    (EncodingModel, values.EncodingSpec, set()),
    (MemoryModel, values.MemorySpec, set()),
    (RuleModel, values.RuleSpec, set()),
    (MeshModel, values.MeshSpec, {"unused_cores"}),
    (BoardModel, values.BoardSpec, set()),
    (FigureModel, values.Figure, set()),
    (ChipModel, values.ChipSpec, set()),
    (LawModel, values.LawSpec, set()),
    (CostsModel, values.CostTable, {"defaults"}),
]


@pytest.mark.parametrize(("model", "spec", "schema_only"), PAIRS)
def test_schema_and_values_have_the_same_fields(model, spec, schema_only):
    made_by_loading = {"path", "sha256", "document"}
    names = {f.name for f in fields(spec)} - made_by_loading
    names -= {"name"} if model is CostsModel else set()  # there it is the key of the table
    assert set(model.model_fields) - schema_only == names


@pytest.mark.parametrize(("model", "spec", "schema_only"), PAIRS[:6])
def test_schema_and_values_have_the_same_defaults(model, spec, schema_only):
    for f in fields(spec):
        info = model.model_fields[f.name]
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if default is MISSING or info.is_required() or f.name == "source":
            continue
        stated = tuple(info.default) if isinstance(info.default, list) else info.default
        assert stated == default, f.name


def test_every_event_kind_and_its_prefix_can_be_priced():
    assert set(values.EVENT_KINDS) <= set(COST_KINDS)
    assert {"synop", "neuron", "axon", "hop", "timestep", "reset"} <= set(COST_KINDS)


def test_every_rule_kind_says_which_parameters_it_takes():
    assert set(RULE_PARAMETERS) == set(RULE_KINDS)
    assert set(OPTIONAL_PARAMETERS) <= set(RULE_KINDS)


def test_every_mapped_resource_can_be_a_budget():
    assert set(footprint.RESOURCES) <= set(RESOURCES)


SHEET = """
name = "{name}"
title = "A sheet"
describes = "{describes}"
pace = "realtime"
default_costs = "none"
is_executable = false
not_executable_because = "its arithmetic is not written yet"
sources = {{ me = "typed for this test" }}
arithmetic = {{ family = "{family}", claim = "none" }}
{rest}
"""

#: The constraint kinds that coming chips need, as small sheets.
COMING = {
    "heterogeneous cores with power-of-two memories and two destinations": (
        "speck",
        """
mesh = { width = 9, height = 1 }
[cores.small]
count = 3
budget = { kernel_words = 16384, neuron_words = 65536, bias_words = 1024 }
[cores.even]
count = 2
budget = { kernel_words = 32768, neuron_words = 32768, bias_words = 1024 }
[cores.deep]
count = 2
budget = { kernel_words = 65536, neuron_words = 16384, bias_words = 1024 }
[cores.last]
count = 2
budget = { kernel_words = 16384, neuron_words = 16384, bias_words = 1024 }
[rules.memory]
kind = "power-of-two-memory"
parameters = { resources = ["kernel_words", "neuron_words"] }
[rules.fan-out]
kind = "destinations"
parameters = { max_destinations = 2 }
""",
    ),
    "four weights per neuron by axon type and one destination": (
        "truenorth",
        """
mesh = { width = 64, height = 64 }
[cores.core]
count = 4096
budget = { neurons = 256, in_axons = 256 }
[rules.weights]
kind = "codebook"
parameters = { values_per_neuron = 4, shared_by_axon_type = true }
[rules.fan-out]
kind = "destinations"
parameters = { max_destinations = 1 }
""",
    ),
    "pooled fan-out and graph rules": (
        "xylo",
        """
mesh = { width = 1, height = 1 }
[cores.core]
count = 1
budget = { neurons = 1008 }
[rules.fan-out]
kind = "pooled-fan-out"
parameters = { average = 32, max_fan_out = 64 }
[rules.graph]
kind = "graph"
parameters = { checks = ["hidden-and-output", "output-not-recurrent"] }
""",
    ),
    "pairs of neurons that share parameters": (
        "reckon",
        """
mesh = { width = 1, height = 1 }
[cores.core]
count = 1
budget = { neurons = 256, in_axons = 256 }
[rules.pairs]
kind = "shared-pair"
parameters = { group_size = 2, fields = ["decay", "threshold"] }
""",
    ),
    "one sign per source": (
        "odin",
        """
mesh = { width = 1, height = 1 }
[cores.core]
count = 1
budget = { neurons = 256 }
[rules.sign]
kind = "source-sign"
""",
    ),
    "order of cores, without an executable arithmetic": (
        "none",
        """
mesh = { width = 10, height = 8 }
[cores.np]
count = 80
[rules.order]
kind = "core-order"
""",
    ),
    "several chips": (
        "loihi",
        """
mesh = { width = 8, height = 4, cores_per_tile = 4 }
board = { width = 4, height = 8, source = "me" }
[cores.core]
count = 128
budget = { neurons = 1024 }
[costs.mine]
title = "t"
[costs.mine.energy_pj]
"link.crossing" = { note = "unpublished", source = "me", grade = "P", basis = "silicon" }
""",
    ),
}


@pytest.mark.parametrize("case", list(COMING))
def test_schema_expresses(tmp_path, case):
    family, rest = COMING[case]
    describes = "board" if "board" in rest else "chip"
    text = SHEET.format(name="sheet", describes=describes, family=family, rest=rest)
    path = tmp_path / "sheet.toml"
    path.write_text(text, encoding="utf-8")
    chip = load_chip(path)
    assert not chip.is_executable
    assert chip.arithmetic.family == family
    expected = rest.count("[rules.")
    assert len(chip.rules) == expected
    assert chip.n_cores == chip.cores_per_chip * chip.board.n_chips


def test_groups_of_cores_keep_the_order_of_the_file(tmp_path):
    family, rest = COMING["heterogeneous cores with power-of-two memories and two destinations"]
    path = tmp_path / "sheet.toml"
    text = SHEET.format(name="sheet", describes="chip", family=family, rest=rest)
    path.write_text(text, encoding="utf-8")
    chip = load_chip(path)
    names = [chip.core_spec(core).name for core in range(9)]
    assert names == ["small"] * 3 + ["even"] * 2 + ["deep"] * 2 + ["last"] * 2
    assert sum(g.count * g.budget["neuron_words"] for g in chip.cores) == 320 * 1024
