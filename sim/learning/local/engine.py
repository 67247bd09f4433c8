"""LocalEngine: runs a small network step by step, calls the rules, applies and counts.

One step: every layer takes its sources' outputs of this step (recurrent ones: of the step before),
the teacher gives third factors, then every layer with a rule runs its triggers in
``TRIGGER_ORDER``. Rules see weights as they were written by the triggers before.

What is counted, per layer (``OPERATIONS``): a synop per stored weight of a source that is not
zero; a neuron update per target and step; a spike per spike; a trace update per word of rule state
that is not zero after a step; a surrogate per target and step where the spec needs one; an error
event per target (one if the factor is global) and step with a third factor; a propagation MAC per
feedback weight used; an error packet per signal that is broadcast; ``spec.products`` MACs per
synapse of every returned block. Reads, writes and random words are the WeightStore's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.learning.local.layer import (
    LocalLayer,
    new_population,
    reset_population,
    softmax,
    step_population,
    surrogate,
)
from nmhw.sim.learning.local.rule import Activity, Floats, Ints
from nmhw.sim.learning.local.triggers import check_chain, due_triggers, find_handlers
from nmhw.sim.learning.local.update_check import check_state, check_update
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS, OperationCounts, WeightFormat
from nmhw.values.rng import stream

#: Called after the forward step: (engine, step) -> a third factor per layer, None where none.
Teacher = Callable[["LocalEngine", int], "Sequence[Any]"]
_K = OPERATION_INDEX


@dataclass(frozen=True, slots=True, eq=False)
class SampleOutcome:
    """What one sample did, per layer.

    Attributes
    ----------
    n_spikes : tuple of (n_out,) float64
        Sum of outputs over the sample (spike counts of spiking layers).
    outputs : tuple of (n_steps, n_out) float64
    """

    n_spikes: tuple[Floats, ...]
    outputs: tuple[Floats, ...]


class LocalEngine:
    """A chain of dense layers with local rules.

    Parameters
    ----------
    layers : sequence of LocalLayer
    weights : sequence of (n_in, n_out) float64
    weight_format : WeightFormat
    learning_rate : float
    seed : int
        Of stochastic rounding and of noise for trace rounding.
    use_compiled : bool
        Call the rules' Numba functions where they have one.

    Attributes
    ----------
    weights : list of (n_in, n_out) float64
        As stored; read-only views that follow the store.
    store : WeightStore
    n_steps : int
        Steps of the sample that runs.
    """

    def __init__(
        self, layers: Sequence[LocalLayer], weights: Sequence[Floats],
        weight_format: WeightFormat, *, learning_rate: float = 1.0, seed: int = 0,
        use_compiled: bool = False,
    ) -> None:  # fmt: skip
        check_chain(layers, weights)
        self.layers = tuple(layers)
        self.learning_rate = learning_rate
        self._n_samples = self.n_steps = 0
        self.store = WeightStore(weights, weight_format, seed)
        self.weights = [self._view(k) for k in range(len(self.layers))]
        self.populations = [new_population(layer) for layer in self.layers]
        for k, layer in enumerate(self.layers):
            if layer.is_recurrent:
                self.populations[k] = self.populations[k - 1]
        self._seed = seed
        self._noise = [self._noise_of(layer.name) for layer in self.layers]
        self._handlers = [find_handlers(layer, use_compiled) for layer in self.layers]
        self._add_block = None
        if use_compiled and weight_format.bits is not None:
            from nmhw.sim.learning.local.block_adding import add_block

            self._add_block = add_block
        self._counts = np.zeros((len(self.layers), len(OPERATIONS)), np.int64)
        self._traces: list[Any] = [() for _ in self.layers]
        self.reset()

    def _view(self, k: int) -> Floats:
        """Return a layer's weights in the store: they follow its changes, nobody else's."""
        start, end = self.store.starts[k : k + 2]
        view = self.store.flat_values[start:end].reshape(self.store.shapes[k])
        view.flags.writeable = False
        return view

    @property
    def counts(self) -> OperationCounts:
        """Operations since the engine was made."""
        values = self._counts + self.store.counts
        return OperationCounts(tuple(f.name for f in self.layers), values, self._n_samples)

    def reset(self) -> None:
        """Bring membranes and traces to rest; weights and threshold adaptation stay."""
        for population in self.populations:
            reset_population(population)
        self._traces = [
            () if layer.rule is None else layer.rule.initial_state(layer.n_in, layer.n_out)
            for layer in self.layers
        ]
        for layer, traces in zip(self.layers, self._traces, strict=True):
            if layer.rule is not None:
                check_state(layer.rule, traces, layer.n_in, layer.n_out)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of what the next sample depends on (not of counters)."""
        kept: dict[str, NDArray[Any]] = dict(self.store.state())
        for k, population in enumerate(self.populations):
            kept[f"adaptation{k}"] = population.adaptation.copy()
        return {**kept, "n_samples": np.array(self._n_samples)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a `state`, bit for bit.

        Raises
        ------
        UsageError
            For the state of other layers or another format.
        """
        self.store.restore(state)
        for k, population in enumerate(self.populations):
            population.adaptation[:] = state[f"adaptation{k}"]
        self._n_samples = int(state["n_samples"])

    def forget(self, n_samples: int) -> None:
        """Take back the numbers of the last samples: judging leaves no trace in what follows."""
        self._n_samples -= n_samples

    def _noise_of(self, name: str) -> np.random.Generator:
        """Return the random numbers of the coming sample: its number, not its past, names them."""
        return stream(self._seed, "learning.local", name, self._n_samples)

    def softmax(self, k: int) -> Floats:
        """Return the softmax of a layer's membranes; its exponentials are counted."""
        self._counts[k, _K["exponential"]] += self.layers[k].n_out
        return softmax(self.populations[k].v)

    def run(
        self, inputs: NDArray[Any], teacher: Teacher | None = None, *, learn: bool = True,
        forced: Sequence[NDArray[Any] | None] | None = None,
        drives: Sequence[NDArray[Any] | None] | None = None, keep_state: bool = False,
    ) -> SampleOutcome:  # fmt: skip
        """Run one sample.

        Parameters
        ----------
        inputs : (n_steps, n_in) array
            Spikes (0, 1) or graded values.
        teacher : callable, optional
        learn : bool
            False: forward only; nothing else is counted.
        forced : sequence of (n_steps, n_out) or None, optional
            Spikes that layers emit whatever their membranes say.
        drives : sequence of (n_steps, n_out) or None, optional
            Currents that a teacher adds, one synapse per target (a synop where not zero).
        keep_state : bool
            Go on from the state that the last sample left (traces and membranes).
        """
        inputs = np.asarray(inputs, np.float64)
        for k, layer in enumerate(self.layers):
            if layer.rule is not None and layer.rule.spec.random_words:
                self._noise[k] = self._noise_of(layer.name)
        if inputs.ndim != 2 or inputs.shape[1] != self.layers[0].n_in:
            limit = f"(steps, {self.layers[0].n_in})"
            raise UsageError("inputs of one sample", got=inputs.shape, limit=limit)
        if not keep_state:
            self.reset()
        self.n_steps = n_steps = len(inputs)
        outputs = tuple(np.zeros((n_steps, layer.n_out)) for layer in self.layers)
        for step in range(n_steps):
            sources = self._forward(inputs[step], step, forced, drives)
            for k, population in enumerate(self.populations):
                outputs[k][step] = population.output
            if learn:
                signals = teacher(self, step) if teacher else [None] * len(self.layers)
                for k, signal in enumerate(signals):
                    if self.layers[k].rule is not None:
                        self._learn(k, sources[k], signal, step, n_steps)
        self._n_samples += 1
        return SampleOutcome(tuple(o.sum(axis=0) for o in outputs), outputs)

    def _forward(self, arriving: Floats, step: int, forced: Any, drives: Any) -> list[Floats]:
        """Run every layer once; return what arrived at each."""
        sources: list[Floats] = []
        k = 0
        while k < len(self.layers):
            layer, population = self.layers[k], self.populations[k]
            current = self._read(k, arriving)
            if drives is not None and drives[k] is not None:
                current = current + drives[k][step]
                self._counts[k, _K["synop"]] += np.count_nonzero(drives[k][step])
            sources.append(arriving)
            width = 1
            if k + 1 < len(self.layers) and self.layers[k + 1].is_recurrent:
                own = population.output.copy()
                current = current + self._read(k + 1, own)
                sources.append(own)
                width = 2
            fixed = forced[k] if forced is not None else None
            step_population(layer, population, current, None if fixed is None else fixed[step])
            self._counts[k, _K["neuron_update"]] += layer.n_out
            if layer.neuron.kind == "lif":
                self._counts[k, _K["spike"]] += np.count_nonzero(population.output)
            elif layer.neuron.kind == "softmax":
                self._counts[k, _K["exponential"]] += layer.n_out
            arriving = population.output.copy()
            k += width
        return sources

    def _read(self, k: int, arriving: Floats) -> Floats:
        rows = np.flatnonzero(arriving)
        self._counts[k, _K["synop"]] += rows.size * self.layers[k].n_out
        return arriving[rows] @ self.weights[k][rows]

    def _learn(self, k: int, arriving: Floats, signal: Any, step: int, n_steps: int) -> None:
        layer, rule = self.layers[k], self.layers[k].rule
        assert rule is not None
        spec, population, traces = rule.spec, self.populations[k], self._traces[k]
        error = self._third_factor(k, signal)
        psi = np.zeros(layer.n_out)
        if spec.needs_surrogate:
            psi = surrogate(layer.neuron, population)
            self._counts[k, _K["surrogate"]] += layer.n_out
        self._counts[k, _K["random_word"]] += spec.random_words
        a = Activity(
            arriving, population.output, population.peak, population.theta, psi, error,
            self.weights[k], self._noise[k].random(spec.random_words),
            self.learning_rate * layer.rate, self.store.scale, step, n_steps,
        )  # fmt: skip
        due = due_triggers(a, spec.epoch_steps)
        for trigger, handler in self._handlers[k]:
            if not due[trigger]:
                continue
            update = handler(a, traces)
            if trigger == "on_step":
                words = sum(np.count_nonzero(trace) for trace in traces)
                self._counts[k, _K["trace_update"]] += words
            if update is not None and check_update(rule, trigger, update, a):
                n = update[0].size * update[1].size
                self._counts[k, _K["gradient_mac"]] += n * spec.products
                self._apply(k, *update)

    def _apply(self, k: int, rows: Ints, cols: Ints, dw: Floats) -> None:
        """Hand a block to the WeightStore, row by row."""
        if self._add_block is not None:
            self._add_block(self.store, k, rows, cols, dw)
            return
        positions = rows[:, None] * self.layers[k].n_out + cols
        self.store.add(k, positions.ravel(), dw.ravel())

    def _third_factor(self, k: int, signal: Any) -> Floats:
        """Return the third factor of every target, and count what it takes to bring it there."""
        layer, error = self.layers[k], np.zeros(self.layers[k].n_out)
        if signal is None:
            return error
        values = np.atleast_1d(np.asarray(signal, np.float64))
        matrix, counts = layer.feedback_weights, self._counts[k]
        if matrix is None:
            error[:] = values
        else:
            if layer.feedback == "readout":
                active = np.flatnonzero(self.populations[k].output)
                counts[_K["propagation_mac"]] += active.size * len(matrix)
                values = matrix[:, active] @ self.populations[k].output[active] - values
            used = np.flatnonzero(values)
            error[:] = values[used] @ matrix[used]
            counts[_K["propagation_mac"]] += used.size * layer.n_out
        counts[_K["error_packet"]] += np.count_nonzero(values)
        is_global = layer.rule is not None and layer.rule.spec.third_factor == "global"
        n_events = np.count_nonzero(error)
        counts[_K["error_event"]] += min(1, n_events) if is_global else n_events
        return error
