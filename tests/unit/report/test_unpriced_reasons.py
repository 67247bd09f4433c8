"""Why an event kind is unpriced: no figure, a variant that lost it, or no table."""

from __future__ import annotations

import numpy as np
import pytest

import nmhw
from nmhw.api.demo import load_demo_images
from nmhw.report.text_prices import energy_notes


def demo_notes(chip: nmhw.ChipSpec, costs: str | None = None) -> tuple[list[str], nmhw.Run]:
    from importlib import resources

    network = nmhw.load(str(resources.files("nmhw.data") / "digits.nir"))
    images = load_demo_images(1)
    run = nmhw.deploy(network, chip).run(images.events, compare_float=False, costs=costs)
    return [note for note in energy_notes(run.summary()) if "counted but" in note], run


def test_a_figure_that_a_variant_lost_is_told_from_one_that_nobody_gave() -> None:
    whole, _ = demo_notes(nmhw.chip("loihi1-nahuku"))
    assert whole == ["counted but unpriced (no figure in table nahuku): host.io"]
    variant = nmhw.chip("loihi1-nahuku").with_(budget={"synapse_bits": 2**19})
    notes, run = demo_notes(variant)
    assert notes[0] == whole[0]
    assert "this variant changed the hardware" in notes[1]
    stale = run.summary()["energy_stale"]
    assert any(kind.startswith("synop") for kind in stale)
    assert notes[1].endswith(": " + ", ".join(stale))
    assert not set(stale) & {"host.io"}
    reopened, _ = demo_notes(variant, costs="none")
    assert "no cost table was chosen" in reopened[0]


def test_rows_without_a_price_have_no_basis() -> None:
    _, run = demo_notes(nmhw.chip("loihi1-nahuku").with_(budget={"synapse_bits": 2**19}))
    rows = run.summary()["energy_lines"]
    bases = {row["kind"]: row["basis"] for row in rows}
    unpriced = {row["kind"] for row in rows if row["unit_pj"] is None and not row["included_in"]}
    assert unpriced >= {"host.io", "synop.dense"}
    assert {bases[kind] for kind in unpriced} == {None}
    assert bases["axon.in"] == bases["hop.local"] == "fitted"


def test_one_sample_and_one_step_are_singular() -> None:
    _, run = demo_notes(nmhw.chip("loihi1-nahuku"))
    assert "backend, 1 sample x " in run.report()
    assert "Energy of 1 sample (" in run.report()


@pytest.mark.parametrize(("n", "text"), [(1, "1 sample x 1 step"), (2, "2 samples x 1 step")])
def test_float_runs_count_in_words_too(n: int, text: str) -> None:
    build = nmhw.Network.build("net").input("in", 2).population("a", 2, "if")
    net = build.project("in", "a", np.eye(2)).output("out", "a").done()
    report = nmhw.run_float(net, np.ones((n, 1, 2), np.uint8)).report()
    assert text + "\n" in report
