"""torch DataLoaders: batches (x, y) or x, read once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.input_data import plain_array

Array = NDArray[Any]


def is_loader(x: Any) -> bool:
    """Whether this is a torch DataLoader, or something that looks like one."""
    return hasattr(x, "dataset") and hasattr(x, "batch_size") and hasattr(x, "__iter__")


def loader_batches(loader: Any) -> Iterator[tuple[Array, Array | None]]:
    """Yield (values, labels or None) of every batch.

    Raises
    ------
    InputError
        For what holds no numbers, and labels in some batches alone.
    """
    has_labels = None
    for batch in loader:
        pair = batch if isinstance(batch, list | tuple) else (batch,)
        if not pair or has_labels not in (None, len(pair) > 1):
            raise InputError("some batches have labels, others have none", where="DataLoader")
        has_labels = len(pair) > 1
        labels = plain_array(pair[1], "DataLoader labels") if has_labels else None
        yield plain_array(pair[0], "DataLoader"), labels
    if has_labels is None:
        raise InputError("the loader gives no batch", where="DataLoader", rule="input.no-extent")


def drain_loader(loader: Any) -> tuple[Array, Array | None]:
    """Return all batches of a loader joined.

    Raises
    ------
    InputError
        For batches of different shapes, and a loader without any.
    """
    xs, ys = [], []
    for x, y in loader_batches(loader):
        xs.append(x)
        if y is not None:
            ys.append(y)
    if len({a.shape[1:] for a in xs}) != 1:
        shapes = sorted({a.shape[1:] for a in xs})
        raise InputError("the batches of a loader have one shape", got=shapes, where="DataLoader")
    return np.concatenate(xs), np.concatenate(ys) if ys else None
