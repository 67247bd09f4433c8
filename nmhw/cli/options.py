"""Options shared by several verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nmhw.errors import UsageError
from nmhw.values.profile import Profile

F = TypeVar("F", bound=Callable[..., Any])


def _apply(function: F, decorators: list[Callable[[Any], Any]]) -> F:
    decorated: Any = function
    for decorator in reversed(decorators):
        decorated = decorator(decorated)
    return decorated


def meaning_options(function: F) -> F:
    """Add --profile, --dt and --set."""
    return _apply(
        function,
        [
            click.option(
                "--profile", metavar="NAME", help="Meaning of the file: snntorch, norse..."
            ),
            click.option("--dt", "dt", metavar="TIME", help="Step length, e.g. 1ms or 1e-4."),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="FIELD=VALUE",
                help="Override a profile field.",
            ),
        ],
    )


def mapping_options(function: F) -> F:
    """Add --calibration, --allow and --seed."""
    return _apply(
        function,
        [
            click.option("--calibration", metavar="FILE", help="Input samples for state ranges."),
            click.option(
                "--allow",
                multiple=True,
                metavar="FIELD",
                help="Accept a mismatch as approximation.",
            ),
            click.option("--seed", type=int, default=0, show_default=True, help="Root seed."),
        ],
    )


def output_options(function: F) -> F:
    """Add --json and --quiet."""
    return _apply(
        function,
        [
            click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
            click.option("-q", "--quiet", is_flag=True, help="No progress, no talk on stderr."),
        ],
    )


def parse_dt(text: str | None) -> float | None:
    """Read the --dt option into seconds."""
    if text is None:
        return None
    from nmhw.sim.timing import parse_seconds

    return parse_seconds(text)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Read ``field=value`` pairs into profile overrides of the right type.

    Raises
    ------
    UsageError
        For a pair without ``=`` or a field that a profile does not have.
    """
    parsed: dict[str, Any] = {}
    for pair in settings:
        field, equals, text = pair.partition("=")
        if not equals or field not in Profile.__dataclass_fields__:
            known = ", ".join(Profile.__dataclass_fields__)
            raise UsageError("--set needs a profile field", got=repr(pair), hint=known)
        parsed[field] = _convert(text)
    return parsed


def _convert(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
