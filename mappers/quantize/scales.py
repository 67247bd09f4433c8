"""Joint scales: how many membrane LSBs one unit of the author's v becomes, per output channel.

Scaling a neuron's weights, threshold, bias, v0 and reset value together changes no spike, so each
channel may use the whole weight grid, with its threshold following. Chips limit this: n distinct
thresholds per core (then channels are clustered), one per layer, a mantissa of some bits, a state
of some bits.

A threshold is put on the chip's grid first and the scale follows from it, so that thresholds carry
no rounding error wherever they are equal within a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.cells import MembraneCell
from nmhw.mappers.quantize.grid import (
    WeightGrid,
    largest_bias,
    largest_threshold,
    legal_thresholds,
)
from nmhw.values.chip import ArithmeticSpec, ChipSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Above 2^18 LSBs a threshold (and a decay's rounding of 1 LSB per step) is exact to 4e-6.
_FINE_THRESHOLD = 1 << 18
# Channels whose largest weight is this much smaller than the layer's do not set the exponent.
_MINOR_CHANNEL = 1 / 32
_N_BINS = 256
# A membrane without leak has no bound of its own; it gets room for this many times threshold and
# the largest input of one step before it saturates.
_UNBOUNDED_ROOM = 64
# Observed peaks do not push a threshold below this many LSBs: leak and threshold would be rounded
# so coarsely that the error passes that of a state which leaves its width now and then.
_COARSE_THRESHOLD = 64


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """What the projections of one population ask of its scale.

    ``peaks``: per projection max |w| (n,) of each target, in membrane units; ``grids``: one per
    projection; ``channel``: (n,) neurons with equal numbers must have one scale; ``follows``: those
    that take any exponent at the scale of the others (none: all set the scale).
    """

    peaks: Sequence[Floats]
    grids: Sequence[WeightGrid]
    channel: Ints
    follows: Sequence[bool] = ()

    def exponents_at(self, exponent: int, highest: int) -> list[int]:
        """Return the largest exponent of every projection where the leading ones have this one."""
        if not self.follows or all(self.follows):
            return [exponent] * len(self.peaks)
        return [highest if follows else exponent for follows in self.follows]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Largest |u| and |v| (n,) in membrane units, headroom included; inf = unknown.

    What a calibration run observed binds the scale; a worst case only keeps it from growing.
    """

    u: Floats
    v: Floats
    is_u_observed: bool = False
    is_v_observed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ScaleChoice:
    """Scale (n,) in LSB per unit of v, thresholds (n,) in LSB, one exponent per projection."""

    scale: Floats
    threshold: Ints
    exponents: tuple[int, ...]
    overflow: tuple[float, float]
    """Bounds of u and v divided by the states' widths: above 1 the state could overflow."""


def choose_scale(
    cell: MembraneCell, incoming: Incoming, bounds: Bounds, chip: ChipSpec
) -> ScaleChoice:
    """Return the finest joint scale that nothing of the chip's grid clips.

    The exponent is the smallest that makes thresholds fine and lets every projection keep one >= 0
    (a right shift loses low bits of the sum in every step), as far as thresholds, biases and the
    bounds on u and v allow. Bounds that nobody observed never push it below 0; observed ones never
    push a threshold below 64 LSBs that would have them otherwise.
    """
    u_caps, v_caps = _state_caps(bounds, chip.arithmetic)
    observed = np.minimum(
        u_caps if bounds.is_u_observed else np.inf, v_caps if bounds.is_v_observed else np.inf
    )
    observed = np.broadcast_to(observed, cell.size)
    choice = _choose_below(observed, cell, incoming, bounds, chip)
    coarsest = int(choice.threshold.min(initial=_COARSE_THRESHOLD))
    if not cell.is_spiking or coarsest >= _COARSE_THRESHOLD or not np.any(np.isfinite(observed)):
        return choice
    free = _choose_below(np.full(cell.size, np.inf), cell, incoming, bounds, chip)
    # whole exponents, and some slack for thresholds that were rounded down
    steps = np.ceil(np.log2(_COARSE_THRESHOLD / max(1, int(free.threshold.min()))))
    if steps >= 0:
        return free
    relaxed = np.maximum(observed, free.scale * 2.0**steps * (1 + 2 / _COARSE_THRESHOLD))
    return _choose_below(relaxed, cell, incoming, bounds, chip)


