"""Published figures that hold at one operating point are printed as what they are."""

from __future__ import annotations

import pytest

import nmhw
from nmhw.api.demo import deploy_demo, load_demo_images


def run_demo(chip: str, **options: str) -> nmhw.Run:
    images = load_demo_images(8)
    return deploy_demo(chip).run(
        images.events, labels=images.labels, compare_float=False, **options
    )


@pytest.mark.parametrize("chip", ["truenorth", "ranc"])
def test_a_tick_of_1_khz_holds_without_a_cost_table(chip: str) -> None:
    run = run_demo(chip)
    assert run.energy.table is None
    assert run.latency.step_s == pytest.approx(1e-3)
    assert run.latency.per_sample_s == pytest.approx(1e-3 * run.latency.n_steps)
    text = " ".join(run.report().split())
    assert "slower than its pace" in text
    assert "19.0 ms per sample" in text
    assert "run.pace-overrun" in text
    slow = run.price(pace="period=2ms")
    assert slow.latency.step_s == pytest.approx(2e-3)
    assert "slower than its pace" not in slow.report()
    assert run.price(pace="free").latency.step_s == pytest.approx(1e-3)


def test_truenorths_26_pj_contain_static_power_and_are_no_incremental_figure() -> None:
    run = run_demo("truenorth", costs="operating-point")
    energy = run.summary()["energy_j"]
    per = energy["per_synop"]
    assert (per["incremental"], per["dynamic"], energy["dynamic"]) == (None, None, None)
    assert abs(per["all_in"] - 26e-12) < 1e-18
    text = run.report()
    assert "per synaptic operation at pace realtime: all-in 26.0 pJ" in text
    (static,) = (line.split() for line in text.splitlines() if line.startswith("static"))
    assert static == ["static", "in", "synop", "-"]
    assert "incremental 26" not in text
    assert not any("unpriced" in line and "static" in line for line in text.splitlines())
