"""The float run as a user calls it: no chip, no prices, same readout and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nmhw
from nmhw.api.deployment import model_name
from nmhw.api.execute import (
    check_goal,
    check_probes,
    choose_readout,
    judge,
    with_membranes,
)
from nmhw.api.inputs import prepare_inputs
from nmhw.api.reading import give_meaning
from nmhw.errors import ProfileError
from nmhw.report.summary import check_json, notice_dict
from nmhw.values.metrics import Metric
from nmhw.values.network import Network
from nmhw.values.notice import Notice
from nmhw.values.probe import Probe
from nmhw.values.readout import Outcome, Readout, read_out
from nmhw.values.result import ProbeData, RunResult


@dataclass(frozen=True, slots=True, eq=False)
class FloatRun:
    """Result of ``run_float``; ``outcome`` is None when the readout does not apply."""

    network: Network
    result: RunResult
    outcome: Outcome
    facts: dict[str, Any]

    @property
    def spikes(self) -> Any:
        """Events by population name."""
        return self.result.spikes

    @property
    def probes(self) -> dict[str, dict[str, ProbeData]]:
        """``run.probes["lif1"]["v"].values``: (samples, steps, neurons)."""
        nested: dict[str, dict[str, ProbeData]] = {}
        for (population, variable), probe in self.result.probes.items():
            nested.setdefault(population, {})[variable] = probe
        return nested

    @property
    def predictions(self) -> Any:
        """Class per sample."""
        return self.outcome.predictions

    @property
    def accuracy(self) -> float | None:
        """Fraction right; None without labels."""
        value: float | None = self.facts["accuracy"]
        return value

    def summary(self) -> dict[str, Any]:
        """Return counts, accuracy and notices as a JSON-safe dict."""
        result, profile = self.result, self.network.profile
        activity = [
            {
                "name": p.name,
                "spikes": len(result.spikes[p.name]),
                "per_neuron_sample": len(result.spikes[p.name]) / (p.size * result.n_samples),
            }
            for p in self.network.populations
            if p.name in result.spikes
        ]
        return check_json(
            {
                "nmhw_version": nmhw.__version__,
                "model": model_name(self.network),
                "model_sha256": self.network.sha256,
                "profile": None if profile is None else profile.name,
                "dt_s": None if profile is None else profile.dt_s,
                "backend": "float",
                "n_samples": result.n_samples,
                "n_steps": result.n_steps,
                "activity": activity,
                **self.facts,
            }
        )


def run_float(
    network: Network,
    x: Any,
    labels: Any = None,
    *,
    probes: Sequence[Probe | str] | dict[str, Sequence[str]] = (),
    readout: Readout | str | None = None,
    layout: str = "auto",
    encode: str | None = None,
    n_steps: int | None = None,
    metric: Metric = "accuracy",
    continuous: bool = False,
    seed: int = 0,
) -> FloatRun:
    """Run a network in float64 under its profile.

    Parameters
    ----------
    x, labels, layout, encode, n_steps, metric
        As in ``Deployment.run``.
    probes : sequence of Probe or "population:variable", or {"lif1": ["v"]}

    Raises
    ------
    InputError, UsageError, ProfileError
        For inputs, probes or a profile that cannot be used.
    """
    from nmhw.sim.float_run import run_float as simulate

    ready = network if network.profile is not None else give_meaning(network)
    profile = ready.profile
    if profile is None:
        raise ProfileError("the network has no profile", hint="nmhw.load(path, profile=...)")
    wanted = _as_probes(probes)
    check_probes(ready, wanted)
    chosen, sources = choose_readout(ready, readout)
    prepared = prepare_inputs(
        ready, x, labels, layout=layout, encode=encode, n_steps=n_steps, seed=seed
    )
    goal = check_goal(prepared, metric)
    result = simulate(
        ready,
        profile,
        prepared.events,
        probes=with_membranes(wanted, chosen, sources),
        continuous=continuous,
    )
    outcome = read_out(result, chosen, sources)
    notices: list[Notice] = [*ready.notices, *prepared.notices]
    facts = judge(outcome, goal, metric)
    facts |= {"readout": str(chosen), "notices": [notice_dict(n) for n in notices]}
    return FloatRun(ready, result, outcome, facts)


def _as_probes(probes: Sequence[Probe | str] | dict[str, Sequence[str]]) -> tuple[Probe, ...]:
    if isinstance(probes, dict):
        return tuple(Probe(name, v) for name, variables in probes.items() for v in variables)
    return tuple(p if isinstance(p, Probe) else Probe.parse(p) for p in probes)
