"""From whatever the user hands over to events by input name, with labels and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nmhw.api.arguments import check_whole
from nmhw.errors import InputError, UsageError
from nmhw.io.input_arrays import labels_of, open_inputs
from nmhw.io.input_data import plain_array
from nmhw.io.input_events import KINDS
from nmhw.io.input_source import InputSource
from nmhw.io.loader import drain_loader, is_loader
from nmhw.io.recordings.event_input import EventInput, describe, losses
from nmhw.io.repeated_frames import MAX_STEPS, repeat_frames
from nmhw.io.streamed_inputs import RecordedInputs, spool_loader
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.notice import Notice

_STEPS_HINT = "--encode rate --steps T, or --repeat T for samples that stay the same"


@dataclass(frozen=True, eq=False)
class PreparedInputs:
    """Inputs by name, the labels that came with them (or None), and what to say about it."""

    source: InputSource
    labels: Any = None
    notices: tuple[Notice, ...] = ()

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.source.n_samples

    @cached_property
    def events(self) -> Mapping[str, SpikeEvents]:
        """Events of all samples by input name."""
        return self.source.take()

    def take(self, first: int, end: int) -> Mapping[str, SpikeEvents]:
        """Return the events of samples [first, end), numbered from 0."""
        if self.source.is_held:
            return {name: events.samples(first, end) for name, events in self.events.items()}
        return self.source.take(first, end)


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
    repeat: int | None = None,
) -> PreparedInputs:
    """Turn user data into events.

    Parameters
    ----------
    x : array, tensor, DataLoader, SpikeEvents, EventInput, file contents, or dict by input name
    labels : (samples,), optional
        Default: those that an input file carries.
    encode : "rate" | "latency" | "delta" | "accumulate", optional
        Makes spikes of analog values; named in the report.
    n_steps : int, optional
        Steps for ``encode``.
    repeat : int, optional
        Samples have no axis of steps; each is presented in so many steps.
    kinds : sequence of "spikes" | "counts" | "graded" | "current"
        What the chip's inputs take.

    Raises
    ------
    InputError
        For shapes, kinds or values that the network's inputs do not take.
    UsageError
        For ``n_steps`` without ``encode``, and ``repeat`` with either.
    """
    check_seed(seed)
    notices = input_notices(network, x)
    if repeat is not None:
        _check_repeat(encode, n_steps, layout)
        x, labels = repeat_frames(network, x, repeat, labels)
        layout = "NT"
        text = f"every sample is presented unchanged in all {repeat} steps (repeat)"
        notices += (Notice("input.repeated", network.name, text, "assumption"),)
    taken = [kind for kind in KINDS if kind in kinds]
    spooled = None
    if is_loader(x):  # once: a loader may shuffle
        if encode is None:
            spooled, goal = spool_loader(network, x, layout, labels, taken)
        else:
            x, own = drain_loader(x)
            goal = own if labels is None else labels
    else:
        goal = labels if labels is not None else labels_of(x)
    if goal is not None:
        goal = plain_array(goal, "labels")
        if goal.ndim == 0:
            raise InputError("one label per sample is needed", got="one number", where="labels")
    if encode is None:
        if n_steps is not None:
            raise UsageError("steps are given only to make spikes", hint=_STEPS_HINT)
        source: InputSource | None = spooled
        if isinstance(x, EventInput) and len(network.inputs) == 1:
            source = RecordedInputs(x, network.inputs[0], tuple(taken))
        if source is None:
            source = open_inputs(network, x, layout, labels=goal, kinds=taken)
        return PreparedInputs(source, goal, notices)
    if n_steps is not None and not 1 <= n_steps <= MAX_STEPS:
        raise UsageError("steps are out of range", got=n_steps, limit=f"1 to {MAX_STEPS}")
    from nmhw.io.analog_source import open_analog

    analog = open_analog(network, x, encode, n_steps, seed)
    text = f"analog inputs were made spikes by {encode!r}, seed {seed}"
    notice = Notice("input.encoded", network.name, text, "assumption")
    return PreparedInputs(analog, goal, (notice, *notices))


def _check_repeat(encode: str | None, n_steps: int | None, layout: str) -> None:
    if layout == "TN":
        raise UsageError("repeated samples have no time axis", got="layout=TN", rule="input.repeat")
    what, got = "an encoder makes the steps of a sample itself", f"repeat with encode={encode!r}"
    if encode is None:
        what, got = "repeat says the number of steps already", f"repeat with n_steps={n_steps}"
    if encode is not None or n_steps is not None:
        raise UsageError(what, got=got, hint="leave one out", rule="input.repeat")


def summarize_recordings(x: Any) -> dict[str, Any] | None:
    """Return how event recordings were binned and what became of every event; None without any."""
    if not isinstance(x, EventInput):
        return None
    binning = x.binning
    return {
        **x.account.to_dict(), "dt_s": x.dt_s, "n_steps": x.n_steps, "bin": binning.text,
        "polarity": binning.polarity if x.recordings[0].has_polarity else None,
        "sensor": list(binning.sensor),
    }  # fmt: skip


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


def sample_digests(events: Mapping[str, SpikeEvents]) -> list[bytes]:
    """Return one key per sample; equal for samples with the same events."""
    keys: list[bytes] = [b""] * next(iter(events.values())).n_samples
    for _, e in sorted(events.items()):
        bounds = np.searchsorted(e.sample, np.arange(e.n_samples + 1))
        for k, (start, stop) in enumerate(pairwise(bounds)):
            keys[k] += e.step[start:stop].tobytes() + e.index[start:stop].tobytes() + b"|"
    return keys


def check_seed(seed: int) -> None:
    """Refuse seeds that random streams do not take.

    Raises
    ------
    UsageError
        For anything but a whole number >= 0.
    """
    check_whole(seed, "a seed")


def input_notices(network: Network, x: Any) -> tuple[Notice, ...]:
    """Return what is to be said about the data: a file's notes, how events were binned."""
    if isinstance(x, EventInput):
        said = [Notice("input.events", network.name, describe(x), "assumption")]
        profile = network.profile
        step_s = None if profile is None else profile.step_s
        if step_s is not None and abs(x.dt_s / step_s - 1) > 1e-6:
            text = f"a bin of {x.dt_s:.6g} s is one step of the network's dt = {step_s:.6g} s"
            said.append(Notice("input.events-dt", network.name, text, hint="--bin-dt, or --dt"))
        lost = (Notice("input.events-lost", network.name, t, "approximation") for t in losses(x))
        return (*said, *lost)
    texts = getattr(x, "notes", ())
    return tuple(Notice("input.file", network.name, str(text), "assumption") for text in texts)
