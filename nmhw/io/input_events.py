"""The values of one input become events; what a network's inputs do not take is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.values.events import SpikeEvents, check_counts
from nmhw.values.network import InputPort

InputKind = Literal["spikes", "counts", "graded", "current"]
Array = NDArray[Any]

KINDS: tuple[InputKind, ...] = ("spikes", "counts", "graded", "current")
_ONE_SPIKE = "at most one spike per neuron and step (event files: --bin binary)"
_ENCODE = "--encode rate|latency|delta|accumulate, or --input-stage host|bias"


def input_kind(events: SpikeEvents) -> InputKind:
    """Return what the events are.

    ``spikes``: at most one per neuron and step. ``counts``: several. ``graded``: whole numbers,
    also negative, as a payload. ``current``: any other numbers (analog, direct coding).
    """
    if events.value is not None:
        whole = bool((events.value == np.round(events.value)).all())
        return "graded" if whole else "current"
    repeated = (
        (np.diff(events.index) == 0) & (np.diff(events.step) == 0) & (np.diff(events.sample) == 0)
    )
    return "counts" if repeated.any() else "spikes"


def events_of_array(array: Array, port: InputPort, first: int = 0) -> SpikeEvents:
    """Return the events of (samples, steps, elements) values; whole ones become repeated events.

    Parameters
    ----------
    first : int
        Number of the first sample, for messages.

    Raises
    ------
    InputError
        For values that are not finite, and for counts beyond ``check_counts``.
    """
    refuse_non_finite(array, port.name, first)
    is_count = array.dtype.kind != "f" and array.min(initial=0) >= 0
    if is_count or ((array >= 0).all() and (array == np.floor(array)).all()):
        check_counts(array, port.name)
        return SpikeEvents.from_dense(array, port.shape)
    sample, step, index = np.nonzero(array)
    value = array[sample, step, index].astype(np.float64)
    return SpikeEvents.from_arrays(
        sample, step, index, array.shape[0], array.shape[1], port.shape, value
    )


def refuse_non_finite(array: Array, where: str, first: int = 0) -> None:
    """Refuse NaN and infinite values; ``first`` is the number of the first sample.

    Raises
    ------
    InputError
        With the place of the first one.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        place = (at[0] + first, *at[1:])
        raise InputError(
            "the input holds a value that is not finite", got=f"{array[at]} at {place}",
            where=where, rule="input.finite",
        )  # fmt: skip


def check_input(
    events: SpikeEvents,
    port: InputPort,
    extent: tuple[int, int],
    kinds: Sequence[InputKind],
    first: int = 0,
) -> None:
    """Refuse events outside of (samples, steps) or the input's shape, and kinds not taken.

    Raises
    ------
    InputError
        Naming the input and an example.
    """
    if events.n_neurons != port.size:
        raise InputError(
            "the input has the wrong shape", got=events.shape, limit=port.shape, where=port.name
        )
    for name, column, size in (
        ("sample", events.sample, extent[0]),
        ("step", events.step, extent[1]),
        ("index", events.index, port.size),
    ):
        if column.size and (column.min() < 0 or column.max() >= size):
            bad = int(column.min() if column.min() < 0 else column.max())
            raise InputError(
                f"an event's {name} is out of range", got=bad, limit=f"0 to {size - 1}",
                where=port.name, rule="input.range",
            )  # fmt: skip
    kind = input_kind(events)
    if kind not in kinds:
        _refuse_kind(events, kind, port, kinds, first)


def _refuse_kind(
    events: SpikeEvents, kind: InputKind, port: InputPort, kinds: Sequence[InputKind], first: int
) -> None:
    example = ""
    if events.value is not None:
        odd = events.value != np.round(events.value) if kind == "current" else events.value < 0
        k = int(np.flatnonzero(odd)[0]) if odd.any() else 0
        at = (int(events.sample[k]) + first, int(events.step[k]), int(events.index[k]))
        example = f", e.g. {events.value[k]:.6g} at (sample, step, index) {at}"
    names = {
        "counts": "several spikes per step",
        "graded": "graded or negative values",
        "current": "analog values",
    }
    raise InputError(
        f"the input holds {names.get(kind, kind)}", got=kind + example, limit=" or ".join(kinds),
        where=port.name, rule="input.kind",
        hint=_ONE_SPIKE if kind == "counts" else _ENCODE,
    )  # fmt: skip
