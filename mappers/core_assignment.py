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
    layers, fits = list(needs), _fitting_cores(chip, needs)
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


def match_cores(chip: ChipSpec, needs: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return a core of its own for every layer that a maximum matching serves.

    Among maximum matchings one with the least memory left over is taken, so that small layers leave
    the roomy cores free.
    """
    from scipy.optimize import linear_sum_assignment

    layers, fits = list(needs), _fitting_cores(chip, needs)
    room = np.array([sum(chip.core_spec(c).budget.values()) for c in range(chip.n_cores)], float)
    # a pair that does not fit costs more than all others together: a matching is maximum first
    cost = np.where(fits, room, (1 + room.sum()) * (1 + len(layers)))
    return {
        layers[row]: int(core)
        for row, core in zip(*linear_sum_assignment(cost), strict=True)
        if fits[row, core]
    }


def _fitting_cores(chip: ChipSpec, needs: Mapping[str, Mapping[str, int]]) -> NDArray[np.bool_]:
    """Return (n_layers, n_cores): which layer fits which core."""
    return np.array(
        [[not _excess(chip, core, need) for core in range(chip.n_cores)] for need in needs.values()]
    ).reshape(len(needs), chip.n_cores)


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
