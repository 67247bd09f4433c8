"""Random networks deployed on chips: whole runs on ``backend="lava"`` equal those on numba.

What ``deploy(...).run(backend="lava")`` hands to Lava is taken from all networks first and answered
by one start of the child interpreter; each run then goes its whole way with its own answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.sim.lava.run import LavaOutput, LavaTask, describe_task, run_tasks
from nmhw.values.linear import Conv, LinearOp, Pool
from nmhw.values.profile import preset

CHIPS = ("loihi1-nahuku", "generic", "spinnaker2", "loihi2", "generic")
PROFILES = {
    "loihi1-nahuku": ("snntorch", "lava", "norse"),
    "loihi2": ("lava", "snntorch"),
    "generic": ("sinabs", "snntorch", "norse", "rockpool", "lava-dl"),
    "spinnaker2": ("spinnaker2",),
}
SEEDS = range(66)
PATCHED = "nmhw.sim.lava.run.run_tasks"


class Taken(Exception):
    """Ends a run once its task for Lava is known."""


@dataclass(frozen=True)
class Case:
    """A deployment with its input, the task it handed to Lava, and Lava's answer."""

    deployed: nmhw.Deployment
    x: dict[str, Any]
    labels: Any
    options: dict[str, Any]
    task: LavaTask
    lava: LavaOutput


