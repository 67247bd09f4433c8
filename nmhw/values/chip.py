"""ChipSpec: what a chip (or board) can hold, compute and cost, every figure with its provenance.

Values only: chip files are read and validated in ``nmhw.io.chip_file``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nmhw.errors import ChipFileError
from nmhw.values.figure import (
    EVENT_KINDS,
    Basis,
    CostTable,
    Figure,
    Grade,
    LawSpec,
    SyncSpec,
)
from nmhw.values.mesh import BoardSpec, MeshSpec
from nmhw.values.noc import NocSpec
from nmhw.values.quantized import Overflow

__all__ = [
    "EVENT_KINDS",
    "RESOURCES",
    "ArithmeticSpec",
    "Basis",
    "BoardSpec",
    "ChipSpec",
    "CoreSpec",
    "CostTable",
    "EncodingSpec",
    "Figure",
    "Grade",
    "LawSpec",
    "MemorySpec",
    "MeshSpec",
    "NocSpec",
    "RuleSpec",
    "SyncSpec",
]

#: Budget resources of one core that mappers and ``verify`` may count.
RESOURCES = (
    "neurons",
    "in_axons",
    "out_axons",
    "synapses",
    "synapse_bits",
    "memory_bits",
    "neuron_profiles",
    "threshold_profiles",
    "synapse_formats",
    "kernel_words",
    "neuron_words",
    "bias_words",
)


@dataclass(frozen=True, slots=True)
class CoreSpec:
    """A group of ``count`` equal cores and the budget of each.

    ``budget`` maps resource names to limits: ``neurons``, ``in_axons``, ``out_axons``,
    ``synapse_bits``, ``neuron_profiles``, ``threshold_profiles``, ``memory_bits``... Resources
    that are absent are unlimited. ``soft_budget`` gives limits that only warn.
    """

    name: str
    count: int
    budget: Mapping[str, int]
    soft_budget: Mapping[str, int] = field(default_factory=dict)
    citations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodingSpec:
    """How the synapses of one axon are stored on a core.

    Bits of one axon with n synapses: blocks of at most ``max_synapses_per_block``, each
    ``header_bits + n_block * (weight_bits + index_bits + extra_bits)`` rounded up to ``word_bits``;
    plus ``axon_bits`` per axon. ``shared``: the kernel is stored once per core and projection
    (``weight_bits`` per kernel element, rounded up to words), plus ``axon_bits`` per axon.

    Attributes
    ----------
    kind : "dense" (no index), "sparse" (index per synapse), "shared" (conv kernels)
    index_bits : allowed widths, ascending; the smallest that addresses the core's targets is used
    """

    kind: Literal["dense", "sparse", "shared"]
    weight_bits: tuple[int, ...]
    index_bits: tuple[int, ...] = (0,)
    extra_bits: int = 0
    header_bits: int = 0
    word_bits: int = 1
    max_synapses_per_block: int | None = None
    axon_bits: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class MemorySpec:
    """One SRAM shared by everything on a core: the sum is checked against ``memory_bits``."""

    fixed_bits: int = 0
    bits_per_neuron: int = 0
    bits_per_neuron_delay_slot: int = 0
    bits_per_in_axon: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A named mapping constraint beyond budgets, with its parameters.

    Kinds: power-of-two-memory, destinations, source-sign, codebook, shared-pair,
    pooled-fan-out, layer-sizes, layer-form, graph, delay-slots, routing-entries, core-order,
    shared-rows, layer-per-core.
    ``verify`` refuses a chip whose rules it does not know.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    severity: Literal["error", "warning"] = "error"
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArithmeticSpec:
    """What a core computes; see ``nmhw.values.arithmetic`` for the exact steps.

    Attributes
    ----------
    family : str
        loihi | spinnaker2 | xylo | speck | truenorth | odin | reckon | generic
    claim : str
        The exact claim, e.g. "bit-exact to the fixed_pt models of lava-nc 0.10.0".
    state : "int" | "float32";  u_bits, v_bits : widths including sign
    sum_bits : width of v before the comparison, where the sum of a step is wider (0 = v_bits)
    u_overflow, v_overflow : "wrap" | "saturate" | "saturate-full" (-2^(bits-1) included)
    summation : "exact" | "saturating"
        "saturating": every event is added to the synaptic current before its decay, and each
        addition overflows by itself; there is no neuron without a current.
    input_shift : left shift of the summed weights before they reach the state
    decays : kinds a neuron may use: "none", "clear", "mulshift", "shift", "shift-tail",
        "subtract", "float";
        "converge": a constant toward 0 behind the input; "constant": none but a bias and a floor
    decay_shifts : smallest and largest shift of "shift-tail"
    decay_bits, u_decay_offset : of mulshift: keep = 2^decay_bits - (decay + offset)
    rounding : "toward-zero" | "floor" of the decay product
    leak_bits : width of the constant that "subtract", "converge" and "constant" take per step
    lowest_v : smallest membrane value of every neuron; None = the state's width;
        negative_threshold : a programmable one: "none" | "saturate" | "reset"
    non_spiking : whether a neuron can be kept from firing
    compares, resets : what the hardware has ("zero", "subtract", "value", "none")
    max_spikes_per_step : spikes one neuron can emit in one step
    max_output_spikes_per_step : the same of neurons that are outputs of the network; None = equal
    always_multi_spike : a neuron cannot be kept from firing several times in one step
    max_input_events : events that one input channel takes in one step; None = any number
    weight_bits : allowed widths; weight_min, weight_max : of a signed weight at full width
    weight_step : distance of two neighboring signed weights at full width
    weight_coding : "binary" | "axons" (one axon of the source per bit; two for -1, 0, 1)
    sign_modes : subset of ("mixed", "excitatory", "inhibitory")
    weight_rounding : "nearest" | "truncate"
    weight_exponent : (min, max) power-of-two scale shared by one projection
    weight_exponent_scope : "projection" | "matrix"
        "matrix": one exponent from inputs to hidden neurons, one between hidden neurons, one from
        them to outputs.
    threshold_bits, threshold_shift : mantissa width and left shift
    threshold_scope : "neuron" | "profiles" | "layer"
    bias_on : subset of ("membrane", "current")
    constant_input : where that is (), a bias may be an event per step that the host sends
    bias_bits, bias_exponent : signed mantissa width and (min, max) left shift
    hop_steps : steps a spike needs from core to core (and inside one)
    input_hop_steps : the same for input events; None = hop_steps;  max_extra_delay_steps : on top
    n_currents : synaptic currents of a hidden neuron (explicit integers only beyond 1);
    has_aliases : it can repeat another's spikes as its own
    has_current, initial_v, refractory_max_steps, membrane_readout, max_compartments (of a neuron)
    inputs : subset of ("spikes", "counts", "graded", "current");  timings : of ("steps", "events")
    """

    family: str
    claim: str
    state: Literal["int", "float32"] = "int"
    u_bits: int = 32
    v_bits: int = 32
    sum_bits: int = 0
    u_overflow: Overflow = "saturate"
    v_overflow: Overflow = "saturate"
    summation: Literal["exact", "saturating"] = "exact"
    input_shift: int = 0
    decays: tuple[str, ...] = ("none", "clear", "mulshift", "shift")
    decay_bits: int = 12
    decay_shifts: tuple[int, int] = (1, 62)
    u_decay_offset: int = 0
    rounding: Literal["toward-zero", "floor"] = "toward-zero"
    leak_bits: int = 7
    lowest_v: int | None = None
    negative_threshold: Literal["none", "saturate", "reset"] = "none"
    non_spiking: bool = True
    compares: tuple[str, ...] = (">", ">=")
    resets: tuple[str, ...] = ("zero", "subtract", "value", "none")
    reset_delays: tuple[int, ...] = (0,)
    max_spikes_per_step: int = 1
    max_output_spikes_per_step: int | None = None
    always_multi_spike: bool = False
    max_input_events: int | None = None
    weight_bits: tuple[int, ...] = (8,)
    weight_min: int = -127
    weight_max: int = 127
    weight_step: int = 1
    weight_coding: Literal["binary", "axons"] = "binary"
    sign_modes: tuple[str, ...] = ("mixed",)
    weight_rounding: Literal["nearest", "truncate"] = "nearest"
    weight_exponent: tuple[int, int] = (0, 0)
    weight_exponent_scope: Literal["projection", "matrix"] = "projection"
    threshold_bits: int = 31
    threshold_shift: int = 0
    threshold_scope: Literal["neuron", "profiles", "layer"] = "neuron"
    bias_on: tuple[str, ...] = ("membrane",)
    constant_input: bool = False
    bias_bits: int = 32
    bias_exponent: tuple[int, int] = (0, 0)
    hop_steps: Literal[0, 1] = 1
    input_hop_steps: Literal[0, 1] | None = None
    max_extra_delay_steps: int = 0
    has_current: bool = True
    n_currents: Literal[1, 2] = 1
    has_aliases: bool = False
    initial_v: bool = False
    refractory_max_steps: int = 0
    max_compartments: int = 1
    membrane_readout: bool = True
    inputs: tuple[str, ...] = ("spikes",)
    timings: tuple[str, ...] = ("steps",)
    citations: Mapping[str, str] = field(default_factory=dict)

    @property
    def input_hop(self) -> int:
        """Steps an input event needs to its first neuron."""
        return self.hop_steps if self.input_hop_steps is None else self.input_hop_steps


@dataclass(frozen=True, slots=True)
class ChipSpec:
    """One chip file.

    Attributes
    ----------
    describes : "chip" | "board"
    is_executable : bool
        False for sheets that only know limits: ``run`` refuses with ``not_executable_because``.
    is_imaginary : bool
        True for the reference chip: none of its numbers is a measurement.
    cores : tuple of CoreSpec; core indices run through the groups in order, per chip
    encodings : tuple of EncodingSpec; the cheapest legal one is used per projection and core
    costs : mapping of name to CostTable;  default_costs : name or None (then unpriced)
    pace : default (barrier chips run free, tick chips in real time);  tick_s : timer of the steps
    noc : links and buffers of the mesh, or None
    published : mapping of name to Figure; no unit costs (rest power, measured workloads), SI units
    learning_native : names of learning rules the chip runs itself
    learning_port, learning_word_bits : reads of weights by target (docs/learning.md, "On a chip")
    sources : mapping of citation key to full citation
    """

    name: str
    title: str
    describes: Literal["chip", "board"]
    arithmetic: ArithmeticSpec
    mesh: MeshSpec
    cores: tuple[CoreSpec, ...]
    encodings: tuple[EncodingSpec, ...]
    costs: Mapping[str, CostTable]
    default_costs: str | None
    pace: Literal["free", "realtime"]
    sources: Mapping[str, str]
    tick_s: Figure | None = None
    noc: NocSpec | None = None
    memory: MemorySpec | None = None
    board: BoardSpec = field(default_factory=BoardSpec)
    rules: tuple[RuleSpec, ...] = ()
    published: Mapping[str, Figure] = field(default_factory=dict)
    learning_native: tuple[str, ...] = ()
    learning_port: Literal["row", "copy", "crossbar"] | None = None
    learning_word_bits: int | None = None
    is_executable: bool = True
    not_executable_because: str = ""
    is_imaginary: bool = False
    node_nm: float | None = None
    notes: tuple[str, ...] = ()
    path: str | None = None
    sha256: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cores_per_chip(self) -> int:
        """Number of cores of one chip."""
        return sum(group.count for group in self.cores)

    @property
    def n_cores(self) -> int:
        """Number of cores of the whole chip or board."""
        return self.cores_per_chip * self.board.n_chips

    def has_rule(self, kind: str) -> bool:
        """Return whether a rule of this kind restricts mappings."""
        return any(rule.kind == kind for rule in self.rules)

    def core_spec(self, core: int) -> CoreSpec:
        """Return the group that global core index ``core`` belongs to."""
        local = core % self.cores_per_chip
        for group in self.cores:
            if local < group.count:
                return group
            local -= group.count
        raise ChipFileError("no such core", got=core, limit=self.n_cores, where=self.name)

    def position(self, core: int) -> tuple[int, int, int]:
        """Return (chip, x, y): chip index and tile coordinates of a global core index."""
        chip, local = divmod(core, self.cores_per_chip)
        tile = local // self.mesh.cores_per_tile
        return chip, tile % self.mesh.width, tile // self.mesh.width

    def cost_table(self, name: str | None = None) -> CostTable | None:
        """Return the cost table ``name`` (default: the chip's default; None = unpriced)."""
        wanted = self.default_costs if name is None else name
        if wanted is None or wanted == "none":
            return None
        if wanted not in self.costs:
            known = ", ".join(self.costs) or "none"
            raise ChipFileError("no such cost table", got=wanted, where=self.name, hint=known)
        return self.costs[wanted]

    def with_(self, **changes: Any) -> ChipSpec:
        """Return a variant; ``mesh=(8, 8)``, ``cores=32``, ``board=(2, 1)`` or nested keys such as
        ``arithmetic={"v_bits": 16}`` or ``budget={"neurons": 256}``.

        Raises
        ------
        ChipFileError
            For keys that do not exist or values the schema refuses.
        """
        from nmhw.io.chip_file import vary_chip

        return vary_chip(self, changes)
