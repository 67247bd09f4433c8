"""What timing every message says about a run: contention, busiest link, busiest receiver."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.values.noc import DIRECTIONS, PS_PER_S, NocTimes
from nmhw.values.units import format_percent, format_si


def summarize_noc(times: NocTimes | None) -> dict[str, Any] | None:
    """Return the section ``latency_noc``: seconds without the barrier, per timed step.

    ``contention`` is the mean step over that of the same messages without a network.
    """
    if times is None or not times.rows.size:
        return None
    step_s, floor_s = (float(ps.mean()) / PS_PER_S for ps in (times.step_ps, times.floor_ps))
    return {
        "steps": times.n_rows,
        "timed_steps": int(times.rows.size),
        "step": step_s,
        "step_standard_error": times.standard_error_s(),
        "p99_step": float(np.quantile(times.step_ps, 0.99)) / PS_PER_S,
        "step_without_network": floor_s,
        "contention": step_s / floor_s if floor_s else None,
        "messages": int(times.messages.sum()),
        "blocked": float(times.blocked_ps.mean()) / PS_PER_S,
        "busiest_link": _busiest_link(times),
        "busiest_receiver": _busiest_receiver(times),
    }


def _busiest_link(times: NocTimes) -> dict[str, Any] | None:
    messages = times.link_messages
    if not messages.any():
        return None
    link = int(messages.argmax())
    tile, direction = divmod(link, len(DIRECTIONS))
    n = int(messages[link])
    return {
        "tile": [tile % times.mesh[0], tile // times.mesh[0]],
        "direction": DIRECTIONS[direction],
        "messages": n,
        "mean_wait": float(times.link_wait_ps[link]) / n / PS_PER_S,
    }


def _busiest_receiver(times: NocTimes) -> dict[str, Any] | None:
    if not times.receiver_ps.any():
        return None
    column = int(times.receiver_ps.argmax())
    share = float(times.receiver_ps[column]) / float(times.step_ps.sum())
    return {"core": int(times.cores[column]), "busy": share}


def noc_lines(noc: dict[str, Any]) -> list[str]:
    """Return the section in words."""
    timed, steps = noc["timed_steps"], noc["steps"]
    head = f"every message of {timed:,} of {steps:,} steps"
    if timed < steps and noc["step_standard_error"] is not None:
        head += f"; standard error of the mean step {format_si(noc['step_standard_error'], 's')}"
    lines = [head]
    if noc["contention"] is not None:
        free = format_si(noc["step_without_network"], "s")
        lines.append(
            f"contention: {noc['contention']:.3f} x the {free} of the same messages without a "
            f"network (both without the barrier); cores held up {format_si(noc['blocked'], 's')} "
            "per step, summed"
        )
    link, receiver = noc["busiest_link"], noc["busiest_receiver"]
    if link is not None:
        lines.append(
            f"busiest link: from tile {link['tile'][0]},{link['tile'][1]} {link['direction']}, "
            f"{link['messages']:,} messages, mean wait {format_si(link['mean_wait'], 's')}"
        )
    if receiver is not None:
        busy = format_percent(receiver["busy"], 1)
        lines.append(f"busiest receiver: core {receiver['core']}, at work {busy} of the time")
    return lines
