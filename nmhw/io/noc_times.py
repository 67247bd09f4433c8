"""Times of messages in a result file: arrays ``noc/<name>`` and a few words in its meta text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.noc import DIRECTIONS, NocTimes

Ints = NDArray[np.int64]

_PER_ROW = ("rows", "step_ps", "floor_ps", "blocked_ps", "messages")
_PER_LINK = ("link_messages", "link_wait_ps")
_PER_CORE = ("cores", "receiver_ps")


def noc_meta(times: NocTimes) -> dict[str, Any]:
    """Return what is no array."""
    return {"costs": times.costs, "mesh": list(times.mesh), "n_rows": times.n_rows}


def noc_arrays(times: NocTimes | None) -> dict[str, Ints]:
    """Return the arrays by name; none without times."""
    if times is None:
        return {}
    return {name: getattr(times, name) for name in (*_PER_ROW, *_PER_LINK, *_PER_CORE)}


def read_noc(meta: Mapping[str, Any], read: Callable[[str, int], Ints]) -> NocTimes:
    """Return the times of a file.

    Parameters
    ----------
    read : callable(path, number of axes)
        Reads an array of integers.

    Raises
    ------
    ValueError
        For arrays that contradict each other.
    """
    arrays = {name: read(f"noc/{name}", 1) for name in (*_PER_ROW, *_PER_LINK, *_PER_CORE)}
    width, height = (int(n) for n in meta["mesh"])
    n_rows = int(meta["n_rows"])
    rows = arrays["rows"]
    sizes = {
        **dict.fromkeys(_PER_ROW, rows.size),
        **dict.fromkeys(_PER_LINK, len(DIRECTIONS) * width * height),
        **dict.fromkeys(_PER_CORE, arrays["cores"].size),
    }
    if any(arrays[name].size != size for name, size in sizes.items()):
        raise ValueError("times of messages differ in number")
    if rows.size and not (rows[0] >= 0 and rows[-1] < n_rows and (np.diff(rows) > 0).all()):
        raise ValueError("timed steps are out of range")
    if any((values < 0).any() for values in arrays.values()):
        raise ValueError("times of messages are negative")
    return NocTimes(costs=str(meta["costs"]), mesh=(width, height), n_rows=n_rows, **arrays)
