"""The text report: at most 100 columns, verdict first, nothing unpriced looks priced."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

import nmhw
from nmhw.report.chip_text import render_chip, render_chip_list
from nmhw.report.compare_text import render_comparison
from nmhw.report.layout import indented, new_table, render
from nmhw.report.network_text import render_float_run, render_network
from nmhw.report.text import render_report

HOSTILE = [
    "a_name_of_a_population_that_goes_on_and_on_" * 3,
    "[bold]not markup[/bold]",
    "[/]",
    ":smile:",
    "<script>alert(1)</script>",
    "層" * 60,
    "é ü",
]


def widest(text: str) -> int:
    return max(cell_len(line) for line in text.splitlines())


def test_hostile_and_long_names_stay_inside_100_columns(run_chain: Callable) -> None:
    text = run_chain(HOSTILE).report()
    assert widest(text) <= 100
    for name in HOSTILE[1:5]:
        assert name in text


def test_many_layers_stay_inside_100_columns(run_chain: Callable) -> None:
    text = run_chain([f"layer{k}" for k in range(40)]).report()
    assert widest(text) <= 100
    assert "layer39" in text


def test_huge_numbers_stay_inside_100_columns(run_chain: Callable) -> None:
    summary = copy.deepcopy(run_chain(["a" * 30, "b"]).summary())
    for row in summary["layers"]:
        row |= {"neurons": 10**12, "synapses": 10**15, "cores": 10**7}
    for row in summary["activity"]:
        row |= {"spikes": 10**14, "spikes_per_neuron_sample": 123456.78, "rate_per_step": 1e6}
    for row in summary["layer_synops"].values():
        row |= {"synops": 10**17, "energy_j": 1e4}
    for row in summary["energy_lines"]:
        row |= {"count": 10**18, "energy_j": 1e7, "unit_pj": 123456.789}
    for row in summary["utilization"].values():
        row |= {"used": 10**12, "limit": 10**13, "worst_core": 10**6}
    for row in summary["deployment_loss"]["layers"]:
        row |= {"float_spikes": 10**14, "chip_spikes": 10**14}
    assert widest(render_report(summary)) <= 100


def test_sections_come_in_the_order_of_a_reader(run_chain: Callable) -> None:
    text = run_chain(["a", "b"]).report()
    order = [
        "nmhw ", "FITS on", "\nLayers", "\nUtilization", "\nEnergy", "\nLatency",
        "\nDeployment loss", "\nApproximations", "\nSources",
    ]  # fmt: skip
    places = [text.index(section) for section in order]
    assert places == sorted(places)


def test_a_counted_kind_without_a_price_makes_the_headline_at_least(run_chain: Callable) -> None:
    verdict = next(v for v in run_chain(["a"]).report().splitlines() if v.startswith("FITS"))
    assert "; at least " in verdict


def test_the_generic_chip_is_unpriced_unless_its_illustrative_table_is_named(
    run_chain: Callable,
) -> None:
    plain = run_chain(["a"], "generic")
    text = plain.report()
    assert "energy unpriced; latency unpriced" in " ".join(text.split())
    assert "counted but unpriced (no cost table was chosen)" in text
    assert "this chip is imaginary" in text
    assert " 0 J" not in text
    priced = plain.price(costs="illustrative")
    assert "cost table illustrative" in priced.report()
    assert priced.energy.total_j is not None


def test_spinnaker2_prices_static_power_alone(run_chain: Callable) -> None:
    run = run_chain(["a"], "spinnaker2")
    energy = run.summary()["energy_j"]
    assert energy["dynamic"] is None
    assert energy["is_lower_bound"]
    assert energy["total"] == energy["static"] > 0
    text = run.report()
    assert "at least" in text
    assert "pace free" in text  # a network without time constants has no dt
    assert "synop.sparse" in text
    assert "unpriced" in text


def test_both_paces_are_printed_when_dt_is_known(data_dir: Path) -> None:
    network = nmhw.load(data_dir / "nir-cases" / "01_lif" / "lif_norse.nir", "norse", dt_s=1e-4)
    run = nmhw.deploy(network, "loihi1-nahuku").run(np.ones((1, 20, 1), np.uint8))
    assert "pace free" in run.report()
    assert "at pace realtime: at least" in run.report()
    assert "at pace free: at least" in run.price(pace="realtime").report()


def test_every_source_of_a_printed_price_is_cited(run_chain: Callable) -> None:
    summary = run_chain(["a"]).summary()
    used = {line["source"] for line in summary["energy_lines"] if line["unit_pj"] is not None}
    assert used <= summary["sources"].keys()
    text = render_report(summary)
    assert all(f"  {key}: " in text for key in used)


def test_the_mapping_alone_lists_its_cores() -> None:
    network = nmhw.Network.build("wide")
    network.input("input", 4).population("a", 40_000, "if", v_threshold=1.0)
    network.project("input", "a", np.ones((40_000, 4))).output("output", "a")
    text = nmhw.deploy(network.done(), "loihi1-nahuku").report()
    assert "\nCores\n" in text
    assert "a (1,000)" in text
    assert "... and 8 more (--json lists all)" in text
    assert "Energy" not in text
    assert widest(text) <= 100


@pytest.mark.parametrize("name", ["generic", "loihi1-d18", "loihi1-nahuku", "spinnaker2"])
def test_chip_sheets_show_every_source_inside_100_columns(name: str) -> None:
    chip = nmhw.chip(name)
    text = render_chip(chip)
    assert widest(text) <= 100
    assert all(f"  {key}: " in text for key in chip.sources)


def test_other_texts_stay_inside_100_columns() -> None:
    long = "x" * 300
    entry = {"name": long, "title": long, "n_cores": 10**9, "family": "generic",
             "costs": ["a", "b"], "default_costs": "a", "is_executable": False}  # fmt: skip
    notice = {"kind": "warning", "where": long, "text": "word " * 80, "hint": long, "rule": "a.b"}
    network = {
        "model": long, "neurons": 5, "profile": "p", "dt_s": None, "inputs": {long: [3]},
        "outputs": {long: [long]}, "notices": [notice],
        "populations": [{"name": long, "kind": "lif", "shape": [1, 2, 3], "neurons": 6}],
        "projections": [
            {"source": long, "target": long, "operations": ["dense"] * 30, "connections": 10**12,
             "recurrent": True}
        ],
    }  # fmt: skip
    float_run = {
        "model": long, "profile": "p", "n_samples": 10**9, "n_steps": 10**9, "readout": "count",
        "accuracy": 0.5, "metric": None, "notices": [notice],
        "activity": [{"name": long, "spikes": 10**15, "per_neuron_sample": 1e9}],
    }  # fmt: skip
    row = {"chip": long, "verdict": "refused", "reason": "word " * 80, "rule": "a.b", "hint": long,
           "n_cores": None, "fullest": None}  # fmt: skip
    full = {"chip": "loihi1-nahuku", "verdict": "yes", "n_cores": 1000, "n_cores_available": 1000,
            "fullest": "threshold_profiles", "fullest_share": 1.0, "accuracy": 1.0,
            "energy_per_sample_j": 1.111e-3, "is_lower_bound": True, "pace": "realtime",
            "latency_per_sample_s": 1.11e-4}  # fmt: skip
    texts = (
        render_chip_list([entry]),
        render_network(network),
        render_float_run(float_run),
        render_comparison("model", [row]),
        render_comparison("model", [full]),
    )
    for text in texts:
        assert widest(text) <= 100
    assert "loihi1-nahuku " in texts[-1]


def test_wrapped_lines_are_indented_and_urls_stay_whole() -> None:
    text = indented("word " * 30, 2)
    first, second = text.splitlines()[:2]
    assert first.startswith("  word")
    assert second.startswith("    word")


def test_titles_do_not_widen_tables_and_markup_is_text() -> None:
    table = new_table("[red]title[/red]", ["a", "b"])
    table.add_row("[blue]x[/blue]", "1")
    text = render([table])
    assert "[red]title[/red]" in text
    assert "[blue]x[/blue]" in text
    assert "\x1b[" in render([table], color=True)
