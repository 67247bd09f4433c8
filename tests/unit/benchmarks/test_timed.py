"""The mapped network that SANA-FE loads, and what is compared; SANA-FE itself is not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import UnsupportedError

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
N_STEPS = 40


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("NMHW_BENCH_DATA", str(tmp_path_factory.getbasetemp() / "bench"))
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def small_workload(n_leaky: int = 40) -> Any:
    """Clocks to leaky neurons with dense weights, which excite each other sparsely."""
    from scipy.sparse import random_array
    from timed_workloads import TimedWorkload, clock_registers

    from nmhw.values.network import Network

    rng = np.random.default_rng(5)
    dense = 2.0 * rng.integers(-20, 40, (n_leaky, 60))
    loop = random_array((n_leaky, n_leaky), density=0.1, rng=rng, format="csr")
    loop.data = 2.0 * rng.integers(1, 60, loop.nnz)
    build = Network.build("small").input("in", 1).population("clocks", 60, "if", v_threshold=1.0)
    silent = np.zeros((60, 1))
    silent[0] = 2.0
    network = (
        build.population("leaky", n_leaky, "lif", tau_mem_s=16, v_threshold=1.0)
        .project("in", "clocks", silent, name="drive")
        .project("clocks", "leaky", dense, name="fc")
        .project("leaky", "leaky", loop, name="loop")
        .output("out", "leaky")
        .done()
    )
    explicit = {"clocks": clock_registers(60, 8, seed=1), "leaky": {"threshold": 500}}
    cores = {"clocks": np.arange(60) // 16, "leaky": 5 + np.arange(n_leaky) // 16}
    return TimedWorkload("small", network, explicit, N_STEPS, N_STEPS, cores)


def replay(path: Path, n_steps: int) -> dict[str, Any]:
    """Run the file as SANA-FE says it computes: doubles, cut to 2^-6 behind the leak."""
    a = dict(np.load(path))
    n = a["core"].size
    v, arrived, u = a["v0"].copy(), np.zeros(n, bool), np.zeros(n)
    found: dict[str, Any] = {"spikes_per_step": [], "packets": 0, "events": 0, "updates": 0}
    rows = [slice(a["indptr"][i], a["indptr"][i + 1]) for i in range(n)]
    for step in range(n_steps):
        found["updates"] += int(((v != 0) | arrived | (a["bias"] != 0)).sum())
        if step:
            v = np.trunc(v * a["keep"] * 64) / 64
        v = v + a["bias"] + u
        fired = np.flatnonzero(v > a["threshold"])
        v[fired], arrived, u = 0.0, np.zeros(n, bool), np.zeros(n)
        for i in fired:
            targets = a["indices"][rows[i]]
            np.add.at(u, targets, a["weights"][rows[i]])
            arrived[targets] = True
            found["events"] += targets.size
            found["packets"] += np.unique(a["core"][targets]).size
        found["spikes_per_step"].append(fired.size)
    return found | {"spikes": sum(found["spikes_per_step"])}


def test_the_written_network_does_the_same_work(tmp_path: Path) -> None:
    from mapped_graph import write_mapped
    from timed_counts import count_work, resting
    from timed_race import deploy_timed, simulate

    workload = small_workload()
    deployment = deploy_timed(workload)
    quantized = deployment.quantized
    path = write_mapped(quantized, deployment.mapping, deployment.chip, tmp_path / "g.npz")
    probes = {population.name: ["v"] for population in resting(quantized)}
    assert list(probes) == ["leaky"]
    run = simulate(deployment, workload, N_STEPS, "analytic", probes=probes)
    ours = count_work(quantized, run)
    theirs = replay(path, N_STEPS + quantized.drain_steps)
    assert {key: ours[key] for key in theirs} == theirs
    assert ours["is_counted"]
    assert ours["spikes"] > 60 * N_STEPS // 8  # the leaky ones fire, too
    assert run.latency.step_s is not None


def test_cores_keep_their_place() -> None:
    from mapped_graph import sanafe_cores

    chip = nmhw.chip("loihi1-nahuku")
    cores = sanafe_cores(chip)
    assert sorted(cores.tolist()) == list(range(128))
    for core in (0, 3, 4, 32, 77, 127):
        tile = int(cores[core]) // 4
        assert (0, tile // 4, tile % 4) == chip.position(core)


def test_inputs_that_cancel_are_counted_apart(tmp_path: Path) -> None:
    """Two clocks of one phase, weights that sum to zero: an arrival at rest, no change."""
    from mapped_graph import write_mapped
    from timed_counts import count_cancelled, count_work
    from timed_race import deploy_timed, simulate
    from timed_workloads import TimedWorkload, clock_registers

    from nmhw.values.network import Network

    build = Network.build("cancel").input("in", 1).population("clocks", 2, "if", v_threshold=1.0)
    network = (
        build.population("rest", 3, "lif", tau_mem_s=16, v_threshold=1.0)
        .project("in", "clocks", np.array([[2.0], [0.0]]), name="drive")
        .project("clocks", "rest", np.array([[2.0, -2.0], [2.0, 2.0], [0.0, 0.0]]), name="fc")
        .output("out", "rest")
        .done()
    )
    registers = clock_registers(2, 4, seed=1) | {"v0": 0}
    cores = {"clocks": np.zeros(2, int), "rest": np.ones(3, int)}
    workload = TimedWorkload("cancel", network, {"clocks": registers}, 10, 10, cores)
    workload.explicit["rest"] = {"threshold": 1000}
    deployment = deploy_timed(workload)
    quantized = deployment.quantized
    path = write_mapped(quantized, deployment.mapping, deployment.chip, tmp_path / "g.npz")
    run = simulate(deployment, workload, 10, "analytic", probes={"rest": ["v"]})
    theirs = replay(path, 10 + quantized.drain_steps)
    assert count_cancelled(quantized, run) > 0
    assert count_work(quantized, run)["updates"] == theirs["updates"]


def test_neurons_that_sanafe_lacks_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    from mapped_graph import write_mapped
    from timed_race import deploy_timed

    deployment = deploy_timed(small_workload())
    clocks, leaky = deployment.quantized.populations
    subtracting = replace(leaky, spec=replace(leaky.spec, reset="subtract"))
    changed = replace(deployment.quantized, populations=(clocks, subtracting))
    with pytest.raises(UnsupportedError, match="leaky"):
        write_mapped(changed, deployment.mapping, deployment.chip, tmp_path / "g.npz")


def test_neurons_of_the_patterns_fire_in_every_step() -> None:
    from timed_race import deploy_timed, simulate
    from timed_workloads import load_timed

    packets = {}
    for name in ("local", "mirror", "hotspot", "broadcast"):
        workload = load_timed(name)
        run = simulate(deploy_timed(workload), workload, 3, "analytic")
        assert run.result.counters.spikes_by_population == {"pop": 4 * 1024}
        packets[name] = int(run.result.counters.totals["axon.out"].sum()) // 4
    assert packets == {"local": 1024, "mirror": 1024, "hotspot": 1024, "broadcast": 128 * 128}


def test_rows_of_both_tables() -> None:
    from timed_table import CHIP_TIME_HEAD, SPEED_HEAD, render_chip_times, render_speed

    row = {
        "workload": "recurrent", "timing": "detailed", "events": 10_532_096, "packets": 164_564,
        "cpu_s": 0.0124, "sanafe_cpu_s": 0.99, "chip_step_s": 66.3e-6, "ratio": 79.8,
        "sanafe_step_s": [67.8e-6, 67.9e-6], "chip_ratio": 0.98, "is_counted": True,
        "differs": [], "reason": None, "n_steps": 201,
    }  # fmt: skip
    line = render_speed(row)
    assert line.startswith("recurrent  detailed")
    assert [float(x) for x in line.split()[2:-1]] == [
        66.3, 67.85, 0.98, 849, 10.64, 13.27, 0.166, 80,
    ]  # fmt: skip
    assert render_speed(row | {"differs": ["hops"]}).endswith("DIFFERS: hops")
    assert render_speed(row | {"reason": "not installed: why"}).endswith("not installed: why")
    rows = [row | {"timing": timing} for timing in ("simple", "detailed", "cycle")]
    assert render_chip_times(rows).split()[-1] == "equal"
    assert "not installed" in render_chip_times([row | {"reason": "not installed"}])
    lines = (*SPEED_HEAD.splitlines(), *CHIP_TIME_HEAD.splitlines(), line, render_chip_times(rows))
    assert max(len(text) for text in lines) <= 100


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["--only", "torus"], "no workload torus"), (["--runs", "-1"], "at least one")],
)
def test_wrong_options_exit_with_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import timed_race

    with pytest.raises(SystemExit) as stop:
        timed_race.main(arguments)
    assert stop.value.code == 2
    assert text in capsys.readouterr().err
