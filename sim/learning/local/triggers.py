"""Which methods of a rule a step calls, and whether layers fit each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nmhw.errors import UsageError
from nmhw.sim.learning.local.layer import LocalLayer
from nmhw.sim.learning.local.rule import TRIGGER_ORDER, Activity, Floats


def find_handlers(layer: LocalLayer, use_compiled: bool) -> list[tuple[str, Callable[..., Any]]]:
    """Return a layer's triggers and what to call for each, in order."""
    if layer.rule is None:
        return []
    wanted = {"on_step", *layer.rule.spec.triggers}
    found = [(t, layer.rule.handler(t, use_compiled)) for t in TRIGGER_ORDER if t in wanted]
    missing = [t for t, handler in found if handler is None and t != "on_step"]
    if missing:
        raise UsageError(
            "the rule's spec names triggers that it does not define",
            got=", ".join(missing), where=layer.rule.spec.name, rule="learn.own-rule",
        )  # fmt: skip
    return [(t, handler) for t, handler in found if handler is not None]


def due_triggers(a: Activity, epoch_steps: int) -> dict[str, bool]:
    """Return for every trigger whether this step calls it."""
    return {
        "on_step": True,
        "on_pre": bool(a.pre.any()),
        "on_post": bool(a.post.any()),
        "on_error": bool(a.error.any()),
        "on_epoch": (a.step + 1) % epoch_steps == 0,
        "on_sample_end": a.step == a.n_steps - 1,
    }


def check_chain(layers: Sequence[LocalLayer], weights: Sequence[Floats]) -> None:
    """Raise UsageError for layers and weights that do not fit each other."""
    if not layers or len(layers) != len(weights):
        got = f"{len(layers)} layers, {len(weights)} weights"
        raise UsageError("one weight array per layer, at least one layer", got=got)
    width = layers[0].n_in
    for layer, w in zip(layers, weights, strict=True):
        if layer.n_in != width or w.shape != (layer.n_in, layer.n_out):
            got = f"{layer.n_in} sources, weights {w.shape}"
            raise UsageError("the layer does not fit the one before", got=got, limit=width,
                             where=layer.name)  # fmt: skip
        width = layer.n_out
    if layers[0].is_recurrent:
        raise UsageError("the first layer takes the input: it cannot be recurrent")
