"""Constant input: biases of chips without any, as one event per step on an axon of their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import Part
from nmhw.values.chip import ChipSpec
from nmhw.values.network import InputPort, Network


def name_constant_input(network: Network) -> str:
    """Return a name for the added input that nothing of the author's network has."""
    taken = network.sizes().keys() | {o.name for o in network.outputs}
    name, k = "(bias)", 2
    while name in taken:
        name, k = f"(bias) {k}", k + 1
    return name


def move_bias_to_input(
    part: Part, source: str, taken: Collection[str], ledger: Ledger, *, is_output: bool
) -> Part:
    """Return the part with its bias as weights from ``source``, where the chip asks for that.

    Raises
    ------
    UnsupportedError
        For the bias of an output on a chip whose inputs reach hidden neurons alone.
    """
    arithmetic, cell = ledger.chip.arithmetic, part.cell
    if not arithmetic.constant_input or part.is_literal or not np.any(cell.v_bias):
        return part
    if is_output and _reaches_hidden_alone(ledger.chip):
        ledger.refuse(
            "bias",
            part.name,
            "has no bias, and no input reaches an output",
            wanted="on the membrane of an output",
            offered="nowhere",
        )
    name, k = f"{source}>{part.name}", 2
    while name in taken:
        name, k = f"{source}>{part.name} {k}", k + 1
    gain = np.where(cell.gain != 0, cell.gain, 1)
    weights = (cell.v_bias / gain)[None, :]
    axon = LoweredProjection(
        name, source, part.name, "dense", weights, part.cell.size, is_bias=True
    )
    text = (
        f"the chip has no bias: the host sends one event per step to the axon {source}, whose "
        f"{int(np.count_nonzero(weights))} weights on the chip's grid carry it"
    )
    hint = "--allow bias (the bias is left out)"
    ledger.note("constant-input", part.name, text, "assumption", hint)
    return replace(
        part,
        cell=replace(cell, v_bias=np.zeros_like(cell.v_bias)),
        incoming=(*part.incoming, axon),
        delays=(*part.delays, arithmetic.input_hop),
    )


def _reaches_hidden_alone(chip: ChipSpec) -> bool:
    graphs = [r.parameters.get("checks", ()) for r in chip.rules if r.kind == "graph"]
    return any("input-to-hidden" in checks for checks in graphs)


def constant_ports(parts: Collection[Part], source: str) -> tuple[InputPort, ...]:
    """Return the added input, if any part has an axon from it."""
    used = any(p.source == source for part in parts for p in part.incoming)
    return (InputPort(source, (1,)),) if used else ()
