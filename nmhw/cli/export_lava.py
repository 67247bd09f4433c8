"""``nmhw export-lava``: a deployed network as a project that runs with lava-nc alone."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options
from nmhw.cli.output import emit_json, emit_text, note
from nmhw.errors import UsageError


@click.command("export-lava")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", help="Chip name or .toml file.")
@click.option("--mapping", "mapping_path", metavar="FILE", help="Use a mapping of 'nmhw map -o'.")
@click.option(
    "--input",
    "input_path",
    metavar="FILE",
    help="Put this input and its expected spikes into the project.",
)
@click.option("--encode", metavar="CODE", help="Make spikes of analog input, as 'nmhw run'.")
@click.option("--steps", "n_steps", type=click.IntRange(1), metavar="T", help="Steps for --encode.")
@click.option(
    "--layout",
    default="auto",
    metavar="ORDER",
    help="NT (samples first) or TN (time first).  [default: auto]",
)
@click.option("-o", "--output", metavar="DIR", required=True, help="Write the project here.")
@meaning_options
@mapping_options
@output_options
def command(**options: Any) -> None:
    """Deploy MODEL and write a Python project that runs it with lava-nc 0.10.0, without nmhw.

    Chips of the families loihi, generic and spinnaker2.
    """  # fmt: skip
    import shlex
    from pathlib import Path

    from nmhw.api.lava_project import export_lava
    from nmhw.api.targets import check_folder_inputs, check_writable
    from nmhw.cli.prepare import deploy_model, load_model
    from nmhw.io.event_file import read_events
    from nmhw.sim.lava.project import check_project_folder

    if options["chip_name"] is None and options["mapping_path"] is None:
        raise UsageError("export-lava needs a chip", hint="--chip NAME (nmhw chips lists them)")
    folder = Path(options["output"])
    check_writable(folder, folder.parent)
    check_folder_inputs(folder, [options["model"], options["input_path"], options["mapping_path"]])
    check_project_folder(folder)
    network = load_model(options)
    data = None if options["input_path"] is None else read_events(options["input_path"])
    facts = export_lava(
        deploy_model(network, options), folder, data,
        layout=options["layout"], encode=options["encode"], n_steps=options["n_steps"],
    )  # fmt: skip
    script = shlex.quote(str(folder / "run.py"))
    note(f"wrote {folder}; run it with: python {script}", options["quiet"])
    if options["as_json"]:
        emit_json(facts)
    else:
        width = max(len(name) for name in facts["processes"])
        emit_text("".join(f"{name:{width}}  {p}\n" for name, p in facts["processes"].items()))
