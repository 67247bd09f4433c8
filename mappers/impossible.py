"""Impossible: what no cut can help: delays, synapse formats, one neuron above a core's budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.encoding import index_width, legal_encodings, list_bits
from nmhw.mappers.footprint import RESOURCES, Demand, demand_of, excess, format_amount, load_slice
from nmhw.mappers.wiring import ProjectionWiring, Wiring, with_weight_bits
from nmhw.values.chip import ChipSpec

#: Neurons whose exact demand is looked at when an upper estimate exceeds a budget.
_MAX_CHECKED = 64


def find_impossible(wiring: Wiring, chip: ChipSpec) -> list[str]:
    """Return one sentence for everything that stops the network whatever the mapping."""
    sentences = [*_explain_delays(wiring, chip), *_explain_formats(wiring, chip)]
    formless = {p.target for p in wiring.network.projections if not legal_encodings(chip, p)}
    for population in wiring.network.populations:
        if population.name not in formless:
            sentences += _explain_neuron(wiring, chip, population.name)
    return sentences


def _explain_delays(wiring: Wiring, chip: ChipSpec) -> Iterator[str]:
    inputs = {port.name for port in wiring.network.inputs}
    for p in wiring.network.projections:
        least = chip.arithmetic.input_hop if p.source in inputs else chip.arithmetic.hop_steps
        most = least + chip.arithmetic.max_extra_delay_steps
        if not least <= p.delay_steps <= most:
            yield (
                f"{p.target!r} does not fit on {chip.name}: a delay of {p.delay_steps} steps in "
                f"{p.name!r}, limit {most} (at least {least})"
            )


def _explain_formats(wiring: Wiring, chip: ChipSpec) -> Iterator[str]:
    for p in wiring.network.projections:
        if legal_encodings(chip, p):
            continue
        kinds = ", ".join(sorted({e.kind for e in chip.encodings})) or "none"
        widest = max((w for e in chip.encodings for w in e.weight_bits), default=0)
        yield (
            f"{p.target!r} does not fit on {chip.name}: no synapse format for the {p.storage} "
            f"projection {p.name!r} with {p.weight_bits}-bit weights (formats: {kinds}; weights of "
            f"up to {widest} bits)"
        )


def _explain_neuron(wiring: Wiring, chip: ChipSpec, population: str) -> list[str]:
    """Say what one neuron alone needs too much of, if there is such a neuron."""
    for neuron in _suspects(wiring, chip, population):
        demand = _demand_alone(wiring, chip, population, neuron)
        if demand is None:
            text = "no synapse format addresses even one neuron"
            return [f"{population!r} does not fit on {chip.name}: {text}"]
        over = [excess(demand, group.budget) for group in chip.cores]
        if all(over):
            nearest = min(over, key=lambda o: max(need / limit for need, limit in o.values()))
            return [
                _neuron_sentence(wiring, chip, population, neuron, resource, need, limit)
                for resource, (need, limit) in nearest.items()
            ]
    return []


def _demand_alone(wiring: Wiring, chip: ChipSpec, population: str, neuron: int) -> Demand | None:
    load = load_slice(wiring, population, np.asarray([neuron], np.int64))
    return demand_of(wiring, chip, load, 0)


def _suspects(wiring: Wiring, chip: ChipSpec, population: str) -> list[int]:
    """Return neurons that may exceed a budget alone, the most demanding first (at least one)."""
    estimates = _estimates(wiring, chip, population)
    worst = np.full(wiring.sizes[population], np.inf)
    for group in chip.cores:
        shares = [values / group.budget.get(r, np.inf) for r, values in estimates.items()]
        worst = np.minimum(worst, np.max(shares, axis=0))
    flagged = np.argsort(-worst, kind="stable")[:_MAX_CHECKED]
    return [int(n) for n in flagged if worst[n] > 1] or [int(flagged[0])]


def _estimates(wiring: Wiring, chip: ChipSpec, population: str) -> dict[str, NDArray[np.float64]]:
    """Return (n,) upper estimates of every neuron alone, per resource its inputs decide."""
    n = wiring.sizes[population]
    axons, bits, synapses, formats = (np.zeros(n) for _ in range(4))
    for wires in wiring.incoming[population]:
        axons += wires.fan_in()
        synapses += wires.synapses()
        formats += wires.fan_in() > 0
        bits += _bits_alone(chip, wires)
    memory = chip.memory
    total = bits.copy()
    if memory is not None:
        total += memory.fixed_bits + memory.bits_per_neuron + memory.bits_per_in_axon * axons
        total += memory.bits_per_neuron_delay_slot * wiring.delay_slots[population]
    return {
        "in_axons": axons,
        "synapses": synapses,
        "synapse_bits": bits,
        "synapse_formats": formats,
        "memory_bits": total,
    }


def _bits_alone(chip: ChipSpec, wires: ProjectionWiring) -> NDArray[np.float64]:
    """Return (n,) synapse bits of every target neuron alone on a core, in its cheapest format."""
    options = []
    for encoding, weight_bits in legal_encodings(chip, wires.projection):
        if encoding.kind == "shared":
            kernel = weight_bits * math.prod(wires.projection.weights.shape[1:])
            words = -(-kernel // encoding.word_bits) * encoding.word_bits
            fan_in = wires.fan_in()
            options.append(np.where(fan_in > 0, words, 0) + encoding.axon_bits * fan_in)
            continue
        index = index_width(encoding, 1) if encoding.kind == "sparse" else 0
        if index is not None:
            measure = partial(list_bits, encoding, weight_bits + index + encoding.extra_bits)
            options.append(wires.sum_over_axons(measure, in_rows=encoding.kind != "sparse"))
    if not options:
        return np.zeros(wires.n_target)
    return np.min(np.stack(options), axis=0).astype(np.float64)


def _neuron_sentence(
    wiring: Wiring,
    chip: ChipSpec,
    population: str,
    neuron: int,
    resource: str,
    need: int,
    limit: int,
) -> str:
    start = f"{population!r} does not fit on {chip.name}: "
    fan_in = load_slice(wiring, population, np.asarray([neuron], np.int64)).n_in_axons
    if resource == "in_axons":
        return (
            f"{start}neuron {neuron} has a fan-in of {need} sources, limit {limit} input axons per "
            f"core; fits with: at most {limit} inputs per neuron (prune them, or a smaller layer "
            f"before it)"
        )
    widths = sorted({w.projection.weight_bits for w in wiring.incoming[population]})
    weights = "/".join(str(w) for w in widths) + "-bit weights"
    ways = list(_narrower(wiring, chip, population, neuron))
    ways.append(f"a fan-in of about {max(1, fan_in * limit // need)}")
    return (
        f"{start}{RESOURCES[resource]} {format_amount(resource, need)} needed by one neuron's "
        f"core, limit {format_amount(resource, limit)} (neuron {neuron}, {weights}, {fan_in} axons "
        f"in); fits with: " + " | ".join(ways)
    )


def _narrower(wiring: Wiring, chip: ChipSpec, population: str, neuron: int) -> Iterator[str]:
    """Yield the widest narrower weights with which one neuron fits a core."""
    for bits in sorted(chip.arithmetic.weight_bits, reverse=True):
        thin = with_weight_bits(wiring, bits)
        demand = _demand_alone(thin, chip, population, neuron) if thin is not None else None
        if demand is not None and any(not excess(demand, g.budget) for g in chip.cores):
            yield f"{bits}-bit weights"
            return
