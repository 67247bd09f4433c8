"""``nmhw report``: render or re-price a saved run without running it again."""

from __future__ import annotations

import click

from nmhw.cli.options import output_options
from nmhw.cli.output import emit_json, note


@click.command("report")
@click.argument("folder")
@click.option("--costs", metavar="TABLE", help="Another cost table of the chip; none = unpriced.")
@click.option("--pace", metavar="PACE", help="free, realtime or period=1ms.")
@click.option("--html", "html_path", metavar="FILE", help="Write one self-contained HTML file.")
@output_options
def command(
    folder: str,
    costs: str | None,
    pace: str | None,
    html_path: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show the saved run in FOLDER again, under other prices if asked."""
    from nmhw.api.run import load_result

    run = load_result(folder)
    if costs is not None or pace is not None:
        run = run.price(costs=costs, pace=pace)
    if html_path is not None:
        run.to_html(html_path)
        note(f"wrote {html_path}", quiet)
    if as_json:
        emit_json(run.summary())
    elif html_path is None:
        click.echo(run.report(), nl=False)
