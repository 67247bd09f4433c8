"""In which row of a sample every learning process does what: each message takes one row.

Processes alternate: connection 0, population 0, connection 1, ... What a process computes in a row
is sent in the next one, forward as backward. In steps (MPD-ED) population q therefore meets step t
in row 2 q + 1 + t. With a time window of ``opens`` ticks (STD-ED) every layer starts when that of
the layer before has opened.
"""

from __future__ import annotations

from typing import Any


def schedule(question: dict[str, Any], n_input_ticks: int) -> dict[str, Any]:
    """Return ``period``, and ``start`` and ``turn`` of connections and populations.

    Parameters
    ----------
    question : mapping
        ``rule``, ``head``, ``n_steps``, ``layers``, ``learns``; of STD-ED ``arithmetic`` with
        ``opens`` and ``last``.
    n_input_ticks : int
        Ticks from the first to the last input that may come, of all samples.
    """
    top = len(question["layers"]) - 1
    is_integrator = question["head"] == "integrator"
    if question["rule"] == "mpd-ed":
        gap, n_ticks, walk = 2, question["n_steps"], question["n_steps"]
        n_head = n_ticks
    else:
        opens, last = question["arithmetic"]["opens"], question["arithmetic"]["last"]
        gap, n_ticks, walk = opens + 2, last + 1, 1
        n_head = n_ticks
        if is_integrator:
            n_head = last - opens + 1 if top else max(n_ticks, n_input_ticks)
    ends = top * gap + 1 + n_head - 1
    connections = [{"start": q * gap} for q in range(top + 1)]
    populations = [{"start": q * gap + 1} for q in range(top + 1)]
    turn = ends
    for q in range(top, -1, -1):
        populations[q]["turn"] = turn
        connections[q]["turn"] = turn + 1
        turn += 2
    walks_once = is_integrator and top == 0
    period = ends + 1
    if question["learns"]:
        period = connections[0]["turn"] + (1 if walks_once else walk)
    return {
        "period": max(period, n_input_ticks + 2),
        "n_head": n_head,
        "connections": connections,
        "populations": populations,
    }
