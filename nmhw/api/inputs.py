"""From whatever the user hands over to events by input name, with labels and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmhw.api.arguments import check_whole
from nmhw.errors import InputError, UsageError
from nmhw.io.input_arrays import KINDS, as_inputs, labels_of
from nmhw.io.input_data import plain_array
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.notice import Notice

_MAX_STEPS = 1_000_000


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
    kinds: Sequence[str] = ("spikes", "counts"),
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
    kinds : sequence of "spikes" | "counts" | "graded" | "current"
        What the chip's inputs take.

    Raises
    ------
    InputError
        For shapes, kinds or values that the network's inputs do not take.
    UsageError
        For ``n_steps`` without ``encode``.
    """
    check_seed(seed)
    taken = [kind for kind in KINDS if kind in kinds]
    goal = labels if labels is not None else labels_of(x)
    if goal is not None:
        goal = plain_array(goal, "labels")
        if goal.ndim == 0:
            raise InputError("one label per sample is needed", got="one number", where="labels")
    if encode is None:
        if n_steps is not None:
            raise UsageError("steps are given only to make spikes", hint="--encode rate --steps T")
        events = as_inputs(network, x, layout, labels=goal, kinds=taken)
        return PreparedInputs(events, goal, _notes(network, x))
    if n_steps is not None and not 1 <= n_steps <= _MAX_STEPS:
        raise UsageError("steps are out of range", got=n_steps, limit=f"1 to {_MAX_STEPS}")
    from nmhw.io.encode import encode_inputs

    events = encode_inputs(network, x, encode, n_steps, seed)
    text = f"analog inputs were made spikes by {encode!r}, seed {seed}"
    notice = Notice("input.encoded", network.name, text, "assumption")
    return PreparedInputs(events, goal, (notice, *_notes(network, x)))


def check_event_counts(events: Mapping[str, SpikeEvents], chip: ChipSpec) -> None:
    """Refuse more spikes per element and step than the chip's inputs take, or its neurons make.

    Images of 0..255 would pass as counts otherwise.

    Raises
    ------
    InputError
        Naming the input and its largest count.
    """
    most, verb = chip.arithmetic.max_spikes_per_step, "sends"
    if chip.arithmetic.max_input_events is not None:
        most, verb = chip.arithmetic.max_input_events, "takes"
    for name, given in events.items():
        found = given.largest_count()
        if found > max(most, 1):
            raise InputError(
                f"the input holds more spikes per element and step than the chip {verb}",
                got=found,
                limit=most,
                where=name,
                hint="--encode rate|latency, if these are images or analog values",
                rule="input.counts",
            )


def check_seed(seed: int) -> None:
    """Refuse seeds that random streams do not take.

    Raises
    ------
    UsageError
        For anything but a whole number >= 0.
    """
    check_whole(seed, "a seed")


def _notes(network: Network, x: Any) -> tuple[Notice, ...]:
    texts = getattr(x, "notes", ())
    return tuple(Notice("input.file", network.name, str(text), "assumption") for text in texts)
