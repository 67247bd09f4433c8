"""No document, however wrong, gets past the schema with anything but a ChipFileError."""

import copy
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmhw.errors import ChipFileError
from nmhw.io.chip_document import read_document
from nmhw.io.chip_file import load_chip

NAMES = ["generic", "loihi1-d18", "loihi1-nahuku", "spinnaker2", "odin", "akd1000", "speck2f"]
CHIPS = {name: load_chip(name) for name in NAMES}
DOCUMENTS = {name: read_document(name)[0] for name in NAMES}

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-3, 3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
    st.just([{}]),
    st.just({"value": math.nan}),
)


def paths(node, here=()):
    """Return the path of every table, array and leaf below ``node``."""
    found = []
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        found.append((*here, key))
        if isinstance(value, dict | list):
            found += paths(value, (*here, key))
    return found


PATHS = {name: paths(document) for name, document in DOCUMENTS.items()}


@st.composite
def mutations(draw):
    """Draw (chip, path, new value)."""
    name = draw(st.sampled_from(NAMES))
    return name, draw(st.sampled_from(PATHS[name])), draw(VALUES)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(mutations())
@example(("loihi1-d18", ("costs",), {"d18": {"sync": 3}}))
@example(("loihi1-d18", ("cores", "neurocore"), {"count": True}))
@example(("spinnaker2", ("memory",), {"fixed_bits": -1}))
@example(("loihi1-d18", ("costs", "d18", "sync", "points", 0), {"tiles": "1"}))
@example(("odin", ("costs", "law", "laws"), [{}]))
@example(("odin", ("costs", "law", "laws", "power", "terms"), 3))
@example(("odin", ("costs", "law", "laws", "power", "kind"), "points"))
@example(("akd1000", ("costs", "board", "laws", "latency", "points", 0), {"at": "1"}))
@example(("akd1000", ("costs", "board", "laws", "latency", "points"), 7))
@example(("speck2f", ("published",), [{}]))
@example(("speck2f", ("published", "idle-io", "unit"), "mW"))
def test_any_changed_leaf_loads_or_is_refused(mutation):
    name, path, value = mutation
    top, *rest = path
    changes = {top: copy.deepcopy(DOCUMENTS[name][top])}
    node, last = changes, top
    for key in rest:
        node, last = node[last], key
    node[last] = value
    refusal = None
    try:
        varied = CHIPS[name].with_(**changes)
    except ChipFileError as error:
        refusal = str(error)
    if refusal is None:
        assert varied.n_cores >= 1
    else:
        assert "pydantic" not in refusal


@pytest.mark.parametrize("name", NAMES)
def test_every_top_level_table_may_be_something_else_entirely(name):
    for key in DOCUMENTS[name]:
        for value in (None, 3, "x", [], {}, [1], {"a": {"b": 1}}, {"a": [{"c": []}]}):
            try:
                CHIPS[name].with_(**{key: value})
            except ChipFileError:
                continue
