"""The first layer on the host: analog frames become spikes before the chip (direct coding)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nmhw.api.arguments import check_network
from nmhw.api.float_run import run_float
from nmhw.api.host_operations import HostSpikes, count_macs, count_neurons, count_projection
from nmhw.api.reading import give_meaning
from nmhw.errors import InputError, UnsupportedError
from nmhw.io.input_arrays import analog_array
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, Network, OutputPort
from nmhw.values.notice import Notice

#: Why these operations stay on the host.
_REASON = "input stage host"


@dataclass(frozen=True, slots=True, eq=False)
class HostStage:
    """A network cut behind the neurons that its inputs reach first.

    Attributes
    ----------
    network : Network
        The first layer, which the host computes in float.
    rest : Network
        What goes onto the chip; its inputs are called as the neurons of the first layer, its
        notices name the cut.
    macs_per_step : int
        Multiply-accumulates of the first layer in one step, zeros at borders included. Where a
        frame stays the same for all steps, they are needed once per sample.
    """

    network: Network
    rest: Network
    macs_per_step: int

    def spikes(
        self, x: Any, *, n_steps: int | None = None, layout: str = "auto"
    ) -> SpikeEvents | Mapping[str, SpikeEvents]:
        """Return the spikes that the first layer makes of ``x``: the input of ``rest``.

        Parameters
        ----------
        x : array, tensor, DataLoader or file contents
            (samples, steps, ...) values, or with ``n_steps`` frames (samples, ...), each shown
            in every step.
        n_steps : int, optional

        Returns
        -------
        SpikeEvents, or a dict of them by name where the first layer has several populations
            They carry the operations that the host needed, which a run with them lists.

        Raises
        ------
        InputError
            For data of another shape.
        """
        if n_steps is not None:
            x = self._held(analog_array(x), n_steps)
        run = run_float(self.network, x, layout=layout)
        spikes = {
            name: self._with_operations(name, run.spikes, n_steps is not None)
            for name in self.network.outputs[0].sources
        }
        return next(iter(spikes.values())) if len(spikes) == 1 else spikes

    def _with_operations(
        self, name: str, spikes: Mapping[str, SpikeEvents], is_held: bool
    ) -> HostSpikes:
        """Return the spikes of a population with what the host did for them."""
        made = spikes[name]
        rows = [
            count_projection(p, spikes[p.source], _REASON, is_held=is_held)
            for p in self.network.incoming(name)
        ]
        updates = made.n_samples * made.n_steps
        rows.append(count_neurons(self.network, name, updates, _REASON))
        columns = {each.name: getattr(made, each.name) for each in fields(made)}
        return HostSpikes(**columns, host=tuple(rows))

    def _held(self, frames: Any, n_steps: int) -> Any:
        shape = self.network.inputs[0].shape
        if len(self.network.inputs) != 1 or frames.shape[1:] != shape:
            raise InputError(
                "frames have the axes (samples, ...)", got=frames.shape, limit=shape,
                hint="leave n_steps out for data with steps", where=self.network.inputs[0].name,
            )  # fmt: skip
        if n_steps < 1:
            raise InputError("a frame is shown for one step or more", got=n_steps)
        return np.broadcast_to(frames[:, None], (len(frames), n_steps, *shape))


def host_stage(network: Network) -> HostStage:
    """Cut a network behind its first spiking layer, for inputs that no chip takes as they are.

    Raises
    ------
    UnsupportedError
        Where the first layer is also fed by later ones, does not spike, or is all there is.
    """
    check_network(network)
    ready = network if network.profile is not None else give_meaning(network)
    inputs = {port.name for port in ready.inputs}
    first = dict.fromkeys(p.target for p in ready.projections if p.source in inputs)
    for name in first:
        others = [p.source for p in ready.incoming(name) if p.source not in inputs]
        if others:
            _refuse("the first layer is also fed by later ones", name, ", ".join(others))
        if not ready.population(name).model.is_spiking:
            _refuse("the first layer does not spike", name, ready.population(name).model.kind)
        if any(name in output.sources for output in ready.outputs):
            _refuse("the first layer is an output: nothing is left for the chip", name, name)
    into = tuple(p for p in ready.projections if p.target in first)
    macs = sum(count_macs(op) for p in into for op in p.ops)
    text = (
        f"input stage host: {', '.join(p.name for p in into)} and the neurons {', '.join(first)} "
        f"run in float on the host, {macs:,} multiply-accumulates per step (once per sample where "
        "a frame is held); neither they nor the host's neurons are priced"
    )
    notice = Notice("input-stage.host", ready.name, text, "approximation", about=next(iter(first)))
    members = tuple(p for p in ready.populations if p.name in first)
    output = "output" if "output" not in {*first, *inputs} else "stage_output"
    stage = replace(
        ready, populations=members, projections=into,
        outputs=(OutputPort(output, members[0].shape, tuple(first)),),
    )  # fmt: skip
    rest = replace(
        ready, inputs=tuple(InputPort(p.name, p.shape) for p in members),
        populations=tuple(p for p in ready.populations if p.name not in first),
        projections=tuple(p for p in ready.projections if p.target not in first),
        notices=(*ready.notices, notice),
    )  # fmt: skip
    return HostStage(stage, rest, macs)


def _refuse(what: str, where: str, got: str) -> None:
    raise UnsupportedError(
        what, got=got, where=where, rule="input-stage.host",
        hint="a network whose inputs feed one layer of spiking neurons, without loops to it",
    )  # fmt: skip
