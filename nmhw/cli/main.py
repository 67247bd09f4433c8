"""The ``nmhw`` command: verbs are loaded on first use, so that ``--help`` stays quick."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from nmhw import __version__
from nmhw.errors import NmhwError
from nmhw.values.interruption import note_interrupts

#: verb -> (module, one-line help); the help stands here so that listing loads no module.
VERBS = {
    "demo": ("nmhw.cli.demo", "Trained digits network on a chip with real test images."),
    "check": ("nmhw.cli.check", "Read and validate a NIR file; does it fit a chip?"),
    "map": ("nmhw.cli.map", "Quantize and map a network; layer and core tables."),
    "run": ("nmhw.cli.run", "Run a network in a chip's integers and price it."),
    "compare": ("nmhw.cli.compare", "One network on several chips, in one table."),
    "learn": ("nmhw.cli.learn", "On-chip learning with energy against named baselines."),
    "report": ("nmhw.cli.report", "Render or re-price a saved run."),
    "cost": ("nmhw.cli.cost", "Price recorded spikes on a chip, without simulation."),
    "export": ("nmhw.cli.export", "A PyTorch model as a NIR file."),
    "export-lava": ("nmhw.cli.export_lava", "A deployed network as a project for lava-nc alone."),
    "lava": ("nmhw.cli.lava", "Install and check the environment of --backend lava."),
    "chips": ("nmhw.cli.chips", "List chips, or show one with every source."),
}

BAD_INPUT, BUG, INTERRUPTED = 2, 1, 130


class LazyGroup(click.Group):
    """Group that imports a verb's module only when the verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a user's way through the tool."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the closest verb for a misspelt one."""
        import difflib

        name = args[0] if args else ""
        if name and name not in VERBS and not name.startswith("-"):
            close = difflib.get_close_matches(name, VERBS, 1)
            hint = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(VERBS)
            ctx.fail(f"no such verb {name!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="VERB [ARGS]...",
)
@click.version_option(__version__, prog_name="nmhw")
def cli() -> None:
    """Does a trained spiking network fit a chip, does it still work, what does it cost?

    Data go to stdout, talk to stderr. Exit codes: 0 ok, 2 bad usage or input, 3 the network does
    not fit, 1 a bug.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    A user's mistake ends in one message and no traceback; with ``--json`` it is also an object
    on stdout.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    _print_any_name()
    note_interrupts()
    try:
        outcome: Any = cli.main(arguments, prog_name="nmhw", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except NmhwError as error:
        return _fail(str(error), error.to_dict(), as_json)
    except click.ClickException as error:
        if as_json:
            _print_error({"error": "UsageError", "what": error.format_message()}, BAD_INPUT)
        error.show()
        return BAD_INPUT
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("nmhw: interrupted", err=True)
        return INTERRUPTED
    except MemoryError as error:
        what = "this does not fit into the memory of this machine"
        return _fail(f"{what} ({error})", {"error": "MemoryError", "what": what}, as_json)
    except BrokenPipeError:  # the reader went away (| head): nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit:  # click's way to say the same
        return 0
    except Exception as error:
        return _report_bug(error, as_json)


def _print_any_name() -> None:
    """Escape what a terminal's encoding cannot show instead of failing on a name."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _fail(text: str, record: dict[str, Any], as_json: bool) -> int:
    code = int(record.get("exit_code", BAD_INPUT))
    if as_json:
        _print_error(record, code)
    click.echo(f"nmhw: {text}", err=True)
    return code


def _print_error(record: dict[str, Any], exit_code: int) -> None:
    order = ("error", "exit_code", "what", "got", "limit", "where", "hint", "rule")
    known = {**dict.fromkeys(order), **record, "exit_code": exit_code}
    click.echo(json.dumps(known, indent=1, allow_nan=False))


def _report_bug(error: Exception, as_json: bool) -> int:
    import traceback

    what = f"{type(error).__name__}: {error}"
    if as_json:
        _print_error({"error": "Bug", "what": what}, BUG)
    click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo("nmhw: this is a bug in nmhw; please report the lines above", err=True)
    return BUG