def _choose_below(
    observed: Floats, cell: MembraneCell, incoming: Incoming, bounds: Bounds, chip: ChipSpec
) -> ScaleChoice:
    """Choose the scale (n,) that stays below the caps (n,) of what was observed."""
    arithmetic = chip.arithmetic
    caps = _register_caps(cell, arithmetic)
    u_caps, v_caps = _state_caps(bounds, arithmetic)
    roomy = np.where(np.isinf(bounds.v), _room_caps(cell, bounds, arithmetic), v_caps)
    safe = np.minimum(u_caps, roomy)
    exponent = _pick_exponent(cell, incoming, np.minimum(caps, observed), safe, arithmetic)
    by_weights = _weight_caps(incoming, exponent, arithmetic)
    live = np.isfinite(by_weights)
    if live.any():  # a neuron without synapses follows the others
        limit = np.minimum(caps, np.where(live, by_weights, by_weights[live].max()))
    else:
        fine = np.minimum(safe, _FINE_THRESHOLD / np.where(cell.threshold > 0, cell.threshold, 1))
        limit = np.minimum(caps, fine)
    limit = np.minimum(limit, observed)
    scale, threshold = _on_grid(cell, incoming, limit, chip)
    exponents = fit_exponents(scale, incoming, exponent, arithmetic)
    overflow = overflow_ratios(scale, bounds, arithmetic)
    return ScaleChoice(scale, threshold, exponents, overflow)


def overflow_ratios(
    scale: Floats, bounds: Bounds, arithmetic: ArithmeticSpec
) -> tuple[float, float]:
    """Return the bounds of u and v at a scale, divided by the states' widths."""
    u_caps, v_caps = _state_caps(bounds, arithmetic)
    return _largest_ratio(scale, u_caps), _largest_ratio(scale, v_caps)


def fit_exponents(
    scale: Floats, incoming: Incoming, most: int, arithmetic: ArithmeticSpec
) -> tuple[int, ...]:
    """Return per projection the smallest exponent at which no weight clips.

    Not below 0 unless ``most`` is, because a right shift of the sum loses its low bits.
    """
    low, high = arithmetic.weight_exponent
    low = max(low, min(0, most))
    exponents = []
    for peak, grid in zip(incoming.peaks, incoming.grids, strict=True):
        top = float(np.max(scale * peak, initial=0.0))
        unit = grid.largest * 2.0**arithmetic.input_shift
        wanted = int(np.ceil(np.log2(top / unit) - 1e-9)) if top > 0 else low
        exponents.append(int(np.clip(wanted, low, high)))
    return tuple(exponents)


def _register_caps(cell: MembraneCell, arithmetic: ArithmeticSpec) -> Floats:
    """Largest scales (n,) that threshold and bias registers hold."""
    top = (1 << (arithmetic.v_bits - 1)) - 1
    with np.errstate(divide="ignore"):
        cap = np.full(cell.size, np.inf)
        if cell.is_spiking:
            # where v > t becomes v >= t + 1 the register holds the latter
            moved = max(cell.form.nudge, 0) << arithmetic.threshold_shift
            cap = (largest_threshold(arithmetic) - moved) / cell.threshold
        for bias in (cell.u_bias, cell.v_bias):
            cap = np.minimum(cap, largest_bias(arithmetic) / np.abs(bias))
        for value in (cell.v0, cell.v_reset):
            cap = np.minimum(cap, top / np.abs(value))
    return cap


