"""Sheets that cannot run yet: which of their limits a network exceeds before it is quantized.

Counts what does not depend on a chip's integers: neurons, synapses, layer sizes, the form of
convolutions, and the words of one-layer cores with their assignment. Everything else (weights,
thresholds, packing, routing) waits for the chip's arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmhw.errors import DoesNotFitError, NmhwError, UnsupportedError
from nmhw.mappers.core_assignment import assign_layers
from nmhw.mappers.layer_form import check_convolution, check_pool, check_pool_order, over
from nmhw.values.chip import ChipSpec
from nmhw.values.conv_words import kernel_words, neuron_words
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Sparse
from nmhw.values.network import Network, Projection


@dataclass(frozen=True, slots=True)
class SheetVerdict:
    """What could be counted (one phrase each) and what is violated (one sentence each)."""

    counted: tuple[str, ...]
    violations: tuple[str, ...]


def refuse_sheet(network: Network, chip: ChipSpec) -> NmhwError:
    """Return the error for a chip that cannot run: exceeded limits first, else the reason."""
    verdict = check_sheet(network, chip)
    if verdict.violations:
        what = f"{network.name!r} does not fit on {chip.name}"
        return DoesNotFitError(what, violations=verdict.violations, rule="map.does-not-fit")
    held = ", ".join(verdict.counted) or "nothing"
    return UnsupportedError(
        f"{chip.name} cannot run networks here, because {chip.not_executable_because}; what "
        f"can be counted without its integers fits ({held})",
        hint=f"nmhw chips {chip.name} for its whole sheet, or another chip",
        rule="map.limits-only",
    )


def check_sheet(network: Network, chip: ChipSpec) -> SheetVerdict:
    """Count a float network against a chip's limits.

    Parameters
    ----------
    network : Network
    chip : ChipSpec

    Returns
    -------
    SheetVerdict
        Violations name the layer, the resource, the need and the limit.
    """
    totals = {
        "neurons": sum(p.size for p in network.populations),
        "synapses": sum(_count_synapses(p) for p in network.projections),
    }
    counted, violations = [], []
    for resource, total in totals.items():
        limits = [group.budget.get(resource) for group in chip.cores]
        if None in limits:
            continue
        each = zip(chip.cores, limits, strict=True)
        limit = sum(group.count * (size or 0) for group, size in each) * chip.board.n_chips
        counted.append(f"{resource} {total:,} of {limit:,}")
        if total > limit:
            violations.append(
                f"{network.name!r}: {total:,} {resource}, limit {limit:,} (budget {resource})"
            )
    for rule in chip.rules:
        if rule.severity == "error" and rule.kind == "layer-sizes":
            violations += _check_layer_sizes(network, rule.parameters)
            counted.append("layer sizes")
        elif rule.severity == "error" and rule.kind == "layer-form":
            violations += _check_form(network, chip, rule.parameters)
            counted.append("layer forms")
        elif rule.severity == "error" and rule.kind == "graph":
            violations += _check_order(network, rule.parameters["checks"])
            counted.append("order of layers")
    if any("neuron_words" in group.budget for group in chip.cores):
        violations += assign_layers(chip, _words(network))
        counted.append("kernel and neuron words, one layer per core")
    return SheetVerdict(tuple(dict.fromkeys(counted)), tuple(dict.fromkeys(violations)))


def _count_synapses(projection: Projection) -> int:
    """Count stored weights of the chain's last weighted operation; convolutions without borders."""
    weighted = [op for op in projection.ops if isinstance(op, Conv | Dense | Sparse)]
    if not weighted:
        return 0
    op = weighted[-1]
    if isinstance(op, Dense):
        return int(op.weight.size)
    if isinstance(op, Sparse):
        return int(op.matrix.nnz)
    (height, width), (top, _, left, _) = op.in_shape[1:], op.padding
    c_out, c_group, kh, kw = op.weight.shape
    starts = [np.arange(n) * s for n, s in zip(op.out_spatial, op.stride, strict=True)]
    taps = [np.arange(n) * d for n, d in zip((kh, kw), op.dilation, strict=True)]
    y = starts[0][:, None] + taps[0] - top
    x = starts[1][:, None] + taps[1] - left
    rows, columns = ((y >= 0) & (y < height)).sum(), ((x >= 0) & (x < width)).sum()
    return int(c_out * c_group * rows * columns)


