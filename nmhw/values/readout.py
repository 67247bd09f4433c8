"""Readout: from output spikes or membranes to one score per class and a prediction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.values.network import Network
from nmhw.values.result import RunResult

ReadoutRule = Literal["count", "first-spike", "v-last", "v-max", "v-mean", "population"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Readout:
    """How a decision is read from the output.

    Attributes
    ----------
    rule : str
        ``count``: spikes per neuron; ``first-spike``: the earlier the better (T minus its step, 0
        without any); ``v-last``, ``v-max``, ``v-mean``: membrane value; ``population``: spikes
        summed over ``n_classes`` equal blocks of consecutive neurons.
    from_step : int
        Steps of the window before this one are ignored.
    n_classes : int or None
        For ``population``.
    populations : tuple of str
        Where to read; outputs of several populations are summed. Empty = the network's only
        output.
    """

    rule: ReadoutRule
    from_step: int = 0
    n_classes: int | None = None
    populations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rule not in get_args(ReadoutRule):
            raise UsageError("no such readout", got=repr(self.rule), hint=_known())
        if not isinstance(self.from_step, Integral) or self.from_step < 0:
            raise UsageError("from_step must be a whole number >= 0", got=repr(self.from_step))
        if (self.rule == "population") != (self.n_classes is not None):
            raise UsageError("population needs the number of classes", hint="population(10)")
        if self.n_classes is not None and self.n_classes < 1:
            raise UsageError("population needs at least one class", got=self.n_classes)

    @property
    def needs_membrane(self) -> bool:
        """Whether v of the output must be recorded in every step."""
        return self.rule.startswith("v-")

    @staticmethod
    def parse(text: str) -> Readout:
        """Read ``RULE[:from_step=N][:at=POPULATION]``, e.g. ``v-max:from_step=5``.

        Raises
        ------
        UsageError
            Listing the rules.
        """
        rule, *options = text.strip().split(":")
        match = re.fullmatch(r"population\((\d+)\)", rule)
        n_classes = int(match[1]) if match else None
        from_step, populations = 0, []
        for option in options:
            key, _, value = option.partition("=")
            if key == "from_step" and value.isdecimal():
                from_step = int(value)
            elif key == "at" and value:
                populations.append(value)
            else:
                raise UsageError("cannot read the readout", got=repr(text), hint=_known())
        name: Any = "population" if match else rule
        return Readout(name, from_step, n_classes, tuple(populations))

    def __str__(self) -> str:
        text = f"population({self.n_classes})" if self.n_classes else self.rule
        if self.from_step:
            text += f":from_step={self.from_step}"
        return text + "".join(f":at={p}" for p in self.populations)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a readout gave.

    Attributes
    ----------
    readout : Readout
    predictions : (samples,) int64
        Class with the highest score, ties to the lowest index.
    scores : (samples, classes) float64
    n_ties : int
        Samples whose best score belongs to more than one class.
    result, populations
        What was read, for the scores of every step.
    """

    readout: Readout
    predictions: NDArray[np.int64]
    scores: Floats
    n_ties: int
    result: RunResult
    populations: tuple[str, ...]

    @property
    def step_scores(self) -> Floats:
        """Scores as they stood after each step, (samples, steps T, classes); NaN too early.

        Made on demand: they are as large as the raster of the output.
        """
        raster = _late_raster(self.result, self.readout, self.populations)
        running = _running_scores(raster, self.readout, self.result.n_steps)
        early = np.full((len(running), self.readout.from_step, running.shape[2]), np.nan)
        return np.concatenate([early, running], axis=1)

    def accuracy_per_step(self, labels: NDArray[Any]) -> Floats:
        """Return accuracy(t), (steps,): that of a decision taken after step t (NaN too early)."""
        first = self.readout.from_step
        right = self.step_scores[:, first:].argmax(axis=2) == np.asarray(labels)[:, None]
        early = np.full(first, np.nan)
        return np.concatenate([early, right.mean(axis=0)])


def default_readout(network: Network) -> Readout:
    """Return ``count`` for spiking outputs, ``v-last`` for LI and Affine ones.

    Raises
    ------
    UsageError
        When several outputs, or outputs of both kinds, leave the choice open.
    """
    sources = output_populations(network)
    kinds = {network.population(name).model.is_spiking for name in sources}
    if len(kinds) != 1:
        raise UsageError(
            "spiking and analog outputs need a readout",
            got=", ".join(sources),
            hint="--readout RULE:at=POPULATION",
        )
    return Readout("count" if kinds.pop() else "v-last")


def output_populations(network: Network, readout: Readout | None = None) -> tuple[str, ...]:
    """Return the populations that a readout reads.

    Raises
    ------
    UsageError
        For several outputs without ``at=``, a name that does not exist, or outputs of different
        sizes.
    """
    if readout is not None and readout.populations:
        chosen = readout.populations
    elif len(network.outputs) == 1:
        chosen = network.outputs[0].sources
    else:
        raise UsageError(
            "the network has several outputs",
            got=", ".join(o.name for o in network.outputs),
            hint="--readout RULE:at=POPULATION",
        )
    sizes = {network.population(name).size for name in chosen}
    if len(sizes) != 1:
        raise UsageError("outputs of different sizes cannot be summed", got=", ".join(chosen))
    return chosen