def _state_caps(bounds: Bounds, arithmetic: ArithmeticSpec) -> tuple[Floats, Floats]:
    """Largest scales (n,) at which u, and v, stay inside their widths."""
    with np.errstate(divide="ignore"):
        u = ((1 << (arithmetic.u_bits - 1)) - 1) / bounds.u
        v = ((1 << (arithmetic.v_bits - 1)) - 1) / bounds.v
    return u, v


def _room_caps(cell: MembraneCell, bounds: Bounds, arithmetic: ArithmeticSpec) -> Floats:
    """Scales (n,) for membranes that nothing bounds."""
    top = (1 << (arithmetic.v_bits - 1)) - 1
    threshold = cell.threshold if cell.is_spiking else np.zeros(cell.size)
    with np.errstate(divide="ignore"):
        return top / (_UNBOUNDED_ROOM * (threshold + bounds.u))


def _needs_fine_lsb(cell: MembraneCell) -> bool:
    """Whether anything but weights and thresholds is rounded to membrane LSBs."""
    registers = (cell.u_bias, cell.v_bias, cell.v_reset, cell.v0)
    is_leaky = bool(np.any((cell.v_keep != 1) & (cell.v_keep != 0))) or cell.has_current
    return is_leaky or any(bool(np.any(r)) for r in registers)


def _weight_caps(incoming: Incoming, exponent: int, arithmetic: ArithmeticSpec) -> Floats:
    """Largest scales (n,) at which no weight leaves its grid with this exponent."""
    cap = np.full(incoming.channel.shape, np.inf)
    exponents = incoming.exponents_at(exponent, arithmetic.weight_exponent[1])
    with np.errstate(divide="ignore"):
        for peak, grid, most in zip(incoming.peaks, incoming.grids, exponents, strict=True):
            unit = 2.0 ** (arithmetic.input_shift + most)
            cap = np.minimum(cap, grid.largest * unit / peak)
    return cap


def _pick_exponent(
    cell: MembraneCell,
    incoming: Incoming,
    caps: Floats,
    state: Floats,
    arithmetic: ArithmeticSpec,
) -> int:
    low, high = arithmetic.weight_exponent
    base = _weight_caps(incoming, 0, arithmetic)
    live = np.isfinite(base)
    if not live.any():
        return int(np.clip(0, low, high))
    main = live & (base <= base[live].min() / _MINOR_CHANNEL)
    fits = _floor_log2(float(np.min(caps[main] / base[main])))
    safe = max(0, _floor_log2(float(np.min(state[main] / base[main]))))
    wanted = 0
    if not _needs_fine_lsb(cell):
        pass  # sums of grid weights against a threshold on the grid are exact as they are
    elif cell.is_spiking and np.any(cell.threshold[main] > 0):
        finest = float(np.min((base * cell.threshold)[main & (cell.threshold > 0)]))
        wanted = max(0, int(np.ceil(np.log2(_FINE_THRESHOLD / finest))))
    elif not cell.is_spiking:
        wanted = high
    for peak, grid in zip(incoming.peaks, incoming.grids, strict=True):
        # a projection with smaller weights gets a smaller exponent, which should not be negative
        top = float(np.max(base[live] * peak[live])) / (grid.largest * 2.0**arithmetic.input_shift)
        if top > 0:
            wanted = max(wanted, int(np.ceil(-np.log2(top) - 1e-9)))
    return int(np.clip(min(wanted, fits, safe), low, high))


def _largest_ratio(scale: Floats, cap: Floats) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(scale / cap, initial=0.0))


def _floor_log2(x: float) -> int:
    if x <= 0:
        return -64
    return 64 if not np.isfinite(x) else int(np.floor(np.log2(x) + 1e-9))


