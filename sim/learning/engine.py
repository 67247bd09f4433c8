"""Engine: on-chip training sample by sample, in float or in the chip's integers, all counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim.lava.worker.nmhw_lava.shift_register import byte_table
from nmhw.sim.learning.closed_forms import Accounting
from nmhw.sim.learning.epoch_outcome import EpochOutcome, epoch_outcome
from nmhw.sim.learning.float_form import check_network
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.kernels import layout as at
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.packed import PackedEvents
from nmhw.sim.learning.tables import (
    THETA_BITS,
    IntegerFormat,
    float_arithmetic,
    integer_arithmetic,
)
from nmhw.sim.learning.thresholds import initial_thresholds, threshold_at
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.sim.learning.wiring import wire
from nmhw.values.learning import OPERATIONS, OperationCounts, WeightFormat

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LAWS = {"const": 0, "ramp": 1, "homeostatic": 2, "learnable": 3}
_MASKS = {"spike": at.MASK_SPIKE, "band": at.MASK_BAND, "none": at.MASK_NONE}


@dataclass(slots=True, eq=False)
class Engine:
    """Trains a network by a gradient rule, one sample or one small batch at a time.

    Parameters
    ----------
    net : LearningNetwork
    initial : sequence of arrays
        Weights per layer; put on the grid of the format.
    rule : GradientRule
        STD-ED, MPD-ED or STBP.
    weight_format : WeightFormat
    mode : "float" | "integer"
        float64, or fixed point as on a chip (docs/learning.md, "Integer mode").
    lr : float
        Learning rate; may be set between epochs.
    seed : int
        Of the shift registers.
    optimizer : "sgd" | "adam"
        Adam keeps two words per weight and changes all of them: float only.
    batch : int
        Samples per update; the gradient is their mean, each touched weight is rewritten once.
    accountings : tuple of str
        Also count every epoch as these machines would work.
    frozen : tuple of str
        The first layers, which keep their weights: no error reaches them.
    form : IntegerFormat
        The membrane of the integer mode.

    Attributes
    ----------
    store : WeightStore

    Raises
    ------
    UsageError
        For options that do not go together.
    UnsupportedError
        For a rule or network that the engine does not run.
    """

    net: LearningNetwork
    initial: Sequence[ArrayLike]
    rule: GradientRule
    weight_format: WeightFormat = field(default_factory=WeightFormat)
    mode: Literal["float", "integer"] = "integer"
    lr: float = 0.01
    seed: int = 0
    optimizer: Literal["sgd", "adam"] = "sgd"
    batch: int = 1
    accountings: tuple[Accounting, ...] = ()
    frozen: tuple[str, ...] = ()
    form: IntegerFormat = field(default_factory=IntegerFormat)
    store: WeightStore = field(init=False)
    _wiring: at.Wiring = field(init=False)
    _theta: NDArray[Any] = field(init=False)
    _moments: tuple[Floats, Floats, Ints] = field(init=False)

    def __post_init__(self) -> None:
        _check_options(self)
        shapes = [np.shape(w) for w in self.initial]
        wanted = [layer.weight_shape for layer in self.net.layers]
        if shapes != wanted:
            raise UsageError("weights do not have the network's shapes", got=shapes, limit=wanted)
        self.store = WeightStore(self.initial, self.weight_format, self.seed)
        self._wiring = wire(self.net, self.frozen)
        n = self.store.flat_values.size if self.optimizer == "adam" else 0
        self._moments = (np.zeros(n), np.zeros(n), np.zeros(1, np.int64))
        self._theta = self._first_thresholds()

    def weights(self) -> list[Floats]:
        """Return the weights as floats, per layer."""
        return [self.store.values(k) for k in range(len(self.net.layers))]

    def thresholds(self) -> list[Floats]:
        """Return the thresholds per neuron of every spiking population, in units of the rule."""
        positions = self.net.feedforward
        if self.rule.head == "integrator":
            positions = positions[:-1]
        ends = np.cumsum([self.net.layers[k].n_out for k in positions])[:-1]
        return np.split(self._theta / self._theta_unit, ends) if positions else []

    def train(self, inputs: PackedEvents, labels: ArrayLike, order: ArrayLike) -> EpochOutcome:
        """Learn from samples, one after another.

        Parameters
        ----------
        inputs : PackedEvents
        labels : (n_samples,) int
        order : int array
            Positions of the samples to learn from.

        Raises
        ------
        InputError
            For inputs or labels that do not fit network and rule.
        """
        y = np.asarray(labels, np.int64)
        if y.shape != (inputs.n_samples,) or y.size == 0:
            raise InputError("one label per sample", got=y.shape, limit=inputs.n_samples)
        if y.min() < 0 or y.max() >= self.net.n_classes:
            got = (int(y.min()), int(y.max()))
            raise InputError("a label has no output", got=got, limit=self.net.n_classes - 1)
        before = int(self._moments[2][0])
        out = self._run(inputs, y, np.asarray(order, np.int64))
        return self._outcome(out, int(self._moments[2][0]) - before)

    def predict(self, inputs: PackedEvents) -> tuple[Floats, Ints, OperationCounts]:
        """Return scores (n_samples, n_classes), predictions, and the counts of the forward pass."""
        none = np.zeros(0, np.int64)
        out = self._run(inputs, none, np.arange(inputs.n_samples))
        counts = OperationCounts(self.net.names, out.counts, inputs.n_samples)
        return self._scores(out), out.scores.argmax(axis=1), counts

    def log_of(self, inputs: PackedEvents, sample: int) -> NDArray[Any]:
        """Return the spike log of a sample under the present weights.

        Returns
        -------
        (n, 5) float64 or int64
            Layer, step (or time on the axis of the layer's inputs), neuron, v - theta (0 for
            times), and flags: 1 it spiked, 2 an error may enter. In order of layer and step.
        """
        none = np.zeros(0, np.int64)
        out = self._run(inputs, none, np.array([sample]), keeps_log=True)
        return np.asarray(out.log[: out.totals[3]])

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that a bit-identical continuation needs."""
        first, second, n = (array.copy() for array in self._moments)
        own = {"thresholds": self._theta.copy(), "first_moment": first, "second_moment": second}
        return {**self.store.state(), **own, "n_moments": n}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a `state` of an engine with the same network, rule and format.

        Raises
        ------
        UsageError
            For any other state.
        """
        first, second, n = self._moments
        own = {"thresholds": self._theta, "first_moment": first, "second_moment": second}
        own["n_moments"] = n
        for name, array in own.items():
            given = state.get(name)
            if given is None or given.shape != array.shape or given.dtype != array.dtype:
                raise UsageError("not a state of this engine", got=name, limit=array.shape)
        self.store.restore(state)
        for name, array in own.items():
            array[...] = state[name]

    @property
    def _theta_unit(self) -> float:
        """Stored thresholds per unit of the rule's."""
        if self.mode == "float":
            return 1.0
        return float(2 ** (self.form.input_shift + THETA_BITS) / self.store.scale)

    def _first_thresholds(self) -> NDArray[Any]:
        if self.rule.uses_times:
            return np.zeros(0)
        theta = np.concatenate([*initial_thresholds(self.net, self.rule), np.zeros(0)])
        if self.mode == "float":
            return theta
        return np.rint(theta * self._theta_unit).astype(np.int64)

    def arithmetic(self) -> at.FloatArithmetic | at.IntegerArithmetic:
        """Return the parameters and tables that the kernels compute with."""
        f = self.weight_format
        skip = (f.skip_confidence, f.skip_error)
        if self.mode == "float":
            return float_arithmetic(self.rule, self.lr, self.batch, skip, self._moments)
        return integer_arithmetic(
            self.rule, self.lr, self.batch, skip, self.store.scale, self.form, self._moments[2]
        )

    def ramp(self) -> NDArray[Any]:
        """Return the falling threshold (T,), in the unit of the membrane."""
        one = np.ones(1)
        ramp = np.array([threshold_at(self.rule, one, t)[0] for t in range(self.rule.n_steps)])
        if self.mode == "float":
            return ramp
        return np.rint(ramp * 2**self.form.input_shift / self.store.scale).astype(np.int64)

    def _run(
        self, inputs: PackedEvents, labels: Ints, order: Ints, keeps_log: bool = False
    ) -> at.Outcome:
        self._check_inputs(inputs, order)
        n_neurons = sum(self.net.layers[k].n_out for k in self.net.feedforward)
        n_layers, is_float = len(self.net.layers), self.mode == "float"
        kind = np.float64 if is_float else np.int64
        out = at.Outcome(
            np.zeros((n_layers, len(OPERATIONS)), np.int64),
            np.zeros(n_layers, np.int64),
            np.zeros((order.size, self.net.n_classes), kind),
            np.zeros(4, np.int64),
            np.zeros(n_neurons, np.uint8),
            np.zeros(n_neurons, np.int64),
            np.zeros((n_neurons * self.rule.n_steps if keeps_log else 0, 5), kind),
        )
        packed = at.Packed(inputs.pointers, inputs.index, inputs.moment, inputs.value)
        weights = self.store.flat_values if is_float else self.store.flat_codes
        shared = (packed, labels, order, self._wiring, weights, self._store_arrays(), self._plan())
        if self.rule.uses_times:
            from nmhw.sim.learning.kernels.time_forward import make_time_room
            from nmhw.sim.learning.kernels.times import run_times

            run_times(
                *shared, make_time_room(self._wiring, weights.size, kind), out, self.arithmetic()
            )
            return out
        from nmhw.sim.learning.kernels.step_forward import make_room
        from nmhw.sim.learning.kernels.step_reverse import make_trail
        from nmhw.sim.learning.kernels.steps import run_steps

        theta = np.zeros(n_neurons, kind)
        theta[: self._theta.size] = self._theta
        room = make_room(self._wiring, self.rule.n_steps, n_neurons, kind)
        trail = make_trail(room, weights.size, n_neurons, len(OPERATIONS))
        run_steps(*shared, theta, self.ramp(), room, trail, out, self.arithmetic())
        self._theta[:] = theta[: self._theta.size]
        return out

    def _check_inputs(self, inputs: PackedEvents, order: Ints) -> None:
        wanted = None if self.rule.uses_times else self.rule.n_steps
        if inputs.n_inputs != self.net.n_inputs or inputs.n_steps != wanted:
            got, limit = (inputs.n_inputs, inputs.n_steps), (self.net.n_inputs, wanted)
            raise InputError("inputs of another size or number of steps", got=got, limit=limit)
        is_exact = np.issubdtype(inputs.moment.dtype, np.floating)
        if is_exact != (self.rule.time == "exact"):
            raise InputError("times packed for another rule", got=inputs.moment.dtype)
        if order.size and not (order.min() >= 0 and order.max() < inputs.n_samples):
            got = (int(order.min()), int(order.max()))
            raise InputError("order names no sample", got=got, limit=inputs.n_samples - 1)

    def _store_arrays(self) -> at.Store:
        s, f = self.store, self.weight_format
        return at.Store(
            s.flat_values, s.flat_codes, s.registers, s.tally, byte_table(), s.max_code,
            f.rounding == "stochastic", s.scale,
        )  # fmt: skip

    def _plan(self) -> at.Plan:
        return at.Plan(
            n_steps=self.rule.n_steps,
            batch=self.batch,
            mask=_MASKS[self.rule.mask],
            law=_LAWS.get(self.rule.threshold, 0),
            head_spikes=self.rule.head == "spiking",
            is_stream=self.weight_format.accumulate == "stream",
            lowest=len(self.frozen),
        )

    @property
    def score_unit(self) -> float:
        """What one unit of the kernels' raw scores is worth."""
        rule, ticks = self.rule, self.rule.n_steps if self.rule.time == "ticks" else 1
        if rule.head == "spiking":
            return rule.timing_gain / ticks if rule.uses_times else 1.0
        return (1.0 if self.mode == "float" else self.store.scale) / ticks

    def _scores(self, out: at.Outcome) -> Floats:
        return np.asarray(out.scores * self.score_unit, np.float64)

    def _outcome(self, out: at.Outcome, n_updates: int) -> EpochOutcome:
        return epoch_outcome(
            self.net, self.rule, self.weight_format, out, self.store.take_counts(),
            self._scores(out), self.accountings, len(self.frozen), n_updates,
        )  # fmt: skip