def _check_layer_sizes(network: Network, limits: Any) -> Iterator[str]:
    last = {source for port in network.outputs for source in port.sources}
    sizes = {p.name: p.size for p in network.populations}
    found = {
        "inputs": sum(port.size for port in network.inputs),
        "outputs": sum(size for name, size in sizes.items() if name in last),
        "hidden": sum(size for name, size in sizes.items() if name not in last),
    }
    for name, needed in found.items():
        limit = limits.get(name)
        if limit is not None and needed > limit:
            what = "hidden neurons" if name == "hidden" else name
            yield f"{network.name!r}: {needed:,} {what}, limit {limit:,} (rule layer-sizes)"


def _check_form(network: Network, chip: ChipSpec, form: Any) -> Iterator[str]:
    """Yield where a layer of the kind that ``form`` describes leaves its limits."""
    inputs = {port.name for port in network.inputs}
    kinds = {r.parameters["layer"] for r in chip.rules if r.kind == "layer-form"}
    for projection in network.projections:
        is_first = projection.source in inputs and "input convolution" in kinds
        for op in projection.ops:
            if isinstance(op, Dense) and form["layer"] == "fully connected":
                yield from over(projection.target, "input elements", op.weight.shape[1], form)
            elif isinstance(op, Conv) and form["layer"] == (
                "input convolution" if is_first else "convolution"
            ):
                yield from check_convolution(projection.target, op, form)
            elif isinstance(op, Pool) and form["layer"] == "convolution":
                yield from check_pool(projection.target, (op,), form)


def _check_order(network: Network, checks: Any) -> Iterator[str]:
    """Yield pools that the chip does not have, or not in front of the weights behind them."""
    for projection in network.projections:
        weights: list[LinearOp] = []
        for op in reversed(projection.ops):
            if isinstance(op, Pool):
                behind = weights[-1:] or _first_weights(network, projection.target)
                before_kernel = all(isinstance(next_op, Conv) for next_op in behind)
                where = projection.target
                for text in check_pool_order(where, (op,), checks, before_kernel=before_kernel):
                    yield f"{text} (rule graph)"
            elif isinstance(op, Conv | Dense | Sparse):
                weights.append(op)


def _first_weights(network: Network, source: str) -> list[LinearOp]:
    """Return the first weights of every projection behind ``source``, [] behind the last layer."""
    chains = [p.ops for p in network.projections if p.source == source]
    weighted = ([op for op in ops if isinstance(op, Conv | Dense | Sparse)] for ops in chains)
    return [ops[0] for ops in weighted if ops]


def _words(network: Network) -> dict[str, dict[str, int]]:
    """Return the padded words of every population, as one core of a convolution chip needs them."""
    shapes = {port.name: port.shape for port in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    found = {}
    for population in network.populations:
        shape = population.shape
        grid = shape if len(shape) == 3 else (population.size, 1, 1)
        words = {"kernel_words": 0, "neuron_words": neuron_words(*grid), "bias_words": 0}
        for projection in network.incoming(population.name):
            words["kernel_words"] += _kernel_words(projection, shapes[projection.source], grid)
            if projection.bias is not None and projection.bias.any():
                words["bias_words"] = grid[0]
        found[population.name] = words
    return found


def _kernel_words(projection: Projection, source: tuple[int, ...], grid: tuple[int, ...]) -> int:
    """Return the words of the chain's weights; a matrix is a convolution over the whole map."""
    before = source
    words = 0
    for op in projection.ops:
        if isinstance(op, Conv):
            c_out, c_group, kh, kw = op.weight.shape
            words = kernel_words(c_group, c_out, kh, kw)
        elif isinstance(op, Dense | Sparse):
            channels, height, width = before if len(before) == 3 else (op.input_shape[0], 1, 1)
            words = kernel_words(channels, op.output_shape[0], height, width)
        if _keeps_maps(op):
            before = op.output_shape
    return words


def _keeps_maps(op: LinearOp) -> bool:
    return len(op.output_shape) == 3