def read_out(result: RunResult, readout: Readout, populations: Sequence[str]) -> Outcome:
    """Apply a readout to a run.

    Parameters
    ----------
    result : RunResult
        Holds the spikes of the populations; for ``v-*`` also their probe "v" of every step.
    readout : Readout
    populations : sequence of str
        See ``output_populations``.

    Raises
    ------
    UsageError
        When ``from_step`` leaves no step, classes do not divide the neurons, or v is missing.
    """
    if readout.from_step >= result.n_steps:
        raise UsageError(
            "the readout starts after the last step",
            got=readout.from_step,
            limit=result.n_steps - 1,
        )
    if readout.rule in ("count", "population"):
        scores = _count_scores(result, readout, populations)
    else:
        late = _late_raster(result, readout, populations)
        scores = np.ascontiguousarray(_running_scores(late, readout, result.n_steps)[:, -1])
    best = scores.max(axis=1, keepdims=True)
    return Outcome(
        readout=readout,
        predictions=scores.argmax(axis=1).astype(np.int64),
        scores=scores,
        n_ties=int(((scores == best).sum(axis=1) > 1).sum()),
        result=result,
        populations=tuple(populations),
    )


def check_labels(
    labels: Any, n_samples: int, n_classes: int | None = None, where: str = "labels"
) -> NDArray[np.int64]:
    """Return class labels as (samples,) int64.

    Raises
    ------
    InputError
        For another length or shape, numbers that are not whole, or classes out of range.
    """
    array = np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)
    if array.shape != (n_samples,):
        raise InputError(
            "one label per sample is needed", got=array.shape, limit=(n_samples,), where=where
        )
    what = "labels are class numbers, 0, 1, 2..."
    if array.dtype.kind not in "iuf":
        raise InputError(what, got=f"dtype {array.dtype}", where=where)
    odd = np.flatnonzero(~np.isfinite(array) | (array != np.floor(array)))
    if odd.size:
        bad = f"{array[odd[0]]} for sample {odd[0]}"
        raise InputError(what, got=bad, where=where, rule="labels.whole")
    if n_samples and (array.min() < 0 or (n_classes is not None and array.max() >= n_classes)):
        bad = array.min() if array.min() < 0 else array.max()
        limit = "0 or more" if n_classes is None else f"0 to {n_classes - 1}"
        raise InputError("a label is out of range", got=bad, limit=limit, where=where)
    return array.astype(np.int64)


def _known() -> str:
    return "count, first-spike, v-last, v-max, v-mean or population(CLASSES), then :from_step=N"


def _output(result: RunResult, readout: Readout, name: str) -> Floats:
    """Return spikes or v of a population in its window, (samples, T, neurons)."""
    if not readout.needs_membrane:
        if name not in result.spikes:
            raise UsageError(f"{readout.rule} needs spikes", where=name, hint="--readout v-last")
        return result.windowed(name).dense().astype(np.float64)
    probe = result.probes.get((name, "v"))
    if probe is None or probe.steps.size != result.n_steps + result.drain_steps:
        raise UsageError(f"{readout.rule} needs v of every step", where=name, hint=f"{name}:v")
    start = result.depths.get(name, 0)
    return np.asarray(probe.values[:, start : start + result.n_steps], np.float64)


def _count_scores(result: RunResult, readout: Readout, populations: Sequence[str]) -> Floats:
    """Count spikes per sample and class straight from the events, without a raster."""
    length = result.n_steps - readout.from_step
    total: Any = 0.0
    for name in populations:
        if name not in result.spikes:
            raise UsageError(f"{readout.rule} needs spikes", where=name, hint="--readout v-last")
        start = result.depths.get(name, 0) + readout.from_step
        total = total + result.spikes[name].window(start, length).counts()
    if readout.n_classes is None:
        return np.asarray(total, np.float64)
    return _pooled(np.asarray(total)[:, None], readout.n_classes)[:, 0]


def _late_raster(result: RunResult, readout: Readout, populations: Sequence[str]) -> Floats:
    """Return the summed output from ``from_step`` on, (samples, steps, classes)."""
    raster = sum(_output(result, readout, name) for name in populations)
    late = np.asarray(raster, np.float64)[:, readout.from_step :]
    return late if readout.n_classes is None else _pooled(late, readout.n_classes)


def _pooled(raster: Floats, n_classes: int) -> Floats:
    n_samples, n_steps, n = raster.shape
    if n % n_classes:
        raise UsageError("the classes do not divide the neurons", got=n_classes, limit=n)
    return raster.reshape(n_samples, n_steps, n_classes, -1).sum(axis=3)


def _running_scores(raster: Floats, readout: Readout, n_steps: int) -> Floats:
    """Scores after each step, (samples, steps, classes)."""
    length = raster.shape[1]
    if readout.rule in ("count", "population"):
        return np.cumsum(raster, axis=1)
    if readout.rule == "first-spike":
        step = np.arange(readout.from_step, n_steps, dtype=np.float64)[None, :, None]
        worth = np.where(raster > 0, n_steps - step, 0.0)
        return np.maximum.accumulate(worth, axis=1)
    if readout.rule == "v-last":
        return raster
    if readout.rule == "v-max":
        return np.maximum.accumulate(raster, axis=1)
    return np.cumsum(raster, axis=1) / np.arange(1, length + 1)[None, :, None]
