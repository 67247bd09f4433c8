"""The raced workloads and the two sides of the race."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
SMALL = [("W1@5@1", 2), ("W2@1", 1), ("W3@4096@5", 1)]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep generated data and compiled kernels among the tests' own files."""
    monkeypatch.setenv("NMHW_BENCH_DATA", str(tmp_path_factory.getbasetemp() / "bench"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def workloads() -> ModuleType:
    import workloads

    return workloads


def numpy_totals(workload) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """Simulate step by step with plain matrices; shares nothing with simulator or C."""
    if workload.family == "W3":
        return {"lif": recurrent_total(workload)}
    dense = workload.inputs["in"].dense().astype(np.int64)
    ops = [projection.ops for projection in workload.network.projections]
    names = [population.name for population in workload.network.populations]
    theta = workload.arrays["theta"].astype(np.int64)
    totals = dict.fromkeys(names, 0)
    v = [np.zeros((len(dense), p.size), np.int64) for p in workload.network.populations]
    for step in range(workload.n_steps):
        x = dense[:, step]
        for k, name in enumerate(names):
            signal = x.astype(np.float64)
            for op in ops[k]:
                signal = op.apply(signal.reshape(len(x), *op.input_shape))
            summed = np.rint(signal).astype(np.int64).reshape(len(x), -1)
            if workload.family == "W1":
                v[k] = v[k] - (v[k] >> 4) + (summed << 6)
                x = (v[k] >= theta[k]).astype(np.int64)
                v[k][x > 0] = 0
            else:
                v[k] = v[k] + summed
                x = (v[k] >= theta[k]).astype(np.int64)
                v[k] -= x * theta[k]
            totals[name] += int(x.sum())
    return totals


def recurrent_total(workload) -> int:  # type: ignore[no-untyped-def]
    a = workload.arrays
    v = np.zeros(len(a["w"]), np.int64)
    fired = np.zeros(0, np.int64)
    total = 0
    for _ in range(workload.n_steps):
        summed = np.zeros(len(v), np.int64)
        np.add.at(summed, a["targets"][fired].ravel(), a["w"][fired].astype(np.int64).ravel())
        v = v - (v >> 4) + (summed << 6) + a["bias"]
        fired = np.flatnonzero(v >= 25600)
        v[fired] = 0
        total += fired.size
    return total


@pytest.mark.parametrize(("name", "n_samples"), SMALL)
def test_simulator_c_and_a_numpy_loop_fire_equally_often(name: str, n_samples: int) -> None:
    import c_limit
    import deployed
    import workloads

    workload = workloads.load(name, n_samples)
    deployment = deployed.deploy_workload(workload)
    output = deployment.simulate()
    totals = {k: int(v.sum()) for k, v in output.spike_totals.items()}
    assert totals == numpy_totals(workload)
    assert {k: len(output.spikes[k]) for k in totals} == totals
    synops = deployed.count_synops(deployment, output)
    assert synops > 1_000_000
    built = [k for portable in (False, True) if (k := c_limit.load_kernels(portable=portable))]
    for kernels in built:  # none without a C compiler; the comparison above always happens
        limit = c_limit.prepare(workload, kernels)
        limit.run(1)
        assert limit.totals() == totals, kernels.description
        assert limit.synops() == synops, kernels.description


def test_synops_of_the_benchmark_are_those_of_the_counters() -> None:
    import deployed
    import workloads

    deployment = deployed.deploy_workload(workloads.load("W1@5@1", 1))
    output = deployment.simulate()
    run = deployment.deployment().run(deployment.workload.inputs, compare_float=False)
    counted = run.result.counters.synops_by_projection
    assert sum(counted.values()) == deployed.count_synops(deployment, output)


@pytest.mark.parametrize("activity", [2, 5, 20])
def test_every_dense_layer_fires_at_its_rate(workloads: ModuleType, activity: int) -> None:
    import deployed

    workload = workloads.load(f"W1@{activity}@1", 4)
    output = deployed.deploy_workload(workload).simulate()
    for name in ("lif0", "lif1"):
        rate = output.spike_totals[name].sum() / (4 * 100 * 1024)
        assert rate == pytest.approx(activity / 100, rel=0.15)


def test_generators_are_deterministic_and_longer_batches_start_with_shorter(
    workloads: ModuleType,
) -> None:
    first = workloads.load("W1@5@1", 3).inputs["in"]
    again = workloads.load("W1@5@1", 3).inputs["in"]
    shorter = workloads.load("W1@5@1", 1).inputs["in"]
    np.testing.assert_array_equal(first.index, again.index)
    np.testing.assert_array_equal(first.index[first.sample == 0], shorter.index)
    np.testing.assert_array_equal(workloads.w2_raster(2), workloads.w2_raster(2))
    one, two = workloads.w3_synapses(512, 64), workloads.w3_synapses(512, 64)
    assert all((one[key] == two[key]).all() for key in one)
    assert (np.diff(one["targets"].astype(np.int64), axis=1) > 0).all()


def test_command_prints_rows_with_equal_spikes() -> None:
    command = [sys.executable, str(BENCHMARKS / "speed.py"), "--quick", "--json"]
    command += ["--no-overheads", "--workloads", "W1@5@64"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    (row,) = document["rows"]
    assert row["workload"] == "W1@5@64"
    assert row["threads"] == 1
    assert row["events_per_s"] > 1e7
    if document["environment"]["c"] is not None:
        assert row["spikes_equal"] is True
        assert row["ratio_c"] == pytest.approx(row["events_per_s"] / row["c_events_per_s"])
    assert max(len(line) for line in done.stderr.splitlines()) <= 100


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workloads", "W9@1"], "no workload W9@1"),
        (["--threads", "4"], "runs on one thread"),
        (["--runs", "1"], "at least 3"),
        (["--peers", "--workloads", "W2@64"], "no workload W2@64 in the race"),
        (["--only-peers", "nest,loihi"], "no peer loihi in the race"),
    ],
)
def test_wrong_options_exit_with_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import speed

    with pytest.raises(SystemExit) as stop:
        speed.main(arguments)
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("peer", ["scipy-rows", "numpy-dense"])
@pytest.mark.parametrize("name", ["W1@5@1", "W3@4096@5"])
def test_a_peer_counts_the_spikes_of_its_graph(tmp_path: Path, name: str, peer: str) -> None:
    from deployed import deploy_workload
    from peer_graph import write_graph
    from peer_race import run_peer
    from workloads import load

    workload = load(name, 1)
    found = run_peer(peer, Path(sys.executable), write_graph(workload, tmp_path / "g.npz", 1), 1)
    totals = deploy_workload(workload).simulate().spike_totals
    ours = sum(int(total.sum()) for total in totals.values())
    assert found["seconds"]
    # float32 rounds where integers floor: a neuron in a thousand may differ
    assert sum(found["spikes"]) == pytest.approx(ours, rel=2e-3)


def test_a_peer_that_cannot_run_has_its_reason(tmp_path: Path) -> None:
    from peer_race import render, run_peer

    found = run_peer("scipy-rows", Path(sys.executable), tmp_path / "none.npz", 1)
    assert "No such file" in found["reason"]
    row = {"on": "W1@5@1", "nmhw_events_per_s": 1e9, **found}
    assert found["reason"] in render(row)


def test_chosen_peers_race_alone() -> None:
    from peer_race import RACES, choose

    assert choose([], []) == RACES
    assert choose(["W3@65536@5"], []) == {"W3@65536@5": RACES["W3@65536@5"]}
    chosen = choose([], ["lava", "sanafe"])
    assert set(chosen["W1@5@1"]) == {"lava", "sanafe"}
    assert "W1@5@64" not in chosen
