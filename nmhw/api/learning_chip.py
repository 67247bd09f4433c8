"""A learning network on a chip: may it run the rule, where do the neurons sit, does it all fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.values.chip import ChipSpec
from nmhw.values.learning import RuleSpec
from nmhw.values.mapping import Mapping as CoreMapping

if TYPE_CHECKING:
    from nmhw.sim.learning.layer import LearningNetwork

#: Rules that a chip's own learning engine covers, by the name in its file. A rule that is not
#: listed may still be programmable; nobody published how, so it counts as not native.
NATIVE_RULES: dict[str, frozenset[str]] = {
    "stdp": frozenset({"stdp"}),
    "stdp-sum-of-products": frozenset({"stdp", "triplet-stdp", "r-stdp", "sum-of-products"}),
    "three-factor-microcode": frozenset({"stdp", "triplet-stdp", "r-stdp", "sum-of-products"}),
    "e-prop": frozenset({"e-prop"}),
    "sdsp": frozenset({"sdsp"}),
}

#: Bits of a log word's slope or membrane distance, beside neuron and time.
LOG_VALUE_BITS = 16


@dataclass(frozen=True, slots=True, eq=False)
class LearningPlace:
    """Where a learning network sits.

    Attributes
    ----------
    is_native : bool
        The chip's own engine runs the rule; otherwise every figure is hypothetical.
    mapping : Mapping
    populations : tuple of str
        Names in the mapping, nearest to the input first.
    """

    chip: ChipSpec
    is_native: bool
    mapping: CoreMapping
    populations: tuple[str, ...]


def is_native(chip: ChipSpec, rule_name: str) -> bool:
    """Return whether the chip's own learning engine runs the rule."""
    return any(rule_name in NATIVE_RULES.get(name, ()) for name in chip.learning_native)


def place_learning(
    net: LearningNetwork,
    weights: Sequence[Any],
    rule: RuleSpec,
    chip: ChipSpec,
    *,
    assume_engine: bool = False,
    rule_text: str | None = None,
    head: str = "integrator",
    seed: int = 0,
) -> LearningPlace:
    """Map a learning network to a chip.

    The chip runs the training itself only if its engine has every rule that trains a layer: an own
    rule is none of the engine's whatever its name, and the delta rule of a head is not one either.

    Parameters
    ----------
    rule_text : str, optional
        As the user named the rule; default ``rule.name``.
    head : "integrator" | "spiking"

    Raises
    ------
    UnsupportedError
        When the chip does not run the rule itself and ``assume_engine`` is not set.
    DoesNotFitError
        When the network exceeds the chip.
    """
    from nmhw.api.deploying import map_network, quantize
    from nmhw.api.learned_network import learned_network
    from nmhw.api.learning_rules import is_local

    text = rule.name if rule_text is None else rule_text
    has_delta_head = is_local(text) and len(net.layers) > 1
    native = is_native(chip, rule.name) and ":" not in text and not has_delta_head
    if not native and not assume_engine:
        raise UnsupportedError(
            f"the chip does not run {rule.name} itself"
            if not has_delta_head
            else f"the chip does not run {rule.name} with a delta rule on the head itself",
            got=rule.name,
            limit=", ".join(chip.learning_native) or "no on-chip learning published",
            where=chip.name,
            hint="--assume-learning-engine, and every figure is called hypothetical",
            rule="learn.not-native",
        )
    _check_head(chip, head, is_local(text))
    network = learned_network(net, weights, head_spikes=head == "spiking")
    quantized = quantize(network, chip, allow=("reset", "reset_delay", "recurrent_bias_from_step"))
    mapping = map_network(quantized, chip, seed=seed)
    names = tuple(p.name for p in network.populations)
    return LearningPlace(chip, native, mapping, names)


def _check_head(chip: ChipSpec, head: str, is_local_rule: bool) -> None:
    """Refuse a head that only integrates on a chip whose neurons all fire."""
    if head == "spiking" or chip.arithmetic.non_spiking:
        return
    raise UnsupportedError(
        f"the head of this training integrates, and every neuron of {chip.name} fires",
        got="head integrator", limit="spiking neurons", where=chip.name,
        hint="no --chip: local rules have no spiking head" if is_local_rule else "--head spiking",
        rule="learn.head",
    )  # fmt: skip


def check_learning_memory(
    chip: ChipSpec,
    n_weights: int,
    weight_bits: int,
    rule: RuleSpec,
    log_words: float,
    n_neurons: int,
    n_steps: int,
    *,
    copies_transpose: bool = False,
) -> int:
    """Return the bits that weights, their transposed copy and the spike log of a sample need.

    Parameters
    ----------
    log_words : float
        Words of the log of one sample.
    copies_transpose : bool
        Weights are stored a second time for access by target (the port model ``copy``).

    Raises
    ------
    DoesNotFitError
        When they exceed what the chip's file knows of its memory.
    """
    word = LOG_VALUE_BITS + _bits(n_neurons) + _bits(n_steps)
    log = math.ceil(log_words) * word if rule.needs_log or rule.needs_reverse_pass else 0
    stored = n_weights * weight_bits
    copy = stored if copies_transpose and rule.needs_transpose else 0
    needed = stored + copy + log
    limit = _memory_bits(chip)
    if limit is not None and needed > limit:
        parts = f"weights {stored:,} bits, transposed copy {copy:,} bits, spike log {log:,} bits"
        raise DoesNotFitError(
            "the memory of this chip does not hold what the rule keeps",
            got=f"{needed:,} bits", limit=f"{limit:,} bits", where=chip.name,
            violations=[f"{parts}: {needed - limit:,} bits too many"],
            hint="a smaller network, fewer steps, or a rule without log", rule="learn.memory",
        )  # fmt: skip
    return needed


def _bits(n_values: int) -> int:
    return max(1, int(n_values - 1).bit_length())


def _memory_bits(chip: ChipSpec) -> int | None:
    """Return the bits of all cores for synapses (or for everything); None where not known."""
    total = 0
    for group in chip.cores:
        known = [group.budget[k] for k in ("memory_bits", "synapse_bits") if k in group.budget]
        if not known:
            return None
        total += group.count * max(known)
    return total * chip.board.n_chips
