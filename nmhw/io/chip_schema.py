"""The schema of a chip file as pydantic models; pydantic is imported only here.

The models know types, ranges and names. Their complaints become readable in
``nmhw.io.chip_complaints``; what needs two keys at once is in ``nmhw.io.chip_checks``.
"""

# ruff: noqa: RUF012 - pydantic copies mutable defaults; ruff cannot see that through the import

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from nmhw.io.chip_cost_schema import (
    CostsModel,
    FigureModel,
    Positive,
    PositiveFinite,
    PublishedModel,
    Table,
    Text,
    one_of,
)
from nmhw.values.chip import RESOURCES

RULE_KINDS = (
    "power-of-two-memory",
    "destinations",
    "source-sign",
    "codebook",
    "shared-pair",
    "pooled-fan-out",
    "layer-sizes",
    "layer-form",
    "graph",
    "delay-slots",
    "routing-entries",
    "core-order",
    "shared-rows",
    "layer-per-core",
)

FAMILIES = (
    "generic",
    "loihi",
    "spinnaker2",
    "xylo",
    "speck",
    "truenorth",
    "odin",
    "reckon",
    "none",  # of sheets that cannot be executed
)

Natural = Annotated[int, Field(ge=0)]
Bits = Annotated[int, Field(ge=1, le=64)]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]
Widths = Annotated[list[Bits], Field(min_length=1)]
Resource = Annotated[str, one_of(RESOURCES)]


class CoreModel(Table):
    """A group of equal cores; a resource that is absent from ``budget`` is unlimited."""

    count: Positive
    budget: dict[Resource, Positive] = {}
    soft_budget: dict[Resource, Positive] = {}
    citations: dict[Resource, Text] = {}


class EncodingModel(Table):
    """A way to store synapses."""

    kind: Literal["dense", "sparse", "shared"]
    weight_bits: Widths
    index_bits: Annotated[list[Annotated[int, Field(ge=0, le=64)]], Field(min_length=1)] = [0]
    extra_bits: Natural = 0
    header_bits: Natural = 0
    word_bits: Positive = 1
    max_synapses_per_block: Positive | None = None
    axon_bits: Natural = 0
    source: Text | None = None


class MemoryModel(Table):
    """One SRAM shared by everything on a core; its size is the budget ``memory_bits``."""

    fixed_bits: Natural = 0
    bits_per_neuron: Natural = 0
    bits_per_neuron_delay_slot: Natural = 0
    bits_per_in_axon: Natural = 0
    source: Text | None = None


class RuleModel(Table):
    """A named mapping constraint beyond budgets."""

    kind: Annotated[str, one_of(RULE_KINDS)]
    parameters: dict[str, Any] = {}
    severity: Literal["error", "warning"] = "error"
    source: Text | None = None
    note: str = ""


class MeshModel(Table):
    """Tiles of ``cores_per_tile`` cores on a ``width`` x ``height`` grid."""

    width: Positive
    height: Positive
    cores_per_tile: Positive = 1
    port: Annotated[list[Natural], Field(min_length=2, max_length=2)] = [0, 0]
    unused_cores: Natural = 0
    """Positions at the end of the grid without a core that networks may use."""
    source: Text | None = None


class BoardModel(Table):
    """Several equal chips on a grid."""

    width: Positive = 1
    height: Positive = 1
    source: Text | None = None


class NocModel(Table):
    """Network between the cores, for latency ``noc``; its hops are in the cost tables."""

    link_ns: FigureModel
    """Time for which one message occupies a link: 1 / bandwidth."""
    link_buffer: FigureModel
    """Messages that fit behind a link."""
    receiver_queue: FigureModel
    """Messages that fit into a core, the one it works on included."""


