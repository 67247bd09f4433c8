"""Delays on the chip: the profile's step equations, shifted in time where every hop costs a step.

Let population p run ``shift[p]`` steps later on the chip than under the profile. The spikes mean
the same if every projection s -> t has the chip delay

    delay(chip) = delay(profile) + late(profile, s) - late(chip, s) + shift[t] - shift[s]

where late = 1 if the spike of a step is decided on the membrane of the step before (then the
spike leaves one step after the crossing). The chip can do hop .. hop + max_extra. These are
difference constraints: the least solution is a longest path, a positive cycle is a loop that the
chip cannot close in time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from nmhw.errors import ProfileError
from nmhw.mappers.quantize.bias_neuron import BiasNeuron
from nmhw.mappers.quantize.contract import Ledger
from nmhw.values.network import Network, Projection
from nmhw.values.profile import Profile
from nmhw.values.topology import (
    depths,
    is_recurrent,
    late_populations,
    output_delay,
    projection_delays,
    topological_order,
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays of the deployed network.

    Attributes
    ----------
    delays : projection name -> steps on the chip, hop included
    depth : population name -> first step of its result window
    shift : node name -> steps by which it runs later than under the profile
    reset_delay : of every spiking population that has a state
    drain_steps : longest depth of an output population
    """

    delays: Mapping[str, int]
    depth: Mapping[str, int]
    shift: Mapping[str, int]
    reset_delay: int
    drain_steps: int


def retime(
    network: Network, profile: Profile, ledger: Ledger, bias: BiasNeuron | None = None
) -> Timing:
    """Return the chip's delays, those of a bias neuron's projections included.

    Raises
    ------
    UnsupportedError
        For loops that are shorter than the chip's hops, and for paths of different length (or
        delays) or a bias neuron that need more synaptic delay than the chip has, naming both
        lengths.
    """
    arithmetic = ledger.chip.arithmetic
    hop, spare = arithmetic.hop_steps, arithmetic.max_extra_delay_steps
    given = projection_delays(network, profile)
    late = late_populations(network, profile)
    has = arithmetic.reset_delays
    # a simulator cannot order a loop without delay, even where late spikes would allow it
    wants_late = bool(late) and hop == 0 and not _has_timeless_loop(network, given)
    reset_delay = 1 if 0 not in has or (wants_late and 1 in has) else 0
    stateful = {p.name for p in network.populations if p.model.is_spiking}
    stateful -= {p.name for p in network.populations if p.model.kind == "threshold"}
    late_on_chip = stateful if reset_delay else set()
    need = {
        p.name: given[p.name] + (p.source in late) - (p.source in late_on_chip)
        for p in network.projections
    }
    bound = network if bias is None else bias.connect(network)
    inputs = {port.name for port in network.inputs}
    hops = {p.name: arithmetic.input_hop if p.source in inputs else hop for p in bound.projections}
    need |= {} if bias is None else bias.needs()
    shift = _solve(bound, need, hops, None)
    if shift is None:
        _refuse_loop(network, need, hop, profile, ledger)
        for p in network.projections:
            if is_recurrent(network, p):
                need[p.name] = max(need[p.name], hop)
        shift = _solve(bound, need, hops, None)
    if shift is None:  # pragma: no cover - without loops there is always a solution
        raise AssertionError("no order of an acyclic network")
    least = shift
    extra = _extra(bound, need, shift, hops)
    if any(e > spare for e in extra.values()):
        shift = _solve(bound, need, hops, spare) or least
        if shift is least and max(need.values()) <= profile.hop_steps:
            # hops that the chip does not need: populations run earlier than under the profile
            shift = _solve(bound, need, hops, spare, start=-sum(need.values())) or least
        extra = _extra(bound, need, shift, hops)
        if shift is least and bias is not None and _solve(network, need, hops, spare) is not None:
            _refuse_bias(bias, extra, spare, ledger)
        if shift is least:
            _refuse_delay(network, need, shift, hops, spare, ledger)
            extra = {name: min(e, spare) for name, e in extra.items()}
    base = depths(network, given)
    depth = {
        p.name: max(0, base[p.name] + shift[p.name] + (p.name in late_on_chip) - (p.name in late))
        for p in network.populations
    }
    _note_shift(network, shift, depth, ledger, bias.targets if bias is not None else ())
    delays = {name: hops[name] + e for name, e in extra.items()}
    return Timing(delays, depth, shift, reset_delay, output_delay(network, depth))


def _has_timeless_loop(network: Network, delays: Mapping[str, int]) -> bool:
    """Whether some loop has no delay at all."""
    try:
        topological_order(network, frozenset(name for name, steps in delays.items() if steps))
    except ProfileError:
        return True
    return False


def _solve(
    network: Network,
    need: Mapping[str, int],
    hops: Mapping[str, int],
    spare: int | None,
    start: int = 0,
) -> dict[str, int] | None:
    """Return the least shifts (inputs 0, populations >= ``start``), or None if there are none."""
    inputs = {i.name for i in network.inputs}
    shift = dict.fromkeys(network.sizes(), start) | dict.fromkeys(inputs, 0)
    for _ in range(len(shift) + 1):
        changed = False
        for p in network.projections:
            lower = shift[p.source] + hops[p.name] - need[p.name]
            if lower > shift[p.target]:
                shift[p.target], changed = lower, True
            if spare is None:
                continue
            upper = shift[p.target] + need[p.name] - hops[p.name] - spare
            if upper > shift[p.source]:
                shift[p.source], changed = upper, True
        if any(shift[name] > 0 for name in inputs):
            return None
        if not changed:
            return shift
    return None


