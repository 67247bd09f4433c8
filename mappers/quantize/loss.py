"""What quantization did to each population: weight noise, clipping, decay and threshold errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.values.quantized import LayerLoss

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WeightError:
    """Sums over one projection's stored weights, in the population's unit of v."""

    signal: float
    noise: float
    n_clipped: int
    n_weights: int


def weight_error(wanted: Floats, realized: Floats, clipped: NDArray[np.bool_]) -> WeightError:
    """Compare real weights with what the integers amount to (same shape)."""
    return sum_error(wanted, wanted - realized, int(clipped.sum()))


def sum_error(wanted: Floats, difference: Floats, n_clipped: int) -> WeightError:
    """Sum up what is missing of real weights; ``difference`` (same shape) is overwritten."""
    noise = float(np.sum(np.multiply(difference, difference, out=difference)))
    signal = float(np.sum(np.multiply(wanted, wanted, out=difference)))
    return WeightError(signal, noise, n_clipped, int(wanted.size))


def layer_loss(
    population: str,
    weights: Sequence[WeightError],
    decays: Sequence[tuple[Floats, Floats]],
    thresholds: tuple[Floats, Floats],
) -> LayerLoss:
    """Sum up one population.

    Parameters
    ----------
    decays : pairs of (wanted, realized) keep factors (n,)
    thresholds : (wanted, realized) (n,) in the author's unit; inf where nothing fires

    Returns
    -------
    LayerLoss
        ``weight_sqnr_db`` = 10 log10(signal / noise), inf where no weight changed;
        ``decay_error`` = largest relative error of the leak 1 - keep; ``threshold_error`` =
        largest relative error.
    """
    signal, noise = sum(w.signal for w in weights), sum(w.noise for w in weights)
    n = sum(w.n_weights for w in weights)
    with np.errstate(divide="ignore"):
        sqnr = 10 * np.log10(signal / noise) if noise > 0 else np.inf
    return LayerLoss(
        population,
        float(sqnr),
        sum(w.n_clipped for w in weights) / n if n else 0.0,
        max((leak_error(wanted, real) for wanted, real in decays), default=0.0),
        _relative(*thresholds),
    )


def leak_error(wanted: Floats, realized: Floats) -> float:
    """Return the largest relative error of the leak 1 - keep."""
    return _relative(1 - wanted, 1 - realized)


def _relative(wanted: Floats, realized: Floats) -> float:
    finite = np.isfinite(wanted)
    if not finite.any():
        return 0.0
    wanted, realized = wanted[finite], realized[finite]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(realized - wanted) / np.abs(wanted)
    return float(np.max(np.where(wanted == realized, 0.0, error)))