class ArithmeticModel(Table):
    """What a core computes; the fields are those of ``nmhw.values.chip.ArithmeticSpec``."""

    family: Annotated[str, one_of(FAMILIES)]
    claim: Text
    state: Literal["int", "float32"] = "int"
    u_bits: Bits = 32
    v_bits: Bits = 32
    sum_bits: Annotated[int, Field(ge=0, le=64)] = 0
    u_overflow: Literal["wrap", "saturate", "saturate-full"] = "saturate"
    v_overflow: Literal["wrap", "saturate", "saturate-full"] = "saturate"
    summation: Literal["exact", "saturating"] = "exact"
    input_shift: Annotated[int, Field(ge=0, le=31)] = 0
    decays: list[
        Literal[
            "none",
            "clear",
            "mulshift",
            "shift",
            "shift-tail",
            "subtract",
            "converge",
            "constant",
            "float",
        ]
    ] = [
        "none",
        "clear",
        "mulshift",
        "shift",
    ]
    decay_bits: Annotated[int, Field(ge=1, le=31)] = 12
    decay_shifts: Pair = [1, 62]
    u_decay_offset: Natural = 0
    rounding: Literal["toward-zero", "floor"] = "toward-zero"
    leak_bits: Annotated[int, Field(ge=1, le=31)] = 7
    lowest_v: int | None = None
    negative_threshold: Literal["none", "saturate", "reset"] = "none"
    non_spiking: bool = True
    compares: Annotated[list[Literal[">", ">="]], Field(min_length=1)] = [">", ">="]
    resets: Annotated[list[Literal["zero", "subtract", "value", "none"]], Field(min_length=1)] = [
        "zero",
        "subtract",
        "value",
        "none",
    ]
    reset_delays: Annotated[list[Literal[0, 1]], Field(min_length=1)] = [0]
    max_spikes_per_step: Positive = 1
    max_output_spikes_per_step: Positive | None = None
    always_multi_spike: bool = False
    max_input_events: Positive | None = None
    weight_bits: Widths = [8]
    weight_min: int = -127
    weight_max: int = 127
    weight_step: Positive = 1
    weight_coding: Literal["binary", "axons"] = "binary"
    sign_modes: Annotated[
        list[Literal["mixed", "excitatory", "inhibitory"]], Field(min_length=1)
    ] = ["mixed"]
    weight_rounding: Literal["nearest", "truncate"] = "nearest"
    weight_exponent: Pair = [0, 0]
    weight_exponent_scope: Literal["projection", "matrix"] = "projection"
    threshold_bits: Bits = 31
    threshold_shift: Natural = 0
    threshold_scope: Literal["neuron", "profiles", "layer"] = "neuron"
    bias_on: list[Literal["membrane", "current"]] = ["membrane"]
    constant_input: bool = False
    bias_bits: Bits = 32
    bias_exponent: Pair = [0, 0]
    hop_steps: Literal[0, 1] = 1
    input_hop_steps: Literal[0, 1] | None = None
    max_extra_delay_steps: Natural = 0
    has_current: bool = True
    n_currents: Literal[1, 2] = 1
    has_aliases: bool = False
    initial_v: bool = False
    refractory_max_steps: Natural = 0
    max_compartments: Positive = 1
    membrane_readout: bool = True
    inputs: Annotated[
        list[Literal["spikes", "counts", "graded", "current"]], Field(min_length=1)
    ] = ["spikes"]
    timings: Annotated[list[Literal["steps", "events"]], Field(min_length=1)] = ["steps"]
    citations: dict[str, Text] = {}


class ChipModel(Table):
    """A chip file after ``extends`` has been resolved."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(\[.*\])?$")]
    title: Text
    describes: Literal["chip", "board"]
    pace: Literal["free", "realtime"]
    default_costs: Text
    """Name of a cost table, or "none": then a run is unpriced unless a table is named."""
    tick_s: FigureModel | None = None
    """Timer that starts every step; a cost table's own ``sync`` goes before it."""
    noc: NocModel | None = None
    sources: dict[str, Text]
    arithmetic: ArithmeticModel
    mesh: MeshModel
    cores: Annotated[dict[str, CoreModel], Field(min_length=1)]
    encodings: dict[str, EncodingModel] = {}
    memory: MemoryModel | None = None
    board: BoardModel = BoardModel()
    rules: dict[str, RuleModel] = {}
    costs: dict[str, CostsModel] = {}
    published: dict[Text, PublishedModel] = {}
    learning_native: list[str] = []
    learning_port: Literal["row", "copy", "crossbar"] | None = None
    learning_word_bits: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    is_executable: bool = True
    not_executable_because: str = ""
    is_imaginary: bool = False
    node_nm: PositiveFinite | None = None
    notes: list[str] = []


def chip_json_schema() -> dict[str, Any]:
    """Return the JSON schema of a (resolved) chip file."""
    return ChipModel.model_json_schema()


def find_complaints(document: Mapping[str, Any]) -> list[Any]:
    """Return pydantic's complaints about a document, as records with type, loc, msg and input."""
    try:
        ChipModel.model_validate(dict(document))
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []
