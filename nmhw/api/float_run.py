"""The float run as a user calls it: no chip, no prices, same readout and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import nmhw
from nmhw.api.arguments import check_network
from nmhw.api.deployment import model_name
from nmhw.api.execution import Execution
from nmhw.api.inputs import prepare_inputs
from nmhw.api.judging import (
    as_probes,
    check_goal,
    check_probes,
    choose_readout,
    judge,
    with_membranes,
)
from nmhw.api.reading import give_meaning
from nmhw.errors import ProfileError
from nmhw.io.input_events import KINDS
from nmhw.report.summary import check_json, notice_dict
from nmhw.values.metrics import Metric
from nmhw.values.network import Network
from nmhw.values.notice import Notice
from nmhw.values.probe import Probe
from nmhw.values.readout import Outcome, Readout, read_out
from nmhw.values.result import RunResult


class FloatRun(Execution):
    """Result of ``run_float``.

    Attributes
    ----------
    network : Network
        With its profile.
    """

    def __init__(
        self, network: Network, result: RunResult, facts: Mapping[str, Any], outcome: Outcome
    ) -> None:
        super().__init__(result, facts, outcome)
        self.network = network

    def summary(self) -> dict[str, Any]:
        """Return counts, accuracy and notices as a JSON-safe dict."""
        result, profile = self.result, self.network.profile
        header = {
            "nmhw_version": nmhw.__version__,
            "model": model_name(self.network),
            "model_sha256": self.network.sha256,
            "profile": None if profile is None else profile.name,
            "dt_s": None if profile is None else profile.step_s,
            "backend": "float",
            "n_samples": result.n_samples,
            "n_steps": result.n_steps,
            "drain_steps": result.drain_steps,
        }
        activity = [
            {
                "name": p.name,
                "spikes": len(result.spikes[p.name]),
                "per_neuron_sample": len(result.spikes[p.name]) / (p.size * result.n_samples),
            }
            for p in self.network.populations
            if p.name in result.spikes
        ]
        spikes = {row["name"]: row["spikes"] for row in activity}
        return check_json({**header, "spikes": spikes, "activity": activity, **self.facts})

    def to_json(self) -> dict[str, Any]:
        """Return the summary; alike with ``Run.to_json``."""
        return self.summary()

    def report(self) -> str:
        """Return a text report, at most 100 columns wide."""
        from nmhw.report.network_text import render_float_run

        return render_float_run(self.summary())


def run_float(
    network: Network,
    x: Any,
    labels: Any = None,
    *,
    probes: Sequence[Probe | str] | Mapping[str, Sequence[str]] = (),
    readout: Readout | str | None = None,
    layout: str = "auto",
    encode: str | None = None,
    n_steps: int | None = None,
    repeat: int | None = None,
    metric: Metric = "accuracy",
    continuous: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FloatRun:
    """Run a network in float64 under its profile.

    Parameters
    ----------
    x : array, tensor, DataLoader, SpikeEvents, or dict of them by input name
        (samples, steps, ...) spikes, counts or analog currents.
    labels, readout, layout, encode, n_steps, repeat, metric, continuous
        As in ``Deployment.run``.
    probes : sequence of Probe or "population:variable", or {"lif1": ["v"]}
        ``run.probes["lif1"]["v"]`` is (samples, steps, neurons), the value after the reset.
    progress : callable(done, total), optional

    Raises
    ------
    InputError, UsageError, ProfileError
        For inputs, probes or a profile that cannot be used.
    """
    from nmhw.sim.float_run import run_float as simulate

    check_network(network)
    ready = network if network.profile is not None else give_meaning(network)
    profile = ready.profile
    if profile is None:
        raise ProfileError("the network has no profile", hint="nmhw.load(path, profile=...)")
    wanted = as_probes(probes)
    check_probes(ready, wanted)
    chosen, sources = choose_readout(ready, readout)
    prepared = prepare_inputs(
        ready, x, labels, layout=layout, encode=encode, n_steps=n_steps, seed=seed, kinds=KINDS,
        repeat=repeat,
    )  # fmt: skip
    goal = check_goal(ready, prepared, metric, chosen, sources)
    result = simulate(
        ready,
        profile,
        prepared.events,
        probes=with_membranes(wanted, chosen, sources),
        continuous=continuous,
        progress=progress,
    )
    outcome = read_out(result, chosen, sources)
    notices: list[Notice] = [*ready.notices, *prepared.notices]
    facts = judge(outcome, goal, metric)
    facts |= {"readout": str(chosen), "notices": [notice_dict(n) for n in notices]}
    return FloatRun(ready, result, facts, outcome)
