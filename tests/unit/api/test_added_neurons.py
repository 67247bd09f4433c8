"""What a lowering adds costs like any neuron and is no part of the author's results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nmhw
from nmhw.api.deploying import quantize_with_rates
from nmhw.io.input_arrays import as_inputs
from nmhw.mappers.verify import verify
from nmhw.values.profile import Profile

N_SAMPLES, N_STEPS = 2, 10
SILENCE = np.zeros((N_SAMPLES, N_STEPS, 2), np.uint8)


@pytest.fixture(scope="module")
def deployed() -> nmhw.Deployment:
    """Three neurons on one core, two of them with a bias that never reaches the threshold."""
    build = nmhw.Network.build("tiny").input("in", 2)
    build.population("p", 3, "cubalif", tau_mem_s=0.02, tau_syn_s=0.005, v_threshold=100.0)
    build.project("in", "p", np.ones((3, 2)), bias=np.array([0.2, 0.0, -0.1]))
    network = build.output("out", "p").done()
    return nmhw.deploy(replace(network, profile=Profile("test", dt_s=1e-3)), "loihi1-nahuku")


@pytest.fixture(scope="module")
def silent_run(deployed: nmhw.Deployment) -> nmhw.Run:
    return deployed.run(SILENCE)


def test_verify_accepts_the_mapping(deployed: nmhw.Deployment) -> None:
    assert not verify(deployed.quantized, deployed.chip, deployed.mapping).violations


def test_every_event_of_the_bias_neuron_is_counted(silent_run: nmhw.Run) -> None:
    steps = N_SAMPLES * (N_STEPS + 1)  # the layer is one hop deep
    arrived = N_SAMPLES * N_STEPS  # the spike of the last step is still on its way
    counters = silent_run.result.counters
    assert counters is not None
    expected = {
        "neuron.spike": steps,
        "axon.out": steps,
        "axon.in": arrived,
        "synop": 2 * arrived,
        "neuron.visit": 4 * steps,
        # the neuron itself in every step, the two biased ones from the first arrival on
        "neuron.active": steps + 2 * arrived,
        "hop.local": steps,
    }
    assert {kind: counters.total(kind) for kind in expected} == expected
    assert counters.connections == 2 * arrived
    summary = silent_run.summary()
    assert summary["synops"] == 2 * arrived
    assert summary["neuron_updates"] == 4 * steps


def test_energy_contains_its_events(silent_run: nmhw.Run) -> None:
    # fitted unit energies of the chip file in pJ, counts of the test above
    pico = 40 * 33.6 + 88 * 51.2 + 62 * 21.6 + 22 * 69.3 + 22 * 111
    resets = N_SAMPLES * 5.94e6
    assert silent_run.summary()["energy_j"]["dynamic"] == pytest.approx((pico + resets) * 1e-12)
    lines = {row["kind"]: row["energy_j"] for row in silent_run.summary()["energy_lines"]}
    assert lines["synop.sparse"] == pytest.approx(40 * 33.6e-12)
    assert lines["neuron.spike"] == pytest.approx(22 * 69.3e-12)


def test_it_has_a_row_in_the_layer_table(silent_run: nmhw.Run) -> None:
    (row,) = (r for r in silent_run.summary()["layers"] if r["is_added"])
    assert (row["name"], row["neurons"]) == ("(bias)", 1)
    lines = silent_run.report().splitlines()
    (line,) = (line for line in lines if line.startswith("(bias)"))
    assert line.split()[:6] == ["(bias)", "1", "0", "1", "-", "22"]
    synapses = next(r["synapses"] for r in silent_run.summary()["layers"] if r["name"] == "p")
    assert synapses == 6 + 2


def test_the_html_report_shows_it_with_the_layers_alone(
    silent_run: nmhw.Run, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    text = silent_run.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    layers, loss = text.split("<h2>Deployment loss</h2>")
    assert layers.count("<td>(bias)</td>") == 1
    assert "<td>(bias)</td>" not in loss


def test_results_by_name_are_the_authors(silent_run: nmhw.Run) -> None:
    summary = silent_run.summary()
    assert summary["spikes"] == {"p": 0}
    assert set(silent_run.spikes) == {"in", "p"}
    assert set(silent_run.result.spike_totals) == {"p"}
    assert summary["spikes_per_neuron_sample"] == 0
    assert [row["name"] for row in summary["deployment_loss"]["layers"]] == ["p"]
    warned = {n["where"] for n in summary["notices"] if n["kind"] == "warning"}
    assert warned == {"p"}  # which is silent, while firing in every step is what (bias) is for


def test_it_cannot_be_probed(deployed: nmhw.Deployment) -> None:
    with pytest.raises(nmhw.errors.UsageError, match="no such population"):
        deployed.run(SILENCE, probes=["(bias):v"])


def test_both_backends_agree(deployed: nmhw.Deployment, silent_run: nmhw.Run) -> None:
    reference = deployed.run(SILENCE, backend="reference").summary()
    numba = silent_run.summary()
    differing = {key for key in numba if numba[key] != reference[key]}
    assert differing == {"backend"}


def test_a_saved_run_comes_back_with_it(silent_run: nmhw.Run, tmp_path: Path) -> None:
    silent_run.save(tmp_path / "run")
    assert nmhw.load_result(tmp_path / "run").summary() == silent_run.summary()


def test_a_saved_mapping_is_accepted_again(deployed: nmhw.Deployment, tmp_path: Path) -> None:
    path = deployed.save(tmp_path / "mapping.h5")
    again = nmhw.deploy(deployed.network, "loihi1-nahuku", mapping=path)
    assert again.run(SILENCE).summary()["synops"] == 40


def test_the_mapper_knows_that_it_fires_in_every_step(deployed: nmhw.Deployment) -> None:
    samples = as_inputs(deployed.network, SILENCE)
    _, rates = quantize_with_rates(deployed.network, deployed.chip, samples, (), None)
    assert rates is not None
    assert rates["(bias)"].tolist() == [N_STEPS + 1]
    assert rates["p"].tolist() == [0, 0, 0]
