"""One left shift per weight matrix: chips whose input, recurrent and output weights share one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.integer import quantize_integer
from nmhw.mappers.quantize.part import Part, QuantizedPart
from nmhw.values.network import Network


def share_exponents(
    network: Network, asked: Sequence[Part], parts: Sequence[QuantizedPart], ledger: Ledger
) -> list[QuantizedPart]:
    """Return the parts with the largest exponent of their matrix, where they differ.

    A projection with a smaller one is rounded again, to a coarser grid: nothing clips. Given
    integers stay as they are.
    """
    given = {name for part in asked for name in part.explicit_weights}
    matrix = {p.name: _matrix(network, p.source, p.target) for part in asked for p in part.incoming}
    largest: dict[tuple[bool, bool], int] = {}
    for part in parts:
        for q in part.projections:
            largest[matrix[q.name]] = max(largest.get(matrix[q.name], q.shift), q.shift)
    shared = []
    for question, part in zip(asked, parts, strict=True):
        coarser = {
            q.name: largest[matrix[q.name]]
            for q in part.projections
            if q.shift != largest[matrix[q.name]] and q.name not in given
        }
        if coarser:
            text = (
                f"weights of {', '.join(coarser)} share the shift of their matrix, which other "
                "weights need larger: they lose as many low bits"
            )
            ledger.note("shared-exponent", question.name, text)
            part = quantize_integer(replace(question, exponents=coarser), ledger)
        shared.append(part)
    return shared


def _matrix(network: Network, source: str, target: str) -> tuple[bool, bool]:
    """Return (from an input, to an output)."""
    outputs = {name for port in network.outputs for name in port.sources}
    return source not in {p.name for p in network.populations}, target in outputs
