"""Numbers of a chip file that only contradict each other: weight ranges, ticks, sums."""

import pytest

from nmhw.io.chip_file import load_chip
from nmhw.io.chip_problems import ChipFileProblems

HEAD = 'name = "mine"\ntitle = "Mine"\nextends = "loihi1-d18"\n'
FIGURE = 'source = "davies-2018", grade = "S", basis = "simulated"'

CASES = {
    "unknown check of a graph": (
        '[rules.x]\nkind = "graph"\nparameters = { checks = ["foo", "hidden-and-outputs"] }\n',
        (
            "rules.x.parameters.checks[1]: no such check of a graph: got 'hidden-and-outputs'; "
            "try: did you mean 'hidden-and-output'"
        ),
    ),
    "a row port without the width of its words": (
        'learning_port = "row"\n',
        "learning_word_bits: missing key",
    ),
    "weights above the width": (
        "[arithmetic]\nweight_bits = [4]\nweight_min = -16\nweight_max = 300\n",
        (
            "arithmetic.weight_max: does not go into 4 bits in steps of 2: got 300; try: -16 to 14,"
            " or more weight_bits [chip.weight-range]"
        ),
    ),
    "weights below the width": (
        "[arithmetic]\nweight_bits = [4]\nweight_step = 1\nweight_min = -9\nweight_max = 7\n",
        "arithmetic.weight_min: does not go into 4 bits in steps of 1: got -9; try: -8 to 7",
    ),
    "fewer bits for the weights of the parent": (
        "[arithmetic]\nweight_bits = [4]\n",
        "arithmetic.weight_max: does not go into 4 bits in steps of 2: got 254; try: -16 to 14",
    ),
    "a tick of no length": (
        f'[costs.d18.sync]\nkind = "tick"\ntick_s = {{ value = 0, {FIGURE} }}\n',
        "costs.d18.sync.tick_s.value: must be positive: got 0; try: the length of a step",
    ),
    "aliases of an exact sum": (
        "[arithmetic]\nhas_aliases = true\n",
        "arithmetic.has_aliases: needs summation 'saturating'",
    ),
    "second current of an exact sum": (
        "[arithmetic]\nn_currents = 2\n",
        "arithmetic.n_currents: needs summation 'saturating'",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES.keys())
def test_contradictions_are_refused(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(ChipFileProblems) as caught:
        load_chip(path)
    assert message in "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    "lines",
    ["weight_min = -8\nweight_max = 7\n", "weight_min = 0\nweight_max = 15\n"],
    ids=["two's complement", "one sign"],
)
def test_weights_that_fill_their_width_are_accepted(tmp_path, lines):
    path = tmp_path / "mine.toml"
    text = f"{HEAD}[arithmetic]\nweight_bits = [4]\nweight_step = 1\n{lines}"
    path.write_text(text, encoding="utf-8")
    assert load_chip(path).arithmetic.weight_bits == (4,)
