"""Rules of the table ``[noc]``: provenance of its figures, whole numbers of messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nmhw.io.chip_costs import check_figure, check_reality
from nmhw.io.chip_problems import Problem

#: Figures of the table and the section (or unit) whose rules they follow.
UNITS: Mapping[str, str] = {
    "link_ns": "latency_ns",
    "link_buffer": "messages",
    "receiver_queue": "messages",
}


def check_network(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every problem of ``[noc]``."""
    noc = document.get("noc")
    if not isinstance(noc, Mapping):
        return
    imaginary = document.get("is_imaginary") is True
    for name, section in UNITS.items():
        key, figure = ("noc", name), noc.get(name)
        if not isinstance(figure, Mapping):
            continue
        yield from check_figure(key, section, figure)
        yield from check_reality(key, figure, imaginary)
        if figure.get("included_in") is not None:
            reason = "is no price that another figure could contain"
            yield Problem((*key, "included_in"), reason, figure["included_in"], None, "chip.noc")
        value = figure.get("value")
        if section == "messages" and value is not None and (value < 1 or value != int(value)):
            reason = "must be a whole number of messages, at least 1"
            yield Problem((*key, "value"), reason, value, None, "chip.noc")
