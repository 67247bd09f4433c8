"""The schema of a chip file as pydantic models; pydantic is imported only here.

The models know types, ranges and names. Their complaints become readable in
``nmhw.io.chip_complaints``; what needs two keys at once is in ``nmhw.io.chip_checks``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nmhw.io.chip_problems import suggest
from nmhw.values.chip import EVENT_KINDS, Basis, Grade

#: Event kinds and the prefixes that may price several of them at once.
COST_KINDS = tuple(dict.fromkeys([*(k.split(".")[0] for k in EVENT_KINDS), *EVENT_KINDS]))

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

RULE_KINDS = (
    "power-of-two-memory",
    "destinations",
    "source-sign",
    "codebook",
    "shared-pair",
    "pooled-fan-out",
    "graph",
    "delay-slots",
    "routing-entries",
    "core-order",
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


def _one_of(choices: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in choices:
            raise ValueError(suggest(value, choices))
        return value

    return BeforeValidator(check)


Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Bits = Annotated[int, Field(ge=1, le=64)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]
Text = Annotated[str, Field(min_length=1)]
Widths = Annotated[list[Bits], Field(min_length=1)]
CostKind = Annotated[str, _one_of(COST_KINDS)]
Resource = Annotated[str, _one_of(RESOURCES)]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class FigureModel(_Table):
    """A number with its provenance; without ``value`` and ``included_in`` it is unpriced."""

    value: Finite | None = None
    """Absent: nobody published it. Then ``note`` must say so."""
    unit: str | None = None
    """Of the table it stands in: pJ, ns, W or s. Stated only as a check."""
    source: Text | None = None
    """Key of ``[sources]``."""
    grade: Grade | None = None
    basis: Basis | None = None
    scope: Literal["incremental", "all-in"] = "incremental"
    voltage_v: PositiveFinite | None = None
    node_nm: PositiveFinite | None = None
    note: str = ""
    low: Finite | None = None
    high: Finite | None = None
    included_in: CostKind | None = None
    """Event kind (of the same table) whose figure already contains this one."""


class DefaultsModel(_Table):
    """Provenance shared by the figures of one cost table, in the file that states it."""

    source: Text | None = None
    grade: Grade | None = None
    basis: Basis | None = None
    scope: Literal["incremental", "all-in"] | None = None
    voltage_v: PositiveFinite | None = None
    node_nm: PositiveFinite | None = None


class SyncPointModel(FigureModel):
    """Barrier time in ns for ``tiles`` mapped tiles and more, up to the next point."""

    tiles: Positive


class SyncModel(_Table):
    """How a time step ends."""

    kind: Literal["table", "tick", "none"]
    points: list[SyncPointModel] = []
    tick_s: FigureModel | None = None


class CostsModel(_Table):
    """One cost table; event kinds that are absent are unpriced."""

    title: Text
    defaults: DefaultsModel = DefaultsModel()
    energy_pj: dict[CostKind, FigureModel] = {}
    latency_ns: dict[CostKind, FigureModel] = {}
    static_w: dict[Literal["chip", "core"], FigureModel] = {}
    sync: SyncModel = SyncModel(kind="none")
    notes: list[str] = []


class CoreModel(_Table):
    """A group of equal cores; a resource that is absent from ``budget`` is unlimited."""

    count: Positive
    budget: dict[Resource, Positive] = {}
    soft_budget: dict[Resource, Positive] = {}
    citations: dict[Resource, Text] = {}


class EncodingModel(_Table):
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


class MemoryModel(_Table):
    """One SRAM shared by everything on a core; its size is the budget ``memory_bits``."""

    fixed_bits: Natural = 0
    bits_per_neuron: Natural = 0
    bits_per_neuron_delay_slot: Natural = 0
    bits_per_in_axon: Natural = 0
    source: Text | None = None


class RuleModel(_Table):
    """A named mapping constraint beyond budgets."""

    kind: Annotated[str, _one_of(RULE_KINDS)]
    parameters: dict[str, Any] = {}
    severity: Literal["error", "warning"] = "error"
    source: Text | None = None
    note: str = ""


class MeshModel(_Table):
    """Tiles of ``cores_per_tile`` cores on a ``width`` x ``height`` grid."""

    width: Positive
    height: Positive
    cores_per_tile: Positive = 1
    port: Annotated[list[Natural], Field(min_length=2, max_length=2)] = [0, 0]
    unused_cores: Natural = 0
    """Positions at the end of the grid without a core that networks may use."""
    source: Text | None = None


class BoardModel(_Table):
    """Several equal chips on a grid."""

    width: Positive = 1
    height: Positive = 1
    source: Text | None = None


class ArithmeticModel(_Table):
    """What a core computes; the fields are those of ``nmhw.values.chip.ArithmeticSpec``."""

    family: Annotated[str, _one_of(FAMILIES)]
    claim: Text
    state: Literal["int", "float32"] = "int"
    u_bits: Bits = 32
    v_bits: Bits = 32
    u_overflow: Literal["wrap", "saturate"] = "saturate"
    v_overflow: Literal["wrap", "saturate"] = "saturate"
    input_shift: Annotated[int, Field(ge=0, le=31)] = 0
    decays: list[Literal["none", "clear", "mulshift", "shift", "float"]] = [
        "none",
        "clear",
        "mulshift",
        "shift",
    ]
    decay_bits: Annotated[int, Field(ge=1, le=31)] = 12
    u_decay_offset: Natural = 0
    rounding: Literal["toward-zero", "floor"] = "toward-zero"
    compares: Annotated[list[Literal[">", ">="]], Field(min_length=1)] = [">", ">="]
    resets: Annotated[list[Literal["zero", "subtract", "value", "none"]], Field(min_length=1)] = [
        "zero",
        "subtract",
        "value",
        "none",
    ]
    reset_delays: Annotated[list[Literal[0, 1]], Field(min_length=1)] = [0]
    max_spikes_per_step: Positive = 1
    weight_bits: Widths = [8]
    weight_min: int = -127
    weight_max: int = 127
    weight_step: Positive = 1
    sign_modes: Annotated[
        list[Literal["mixed", "excitatory", "inhibitory"]], Field(min_length=1)
    ] = ["mixed"]
    weight_rounding: Literal["nearest", "truncate"] = "nearest"
    weight_exponent: Pair = [0, 0]
    threshold_bits: Bits = 31
    threshold_shift: Natural = 0
    threshold_scope: Literal["neuron", "profiles", "layer"] = "neuron"
    bias_on: list[Literal["membrane", "current"]] = ["membrane"]
    bias_bits: Bits = 32
    bias_exponent: Pair = [0, 0]
    hop_steps: Literal[0, 1] = 1
    max_extra_delay_steps: Natural = 0
    has_current: bool = True
    initial_v: bool = False
    refractory_max_steps: Natural = 0
    membrane_readout: bool = True
    inputs: Annotated[
        list[Literal["spikes", "counts", "graded", "current"]], Field(min_length=1)
    ] = ["spikes"]
    citations: dict[str, Text] = {}


class ChipModel(_Table):
    """A chip file after ``extends`` has been resolved."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(\[.*\])?$")]
    title: Text
    describes: Literal["chip", "board"]
    pace: Literal["free", "realtime"]
    default_costs: Text
    """Name of a cost table, or "none": then a run is unpriced unless a table is named."""
    sources: dict[str, Text]
    arithmetic: ArithmeticModel
    mesh: MeshModel
    cores: Annotated[dict[str, CoreModel], Field(min_length=1)]
    encodings: dict[str, EncodingModel] = {}
    memory: MemoryModel | None = None
    board: BoardModel = BoardModel()
    rules: dict[str, RuleModel] = {}
    costs: dict[str, CostsModel] = {}
    learning_native: list[str] = []
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
