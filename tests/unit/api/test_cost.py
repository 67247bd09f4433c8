"""``cost`` of a record counts what a chip run of the same spikes counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nmhw
from nmhw.errors import (
    ChipFileError,
    DoesNotFitError,
    ResultFileError,
    UnsupportedError,
    UsageError,
)
from nmhw.torch import IF

UNTOLD = {"neuron.active", "neuron.idle"}


class Branched(nn.Module):
    """Convolutions, a pool, a residual sum and a layer that needs several cores."""

    def __init__(self, is_residual: bool) -> None:
        super().__init__()
        self.is_residual = is_residual
        self.conv1, self.if1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), fires()
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.if2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), fires()
        self.fc1, self.if3 = nn.Linear(64, 1100, bias=False), fires()
        self.fc2, self.if4 = nn.Linear(1100, 12, bias=False), fires()

    def forward(self, x: Tensor) -> Tensor:
        axes = x.shape[:2]
        y = self.if1(self.conv1(x.flatten(0, 1)).unflatten(0, axes))
        y = self.pool(y.flatten(0, 1)).unflatten(0, axes)
        z = self.if2(self.conv2(y.flatten(0, 1)).unflatten(0, axes))
        z = y + z if self.is_residual else z
        out: Tensor = self.if4(self.fc2(self.if3(self.fc1(z.flatten(2)))))
        return out


def fires() -> IF:
    return IF(dt_s=1e-3, r=1000.0, v_threshold=2.5)


def whole_weights(is_residual: bool) -> nn.Module:
    """Weights of -1, 0 and 1 are exact on every grid: the chip's spikes are the float ones."""
    torch.manual_seed(1)
    model = Branched(is_residual)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-1, 2, parameter.shape).float())
    return model


def frames() -> Tensor:
    return (torch.rand(6, 10, 2, 8, 8, generator=torch.Generator().manual_seed(4)) < 0.3).float()


def assert_same_counts(executed: Any, counted: Any) -> None:
    a, b = executed.result.counters, counted.result.counters
    np.testing.assert_array_equal(a.cores, b.cores)
    assert set(a.totals) - set(b.totals) == UNTOLD
    for kind, per_core in b.totals.items():
        np.testing.assert_array_equal(per_core, a.totals[kind], err_msg=kind)
    for kind, per_step in b.steps.items():
        np.testing.assert_array_equal(per_step, a.steps[kind], err_msg=kind)
    for field in (
        "synops_by_projection", "spikes_by_population", "events_by_input", "connections",
        "n_tiles", "n_chips",
    ):  # fmt: skip
        assert getattr(a, field) == getattr(b, field), field


@pytest.mark.parametrize(
    ("chip", "is_residual"),
    [("generic", True), ("loihi1-nahuku", True), ("loihi1-nahuku", False), ("spinnaker2", False)],
)
def test_simulated_and_recorded_counts_are_the_same(chip: str, is_residual: bool) -> None:
    model, x = whole_weights(is_residual), frames()
    network = nmhw.from_torch(model, x)
    executed = nmhw.deploy(network, chip).run(x.numpy())
    float_run = nmhw.run_float(network, x.numpy())
    trace = nmhw.record(model, [x[:4], x[4:]])
    for name in ("if1", "pool", "if2", "if3", "if4"):  # one to one: float, chip and record
        np.testing.assert_array_equal(
            executed.result.windowed(name).dense(), float_run.spikes[name].dense()
        )
        np.testing.assert_array_equal(trace.spikes[name].dense(), float_run.spikes[name].dense())
    counted = nmhw.cost(trace, chip)
    assert_same_counts(executed, counted)
    one, two = executed.summary(), counted.summary()
    for key in ("synops", "packets", "hops", "spikes", "connections", "n_cores", "neuron_updates"):
        assert one[key] == two[key], key
    assert one["synops"] > 50_000
    assert one["packets"] > 10_000
    if chip == "spinnaker2":
        assert one["hops"] > 0
    lines = {line["kind"]: line for line in two["energy_lines"]}
    for line in one["energy_lines"]:
        if line["kind"] not in UNTOLD:
            assert lines[line["kind"]] == line


def test_spikes_of_the_chip_itself_give_its_counts_where_chip_and_float_differ() -> None:
    torch.manual_seed(7)
    model, x = Branched(is_residual=True), frames()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)
    network = nmhw.from_torch(model, x)
    executed = nmhw.deploy(network, "loihi1-nahuku").run(x.numpy(), compare_float=False)
    trace = nmhw.record(model, x)
    assert any(
        len(trace.spikes[n]) != int(executed.result.spike_totals[n].sum()) for n in ("if3", "if4")
    )
    own = {name: executed.result.windowed(name) for name in trace.spikes}
    assert_same_counts(executed, nmhw.cost(replace(trace, spikes=own), "loihi1-nahuku"))


