"""Rules of chips with one pool of hidden neurons and one output layer.

Inputs reach hidden neurons, hidden neurons reach hidden neurons and outputs, nothing else is
wired: every hidden layer of a network lives in the same pool, and what connects two of them is
recurrent weights.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection

Parameters = MappingOf[str, Any]


def name_matrix(quantized: QuantizedNetwork, projection: QuantizedProjection) -> str:
    """Return "input", "recurrent", "output", or what the chip has no wires for."""
    outputs = output_names(quantized)
    if projection.source in outputs:
        return "behind outputs"
    if projection.source not in {p.name for p in quantized.populations}:
        return "input to output" if projection.target in outputs else "input"
    return "output" if projection.target in outputs else "recurrent"


def output_names(quantized: QuantizedNetwork) -> set[str]:
    """Return the populations that are the network's outputs."""
    return {name for port in quantized.outputs for name in port.sources}


def check_pool_graph(quantized: QuantizedNetwork, checks: tuple[str, ...]) -> list[str]:
    """Return what a network wires that the chip does not; ``checks`` are the rule's names."""
    outputs = output_names(quantized)
    hidden = [p.name for p in quantized.populations if p.name not in outputs]
    found = []
    if "hidden-and-output" in checks and not (hidden and outputs):
        found.append(
            f"{quantized.name!r}: {len(hidden)} hidden and {len(outputs)} output layers, at least "
            "1 of each (hidden-and-output)"
        )
    for p in quantized.projections:
        matrix = name_matrix(quantized, p)
        ends = f"{p.target!r}: {p.name!r} from {p.source!r}"
        if matrix == "behind outputs" and "output-not-recurrent" in checks:
            found.append(
                f"{ends}, which is an output, and outputs reach nothing, limit 0 weights"
                " (output-not-recurrent)"
            )
        elif matrix == "input to output" and "input-to-hidden" in checks:
            found.append(f"{ends}, an input: inputs reach hidden neurons alone (input-to-hidden)")
        if p.synapse and p.target in outputs and "output-one-current" in checks:
            found.append(
                f"{ends} feeds synapse 1 of an output, which has synapse 0 (output-one-current)"
            )
    if "outputs-do-not-spike" in checks:
        found += [
            f"{p.name!r}: an output of {p.size} spiking neurons, limit 0: outputs do not spike "
            "(outputs-do-not-spike)"
            for p in quantized.populations
            if p.name in outputs and p.spec.is_spiking
        ]
    if "one-shift-per-matrix" in checks:
        found += _check_shifts(quantized)
    return found


def _check_shifts(quantized: QuantizedNetwork) -> list[str]:
    shifts: dict[str, set[int]] = {}
    for p in quantized.projections:
        shifts.setdefault(name_matrix(quantized, p), set()).add(p.shift)
    return [
        f"{quantized.name!r}: {matrix} weights with shifts {', '.join(map(str, sorted(found)))}, "
        "limit 1 shift (one-shift-per-matrix)"
        for matrix, found in shifts.items()
        if len(found) > 1
    ]


def rule_layer_sizes(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping | None, parameters: Parameters
) -> list[str]:
    """Inputs, hidden neurons and outputs, and how many hidden neurons see input or feed outputs."""
    outputs = output_names(quantized)
    sizes = {p.name: p.size for p in quantized.populations}
    seeing, feeding = count_hidden_ends(quantized)
    found = {
        "inputs": ("inputs", sum(port.size for port in quantized.inputs)),
        "hidden": ("hidden neurons", sum(n for name, n in sizes.items() if name not in outputs)),
        "outputs": ("outputs", sum(n for name, n in sizes.items() if name in outputs)),
        "input_targets": ("hidden neurons with input", seeing),
        "output_sources": (
            "hidden neurons that feed outputs", feeding
        ),
    }  # fmt: skip
    return [
        f"{quantized.name!r}: {n:,} {what}, limit {int(parameters[key]):,}"
        for key, (what, n) in found.items()
        if key in parameters and n > int(parameters[key])
    ]


def count_hidden_ends(quantized: QuantizedNetwork) -> tuple[int, int]:
    """Return how many hidden neurons have a weight from an input, and to an output."""
    seeing = {p.name: np.zeros(p.size, np.bool_) for p in quantized.populations}
    feeding = {p.name: np.zeros(p.size, np.bool_) for p in quantized.populations}
    for p in quantized.projections:
        matrix = name_matrix(quantized, p)
        if matrix == "input":
            seeing[p.target] |= _wired(quantized, p)[1] > 0
        elif matrix == "output":
            feeding[p.source] |= _wired(quantized, p)[0] > 0
    return sum(int(m.sum()) for m in seeing.values()), sum(int(m.sum()) for m in feeding.values())


def count_recurrent_entries(quantized: QuantizedNetwork) -> int:
    """Return the pairs of hidden neurons with a weight, whichever current it feeds."""
    sizes = quantized.sizes()
    pairs: dict[tuple[str, str], Any] = {}
    for p in quantized.projections:
        if name_matrix(quantized, p) == "recurrent":
            ends = (p.source, p.target)
            weights = np.abs(_expand(p, sizes).toarray())
            pairs[ends] = pairs.get(ends, 0) + weights
    return sum(int(np.count_nonzero(total)) for total in pairs.values())


def _expand(p: QuantizedProjection, sizes: MappingOf[str, int]) -> Any:
    pooled = abs(pooled_map(p, sizes[p.source]).astype(np.int64))
    return (pooled @ abs(stored_synapses(p, sizes[p.target]).astype(np.int64))).tocsr()


def _wired(
    quantized: QuantizedNetwork, p: QuantizedProjection
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the weights that are not 0 of every source (n_source,) and target (n_target,)."""
    sizes = quantized.sizes()
    matrix = _expand(p, sizes)
    matrix.eliminate_zeros()
    targets = np.bincount(matrix.indices, minlength=sizes[p.target])
    return np.diff(matrix.indptr).astype(np.int64), targets.astype(np.int64)


def count_recurrent_targets(quantized: QuantizedNetwork) -> dict[tuple[str, int], NDArray[Any]]:
    """Return (n,) non-zero recurrent weights of every hidden neuron, by population and current."""
    sizes = quantized.sizes()
    outputs = output_names(quantized)
    hidden = [p.name for p in quantized.populations if p.name not in outputs]
    found = {(name, k): np.zeros(sizes[name], np.int64) for name in hidden for k in (0, 1)}
    for p in quantized.projections:
        if name_matrix(quantized, p) == "recurrent":
            found[p.source, p.synapse] += _wired(quantized, p)[0]
    return found


def check_recurrent_pool(quantized: QuantizedNetwork, parameters: Parameters) -> list[str]:
    """Each current has a pool of ``average`` targets per hidden neuron of the chip."""
    most, average = int(parameters["max_fan_out"]), int(parameters["average"])
    limit = average * int(parameters["recurrent_of"])
    targets = count_recurrent_targets(quantized)
    found = []
    for name in dict.fromkeys(name for name, _ in targets):
        each = targets[name, 0] + targets[name, 1]
        if each.max(initial=0) > most:
            worst = int(each.argmax())
            found.append(
                f"{name!r}: neuron {worst} has {int(each[worst])} recurrent targets, limit {most}"
            )
    for synapse in (0, 1):
        total = sum(int(n.sum()) for (_, k), n in targets.items() if k == synapse)
        if total > limit:
            found.append(
                f"{quantized.name!r}: {total:,} recurrent targets of synapse "
                f"{synapse}, limit {limit:,} ({average} per hidden neuron of the chip)"
            )
    return found
