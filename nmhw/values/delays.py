"""Rewrite projections whose elements have different delays as several with one delay each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmhw.values.linear import Delay, LinearOp, Reshape, Sparse, compose_csr
from nmhw.values.network import Network, Projection
from nmhw.values.topology import delay_in_steps, has_mixed_delays


def split_by_delay(network: Network, dt_s: float | None) -> Network:
    """Return an equivalent network in which every projection has one whole delay.

    A chain ``A, Delay, B`` is linear and does not change in time, so it equals the sum, over the
    distinct delays, of ``A`` restricted to the elements that have this delay, the delay, and
    ``B``. The parts are Sparse projections named ``<name>#d<steps>``; the bias stays with the
    first. Projections without mixed delays keep their operations, the Delay nodes become
    ``delay_steps``.

    Parameters
    ----------
    dt_s : float or None
        Step in seconds; None is enough without Delay nodes.

    Raises
    ------
    ProfileError
        For a delay that is no whole number of steps.
    """
    sizes = network.sizes()
    shapes = {i.name: i.shape for i in network.inputs}
    shapes.update((p.name, p.shape) for p in network.populations)
    projections: list[Projection] = []
    for p in network.projections:
        if not any(isinstance(op, Delay) for op in p.ops):
            projections.append(p)
        elif not has_mixed_delays(p):
            projections.append(_fold_uniform(p, dt_s))
        else:
            projections.extend(_split(p, dt_s, sizes[p.source], shapes[p.source], shapes[p.target]))
    return replace(network, projections=tuple(projections))


def _fold_uniform(projection: Projection, dt_s: float | None) -> Projection:
    steps = projection.delay_steps
    chain: list[LinearOp] = []
    for op in projection.ops:
        if isinstance(op, Delay):
            steps += delay_in_steps(float(op.delay_s.flat[0]), dt_s, projection.name)
        else:
            chain.append(op)
    return replace(projection, ops=tuple(chain), delay_steps=steps)


def _split(
    projection: Projection,
    dt_s: float | None,
    n_source: int,
    source: tuple[int, ...],
    target: tuple[int, ...],
) -> Iterator[Projection]:
    by_steps: dict[int, Sparse] = {}
    for steps, part in _parts(projection, dt_s, n_source):
        if steps in by_steps:
            by_steps[steps] = Sparse(by_steps[steps].matrix + part.matrix)
        else:
            by_steps[steps] = part
    bias = projection.bias
    for steps in sorted(by_steps):
        chain: list[LinearOp] = [by_steps[steps]]
        if source != (n_source,):
            chain.insert(0, Reshape(source, (n_source,)))
        if target != (math.prod(target),):
            chain.append(Reshape((math.prod(target),), target))
        name = f"{projection.name}#d{steps}"
        total = projection.delay_steps + steps
        yield replace(projection, name=name, ops=tuple(chain), bias=bias, delay_steps=total)
        bias = None


def _parts(
    projection: Projection, dt_s: float | None, n_source: int
) -> Iterator[tuple[int, Sparse]]:
    """Yield (delay, matrix) for every combination of delays along the chain."""
    segments: list[Sequence[LinearOp]] = [[]]
    delays: list[NDArray[np.int64]] = []
    for op in projection.ops:
        if isinstance(op, Delay):
            values, inverse = np.unique(op.delay_s.ravel(), return_inverse=True)
            steps = [delay_in_steps(float(v), dt_s, projection.name) for v in values]
            delays.append(np.array(steps, np.int64)[inverse.ravel()])
            segments.append([])
        else:
            segments[-1] = [*segments[-1], op]
    widths = [n_source, *(d.size for d in delays)]
    matrices = [compose_csr(ops, n) for ops, n in zip(segments, widths, strict=True)]
    for choice in itertools.product(*(np.unique(d) for d in delays)):
        matrix = matrices[0]
        for steps, per_element, following in zip(choice, delays, matrices[1:], strict=True):
            chosen = np.flatnonzero(per_element == steps)
            matrix = matrix[:, chosen] @ following[chosen, :]
        if matrix.nnz:
            yield int(sum(choice)), Sparse(matrix)
