"""Published figures that hold at one operating point are printed as what they are."""

from __future__ import annotations

import nmhw
from nmhw.api.demo import deploy_demo, load_demo_images


def run_demo(chip: str, **options: str) -> nmhw.Run:
    images = load_demo_images(8)
    return deploy_demo(chip).run(
        images.events, labels=images.labels, compare_float=False, **options
    )


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
