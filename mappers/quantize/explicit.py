"""Given integers: users (and published traces) say what the registers hold.

``explicit={"population or projection": {field: value}}``; values are scalars or one per neuron.

| population field | meaning |
|---|---|
| threshold | mantissa; the threshold is mantissa << threshold_shift of the chip (vth on Loihi) |
| v_decay, u_decay | decay registers dv, du: keep = 2^decay_bits - d (du: - the chip's offset) |
| v_keep, u_keep | the factor out of 2^decay_bits itself |
| v_shift, u_shift | x - (x >> k), with the linear tail where the chip has it |
| u2_shift | the same of the second synaptic current, which only this field makes |
| alias | neuron that repeats this one's spikes (itself: as xylosim does), -1 = none; hidden only |
| v_leak | what is subtracted per step, toward 0 |
| v_min | negative threshold, where the chip has one |
| bias_mantissa, bias_exponent | bias on the membrane: mantissa << exponent |
| current_bias_mantissa, current_bias_exponent | the same on the synaptic current |
| v_reset, v0 | in least significant bits of the membrane |
| refractory_steps | whole steps |
| scale | membrane LSBs per unit of the author's v (default: threshold / float threshold) |

| projection field | meaning |
|---|---|
| weight | mantissa: one for all synapses, or an array (see below) |
| exponent | left shift of the summed weights |
| bits, sign_mode | of the stored weights (default: full width; a mode that holds them) |
| synapse | 0, or 1 for the second synaptic current of the target |

An array of weights has the shape of NIR: (out, in) for matrices, (out, in / groups, h, w) for
kernels; sparse weights come as a scipy matrix (source, target) or in its row order.

What is not given comes from the float network at the population's scale. Every value is checked
against the chip's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.network import Network

Explicit = Mapping[str, Any]
Ints = NDArray[np.int64]

POPULATION_FIELDS = (
    "threshold", "v_decay", "u_decay", "v_keep", "u_keep", "v_shift", "u_shift", "v_leak",
    "bias_mantissa", "bias_exponent", "current_bias_mantissa", "current_bias_exponent",
    "v_reset", "v0", "v_min", "refractory_steps", "scale", "u2_shift", "alias",
)  # fmt: skip
PROJECTION_FIELDS = ("weight", "exponent", "bits", "sign_mode", "synapse")


def as_explicit(explicit: Any) -> dict[str, Explicit]:
    """Return given integers as a dict of dicts.

    Raises
    ------
    UsageError
        For anything that is no mapping of mappings.
    """
    entries = {} if explicit is None else explicit
    for value in (entries, *(entries.values() if isinstance(entries, Mapping) else ())):
        if not isinstance(value, Mapping):
            hint = 'explicit={"lif1": {"threshold": 100}}'
            what = "given integers are a mapping of names to mappings of fields"
            raise UsageError(what, got=repr(value), hint=hint, rule="quantize.explicit")
    return dict(entries)


def check_names(explicit: Mapping[str, Explicit], network: Network) -> None:
    """Refuse names of no population or projection, and fields that they do not have."""
    tables: dict[str, tuple[str, ...]] = {p.name: POPULATION_FIELDS for p in network.populations}
    tables |= {p.name: tables.get(p.name, ()) + PROJECTION_FIELDS for p in network.projections}
    for name, entry in explicit.items():
        if name not in tables:
            hint = "one of " + ", ".join(tables)
            raise UsageError(
                "explicit: no such population or projection", got=repr(name), hint=hint
            )
        for field in entry:
            if field not in tables[name]:
                hint = "one of " + ", ".join(tables[name])
                raise UsageError("explicit: no such field", got=field, where=name, hint=hint)


def whole_numbers(name: str, field: str, value: Any, n: int | None, low: int, high: int) -> Ints:
    """Return whole numbers (n,) within low..high (any shape with n None), or refuse."""
    where = f"{name}: {field}"
    array = np.asarray(value)
    is_number = array.dtype.kind in "iuf"
    broken = array[array != np.rint(array)] if is_number else array.ravel()[:1]
    if broken.size or not is_number:
        got = broken.flat[0] if broken.size else array.dtype
        raise UsageError("must be whole numbers", got=got, where=where, rule="quantize.explicit")
    if n is not None:
        if array.size not in (1, n):
            raise UsageError(
                "wrong number of values", got=array.size, limit=f"1 or {n}", where=where
            )
        array = np.broadcast_to(array.ravel(), (n,))
    if array.size and (array.min() < low or array.max() > high):
        worst = array.min() if array.min() < low else array.max()
        raise UsageError(
            "outside the chip's grid", got=worst.item(), limit=f"{low}..{high}", where=where,
            rule="quantize.explicit",
        )  # fmt: skip
    return array.astype(np.int64)
