"""Errors a user can cause: each says what, got, limit, where and what to try.

Every subclass carries its facts as fields, so that callers (and ``--json``) need not parse text.
Exit codes: 2 = bad usage or input, 3 = the network does not fit the chip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class NmhwError(Exception):
    """Base of all errors that are the input's fault, not a bug.

    Parameters
    ----------
    what : str
        The rule that was broken, as a statement ("tau must be positive").
    got : object, optional
        The offending value.
    limit : object, optional
        What would have been allowed.
    where : str, optional
        File, node and field, or population and core.
    hint : str, optional
        One thing to try.
    rule : str, optional
        Stable identifier of the rule, e.g. ``"nir.tau-positive"``.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        got: object = None,
        limit: object = None,
        where: str | None = None,
        hint: str | None = None,
        rule: str | None = None,
    ) -> None:
        self.what = what
        self.got = got
        self.limit = limit
        self.where = where
        self.hint = hint
        self.rule = rule
        super().__init__(what)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.got is not None:
            text += f": got {self.got}"
        if self.limit is not None:
            text += f" (limit {self.limit})"
        if self.hint:
            text += f"; try: {self.hint}"
        if self.rule:
            text += f" [{self.rule}]"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        fields = ("what", "got", "limit", "where", "hint", "rule")
        record = {f: getattr(self, f) for f in fields}
        plain = {key: _plain(value) for key, value in record.items()}
        return {"error": type(self).__name__, "exit_code": self.exit_code, **plain}


def _plain(value: object) -> object:
    """Return what JSON can hold: NaN, inf and anything but numbers and text as text."""
    if value is None or isinstance(value, int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


class UsageError(NmhwError, ValueError):
    """An argument or an option that makes no sense."""


class SpikesNotKeptError(UsageError, KeyError):
    """Spikes of a population that a run counted and did not keep."""


class InputError(NmhwError, ValueError):
    """A data file or array (events, labels, images) that cannot be used."""


class NirError(InputError):
    """A NIR file that cannot be read or whose values are not valid."""


class TorchError(InputError):
    """A PyTorch module that cannot be read as a network."""


class ChipFileError(InputError):
    """A chip file that cannot be read or breaks the schema."""


class ProfileError(InputError):
    """A meaning (dt, reset, order) that is missing, contradictory or unknown."""


class MissingExtraError(NmhwError, ImportError):
    """An optional package is needed and not installed."""


class LavaError(NmhwError):
    """The child process that runs Lava failed.

    Parameters
    ----------
    detail : str
        End of its traceback or of what it printed.
    """

    def __init__(self, what: str, *, detail: str = "", **fields: Any) -> None:
        super().__init__(what, **fields)
        self.detail = detail

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "detail": self.detail}


class ResultFileError(InputError):
    """A saved run or mapping that cannot be read."""


class UnsupportedError(NmhwError):
    """The chip (or the simulator) lacks a semantic that the network needs."""

    exit_code = 3


class DoesNotFitError(NmhwError):
    """The network exceeds the chip's budgets.

    Parameters
    ----------
    violations : sequence of str
        One full sentence per violated budget: layer, resource, needed, limit, chip, cores short,
        what would fit.
    """

    exit_code = 3

    def __init__(self, what: str, *, violations: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(what, **fields)
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {v}" for v in self.violations)])

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "violations": list(self.violations)}
