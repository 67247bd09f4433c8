"""The schema of figures, cost tables and laws; the rest of a chip file is in ``chip_schema``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nmhw.io.chip_problems import suggest
from nmhw.values.figure import EVENT_KINDS, Basis, Grade
from nmhw.values.laws import LAWS

#: Event kinds and the prefixes that may price several of them at once.
COST_KINDS = tuple(dict.fromkeys([*(k.split(".")[0] for k in EVENT_KINDS), *EVENT_KINDS]))

#: Units of the figures in ``[published]``: base units, so that no number is off by a prefix.
PUBLISHED_UNITS = ("W", "J", "s", "Hz", "V", "ratio", "count", "bytes", "cycles", "1/s")


def one_of(choices: tuple[str, ...]) -> BeforeValidator:
    """Return a validator that suggests the closest choice for any other text."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in choices:
            raise ValueError(suggest(value, choices))
        return value

    return BeforeValidator(check)


Positive = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
CostKind = Annotated[str, one_of(COST_KINDS)]


class Table(BaseModel):
    """Base of all tables: unknown keys and wrong types are refused, nothing is converted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class FigureModel(Table):
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


class DefaultsModel(Table):
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


class SyncModel(Table):
    """How a time step ends."""

    kind: Literal["table", "tick", "none"]
    points: list[SyncPointModel] = []
    tick_s: FigureModel | None = None


class LawPointModel(FigureModel):
    """A measured point of a law."""

    at: PositiveFinite


class LawModel(Table):
    """A published formula; its kind says which terms it takes, in which units."""

    kind: Annotated[str, one_of(tuple(LAWS))]
    source: Text | None = None
    terms: dict[Text, FigureModel] = {}
    variable: str = ""
    """What the points are over, for example "layers"."""
    points: list[LawPointModel] = []
    note: str = ""


class PublishedModel(FigureModel):
    """A published number that is no unit cost; it states its unit and its whole provenance."""

    unit: Annotated[str, one_of(PUBLISHED_UNITS)]


class CostsModel(Table):
    """One cost table; event kinds that are absent are unpriced."""

    title: Text
    defaults: DefaultsModel = DefaultsModel()
    energy_pj: dict[CostKind, FigureModel] = {}
    latency_ns: dict[CostKind, FigureModel] = {}
    static_w: dict[Literal["chip", "core"], FigureModel] = {}
    sync: SyncModel = SyncModel(kind="none")
    notes: list[str] = []
    laws: dict[Text, LawModel] = {}
