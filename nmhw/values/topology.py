"""Order and delay: which projections close a loop, how late each population is.

A zero-hop profile lets a spike cross a whole feed-forward network within one step, so a loop needs
a delay somewhere. It sits on the projections that close a cycle in depth-first order from the
inputs (names break ties), and only where the cycle has no delay of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmhw.errors import ProfileError, UnsupportedError
from nmhw.values.linear import Delay
from nmhw.values.network import Network, Projection
from nmhw.values.profile import Profile

_WHOLE = 1e-6
#: Longest delay of a projection in steps: every run lasts its own steps plus the delays.
_MAX_DELAY_STEPS = 1_000_000


def closing_projections(network: Network) -> frozenset[str]:
    """Return the names of the projections that close a cycle in depth-first order.

    The search starts at the inputs, then at populations no input reaches, each in the order of
    their names, and follows projections in the order of (target, name). Without these
    projections the network has no cycle.
    """
    outgoing = _outgoing(network)
    open_nodes: set[str] = set()
    done: set[str] = set()
    closing: set[str] = set()
    roots = [*sorted(i.name for i in network.inputs), *sorted(p.name for p in network.populations)]
    for root in roots:
        if root in done:
            continue
        open_nodes.add(root)
        path = [(root, iter(outgoing.get(root, ())))]
        while path:
            node, edges = path[-1]
            for edge in edges:
                if edge.target in open_nodes:
                    closing.add(edge.name)
                elif edge.target not in done:
                    open_nodes.add(edge.target)
                    path.append((edge.target, iter(outgoing.get(edge.target, ()))))
                    break
            else:
                path.pop()
                open_nodes.discard(node)
                done.add(node)
    return frozenset(closing)


def strong_components(network: Network) -> tuple[tuple[str, ...], ...]:
    """Return the populations grouped into loops, in topological order.

    A population outside every loop is a group of its own. Inputs are left out.
    """
    order = topological_order(network)
    group = _component_of(network)
    members: dict[int, list[str]] = {}
    for name in order:
        members.setdefault(group[name], []).append(name)
    # contracting components of an order that respects all but the closing projections may
    # interleave them; sort the groups by their own dependencies
    before: dict[int, set[int]] = {g: set() for g in members}
    for p in network.projections:
        if p.source in group and group[p.source] != group[p.target]:
            before[group[p.target]].add(group[p.source])
    result: list[tuple[str, ...]] = []
    placed: set[int] = set()
    waiting = list(members)
    while waiting:
        ready = next(g for g in waiting if before[g] <= placed)
        waiting.remove(ready)
        placed.add(ready)
        result.append(tuple(members[ready]))
    return tuple(result)


def is_recurrent(network: Network, projection: Projection) -> bool:
    """Whether the projection lies on a cycle (its ends are in the same loop)."""
    if projection.source == projection.target:
        return True
    group = _component_of(network)
    return projection.source in group and group[projection.source] == group[projection.target]


def topological_order(network: Network, ignored: frozenset[str] | None = None) -> tuple[str, ...]:
    """Return the populations so that every projection but the ignored ones points forward.

    Parameters
    ----------
    ignored : frozenset of str, optional
        Projection names; default: ``closing_projections``.

    Raises
    ------
    ProfileError
        When a cycle is left, naming its populations.
    """
    skip = closing_projections(network) if ignored is None else ignored
    names = [p.name for p in network.populations]
    missing = dict.fromkeys(names, 0)
    outgoing: dict[str, list[str]] = {n: [] for n in names}
    for p in network.projections:
        if p.name not in skip and p.source in missing:
            outgoing[p.source].append(p.target)
            missing[p.target] += 1
    ready = [n for n in names if missing[n] == 0]
    order: list[str] = []
    for name in ready:  # grows while it is read
        order.append(name)
        for target in outgoing[name]:
            missing[target] -= 1
            if missing[target] == 0:
                ready.append(target)
    if len(order) != len(names):
        left = sorted(set(names) - set(order))
        raise ProfileError("a loop without any delay", where=", ".join(left), rule="profile.loop")
    return tuple(order)


def projection_delays(network: Network, profile: Profile) -> dict[str, int]:
    """Return the whole delay of every projection in steps, by name.

    The sum of the profile's hop, the Delay operations, ``delay_steps``, and in a loop that has no
    delay at all one step on the projection that closes it (none there either when
    ``reset_delay`` already makes the source's spikes a step late).

    Raises
    ------
    ProfileError
        For a delay that is no whole number of steps or beyond 1e6, or delays without dt.
    UnsupportedError
        For a Delay operation whose elements differ (see ``split_by_delay``).
    """
    own = {p.name: _own_delay(p, profile.dt_s) for p in network.projections}
    if profile.hop_steps:
        return {name: steps + profile.hop_steps for name, steps in own.items()}
    timeless = _component_of(network, frozenset(n for n, steps in own.items() if steps == 0))
    closing = closing_projections(network)
    delays = dict(own)
    for p in network.projections:
        in_loop = p.source in timeless and timeless[p.source] == timeless[p.target]
        if p.name in closing and own[p.name] == 0 and in_loop:
            delays[p.name] = 0 if p.source in late_populations(network, profile) else 1
    return delays


def late_populations(network: Network, profile: Profile) -> frozenset[str]:
    """Return the populations whose spikes depend on the state before the step alone."""
    if not profile.reset_delay:
        return frozenset()
    stateful = (p for p in network.populations if p.model.is_spiking)
    return frozenset(p.name for p in stateful if p.model.kind != "threshold")


def evaluation_order(
    network: Network, profile: Profile, delays: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the order in which populations must be updated within one step.

    Projections with a delay, and those from ``late_populations``, set no order.
    """
    late = late_populations(network, profile)
    free = frozenset(p.name for p in network.projections if delays[p.name] or p.source in late)
    return topological_order(network, free)


def depths(network: Network, delays: Mapping[str, int]) -> dict[str, int]:
    """Return the longest delay from an input to every node, in steps (inputs: 0).

    Projections that close a loop are ignored, so the number is finite.
    """
    closing = closing_projections(network)
    incoming: dict[str, list[Projection]] = {p.name: [] for p in network.populations}
    for p in network.projections:
        if p.name not in closing:
            incoming[p.target].append(p)
    depth = {i.name: 0 for i in network.inputs}
    for name in topological_order(network, closing):
        depth[name] = max((depth[p.source] + delays[p.name] for p in incoming[name]), default=0)
    return depth


def output_delay(network: Network, depth: Mapping[str, int]) -> int:
    """Return D, the longest delay from an input to an output population.

    Raises
    ------
    ProfileError
        For more than 1e6 steps.
    """
    late = max((s for o in network.outputs for s in o.sources), key=depth.__getitem__, default=None)
    if late is not None and depth[late] > _MAX_DELAY_STEPS:
        _refuse_long(f"{depth[late]} steps from the inputs", late)
    return 0 if late is None else depth[late]


def delay_in_steps(delay_s: float, dt_s: float | None, where: str) -> int:
    """Return a delay in whole steps.

    Raises
    ------
    ProfileError
        Without dt, when the delay is not a multiple of it within 1e-6, or beyond 1e6 steps.
    """
    if delay_s == 0:
        return 0
    if dt_s is None:
        raise ProfileError(
            "a delay in seconds needs a step length", where=where, hint="--dt SECONDS",
            rule="profile.dt-missing",
        )  # fmt: skip
    steps = delay_s / dt_s
    if steps > _MAX_DELAY_STEPS:
        _refuse_long(f"{delay_s:.6g} s = {steps:.6g} steps", where)
    if steps < 0 or abs(steps - round(steps)) > _WHOLE * max(1.0, steps):
        raise ProfileError(
            "a delay must be a whole number of steps, 0 or more",
            got=f"{delay_s:.6g} s = {steps:.6g} steps",
            limit=f"multiples of dt = {dt_s:.6g} s",
            where=where,
            hint="another --dt",
            rule="profile.delay-not-whole",
        )
    return round(steps)


def has_mixed_delays(projection: Projection) -> bool:
    """Whether a Delay operation of the chain delays some elements more than others."""
    delays = (op.delay_s for op in projection.ops if isinstance(op, Delay))
    return any(float(np.ptp(d)) > 0 for d in delays)


def _own_delay(projection: Projection, dt_s: float | None) -> int:
    total = projection.delay_steps
    if has_mixed_delays(projection):
        raise UnsupportedError(
            "the elements of a Delay node differ, one projection has one delay",
            where=projection.name,
            hint="split_by_delay(network, dt_s) makes one projection per delay",
            rule="projection.mixed-delay",
        )
    for op in projection.ops:
        if isinstance(op, Delay):
            total += delay_in_steps(float(op.delay_s.flat[0]), dt_s, projection.name)
    if total > _MAX_DELAY_STEPS:
        _refuse_long(f"{total} steps", projection.name)
    return total


def _refuse_long(got: str, where: str) -> None:
    raise ProfileError(
        "the delay is too long to run", got=got, limit=f"{_MAX_DELAY_STEPS} steps", where=where,
        hint="a larger --dt, or a shorter delay", rule="profile.delay-too-long",
    )  # fmt: skip


def _outgoing(network: Network) -> dict[str, list[Projection]]:
    outgoing: dict[str, list[Projection]] = {}
    for p in sorted(network.projections, key=lambda p: (p.target, p.name)):
        outgoing.setdefault(p.source, []).append(p)
    return outgoing


def _component_of(network: Network, only: frozenset[str] | None = None) -> dict[str, int]:
    """Strongly connected component of every population, over all or the named projections."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = {p.name: k for k, p in enumerate(network.populations)}
    pairs = [
        (index[p.source], index[p.target])
        for p in network.projections
        if p.source in index and (only is None or p.name in only)
    ]
    rows, cols = zip(*pairs, strict=True) if pairs else ((), ())
    n = len(index)
    graph = coo_array((np.ones(len(pairs)), (rows, cols)), shape=(n, n))
    _, label = connected_components(graph, directed=True, connection="strong")
    return {name: int(label[k]) for name, k in index.items()}
