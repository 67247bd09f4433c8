"""Any combination of known options, in any order, ends in a report or in one message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmhw.cli.main import main

FILES = ["model.nir", "other.nir", "x.npy", "y.npy", "analog.npy", "text.nir", "cut.nir", "empty",
         "folder", "bad.toml", "nofile", ""]  # fmt: skip
WORDS = ["", " ", "0", "-1", "nan", "1e999", "1ms", "true", "[bold]", "\udc80", "é", "lif1", "\n"]
CHIPS = ["generic", "loihi1-nahuku", "spinnaker2", "nope"]

file_words = st.sampled_from(FILES).map("{}/".__add__)
texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
VALUES = {
    "--input": file_words,
    "--labels": file_words,
    "--chip": st.one_of(st.sampled_from(CHIPS), file_words),
    "--chips": st.lists(st.sampled_from(CHIPS), max_size=2).map(",".join),
    "--profile": st.sampled_from(["snntorch", "norse", "spinnaker2", "lava", "x"]),
    "--dt": st.one_of(st.sampled_from(["1ms", "1", "1e-4"]), texts),
    "--set": st.one_of(
        st.sampled_from(["reset=subtract", "compare=>=", "multi_spike=true", "reset=5"]), texts
    ),
    "--allow": st.sampled_from(["reset", "multi_spike", "nothing"]),
    "--calibration": file_words,
    "--seed": st.one_of(st.integers(-2, 2**70).map(str), texts),
    "--readout": st.one_of(
        st.sampled_from(["count", "v-last", "v-max", "first-spike", "population(3)"]), texts
    ),
    "--metric": st.one_of(st.sampled_from(["accuracy", "top-2", "mse", "r2"]), texts),
    "--encode": st.one_of(st.sampled_from(["rate", "latency", "delta", "accumulate"]), texts),
    "--steps": st.one_of(st.integers(-1, 12).map(str), texts),
    "--layout": st.sampled_from(["NT", "TN", "auto", "XY"]),
    "--pace": st.one_of(st.sampled_from(["free", "realtime", "period=1us"]), texts),
    "--costs": st.one_of(st.sampled_from(["none", "nahuku", "illustrative", "chip"]), texts),
    "--probe": st.one_of(st.sampled_from(["lif1:v", "lif2:v:every=2", "lif1:u"]), texts),
    "--backend": st.sampled_from(["numba", "reference", "lava"]),
    "--mapping": file_words,
    "--keep-spikes": st.sampled_from(["0", "10", "-1"]),
    "--samples": st.one_of(st.integers(-1, 3).map(str), texts),
    "--costs ": texts,
}
FLAGS = [
    "--json",
    "--quiet",
    "--float",
    "--no-float",
    "--continuous",
    "--readout-on-host",
    "--help",
]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    verb = draw(
        st.sampled_from(["run", "run", "run", "check", "map", "compare", "report", "chips"])
    )
    words = [verb]
    if verb in ("run", "check", "map", "compare"):
        words.append("{}/" + draw(st.sampled_from(["model.nir", "model.nir", *FILES])))
    if verb in ("run", "compare") and draw(st.integers(0, 3)):
        words += ["--input", "{}/x.npy"]
    if verb in ("run", "map") and draw(st.integers(0, 3)):
        words += ["--chip", draw(st.sampled_from(CHIPS))]
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4)):
        words += [name.strip(), draw(VALUES[name])]
    words += draw(st.lists(st.sampled_from(FLAGS), max_size=2))
    return words


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(command_lines())
def test_every_command_line_ends_in_a_report_or_one_message(
    capsys: pytest.CaptureFixture[str], files: Path, line: list[str]
) -> None:
    words = [word.replace("{}", str(files)) for word in line]
    capsys.readouterr()
    code = main(words)
    captured = capsys.readouterr()
    assert code in (0, 2, 3), captured.err
    if code:
        assert "--json" in words or captured.out == ""
        assert captured.err.strip()
    if "--json" in words and "--help" not in words:
        json.loads(captured.out)