@dataclass
class Drawer:
    """Draws one network with its inputs; what is drawn depends on the seed alone."""

    seed: int

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([606, self.seed])
        self.chip = CHIPS[self.seed % len(CHIPS)]
        names = PROFILES[self.chip]
        self.profile = preset(names[self.seed // len(CHIPS) % len(names)]).with_(dt_s=1e-3)

    def network(self) -> nmhw.Network:
        """Return one or two inputs, a convolution or not, one to three populations, loops."""
        rng = self.rng
        build = nmhw.Network.build(f"mapped-{self.seed}-{self.chip}")
        sizes: dict[str, int] = {}
        if self.seed % 3 == 0:
            conv = self.convolution()
            build = build.input("image", conv[0].input_shape)
            build = build.population("conv", conv[-1].output_shape, *self.kind(), **self.cell())
            build = build.project("image", "conv", ops=conv)
            sizes["conv"] = int(np.prod(conv[-1].output_shape))
        for k in range(1 + self.seed % 2 if not sizes else self.seed % 2):
            sizes[f"in{k}"] = int(rng.integers(3, 12))
            build = build.input(f"in{k}", sizes[f"in{k}"])
        starts = list(sizes)
        for k in range(int(rng.integers(1, 4))):
            name, n = f"p{k}", int(rng.integers(2, 14))
            build = build.population(name, n, *self.kind(), **self.cell())
            sources = starts if k == 0 else [f"p{k - 1}"]
            more = [s for s in sizes if s not in sources]
            if more and rng.random() < 0.4:
                sources = [*sources, str(rng.choice(more))]
            sizes[name] = n
            if rng.random() < 0.35:
                sources = [*sources, name]
            for source in sources:
                build = build.project(source, name, **self.weights(source, sizes[source], name, n))
        return replace(build.output("y", name).done(), profile=self.profile)

    def kind(self) -> tuple[Any]:
        """Return the kind of a population's neurons."""
        self.cell_kind = str(self.rng.choice(["lif", "cubalif", "if"]))
        return (self.cell_kind,)

    def cell(self) -> dict[str, Any]:
        """Return parameters for the kind drawn last."""
        rng = self.rng
        cell: dict[str, Any] = {"v_threshold": float(rng.uniform(0.5, 1.5))}
        if self.cell_kind != "if":
            cell |= {"tau_mem_s": float(rng.uniform(2e-3, 3e-2)), "r": float(rng.uniform(2, 9))}
        if self.cell_kind == "cubalif":
            cell["tau_syn_s"] = float(rng.uniform(2e-3, 1e-2))
        return cell

    def weights(self, source: str, n_source: int, target: str, n_target: int) -> dict[str, Any]:
        """Return weights, with a bias and a delay now and then."""
        rng = self.rng
        mean = 0.3 if source != target else 0.0
        matrix = rng.normal(mean, 0.6, (n_target, n_source)) / np.sqrt(n_source) * 2
        if rng.random() < 0.25:
            matrix = np.abs(matrix)
        options: dict[str, Any] = {"weights": matrix, "delay_steps": self.delay()}
        if rng.random() < 0.3:
            from scipy.sparse import csr_array

            kept = np.where(rng.random(matrix.shape) < 0.5, matrix, 0)
            options["weights"] = csr_array(kept.T)
        if rng.random() < 0.3:
            options["bias"] = rng.normal(0.05, 0.1, n_target)
        return options

    def delay(self) -> int:
        """Return steps on top of the hop, where the chip has synaptic delays."""
        return 0 if self.chip == "spinnaker2" else int(self.rng.choice([0, 0, 1, 3]))

    def convolution(self) -> tuple[LinearOp, ...]:
        """Return a convolution, on every other seed behind a pool."""
        rng = self.rng
        channels, edge = int(rng.integers(1, 3)), int(rng.integers(4, 7))
        pool = Pool("sum" if rng.random() < 0.5 else "avg", (channels, edge, edge), (2, 2), (1, 1))
        shape: Any = pool.output_shape if self.seed % 2 else (channels, edge, edge)
        kernel = rng.normal(0.2, 0.5, (int(rng.integers(1, 4)), channels, 2, 2))
        stride, padding = int(rng.integers(1, 3)), int(rng.integers(0, 2))
        conv = Conv(kernel, shape, (stride, stride), (padding,) * 4)
        return (pool, conv) if self.seed % 2 else (conv,)

    def run_arguments(self, network: nmhw.Network) -> tuple[dict[str, Any], Any, dict[str, Any]]:
        """Return inputs by name, labels, and options of ``Deployment.run``."""
        rng, n_samples, n_steps = self.rng, 2, int(self.rng.integers(8, 25))
        x = {
            port.name: (rng.random((n_samples, n_steps, *port.shape)) < 0.4).astype(np.int8)
            for port in network.inputs
        }
        size = network.population(network.outputs[0].sources[0]).size
        probes = [f"{p.name}:v:every={1 + self.seed % 2}" for p in network.populations]
        options = {"probes": probes, "continuous": self.seed % 4 == 3, "pace": "realtime"}
        options["compare_float"] = False  # the float run is not Lava's, and may grow without bound
        return x, rng.integers(0, size, n_samples), options


def take_task(deployed: nmhw.Deployment, x: Any, labels: Any, options: Any) -> LavaTask:
    """Return what a run hands to Lava."""
    taken: list[LavaTask] = []

    def take(tasks: Any, **_: Any) -> Any:
        taken.extend(tasks)
        raise Taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PATCHED, take)
        with pytest.raises(Taken):
            deployed.run(x, labels, backend="lava", **options)
    (task,) = taken
    return task


@pytest.fixture(scope="module")
def cases(lava_environment: Path) -> list[Case]:
    """All networks that their chip takes, run by Lava in one start."""
    found = []
    for seed in SEEDS:
        drawer = Drawer(seed)
        network = drawer.network()
        try:
            deployed = nmhw.deploy(network, drawer.chip, seed=seed)
        except (UnsupportedError, DoesNotFitError):
            continue
        arguments = drawer.run_arguments(network)
        found.append((deployed, *arguments, take_task(deployed, *arguments)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMHW_LAVA_PYTHON", str(lava_environment))
        outputs = run_tasks([task for *_, task in found])
    return [Case(*parts, output) for parts, output in zip(found, outputs, strict=True)]


def test_more_than_fifty_are_mapped_and_use_every_process(cases: list[Case]) -> None:
    assert len(cases) >= 60
    assert min(Counter(case.deployed.chip.name for case in cases)[c] for c in CHIPS) >= 8
    used = Counter(kind for case in cases for kind in describe_task(case.task).values())
    processes = ("CellPopulation", "CountedLif", "CountedDense", "CountedDelayDense")
    assert min(used[kind] for kind in (*processes, "CountedSparse", "Synapses")) >= 10, used
    spikes = [sum(case.lava.counted["n_spikes"].values()) for case in cases]
    assert sum(n > 20 for n in spikes) >= 50


def test_whole_runs_are_equal(
    cases: list[Case], assert_equal_runs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in cases:
        same = replace(case.lava, counted=dict(case.lava.counted))
        monkeypatch.setattr(PATCHED, lambda tasks, same=same, **_: [same])
        run = assert_equal_runs(case.deployed, case.x, case.labels, **case.options)
        counters = run.result.counters
        assert counters.total("neuron.active") == sum(
            int(updates.sum()) * case.task.quantized.population(name).n_compartments
            for name, updates in case.lava.output.active_updates.items()
        )


def test_a_wrong_count_of_a_process_is_refused(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases[0]
    for kind in ("n_events", "n_spikes", "n_synops", "n_updates"):
        counted = {key: dict(value) for key, value in case.lava.counted.items()}
        counted[kind][next(iter(counted[kind]))] += 1
        wrong = replace(case.lava, counted=counted)
        monkeypatch.setattr(PATCHED, lambda tasks, wrong=wrong, **_: [wrong])
        with pytest.raises(nmhw.NmhwError, match=kind) as caught:
            case.deployed.run(case.x, case.labels, backend="lava", **case.options)
        assert caught.value.rule == "lava.counts"