def _extra(
    network: Network, need: Mapping[str, int], shift: Mapping[str, int], hops: Mapping[str, int]
) -> dict[str, int]:
    return {
        p.name: need[p.name] + shift[p.target] - shift[p.source] - hops[p.name]
        for p in network.projections
    }


def _refuse_loop(
    network: Network, need: Mapping[str, int], hop: int, profile: Profile, ledger: Ledger
) -> None:
    loop = _short_loop(network, need, hop)
    names = " > ".join([p.source for p in loop] + [loop[-1].target])
    steps = sum(need[p.name] for p in loop)
    ledger.refuse(
        "hop_steps",
        names,
        f"needs {hop * len(loop)} steps for the {len(loop)} hops of this loop, "
        f"which takes {steps} under profile {profile.name}",
        wanted=f"{profile.hop_steps} ({steps} steps around the loop)",
        offered=f"{hop} ({hop * len(loop)} steps)",
        hint="a profile with hop_steps=1",
    )


def _short_loop(network: Network, need: Mapping[str, int], hop: int) -> list[Projection]:
    """Return the projections of one loop whose hops take longer than its delays."""
    populations = [p.name for p in network.populations]
    best = dict.fromkeys(populations, 0)
    came: dict[str, Projection] = {}
    last = ""
    for _ in range(len(populations) + 1):
        last = ""
        for p in network.projections:
            if p.source in best and best[p.source] + hop - need[p.name] > best[p.target]:
                best[p.target] = best[p.source] + hop - need[p.name]
                came[p.target], last = p, p.target
    for _ in populations:  # step back far enough to be on the loop itself
        last = came[last].source
    loop = [came[last]]
    while loop[0].source != last:
        loop.insert(0, came[loop[0].source])
    return loop


def _refuse_delay(
    network: Network,
    need: Mapping[str, int],
    shift: Mapping[str, int],
    hops: Mapping[str, int],
    spare: int,
    ledger: Ledger,
) -> None:
    for p in network.projections:
        hop = hops[p.name]
        extra = need[p.name] + shift[p.target] - shift[p.source] - hop
        if extra <= spare:
            continue
        other = max(
            (q for q in network.incoming(p.target) if q is not p),
            key=lambda q: shift[q.source] + hops[q.name],
            default=None,
        )
        longest = shift[p.target] + need[p.name]
        paths = f"{shift[p.source] + hop} steps through {p.source}"
        if other is not None and need[p.name] <= hop:
            paths += f", {shift[other.source] + hops[other.name]} through {other.source}"
        else:
            paths += f", where the network asks for {longest}"
        amount = "too little" if spare else "no"
        what = f"has {amount} synaptic delay to align paths of different length"
        ledger.refuse(
            "delay_steps",
            f"{p.target} ({p.name})",
            f"{what}: {paths}",
            wanted=f"{extra} extra steps",
            offered=f"{spare} extra steps",
            hint="a chip with synaptic delays",
        )


def _refuse_bias(bias: BiasNeuron, extra: Mapping[str, int], spare: int, ledger: Ledger) -> None:
    """The network itself fits the chip's delays, but not with its bias neuron."""
    wanted = max(extra[axon.name] for axon in bias.axons)
    if wanted <= spare:  # the bias makes its targets later, and their other inputs wait
        wanted = max(extra.values())
    ledger.refuse(
        "bias",
        ", ".join(sorted(bias.targets)),
        "has no bias on a synaptic current, and too little synaptic delay for a neuron that "
        "carries it",
        wanted=f"{wanted} extra steps",
        offered=f"{spare} extra steps",
        hint="a chip with a bias on the current",
    )


def _note_shift(
    network: Network,
    shift: Mapping[str, int],
    depth: Mapping[str, int],
    ledger: Ledger,
    in_time: Collection[str],
) -> None:
    deepest = max((shift[p.name] for p in network.populations), key=abs, default=0)
    if not deepest:
        return
    text = (
        f"every hop takes {ledger.chip.arithmetic.hop_steps} step on the chip: populations run up "
        f"to {abs(deepest)} steps {'later' if deepest > 0 else 'earlier'} than under the profile "
        "(results use shifted windows)"
    )
    ledger.note("hop", network.name, text, "assumption")
    for population in network.populations:
        late = shift[population.name]
        driven = population.name not in in_time and any(
            p.bias is not None and np.any(p.bias) for p in network.incoming(population.name)
        )
        model = population.model
        driven |= any(a is not None and bool(np.any(a)) for a in (model.v_leak, model.v0))
        if late and driven:
            text = f"bias, leak potential and v0 act {late} steps before its first input arrives"
            if late < 0:
                text = f"bias, leak potential and v0 act in {-late} steps less before its inputs"
            ledger.note("first-steps", population.name, text)
