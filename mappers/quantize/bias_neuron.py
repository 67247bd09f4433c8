"""Bias neuron: constant synaptic current on chips whose only bias is on the membrane.

One more neuron fires in every step, with one synapse per biased neuron. A synapse with delay d
from it adds its weight to the current in every step from d on; with d = the step in which the
target's own time begins, that is the bias of the float network, as exactly as the weight grid
holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.explicit import Explicit
from nmhw.mappers.quantize.grid import choose_decay, legal_biases
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.values.chip import ArithmeticSpec
from nmhw.values.discrete import FloatCell
from nmhw.values.network import InputPort, Network, Projection
from nmhw.values.profile import Profile
from nmhw.values.quantized import CellSpec, QuantizedPopulation
from nmhw.values.topology import closing_projections

Floats = NDArray[np.float64]

#: Given integers that say by themselves what is added in every step.
_BIAS_FIELDS = ("bias_mantissa", "current_bias_mantissa")


@dataclass(frozen=True, slots=True, eq=False)
class BiasAxon:
    """The bias neuron's synapses on one population.

    Attributes
    ----------
    start_step : int
        First step, of the target's own time, in which the bias acts.
    values : (n,) float64
        Bias of every target neuron in the author's unit of weights.
    """

    name: str
    target: str
    start_step: int
    values: Floats

    @property
    def n_synapses(self) -> int:
        """Number of neurons with a bias."""
        return int(np.count_nonzero(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class BiasNeuron:
    """A neuron that fires in every step from ``first_step`` on, and its synapses."""

    name: str
    axons: tuple[BiasAxon, ...]
    first_step: int

    @property
    def targets(self) -> frozenset[str]:
        """Populations whose whole constant current comes from this neuron."""
        return frozenset(axon.target for axon in self.axons)

    def needs(self) -> dict[str, int]:
        """Return per projection the delay that it would have if all ran at the author's time."""
        return {axon.name: axon.start_step - self.first_step for axon in self.axons}

    def connect(self, network: Network) -> Network:
        """Return the network with the neuron as an input, which cannot be shifted in time."""
        links = tuple(Projection(axon.name, self.name, axon.target) for axon in self.axons)
        inputs = (*network.inputs, InputPort(self.name, (1,)))
        return replace(network, inputs=inputs, projections=(*network.projections, *links))

    def synapses(self, target: str) -> tuple[LoweredProjection, ...]:
        """Return the synapses on one population."""
        return tuple(
            LoweredProjection(
                axon.name,
                self.name,
                target,
                "sparse",
                axon.values[axon.values != 0],
                axon.values.size,
                indptr=np.array([0, axon.n_synapses], np.int64),
                indices=np.flatnonzero(axon.values).astype(np.int64),
                is_bias=True,
            )
            for axon in self.axons
            if axon.target == target
        )


def plan_bias_neuron(
    network: Network,
    cells: Mapping[str, FloatCell],
    profile: Profile,
    ledger: Ledger,
    explicit: Mapping[str, Explicit],
) -> BiasNeuron | None:
    """Return the bias neuron that a network needs on a chip, None if it needs or can have none.

    It is used where a synaptic current has a bias, the chip has no place for one, and ``allow``
    does not ask for the steady-state bias on the membrane instead.
    """
    arithmetic = ledger.chip.arithmetic
    if "bias" in ledger.allow or not _can_fire_always(arithmetic):
        return None
    closing = closing_projections(network)
    name = _free_name("(bias)", network.sizes().keys() | {o.name for o in network.outputs})
    taken = {p.name for p in network.projections}
    axons: list[BiasAxon] = []
    for population in network.populations:
        cell = cells[population.name]
        given = explicit.get(population.name, {})
        if not (cell.has_current and np.any(cell.u_keep)) or any(f in given for f in _BIAS_FIELDS):
            continue
        by_start: dict[int, Floats] = {}
        for p in network.incoming(population.name):
            if p.bias is not None:
                start = profile.recurrent_bias_from_step if p.name in closing else 0
                by_start[start] = by_start.get(start, np.zeros(population.size)) + p.bias
        for start, values in sorted(by_start.items()):
            if np.any(values):
                wanted = f"{name}>{population.name}" + (f"#d{start}" if start else "")
                axon = BiasAxon(_free_name(wanted, taken), population.name, start, values)
                axons.append(axon)
                taken.add(axon.name)
    if not axons:
        return None
    return BiasNeuron(name, tuple(axons), _reset_delay(arithmetic))


