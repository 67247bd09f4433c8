"""Options shared by several verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nmhw.errors import UsageError
from nmhw.values.profile import Profile

F = TypeVar("F", bound=Callable[..., Any])

#: Fields of a profile that --set does not take: dt has an option of its own.
_NOT_SET = ("name", "dt_s")


def apply_options(function: F, decorators: list[Callable[[Any], Any]]) -> F:
    """Apply click options so that help lists them in the order given."""
    decorated: Any = function
    for decorator in reversed(decorators):
        decorated = decorator(decorated)
    return decorated


def meaning_options(function: F) -> F:
    """Add --profile, --dt and --set."""
    name = "How the framework executes it: snntorch, norse, sinabs, lava..."
    field = "Override a field of the profile, e.g. reset=subtract. Repeatable."
    return apply_options(
        function,
        [
            click.option("--profile", metavar="NAME", help=name),
            click.option("--dt", metavar="TIME", help="Step length, e.g. 1ms or 1e-4 (seconds)."),
            click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help=field),
        ],
    )


def mapping_options(function: F) -> F:
    """Add --calibration, --allow and --seed."""
    samples = "Input samples for state ranges and rates; not the evaluated ones."
    field = "Accept what the chip does instead of this field of the profile. Repeatable."
    seed = click.IntRange(0, 2**63 - 1)
    return apply_options(
        function,
        [
            click.option("--calibration", metavar="FILE", help=samples),
            click.option("--allow", multiple=True, metavar="FIELD", help=field),
            click.option(
                "--seed", type=seed, default=0, metavar="N", help="Root seed.  [default: 0]"
            ),
        ],
    )


def thread_option(function: F) -> F:
    """Add --threads."""
    text = "Threads of the simulator; results do not depend on it.  [default: one per processor]"
    option = click.option("--threads", type=click.IntRange(1), metavar="N", help=text)
    return apply_options(function, [option])


def input_options(function: F, *, required: bool = True) -> F:
    """Add --input, --labels, --readout, --metric, --encode, --steps, --repeat and --layout."""
    return apply_options(
        function,
        [
            click.option("--input", "input_path", metavar="FILE", required=required,
                         help="Spikes: .npy, .npz, NIRData; event recordings (docs/events.md)."),
            click.option("--labels", "labels_path", metavar="FILE",
                         help="Class per sample, or targets (.npy, .npz)."),
            click.option("--readout", metavar="RULE",
                         help="count, first-spike, v-last, v-max, v-mean, population(K); "
                              "behind it :from_step=N or :at=POPULATION."),
            click.option("--metric", default="accuracy", metavar="NAME",
                         help="accuracy, top-K, mse or r2.  [default: accuracy]"),
            click.option("--encode", metavar="CODE",
                         help="Make spikes of analog input: rate, latency, delta, accumulate."),
            click.option("--steps", "n_steps", type=click.IntRange(1), metavar="T",
                         help="Steps for --encode, or of every event recording."),
            click.option("--repeat", type=click.IntRange(1), metavar="N",
                         help="Samples without steps: present each in N steps."),
            click.option("--layout", default="auto", metavar="ORDER",
                         help="NT (samples first) or TN (time first).  [default: auto]"),
        ],
    )  # fmt: skip


def price_options(function: F) -> F:
    """Add --pace and --costs."""
    table = "Cost table of the chip; none = unpriced.  [default: the chip's]"
    pace = "free, realtime or period=1ms.  [default: the chip's]"
    return apply_options(
        function,
        [
            click.option("--pace", metavar="PACE", help=pace),
            click.option("--costs", metavar="TABLE", help=table),
        ],
    )


def latency_options(function: F) -> F:
    """Add --latency and --noc-steps."""
    model = "analytic, or noc: every message over the chip's network.  [default: analytic]"
    steps = "Steps that --latency noc times, evenly spread.  [default: all]"
    return apply_options(
        function,
        [
            click.option("--latency", default="analytic", metavar="L", help=model),
            click.option("--noc-steps", type=click.IntRange(1), metavar="N", help=steps),
        ],
    )


def output_options(function: F) -> F:
    """Add --json and --quiet."""
    return apply_options(
        function,
        [
            click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout."),
            click.option("-q", "--quiet", is_flag=True, help="No progress, no talk on stderr."),
        ],
    )


def given_options(names: dict[str, str]) -> list[str]:
    """Return those of the options that stand on the command line.

    Parameters
    ----------
    names : mapping of parameter name to option as the user writes it
    """
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    return [text for name, text in names.items() if context.get_parameter_source(name) == source]


def refuse_options(names: dict[str, str], because: str, hint: str) -> None:
    """Refuse options that would be ignored.

    Raises
    ------
    UsageError
        Naming those that stand on the command line.
    """
    given = given_options(names)
    if given:
        raise UsageError(f"this option has no effect {because}", got=", ".join(given), hint=hint)


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
    known = [field for field in Profile.__dataclass_fields__ if field not in _NOT_SET]
    parsed: dict[str, Any] = {}
    for pair in settings:
        field, equals, text = pair.partition("=")
        if field == "dt_s":
            raise UsageError("dt is no setting", got=repr(pair), hint="--dt 1ms")
        if not equals or field not in known:
            hint = "one of " + ", ".join(known)
            raise UsageError("--set needs a profile field", got=repr(pair), hint=hint)
        if field in parsed:
            raise UsageError("set twice", got=repr(pair), where=field)
        parsed[field] = _convert(text)
    return parsed


def _convert(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text
