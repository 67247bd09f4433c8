"""A mapped network as one .npz that SANA-FE's side reads with NumPy alone: neurons and synapses.

All populations lie one behind the other. Potentials are in units of 2^6 membrane bits of Loihi, in
which a weight counts as itself: SANA-FE keeps a potential to 2^-6 and rounds it toward zero after
the decay, as the chip's integers do. Cores are SANA-FE's: its tiles are numbered along y, nmhw's
along x, so a core is found again by its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import stored_synapses
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

Ints = NDArray[np.int64]

#: A population's synapses have one encoding here, as a group of SANA-FE has one default unit.
KINDS = ("dense", "sparse")


def write_mapped(quantized: QuantizedNetwork, mapping: Mapping, chip: ChipSpec, path: Path) -> Path:
    """Write a network driven by biases alone.

    The file holds ``sizes`` and ``kinds`` per population, ``core, threshold, keep, bias, v0`` per
    neuron, and CSR ``indptr, indices, weights`` over all neurons.

    Raises
    ------
    UnsupportedError
        For what SANA-FE would not compute in the same integers.
    """
    populations = quantized.populations
    for population in populations:
        _check(population)
    parts = [_neurons(population, mapping, chip) for population in populations]
    content: dict[str, Any] = {
        key: np.concatenate([part[key] for part in parts]) for key in parts[0]
    }
    content["sizes"] = np.array([population.size for population in populations])
    content["kinds"] = np.array([_encoding(quantized, mapping, p.name) for p in populations])
    np.savez(path, **content, **_synapses(quantized))
    return path


def sanafe_cores(chip: ChipSpec) -> Ints:
    """Return (n_cores,) SANA-FE's number of every core of one chip."""
    cores = np.arange(chip.n_cores)
    _, x, y = np.array([chip.position(int(core)) for core in cores], np.int64).T
    return (x * chip.mesh.height + y) * chip.mesh.cores_per_tile + cores % chip.mesh.cores_per_tile


def count_fan_out(quantized: QuantizedNetwork) -> dict[str, Ints]:
    """Return stored synapses behind every neuron."""
    counts = {p.name: np.zeros(p.size, np.int64) for p in quantized.populations}
    sizes = quantized.sizes()
    for projection in quantized.projections:
        if projection.source in counts:
            rows = stored_synapses(projection, sizes[projection.target])
            counts[projection.source] += np.diff(rows.indptr)
    return counts


def _check(population: QuantizedPopulation) -> None:
    spec = population.spec
    is_same = (
        (spec.compare, spec.reset, spec.reset_delay) == (">", "zero", 0)
        and (spec.v_decay == "none" or (spec.v_decay, spec.rounding) == ("mulshift", "toward-zero"))
        and (spec.u_decay == "clear" or not population.u_keep.any())
        and population.v_min is None
        and population.refractory_steps is None
        and not population.u_bias.any()
    )
    if not is_same:
        raise UnsupportedError("not the neuron that SANA-FE's Loihi has", where=population.name)


def _neurons(population: QuantizedPopulation, mapping: Mapping, chip: ChipSpec) -> dict[str, Any]:
    unit = 1 << population.spec.input_shift
    is_leaky = population.spec.v_decay == "mulshift"
    keep = population.v_keep / (1 << population.spec.decay_bits)
    return {
        "core": sanafe_cores(chip)[mapping.core_of(population.name, population.size)],
        "threshold": population.threshold / unit,
        "keep": keep if is_leaky else np.ones(population.size),
        "bias": population.v_bias / unit,
        "v0": population.v0 / unit,
    }


def _encoding(quantized: QuantizedNetwork, mapping: Mapping, target: str) -> int:
    """Return the index into KINDS; 1 where no population projects there."""
    names = {p.name for p in quantized.populations}
    chosen = [q.name for q in quantized.projections if q.target == target and q.source in names]
    kinds = {kind for (name, _), kind in mapping.encodings.items() if name in chosen}
    if len(kinds) > 1 or not kinds <= set(KINDS):
        raise UnsupportedError("several encodings", got=sorted(kinds), where=target)
    return KINDS.index(kinds.pop()) if kinds else 1


def _synapses(quantized: QuantizedNetwork) -> dict[str, Any]:
    """Return all synapses between populations as one CSR, stored zeros included."""
    sizes = {p.name: p.size for p in quantized.populations}
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
    rows, columns, weights = [], [], []
    for projection in quantized.projections:
        if projection.source not in sizes:
            continue
        if projection.delay_steps != 1 or projection.pools:
            raise UnsupportedError("more than a hop's delay, or a pool", where=projection.name)
        matrix = stored_synapses(projection, sizes[projection.target])
        source = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        rows.append(source + first[projection.source])
        columns.append(matrix.indices + first[projection.target])
        weights.append(matrix.data * 2.0**projection.shift)
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    counts = np.bincount(row, minlength=sum(sizes.values()))
    return {
        "indptr": np.concatenate([[0], np.cumsum(counts)]),
        "indices": np.concatenate(columns)[order].astype(np.int64),
        "weights": np.concatenate(weights)[order],
    }