def note_bias_neuron(bias: BiasNeuron, ledger: Ledger) -> None:
    """Say what the neuron is for and what it costs."""
    n_synapses = sum(axon.n_synapses for axon in bias.axons)
    text = (
        f"the chip has no bias on a synaptic current: one more neuron, {bias.name}, fires in every "
        f"step and carries it over {n_synapses} synapses (weights of the chip's width); this costs "
        "1 neuron, and per step 1 spike, the synapses, and 1 packet per core of its targets"
    )
    hint = "--allow bias (no neuron: a bias on the membrane, right in the steady state alone)"
    ledger.note("bias-neuron", ", ".join(sorted(bias.targets)), text, "assumption", hint)


def build_bias_population(bias: BiasNeuron, arithmetic: ArithmeticSpec) -> QuantizedPopulation:
    """Return the neuron: a membrane bias of twice the threshold, and a reset to zero."""
    keep = np.ones(1) if {"none", "mulshift"} & set(arithmetic.decays) else np.full(1, 0.5)
    decay = choose_decay(arithmetic, keep, "v")
    zero = np.zeros(1, np.int64)
    spec = CellSpec(
        has_current=False,
        v_decay=decay.kind,
        decay_bits=arithmetic.decay_bits,
        rounding=arithmetic.rounding,
        input_shift=arithmetic.input_shift,
        u_bits=arithmetic.u_bits,
        v_bits=arithmetic.v_bits,
        u_overflow=arithmetic.u_overflow,
        v_overflow=arithmetic.v_overflow,
        compare=">" if ">" in arithmetic.compares else ">=",
        reset="zero" if "zero" in arithmetic.resets else "value",
        reset_delay=1 if _reset_delay(arithmetic) else 0,
    )
    threshold, drive = _threshold_and_drive(arithmetic)
    return QuantizedPopulation(
        name=bias.name,
        shape=(1,),
        spec=spec,
        u_keep=zero,
        v_keep=decay.code,
        u_bias=zero,
        v_bias=np.array([drive], np.int64),
        threshold=np.array([threshold], np.int64),
        v_reset=zero,
        v0=zero,
        scale=np.ones(1),
        profile_index=zero,
        depth=bias.first_step,
        is_added=True,
    )


def _can_fire_always(arithmetic: ArithmeticSpec) -> bool:
    """Whether the chip lacks the bias, has the current, and can hold the neuron."""
    lacks = "current" not in arithmetic.bias_on and "membrane" in arithmetic.bias_on
    resets = {"zero", "value"} & set(arithmetic.resets)
    if not (lacks and resets and arithmetic.state == "int" and arithmetic.has_current):
        return False
    threshold, drive = _threshold_and_drive(arithmetic)
    return drive > threshold


def _threshold_and_drive(arithmetic: ArithmeticSpec) -> tuple[int, int]:
    threshold = 1 << arithmetic.threshold_shift
    return threshold, int(legal_biases(arithmetic, np.array([2.0 * threshold]))[0][0])


def _reset_delay(arithmetic: ArithmeticSpec) -> int:
    """Return 1 on chips that decide a spike on the membrane of the step before."""
    return 0 if 0 in arithmetic.reset_delays else 1


def _free_name(wanted: str, taken: Collection[str]) -> str:
    """Return a name that nothing of the author's network has."""
    name, k = wanted, 2
    while name in taken:
        name, k = f"{wanted} {k}", k + 1
    return name
