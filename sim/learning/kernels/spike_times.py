"""When a neuron of STD-ED fires: exact times and ticks in float, ticks in integers."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import numpy as np

from nmhw.sim.learning.kernels.arithmetic import SLOPE_BITS, by_arithmetic, half_up

#: Time of a neuron that does not fire.
SILENT = -1


def is_over(total, moment, t, a):
    """Return whether the membrane total * t - moment is at the threshold, and above 0."""


def _over_float(total, moment, t, a):
    u = total * t - moment
    return u >= a.theta0 - a.slope * (t - a.opens) and u > 0.0


def _over_integer(total, moment, t, a):
    u = total * t - moment
    return u >= a.theta_of_tick[t] and u > 0


def is_early(total, moment, a):
    """Return whether the membrane has passed the threshold when the window opens."""


def is_late(total, moment, a):
    """Return whether the membrane may pass the threshold before the window closes."""


def _late_float(total, moment, a):
    if a.is_ticks:
        return True
    return total * a.last - moment > a.theta0 - a.slope * (a.last - a.opens)


def crossing(total, moment, since, until, a):
    """Return the first time in since..until with the membrane at the threshold, or SILENT.

    Ticks are looked at one by one: rounded thresholds do not fall evenly.
    """


def _crossing_float(total, moment, since, until, a):
    if not a.is_ticks:
        if not (a.is_window or is_over(total, moment, until, a)):
            return float(SILENT)
        t = (a.theta0 + a.slope * a.opens + moment) / (total + a.slope)
        return min(max(t, since), until)
    t = since
    while t <= until:
        if is_over(total, moment, t, a):
            return t
        t += 1.0
    return float(SILENT)


def _crossing_integer(total, moment, since, until, a):
    t = since
    while t <= until:
        if is_over(total, moment, t, a):
            return t
        t += 1
    return np.int64(SILENT)


def error_of(d_time, total, a):
    """Return dL/dt / (total + slope), the quotient's divisor clipped from below."""


def _error_float(d_time, total, a):
    return d_time * min(1.0 / (total + a.slope), a.slope_clip)


def _error_integer(d_time, total, a):
    divisor = total + a.slope_codes
    inverse = a.slope_clip
    if divisor > 0:
        place, bits = divisor, 0
        while place >= 2 * a.reciprocals.size:
            place >>= 1
            bits += 1
        while place < a.reciprocals.size:
            place <<= 1
            bits -= 1
        inverse = min(a.reciprocals[place - a.reciprocals.size] >> (8 + bits), a.slope_clip)
    return half_up(d_time * inverse, SLOPE_BITS)


def timing_error(error, a):
    """Return dL/dt of an output whose score is -timing_gain * t."""


by_arithmetic(is_over, _over_float, _over_integer)
by_arithmetic(
    is_early,
    lambda total, moment, a: total * a.opens - moment >= a.theta0,
    lambda total, moment, a: total * a.opens - moment >= a.theta_of_tick[a.opens],
)
by_arithmetic(is_late, _late_float, lambda total, moment, a: True)
by_arithmetic(crossing, _crossing_float, _crossing_integer)
by_arithmetic(error_of, _error_float, _error_integer)
by_arithmetic(
    timing_error,
    lambda error, a: -a.timing_gain * error,
    lambda error, a: -half_up(a.timing_gain * error, SLOPE_BITS),
)