def test_a_bias_neuron_and_copies_of_a_lowering_are_counted_as_in_a_run() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 10))
    x = (torch.rand(5, 8, 20) < 0.4).float()

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.one = model[0], IF(dt_s=1e-3, r=1000.0, v_threshold=0.7)
            self.fc2, self.two = model[1], IF(dt_s=1e-3, r=1000.0, v_threshold=0.7)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.two(self.fc2(self.one(self.fc1(x))))
            return out

    plain = Plain()
    n_checked = 0
    for chip in ("odin", "ranc", "spinnaker2", "speck2e", "generic"):
        try:
            deployed = nmhw.deploy(nmhw.from_torch(plain, x), chip, allow=_allow())
        except UnsupportedError:
            continue
        executed = deployed.run(x.numpy(), compare_float=False)
        trace = nmhw.record(plain, x)
        own = {name: executed.result.windowed(name) for name in trace.spikes}
        if any(len(own[n]) != len(executed.result.spikes[n]) for n in own):
            continue  # spikes outside the populations' windows: a record has none
        assert_same_counts(executed, nmhw.cost(replace(trace, spikes=own), chip))
        n_checked += 1
    assert n_checked >= 2


def _allow() -> tuple[str, ...]:
    from nmhw.mappers.quantize import ALLOWABLE

    return tuple(ALLOWABLE)


def small_trace() -> nmhw.Trace:
    model = whole_weights(is_residual=False)
    return nmhw.record(model, frames()[:2])


def test_every_report_says_what_the_spikes_are_and_what_was_not_counted(tmp_path: Path) -> None:
    run = nmhw.cost(small_trace(), "loihi1-nahuku")
    text = run.report()
    assert "spikes as given: float, not chip integers" in text
    assert "bit-exact" not in text
    assert "Deployment loss" not in text
    assert "neither counted nor priced" in text
    assert "neuron.active, neuron.idle" in text
    facts = run.summary()
    assert facts["energy_j"]["is_lower_bound"]
    assert "neuron.active" in facts["energy_unpriced"]
    assert facts["active_updates"] is None
    assert facts["backend"] == "recorded"
    again = nmhw.load_result(run.save(tmp_path / "out"))
    assert again.report() == text
    assert "spikes as given" in again.price(pace="realtime").report()


def test_a_trace_is_the_same_after_a_file(tmp_path: Path) -> None:
    trace = small_trace()
    path = nmhw.save_trace(trace, tmp_path / "net.trace")
    again = nmhw.load_trace(path)
    assert nmhw.cost(path, "generic").report() == nmhw.cost(trace, "generic").report()
    assert again.host == trace.host
    assert again.notices == trace.notices
    second = nmhw.save_trace(again, tmp_path / "again.trace")
    assert path.read_bytes() == second.read_bytes()
    nmhw.save_trace(again, path)  # its own kind is replaced
    foreign = tmp_path / "mine.txt"
    foreign.write_text("mine")
    with pytest.raises(UsageError, match="existing file"):
        nmhw.save_trace(trace, foreign)
    assert foreign.read_text() == "mine"


def test_damaged_files_and_wrong_arguments_are_refused(tmp_path: Path) -> None:
    trace = small_trace()
    path = nmhw.save_trace(trace, tmp_path / "net.trace")
    data = path.read_bytes()
    for broken in (b"", b"not HDF5", data[: len(data) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ResultFileError):
            nmhw.load_trace(path)
    with pytest.raises(ResultFileError):
        nmhw.load_trace(tmp_path / "none.trace")
    result = nmhw.cost(trace, "generic").save(tmp_path / "run")
    with pytest.raises(ResultFileError, match="no"):
        nmhw.load_trace(result / "result.h5")
    for wrong in (3, None):
        with pytest.raises(UsageError, match="trace"):
            nmhw.cost(wrong, "generic")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="chip"):
            nmhw.cost(trace, wrong)  # type: ignore[arg-type]
    with pytest.raises(ChipFileError):
        nmhw.cost(trace, "no-such-chip")
    with pytest.raises(ChipFileError):
        nmhw.cost(trace, "generic", costs="no-such-table")
    with pytest.raises(DoesNotFitError):
        nmhw.cost(trace, "akd1000")
