"""From whatever the user hands over to events by input name, with labels and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmhw.errors import UsageError
from nmhw.io.input_arrays import as_inputs, labels_of
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.notice import Notice


@dataclass(frozen=True, slots=True, eq=False)
class PreparedInputs:
    """Events by input name, the labels that came with them (or None), and what to say about it."""

    events: Mapping[str, SpikeEvents]
    labels: Any = None
    notices: tuple[Notice, ...] = ()

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return next(iter(self.events.values())).n_samples


def prepare_inputs(
    network: Network,
    x: Any,
    labels: Any = None,
    *,
    layout: str = "auto",
    encode: str | None = None,
    n_steps: int | None = None,
    seed: int = 0,
) -> PreparedInputs:
    """Turn user data into events.

    Parameters
    ----------
    x : array, tensor, DataLoader, SpikeEvents, file contents, or dict by input name
    labels : (samples,), optional
        Default: those that an input file carries.
    encode : "rate" | "latency" | "delta" | "accumulate", optional
        Makes spikes of analog values; named in the report.
    n_steps : int, optional
        Steps for ``encode``.

    Raises
    ------
    InputError
        For shapes, kinds or values that the network's inputs do not take.
    UsageError
        For ``n_steps`` without ``encode``.
    """
    goal = labels if labels is not None else labels_of(x)
    if encode is None:
        if n_steps is not None:
            raise UsageError("steps are given only to make spikes", hint="--encode rate --steps T")
        return PreparedInputs(as_inputs(network, x, layout, labels=goal), goal, _notes(network, x))
    from nmhw.io.encode import encode_inputs

    events = encode_inputs(network, x, encode, n_steps, seed)
    text = f"analog inputs were made spikes by {encode!r}, seed {seed}"
    notice = Notice("input.encoded", network.name, text, "assumption")
    return PreparedInputs(events, goal, (notice, *_notes(network, x)))


def _notes(network: Network, x: Any) -> tuple[Notice, ...]:
    texts = getattr(x, "notes", ())
    return tuple(Notice("input.file", network.name, str(text), "assumption") for text in texts)
