"""QuantizedNetwork: the network in a chip's integers, still in the author's names and indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.linear import Conv, Pool, Shape
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile

Ints = NDArray[np.int64]
Decay = Literal["none", "clear", "mulshift", "shift", "subtract", "shift-tail", "converge"]
Overflow = Literal["wrap", "saturate", "saturate-full"]


@dataclass(frozen=True, slots=True)
class CellSpec:
    """The integer (or float32) step of one population as a choice of forms; data in Cell arrays.

    The step itself is written out in ``nmhw.values.arithmetic``. ``sum_bits``: width of the
    membrane while it is compared with the threshold (0 = ``v_bits``).
    """

    state: Literal["int", "float32"] = "int"
    has_current: bool = False
    is_spiking: bool = True
    u_decay: Decay = "clear"
    v_decay: Decay = "none"
    decay_bits: int = 12
    rounding: Literal["toward-zero", "floor"] = "toward-zero"
    input_shift: int = 0
    u_bits: int = 32
    v_bits: int = 32
    u_overflow: Overflow = "saturate"
    v_overflow: Overflow = "saturate"
    compare: Literal[">", ">="] = ">"
    reset: Literal["zero", "value", "subtract", "none"] = "zero"
    reset_delay: Literal[0, 1] = 0
    max_spikes_per_step: int = 1
    sum_bits: int = 0
    summation: Literal["exact", "saturating"] = "exact"
    lower: Literal["saturate", "reset"] = "saturate"


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedPopulation:
    """One population in chip integers; arrays (n,) in the author's order.

    Attributes
    ----------
    u_keep, v_keep : int64
        mulshift: the factor out of 2**decay_bits that stays; shift: the right shift; subtract
        and converge: what is taken away per step; else ignored.
    u_bias, v_bias : int64
        Added to the current / the membrane in every step.
    threshold, v_reset, v0, v_min : int64
        In units of the membrane's least significant bit (all shifts applied). ``v_min`` None = no
        bound but the state's width.
    refractory_steps : int64 or None
    floats : mapping or None
        For ``state == "float32"``: float32 arrays u_keep, u_gain, v_keep, v_gain, drive, threshold,
        v_reset, v0 (then the integer arrays above are zeros).
    scale : (n,) float64
        Membrane LSBs per unit of the author's v (so v = v_int / scale).
    profile_index : (n,) int64
        Which neuron profile (threshold, decays, reset...) each neuron uses, on chips with n
        profiles per core; zeros elsewhere.
    depth : int
        Longest delay in steps from an input: results use the window [depth, depth + T).
    group : (n,) int64 or None
        The slices that a lowering counted on: each group is on one core as a whole.
    u2_keep : (n,) int64 or None
        Decay of a second synaptic current (``summation == "saturating"`` only), of the kind
        ``spec.u_decay``; None = there is no second current.
    alias : (n,) int64 or None
        Neuron of this population that repeats each neuron's spikes as its own, -1 = none
        (``summation == "saturating"`` only).
    is_added : bool
        Made by a lowering: runs and costs like any other, but is no part of the author's results.
    n_compartments : int
        Compartments per neuron: each takes a neuron's place on the core and is updated in every
        step; one state stands for all.
    """

    name: str
    shape: Shape
    spec: CellSpec
    u_keep: Ints
    v_keep: Ints
    u_bias: Ints
    v_bias: Ints
    threshold: Ints
    v_reset: Ints
    v0: Ints
    scale: NDArray[np.float64]
    profile_index: Ints
    depth: int
    v_min: Ints | None = None
    refractory_steps: Ints | None = None
    floats: Mapping[str, NDArray[np.float32]] | None = None
    is_added: bool = False
    u2_keep: Ints | None = None
    alias: Ints | None = None
    n_compartments: int = 1
    group: Ints | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.threshold.size)


@dataclass(frozen=True, slots=True, eq=False)
class ConvGeometry:
    """A convolution with a shared kernel: target[o, y, x] += kernel[o, i, ky, kx] source[...]."""

    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    def as_conv(self, kernel: NDArray[Any]) -> Conv:
        """Return the float operation with this geometry."""
        return Conv(
            np.asarray(kernel, np.float64),
            self.in_shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedProjection:
    """One projection in chip integers.

    Attributes
    ----------
    storage : "dense" | "sparse" | "conv"
    weights : integer array
        dense: (n_in, n_target), rows = (pooled) source; conv: (c_out, c_in / groups, k_h, k_w);
        sparse: (n_synapses,) in row order.
    indptr, indices : int64, int32 (or int64); sparse only
        CSR over (pooled) sources -> targets.
    geometry : ConvGeometry, conv only
    pools : tuple of Pool
        Sum pools in front (averages are folded into the weights): an event of the source is an
        event of each pooled element that covers it.
    shift : int
        The projection's summed input is shifted left by this many bits (right, flooring, if
        negative) before it is added at the target: weight exponent and storage shift.
    delay_steps : int
        From a spike at the source to its effect: the chip's hop plus synaptic delay. 0 is only
        legal on chips with hop 0 and outside cycles.
    weight_bits, sign_mode : of the chip's encoding
    weight_scale : (1,) or (n_target,) float64
        Integers per unit of the author's weight (at the target), before ``shift``.
    synapse : 0 | 1
        Which synaptic current of the target it feeds.
    """

    name: str
    source: str
    target: str
    storage: Literal["dense", "sparse", "conv"]
    weights: NDArray[np.integer[Any]]
    delay_steps: int
    shift: int = 0
    indptr: Ints | None = None
    indices: NDArray[np.int32 | np.int64] | None = None
    geometry: ConvGeometry | None = None
    pools: tuple[Pool, ...] = ()
    weight_bits: int = 8
    sign_mode: Literal["mixed", "excitatory", "inhibitory"] = "mixed"
    weight_scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    synapse: Literal[0, 1] = 0


def has_same_kernel(first: QuantizedProjection, second: QuantizedProjection) -> bool:
    """Whether two convolutions into one layer are the same: their sources merge before it."""
    ones = (first.geometry, second.geometry)
    if ones[0] is None or ones[1] is None:
        return first is second
    same = all(
        getattr(ones[0], key) == getattr(ones[1], key)
        for key in ("in_shape", "out_shape", "stride", "padding", "dilation", "groups")
    )
    return same and first.shift == second.shift and np.array_equal(first.weights, second.weights)


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """What quantization did to one population (for the report's deployment-loss table)."""

    population: str
    weight_sqnr_db: float
    clipped_weights_fraction: float
    decay_error: float
    threshold_error: float


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedNetwork:
    """What a mapper maps and a simulator runs.

    Attributes
    ----------
    profile : Profile
        The contract the chip's integers approximate.
    chip_name, family : str
    hop_steps : int
        Of the chip; ``drain_steps`` = D, the longest input-to-output delay.
    notices : approximations (kind "approximation"), assumptions and warnings, all printed
    lowering : mapping population -> (compartment index -> original neuron index) where they differ
    copies : mapping of input or population -> (element -> original element) where a lowering made
        copies; the first n elements are the author's own
    constant_inputs : inputs that a lowering added: one event per element in every step
    """

    name: str
    chip_name: str
    family: str
    profile: Profile
    inputs: tuple[InputPort, ...]
    populations: tuple[QuantizedPopulation, ...]
    projections: tuple[QuantizedProjection, ...]
    outputs: tuple[OutputPort, ...]
    drain_steps: int
    notices: tuple[Notice, ...] = ()
    losses: tuple[LayerLoss, ...] = ()
    lowering: Mapping[str, Ints] = field(default_factory=dict)
    copies: Mapping[str, Ints] = field(default_factory=dict)
    constant_inputs: tuple[str, ...] = ()
    network_sha256: str | None = None

    def population(self, name: str) -> QuantizedPopulation:
        """Return the population called ``name``."""
        for population in self.populations:
            if population.name == name:
                return population
        known = ", ".join(p.name for p in self.populations)
        raise UsageError("no such population", got=repr(name), where=self.name, hint=known)

    def sizes(self) -> Mapping[str, int]:
        """Number of elements of every input and population, by name."""
        sizes = {port.name: port.size for port in self.inputs}
        return sizes | {p.name: p.size for p in self.populations}

    def shapes(self) -> Mapping[str, Shape]:
        """Author's shape of every input and population, by name."""
        shapes = {port.name: port.shape for port in self.inputs}
        return shapes | {p.name: p.shape for p in self.populations}
