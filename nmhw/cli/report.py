"""``nmhw report``: render or re-price a saved run without running it again."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import output_options, price_options
from nmhw.cli.output import emit_json, emit_text, note


@click.command("report")
@click.argument("folder", metavar="DIR")
@price_options
@click.option("--html", "html_path", metavar="FILE", help="Write one self-contained HTML file.")
@output_options
def command(**options: Any) -> None:
    """Show the saved run in DIR again, under other prices if asked."""
    from nmhw.api.run import load_result
    from nmhw.api.targets import check_file_target

    if options["html_path"] is not None:
        check_file_target(options["html_path"], "HTML report")
    run = load_result(options["folder"])
    if options["costs"] is not None or options["pace"] is not None:
        run = run.price(costs=options["costs"], pace=options["pace"])
    if options["html_path"] is not None:
        run.to_html(options["html_path"])
        note(f"wrote {options['html_path']}", options["quiet"])
    if options["as_json"]:
        emit_json(run.summary())
    elif options["html_path"] is None:
        emit_text(run.report())
