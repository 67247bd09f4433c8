"""The float run as the mappers' Runner: peaks of states and firing rates by population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.runner import Activity

# Probed values of one batch of samples: 16 M float64 = 128 MB.
_BATCH_VALUES = 16_000_000


class FloatRunner:
    """Runs the float network in batches of samples and keeps only peaks and rates.

    Attributes
    ----------
    observed : Network or None
        Run in place of the network that is asked for: the same one before its input was cut off.
    rates : mapping of input or population to (n,) spikes per sample, or None before the first call
    """

    def __init__(self, profile: Profile, observed: Network | None = None) -> None:
        self.profile = profile
        self.observed = observed
        self.rates: Mapping[str, NDArray[np.float64]] | None = None

    def __call__(
        self, network: Network | QuantizedNetwork, inputs: Mapping[str, Any]
    ) -> Mapping[str, Activity]:
        """Return the activity of every population on ``inputs`` (SpikeEvents by input name)."""
        from nmhw.sim.float_run import run_float

        if not isinstance(network, Network):
            raise UnsupportedError(
                "this runner runs float networks", got=type(network).__name__, rule="run.float"
            )
        network = self.observed or network
        probes = [Probe(p.name, "v") for p in network.populations]
        probes += [Probe(p.name, "u") for p in network.populations if p.model.has_current]
        first = next(iter(inputs.values()))
        sizes = network.sizes()
        values = sum(sizes[p.population] for p in probes) * first.n_steps
        batch = max(1, _BATCH_VALUES // max(values, 1))
        peaks = {(p.population, p.variable): np.zeros(sizes[p.population]) for p in probes}
        spikes = {name: np.zeros(size) for name, size in sizes.items()}
        n_simulated = 0
        for start in range(0, first.n_samples, batch):
            stop = min(start + batch, first.n_samples)
            part = {name: e.samples(start, stop) for name, e in inputs.items()}
            result = run_float(network, self.profile, part, probes=probes)
            for key, probe in result.probes.items():
                peaks[key] = np.maximum(peaks[key], np.abs(probe.values).max(axis=(0, 1)))
            for name, events in result.spikes.items():
                spikes[name] += np.bincount(events.index, minlength=sizes[name])
            n_simulated += (stop - start) * (result.n_steps + result.drain_steps)
        self.rates = {name: count / first.n_samples for name, count in spikes.items()}
        none = {p.name: np.zeros(p.size) for p in network.populations}
        return {
            name: Activity(
                peaks.get((name, "u"), silent), peaks[name, "v"], spikes[name] / n_simulated
            )
            for name, silent in none.items()
        }
