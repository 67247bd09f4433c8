"""``nmhw cost``: data on stdout, one error where the trace or the chip is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import nmhw as package
from nmhw.torch import LIF, Sequential


@pytest.fixture
def trace_path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = Sequential(nn.Linear(6, 8), LIF(tau_mem_s=4e-3, v_threshold=0.2))
    x = (torch.rand(3, 5, 6) < 0.5).float()
    return package.save_trace(package.record(model, x), tmp_path / "net.trace")


def test_the_report_and_its_json_say_what_the_spikes_are(
    nmhw: Callable, trace_path: Path, tmp_path: Path
) -> None:
    done = nmhw("cost", trace_path, "--chip", "loihi1-nahuku", "-o", tmp_path / "out")
    assert done.code == 0
    assert "spikes as given: float, not chip integers" in done.out
    assert nmhw("report", tmp_path / "out").out == done.out
    facts = nmhw("cost", trace_path, "--chip", "loihi1-nahuku", "--json").json
    assert facts["spikes_as_given"] == "spikes as given: float, not chip integers"
    assert facts["accuracy"] is None
    assert facts["host_operations"] == []
    paced = nmhw("cost", trace_path, "--chip", "loihi1-nahuku", "--pace", "period=1ms",
                 "--costs", "none", "--json").json  # fmt: skip
    assert paced["energy_j"]["total"] is None
    assert paced["pace"] == "period=1ms"


def test_what_is_no_trace_or_no_target_is_refused(
    nmhw: Callable, trace_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.trace").touch()
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for arguments in (
        (tmp_path / "empty.trace", "--chip", "generic"),
        (tmp_path / "none.trace", "--chip", "generic"),
        (trace_path, "--chip", "no-such-chip"),
        (trace_path, "--chip", "generic", "--pace", "never"),
        (trace_path, "--chip", "generic", "-o", full),
        (trace_path, "--chip", "generic", "-o", trace_path.parent),
        (trace_path,),
    ):
        done = nmhw("cost", *arguments)
        assert done.code == 2, arguments
        assert done.err.strip()
        assert not done.out
    assert (full / "mine.txt").read_text() == "mine"
