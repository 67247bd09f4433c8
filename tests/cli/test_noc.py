"""``--latency noc`` on the command line: report, JSON, saved runs, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DEMO = ("demo", "--samples", "20", "--latency", "noc")

GOLDEN = """\
Latency (noc; pace free)
time of                               value
step, mean                          2.69 µs
step, 99th percentile               4.02 µs
of it barrier or tick               1.40 µs
sample                              51.0 µs
until the first output spike, mean  14.1 µs
every message of 380 of 380 steps
contention: 1.007 x the 1.28 µs of the same messages without a network (both without the barrier);
  cores held up 0 s per step, summed
busiest link: from tile 0,0 east, 19,745 messages, mean wait 29.9 ps
busiest receiver: core 0, at work 95.1 % of the time
no latency figure for: neuron.active, neuron.idle, neuron.spike, neuron.visit
"""


@pytest.fixture
def hopping(tmp_path: Path) -> Path:
    """A chip file whose demo mapping needs several tiles."""
    path = tmp_path / "hopping.toml"
    path.write_text(
        'name = "hopping"\ntitle = "small cores"\nextends = "loihi1-nahuku"\n'
        "[cores.neurocore.budget]\nneurons = 16\n"
    )
    return path


def latency_section(report: str) -> str:
    start = report.index("Latency (")
    return report[start : report.index("\n\n", start) + 1]


def test_report(nmhw: Callable, hopping: Path) -> None:
    done = nmhw(*DEMO, "--chip", hopping)
    assert done.code == 0
    assert latency_section(done.out) == GOLDEN


def test_json_and_a_saved_run(nmhw: Callable, hopping: Path, tmp_path: Path) -> None:
    options = ("--chip", hopping, "--noc-steps", "40", "-o", tmp_path / "run", "--json")
    made = nmhw(*DEMO, *options).json
    noc = made["latency_noc"]
    assert made["latency_fidelity"] == "noc"
    assert (noc["timed_steps"], noc["steps"]) == (40, 380)
    assert noc["busiest_link"].keys() == {"tile", "direction", "messages", "mean_wait"}
    assert nmhw("report", tmp_path / "run", "--json").json["latency_noc"] == noc
    assert nmhw(*DEMO[:3], "--json").json["latency_noc"] is None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--latency", "noc", "--chip", "truenorth"), 3, "figures of its network are missing"),
        (("--latency", "nok"), 2, "no such latency"),
        (("--noc-steps", "3"), 2, "only latency noc"),
        (("--latency", "noc", "--noc-steps", "0"), 2, "--noc-steps"),
    ],
)
def test_refusals(nmhw: Callable, options: tuple[Any, ...], code: int, words: str) -> None:
    done = nmhw("demo", "--samples", "2", *options)
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert not done.out


def test_float_runs_have_no_network(nmhw: Callable, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 2, 3)))
    done = nmhw("run", "none.nir", "--float", "--latency", "noc", "--input", tmp_path / "x.npy")
    assert done.code == 2
    assert "--latency" in done.err
