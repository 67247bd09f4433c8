"""``nmhw lava rule``: a sum-of-products rule as lava-nc's learning engine takes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nmhw.cli.output import emit_json, emit_text
from nmhw.errors import UsageError

if TYPE_CHECKING:
    from nmhw.sim.lava.rule_export import LavaRule


@click.command("rule")
@click.argument("dw")
@click.option("--tag", "dt", metavar="RULE", help="Rule of the synaptic tag t.")
@click.option("--trace", "traces", multiple=True, metavar="NAME=IMPULSE,TAU",
              help="A trace x1, x2, y1, y2 or y3; tau in steps. Repeatable.")  # fmt: skip
@click.option("--epoch", type=click.IntRange(1), default=1, help="Steps of a learning epoch.  [1]")
@click.option("--rate", type=float, default=1.0, metavar="R", help="Learning rate of dw.  [1]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
def command(
    dw: str, dt: str | None, traces: tuple[str, ...], epoch: int, rate: float, as_json: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Write DW, a rule in real numbers, for lava-nc's fixed point (Loihi2FLearningRule).

    What its learning engine drops of every product is made up for; what remains is listed.
    Needs no Lava environment.
    """
    from nmhw.sim.lava.rule_export import sum_of_products_rule
    from nmhw.sim.learning.local import local_rule

    options: dict[str, Any] = dict(_trace(text) for text in traces)
    rule: Any = local_rule("sum-of-products", dw=dw, dt=dt or "", epoch=epoch, **options)
    exported = sum_of_products_rule(rule, rate)
    if as_json:
        products = {"dw_products": exported.dw_products, "dt_products": exported.dt_products}
        emit_json(
            {
                "arguments": exported.arguments(),
                **{name: [asdict(p) for p in found] for name, found in products.items()},
                "approximations": list(exported.approximations),
            }
        )
    else:
        emit_text(_as_python(exported))


def _trace(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in ("x1", "x2", "y1", "y2", "y3"):
        raise UsageError(
            "a trace is NAME=IMPULSE,TAU", got=repr(text), hint="--trace x1=16,10", rule="lava.rule"
        )
    return name, value


def _as_python(exported: LavaRule) -> str:
    """Return the call, with what it approximates as comments."""
    lines = [f"# {note}" for note in exported.approximations]
    lines.append("Loihi2FLearningRule(")
    lines += [f"    {name}={value!r}," for name, value in exported.arguments().items()]
    return "\n".join([*lines, ")\n"])
