"""Operations per layer: multiply-accumulates and additions, on the host and on the chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Delay, Dense, LinearOp, Pool, Reshape, Scale, Sparse
from nmhw.values.network import Network, Projection
from nmhw.values.trace import HostOperation

#: Values that are looked at together: 4 M float64 = 32 MB.
_BATCH_VALUES = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class HostSpikes(SpikeEvents):
    """Spikes that the host made.

    Attributes
    ----------
    host : tuple of HostOperation
        What it took; a run with these spikes lists it.
    """

    host: tuple[HostOperation, ...] = ()


def host_rows(x: Any) -> list[HostOperation]:
    """Return the operations of the host that inputs (or inputs by name) bring along."""
    given = x.values() if isinstance(x, Mapping) else (x,)
    return [row for each in given if isinstance(each, HostSpikes) for row in each.host]


def operation_facts(
    rows: Iterable[HostOperation], projections: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the host's rows, and MACs and additions of every layer wherever it is computed.

    A spike on the chip adds a weight: its synaptic operations are additions.
    """
    host = [asdict(row) for row in rows]
    keys = ("name", "macs", "effective_macs", "accumulates")
    layers = [{**{key: row[key] for key in keys}, "on": "host"} for row in host]
    synops: dict[str, int] = {}
    for projection in projections:
        name = projection["target"]
        synops[name] = synops.get(name, 0) + int(projection["synops"])
    for name, n in synops.items():
        row = {"name": name, "macs": 0, "effective_macs": 0, "accumulates": n}
        layers.append({**row, "on": "chip"})
    return {"host_operations": host, "layer_operations": layers}


def count_projection(
    projection: Projection, events: SpikeEvents, reason: str, *, is_held: bool = False
) -> HostOperation:
    """Return what one projection takes on the host.

    Parameters
    ----------
    events : SpikeEvents
        Its input: spikes, counts or values.
    is_held : bool
        Every sample is the same in all steps, and computed once.
    """
    ops = [op for op in projection.ops if not isinstance(op, Delay | Reshape)]
    macs = [0] * len(ops)
    used, is_binary, elements = list(macs), [True] * len(ops), 0
    reach = [None if isinstance(op, Scale) else _fan_out(op) for op in ops]
    for rows in _batches(events.window(0, 1) if is_held else events):
        x: Any = rows
        for k, op in enumerate(ops):
            flat = x.reshape(len(rows), -1)
            fan_out = reach[k]
            if fan_out is None:
                elements += flat.size
            else:
                macs[k] += len(rows) * count_macs(op)
                used[k] += int((flat != 0).sum(0) @ fan_out)
                is_binary[k] &= bool(((flat == 0) | (flat == 1)).all())
            x = op.apply(flat.reshape(len(rows), *op.input_shape))
    pairs = list(zip(used, is_binary, strict=True))
    names = dict.fromkeys(type(op).__name__ for op in ops)
    return HostOperation(
        projection.name, " > ".join(names) or "one to one", reason,
        n_calls=events.n_samples * (1 if is_held else events.n_steps), macs=sum(macs),
        effective_macs=sum(n for n, binary in pairs if not binary),
        accumulates=sum(n for n, binary in pairs if binary), elements=elements,
    )  # fmt: skip


def count_neurons(network: Network, name: str, n_updates: int, reason: str) -> HostOperation:
    """Return the row of a population that the host updates ``n_updates`` times."""
    population = network.population(name)
    return HostOperation(
        name, population.model.kind, reason,
        n_calls=n_updates, elements=n_updates * population.size,
    )  # fmt: skip


def count_macs(op: LinearOp) -> int:
    """Return the multiply-accumulates of one application, zeros at borders included."""
    if isinstance(op, Pool):
        op = op.as_conv()
    if isinstance(op, Conv):
        return int(np.prod(op.output_shape)) * int(np.prod(op.weight.shape[1:]))
    if isinstance(op, Dense):
        return int(op.weight.size)
    return int(op.matrix.nnz) if isinstance(op, Sparse) else 0


def _fan_out(op: LinearOp) -> NDArray[np.int64]:
    """Return how many weights other than 0 each input element meets."""
    if isinstance(op, Dense):
        return np.asarray((op.weight != 0).sum(0), np.int64)
    matrix = op.to_csr()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return np.bincount(rows[matrix.data != 0], minlength=matrix.shape[0]).astype(np.int64)


def _batches(events: SpikeEvents) -> Iterator[NDArray[np.float64]]:
    """Yield (samples x steps, elements) values."""
    per_sample = max(1, events.n_steps * events.n_neurons)
    size = max(1, _BATCH_VALUES // per_sample)
    for first in range(0, events.n_samples, size):
        part = events.samples(first, min(first + size, events.n_samples))
        yield part.dense().astype(np.float64).reshape(-1, events.n_neurons)
