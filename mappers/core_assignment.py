"""One layer per core on chips with different cores: maximum matching, and what blocks it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec


def assign_layers(chip: ChipSpec, needs: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return why layers cannot each have a core of their own; empty when they can.

    Parameters
    ----------
    needs : mapping of layer name to resource and amount

    Returns
    -------
    list of str
        A sentence per layer that no core holds; else, where cores are short, the smallest set of
        layers found that competes for fewer cores than it has members.
    """
    layers = list(needs)
    fits = np.array(
        [[not _excess(chip, core, needs[name]) for core in range(chip.n_cores)] for name in layers]
    ).reshape(len(layers), chip.n_cores)
    homeless = [name for name, row in zip(layers, fits, strict=True) if not row.any()]
    if homeless:
        return [_no_core(chip, name, needs[name]) for name in homeless]
    blocked, cores = blocking_set(fits)
    if not blocked:
        return []
    names = ", ".join(repr(layers[k]) for k in blocked)
    where = ", ".join(str(core) for core in cores)
    return [
        f"{len(blocked)} layers ({names}) compete for {len(cores)} cores ({where}) of {chip.name}"
    ]


def blocking_set(fits: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    """Return layers that together reach fewer cores than they are, and those cores (Hall).

    Parameters
    ----------
    fits : (n_layers, n_cores) bool

    Returns
    -------
    layers, cores : lists of int
        Both empty when every layer can have a core of its own.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not fits.size:
        return [], []
    core_of = maximum_bipartite_matching(csr_array(fits.astype(np.int8)), perm_type="column")
    free = np.flatnonzero(core_of < 0)
    if not free.size:
        return [], []
    layer_of = {int(core): layer for layer, core in enumerate(core_of) if core >= 0}
    # every core that an unmatched layer reaches on alternating paths is taken by a layer of the set
    layers, frontier = {int(free[0])}, [int(free[0])]
    cores: set[int] = set()
    while frontier:
        reached = {int(core) for core in np.flatnonzero(fits[frontier.pop()])} - cores
        cores |= reached
        new = {layer_of[core] for core in reached} - layers
        layers |= new
        frontier += sorted(new)
    return sorted(layers), sorted(cores)


def _excess(chip: ChipSpec, core: int, need: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    budget = chip.core_spec(core).budget
    return {r: (n, budget[r]) for r, n in need.items() if r in budget and n > budget[r]}


def _no_core(chip: ChipSpec, name: str, need: Mapping[str, int]) -> str:
    """Say what the layer lacks on the core that comes closest."""
    excesses = [_excess(chip, core, need) for core in range(chip.n_cores)]
    least = min(excesses, key=lambda e: max(n / limit for n, limit in e.values()))
    lacks = ", ".join(
        f"{r.replace('_', ' ')} {n:,}, limit {limit:,}" for r, (n, limit) in least.items()
    )
    return f"{name!r} fits on no core of {chip.name}; on the closest: {lacks}"
