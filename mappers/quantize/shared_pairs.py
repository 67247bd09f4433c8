"""Pairs of neurons that share registers: one decay, one threshold, one scale for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.part import Part
from nmhw.values.chip import ChipSpec, RuleSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def pair_rule(chip: ChipSpec) -> RuleSpec | None:
    """Return the chip's rule about neighbors that share registers, if there is one."""
    kinds = [r for r in chip.rules if r.kind == "shared-pair" and r.severity == "error"]
    return kinds[0] if kinds else None


def share_pairs(part: Part, ledger: Ledger) -> Part:
    """Return the part with the mean of every shared register in place of both."""
    rule = pair_rule(ledger.chip)
    if rule is None or part.is_literal:
        return part
    size, cell = int(rule.parameters["group_size"]), part.cell
    for field in rule.parameters["fields"]:
        wanted = getattr(cell, field)
        if field == "threshold" and not cell.is_spiking:
            continue
        shared = mean_of_groups(wanted, size)
        if np.allclose(shared, wanted, rtol=1e-12, atol=0):
            continue
        error = float(np.max(np.abs(shared - wanted) / np.maximum(np.abs(wanted), 1e-30)))
        text = (
            f"{size} neighboring neurons share one {field}: its mean is used, off by {error:.2%} "
            "at most"
        )
        ledger.note("shared-pair", part.name, text, hint="equal parameters in neighbors")
        if field == "threshold":
            cell = replace(cell, threshold=shared)
        elif field == "v_keep":
            cell = replace(cell, v_keep=shared)
    return replace(part, cell=cell)


def mean_of_groups(values: Floats, size: int) -> Floats:
    """Return the mean of every ``size`` neighbors in place of each of them."""
    group = np.arange(values.size) // size
    sums = np.bincount(group, values) / np.bincount(group)
    return np.asarray(sums[group], np.float64)


def share_channels(channel: Ints, chip: ChipSpec) -> Ints:
    """Return channel numbers whose neurons have one scale, because they share a threshold."""
    rule = pair_rule(chip)
    if rule is None or "threshold" not in rule.parameters["fields"]:
        return channel
    size = int(rule.parameters["group_size"])
    if np.array_equal(channel, np.arange(channel.size)):
        return channel // size
    return np.zeros_like(channel)
