"""``nmhw export``: a PyTorch model as a NIR file."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import meaning_options, output_options
from nmhw.cli.output import emit_json, emit_text, note


@click.command("export")
@click.argument("model", metavar="PACKAGE.MODULE:MAKE_MODEL")
@click.option("--weights", metavar="FILE", help="State dict (torch.save); loaded as weights only.")
@click.option(
    "--sample-shape",
    metavar="C,H,W",
    required=True,
    help="Shape of one step's input, without samples and steps, e.g. 2,34,34.",
)
@click.option(
    "--steps",
    "n_steps",
    type=click.IntRange(1, 10_000),
    default=16,
    metavar="T",
    help="Steps of the sample that the model is run on.  [default: 16]",
)
@click.option(
    "--layout",
    default="auto",
    metavar="ORDER",
    help="Order of the axes: NT (samples first), TN (time first), N (no steps).  [default: auto]",
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Write the NIR file here.")
@meaning_options
@output_options
def command(**options: Any) -> None:
    """Make a model, load its weights, and write it as NIR.

    MAKE_MODEL is a function without arguments that returns a torch.nn.Module; it is executed. The
    module's spikes on a random sample are compared with the float run of what is written.
    """  # fmt: skip
    from nmhw.api.describe import describe_network
    from nmhw.api.targets import check_file_target
    from nmhw.cli.options import parse_dt, parse_settings
    from nmhw.io.nir_write import write_nir
    from nmhw.report.network_text import render_network

    shape = _shape(options["sample_shape"])
    check_file_target(options["output"], "NIR file", (options["weights"],))
    from nmhw.torch.model_source import load_model, load_weights, network_of_shape

    module = load_model(options["model"])
    if options["weights"] is not None:
        load_weights(module, options["weights"])
    else:
        note("no --weights: the model is written as it is made", options["quiet"])
    network = network_of_shape(
        module, shape, n_steps=options["n_steps"], layout=options["layout"],
        profile=_profile(options["profile"], parse_settings(options["settings"])),
        dt_s=parse_dt(options["dt"]), name=options["model"].partition(":")[2],
    )  # fmt: skip
    write_nir(network, options["output"])
    words = meaning_words(network.profile)
    note(f"wrote {options['output']}; NIR holds no profile, say: {words}", options["quiet"])
    summary: dict[str, Any] = describe_network(network) | {"output": options["output"]}
    if options["as_json"]:
        emit_json(summary | {"meaning": words})
    else:
        emit_text(render_network(summary))


def _shape(text: str) -> tuple[int, ...]:
    from nmhw.errors import UsageError

    parts = text.replace("x", ",").split(",")
    if not all(p.strip().isdecimal() and int(p) > 0 for p in parts):
        hint = "--sample-shape 2,34,34"
        raise UsageError("a shape is whole numbers and commas", got=repr(text), hint=hint)
    return tuple(int(p) for p in parts)


def _profile(name: str | None, settings: dict[str, Any]) -> Any:
    """Return what --profile and --set say together; None = the neurons' own meaning."""
    from nmhw.errors import UsageError
    from nmhw.values.profile import preset

    if name is None and settings:
        hint = "--profile NAME --set FIELD=VALUE"
        raise UsageError("--set changes a named profile", got=", ".join(settings), hint=hint)
    return None if name is None else preset(name).with_(**settings)


def meaning_words(profile: Any) -> str:
    """Return the options that give a NIR file this meaning again."""
    from nmhw.values.profile import PRESETS

    base = PRESETS.get(profile.name.rstrip("+"), PRESETS["snntorch"])
    words = [f"--profile {base.name}"]
    if profile.dt_s is not None:
        words.append(f"--dt {profile.dt_s:g}")
    for field in type(profile).__dataclass_fields__:
        value = getattr(profile, field)
        if field not in ("name", "dt_s") and value != getattr(base, field):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            words.append(f"--set {field}='{text}'" if text[0] == ">" else f"--set {field}={text}")
    return " ".join(words)