def _on_grid(
    cell: MembraneCell, incoming: Incoming, limit: Floats, chip: ChipSpec
) -> tuple[Floats, Ints]:
    """Return scale and threshold (n,): thresholds on the chip's grid, scales following them."""
    arithmetic = chip.arithmetic
    if not cell.is_spiking:
        # outputs of one layer are compared with each other, so they share one scale
        scale = np.full(cell.size, limit.min(initial=np.inf))
        return scale, np.full(cell.size, largest_threshold(arithmetic), np.int64)
    members, first, group = np.unique(incoming.channel, return_index=True, return_inverse=True)
    cap = np.full(members.size, np.inf)
    np.minimum.at(cap, group, limit)
    theta = cell.threshold[first]
    scope = arithmetic.threshold_scope
    if np.any(cell.threshold != theta[group]) or np.any(theta <= 0):
        scale = cap[group]
        threshold = legal_thresholds(arithmetic, scale * cell.threshold)
        if scope == "layer" and np.any(threshold != threshold[0]):
            raise UnsupportedError(
                "the chip has one threshold per layer, these differ within a channel",
                got=f"{float(cell.threshold.min()):.6g}..{float(cell.threshold.max()):.6g}",
                limit="1 threshold",
                rule="quantize.threshold-scope",
            )
        return scale, threshold
    largest = cap * theta
    if scope != "neuron":
        largest = np.minimum(largest, largest.min() / _MINOR_CHANNEL)
        largest = cluster_down(largest, 1 if scope == "layer" else threshold_profiles(chip))
    threshold = legal_thresholds(arithmetic, largest * (1 + 1e-12), "down")
    threshold = np.maximum(threshold, 1 << arithmetic.threshold_shift)
    return (threshold / theta)[group], threshold[group]


def threshold_profiles(chip: ChipSpec) -> int:
    """Return how many distinct thresholds every core of the chip can hold."""
    budgets = [b for core in chip.cores for b in (core.soft_budget, core.budget)]
    limits = [b["threshold_profiles"] for b in budgets if "threshold_profiles" in b]
    return max(1, min(limits, default=1 << 30))


def cluster_down(values: Floats, n_clusters: int) -> Floats:
    """Replace values by at most ``n_clusters`` of them, each by one that is not larger.

    Minimizes the sum of log(value / replacement), that is the precision given up in bits, exactly
    up to a grid of 256 bins: dynamic programming over sorted values.
    """
    unique = np.unique(values)
    if unique.size <= n_clusters:
        return values
    logs = np.log2(unique)
    edges = np.linspace(logs[0], logs[-1], _N_BINS + 1)
    bins = np.clip(np.searchsorted(edges, logs, "right") - 1, 0, _N_BINS - 1)
    start = np.unique(bins, return_index=True)[1]  # smallest value of every occupied bin
    position = np.log2(unique[start])
    where = np.searchsorted(unique[start], values, "right") - 1
    count = np.bincount(where, minlength=start.size).astype(np.float64)
    total = np.bincount(where, np.log2(values), start.size).astype(np.float64)
    chosen = _best_starts(position, count, total, n_clusters)
    centers = unique[start[chosen]]
    return centers[np.searchsorted(centers, values, "right") - 1]


def _best_starts(position: Floats, count: Floats, total: Floats, k: int) -> Ints:
    """Return indices of the bins that begin a cluster (1-D partition, least summed log loss)."""
    n = position.size
    k = min(k, n)
    counts, totals = np.r_[0, np.cumsum(count)], np.r_[0, np.cumsum(total)]
    # loss[i, j]: bins i..j-1 as one cluster with the value of bin i
    loss = (
        totals[None, :]
        - totals[:-1, None]
        - (counts[None, :] - counts[:-1, None]) * position[:, None]
    )
    loss = np.where(np.arange(n + 1)[None, :] > np.arange(n)[:, None], loss, np.inf)
    best = np.r_[0.0, np.full(n, np.inf)]
    came = np.zeros((k, n + 1), np.int64)
    for c in range(k):
        trial = best[:n, None] + loss
        came[c] = np.argmin(trial, axis=0)
        best = np.r_[np.inf, trial.min(axis=0)[1:]]
    starts, end = [], n
    for c in range(k - 1, -1, -1):
        end = int(came[c, end])
        starts.append(end)
    return np.unique(np.asarray(starts, np.int64))
