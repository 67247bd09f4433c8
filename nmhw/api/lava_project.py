"""A deployment as a project for lava-nc: the network alone, or with an input and its spikes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.compartments import spread_inputs
from nmhw.api.inputs import prepare_inputs
from nmhw.errors import UsageError
from nmhw.sim.lava.project import check_project_folder, write_project
from nmhw.values.events import SpikeEvents

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment


def export_lava(
    deployed: Deployment,
    output: str | Path,
    x: Any = None,
    *,
    layout: str = "auto",
    encode: str | None = None,
    n_steps: int | None = None,
) -> dict[str, Any]:
    """Write a Python project that runs the deployed network with lava-nc alone.

    Parameters
    ----------
    output : path of a new folder, or of an earlier project, which is replaced
    x : as for ``Deployment.run``, optional
        Written beside the network, with the spikes that the numba backend makes of it.

    Returns
    -------
    facts : {"output", "processes": population or projection -> Lava process, "has_input"}

    Raises
    ------
    UsageError
        For a chip that the Lava backend does not serve, or a folder with other files.
    InputError
        For input that the network does not take.
    """
    from nmhw.sim.event_input import constant_events, fit_steps
    from nmhw.sim.lava.describe import refuse_network

    if deployed.stage is not None:
        raise UsageError(
            "a project keeps one set of biases, and input stage bias writes one per sample",
            hint="deploy the network without an input stage", rule="input-stage.bias",
        )  # fmt: skip
    quantized, folder = deployed.quantized, Path(output)
    refuse_network(quantized)
    check_project_folder(folder)
    expected = None
    if x is None:
        given = {port.name: _silence(port.shape) for port in deployed.network.inputs}
    else:
        given = dict(
            prepare_inputs(
                deployed.network,
                x,
                layout=layout,
                encode=encode,
                n_steps=n_steps,
                seed=deployed.seed,
                kinds=deployed.chip.arithmetic.inputs,
            ).events
        )
        expected = _spikes(deployed, given)
    spread = spread_inputs(given, quantized)
    first = next(iter(spread.values()))
    total = first.n_steps + quantized.drain_steps
    inputs = {name: fit_steps(events, total) for name, events in spread.items()}
    inputs |= constant_events(quantized, first.n_samples, total)
    return write_project(folder, quantized, inputs, n_steps=first.n_steps, expected=expected)


def _silence(shape: tuple[int, ...]) -> SpikeEvents:
    none = np.zeros(0, np.int32)
    return SpikeEvents(none, none, none, 1, 1, shape)


def _spikes(deployed: Deployment, given: dict[str, SpikeEvents]) -> dict[str, SpikeEvents]:
    """Return what the numba backend makes of the input, by population, added ones included."""
    from nmhw.sim.backends import run_backend

    result = run_backend(
        "numba",
        deployed.quantized,
        deployed.mapping,
        deployed.chip,
        spread_inputs(given, deployed.quantized),
    )
    return {p.name: result.spikes[p.name] for p in deployed.quantized.populations}