def _check_options(e: Engine) -> None:
    if e.rule.name not in ("std-ed", "mpd-ed", "stbp"):
        raise UnsupportedError(
            "the engine does not run this rule",
            got=e.rule.name,
            hint="float_form.run_batch",
            rule="learning.engine",
        )
    check_network(e.net, e.rule)
    if e.mode not in ("float", "integer") or e.optimizer not in ("sgd", "adam"):
        raise UsageError("no such mode or optimizer", got=(e.mode, e.optimizer))
    if e.batch < 1 or not e.lr > 0:
        raise UsageError("batch is at least 1, the rate positive", got=(e.batch, e.lr))
    if e.frozen and e.frozen != e.net.names[: len(e.frozen)]:
        raise UsageError("frozen layers are the first ones", got=e.frozen, limit=e.net.names)
    is_stream = e.weight_format.accumulate == "stream"
    if is_stream and (e.batch > 1 or e.optimizer == "adam"):
        raise UsageError("streaming updates have no batch and no moments", hint="batch=1")
    if e.mode == "float":
        return
    if e.optimizer == "adam":
        raise UsageError("Adam keeps float moments", got="adam", hint="mode='float'")
    if e.weight_format.bits is None:
        raise UsageError("integer learning needs weights of some width", hint="bits=8")
    if e.rule.time == "exact":
        raise UsageError(
            "integer learning counts time in ticks", got="exact", hint="rule.with_(time='ticks')"
        )
