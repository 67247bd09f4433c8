"""Random networks on random small chips: every mapping is legal, or the refusal says why."""

from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmhw.errors import DoesNotFitError
from nmhw.io.mapping_file import load_mapping, save_mapping
from nmhw.mappers.bounds import bound_cores
from nmhw.mappers.footprint import demand_of, load_slice, merge_loads
from nmhw.mappers.greedy import map_network
from nmhw.mappers.verify import verify
from nmhw.mappers.wiring import wire
from nmhw.values.chip import (
    ArithmeticSpec,
    BoardSpec,
    ChipSpec,
    CoreSpec,
    EncodingSpec,
    MemorySpec,
    MeshSpec,
)
from nmhw.values.linear import Pool
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import Profile
from nmhw.values.quantized import (
    CellSpec,
    ConvGeometry,
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)


@st.composite
def projections(draw: st.DrawFn, name: str, source, target, shapes) -> QuantizedProjection:
    """A projection of random storage, with pools where the source is a feature map."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shape, n_target = shapes[source], int(np.prod(shapes[target]))
    pools: tuple[Pool, ...] = ()
    if len(shape) == 3 and min(shape[1:]) >= 2 and draw(st.booleans()):
        stride = draw(st.integers(1, 2))
        pools = (Pool("sum", shape, (2, 2), (stride, stride)),)
        shape = pools[-1].output_shape
    n_source = int(np.prod(shape))
    common = {
        "pools": pools,
        "weight_bits": draw(st.sampled_from([4, 8])),
        "shift": draw(st.integers(0, 2)),
        "delay_steps": draw(st.integers(1, 3)),
    }
    if draw(st.booleans()):
        weights = rng.integers(-7, 8, (n_source, n_target))
        return QuantizedProjection(name, source, target, "dense", weights, **common)
    kept = rng.random((n_source, n_target)) < draw(st.sampled_from([0.1, 0.5]))
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(kept)[1].astype(np.int64)
    weights = rng.integers(-7, 8, indices.size)
    return QuantizedProjection(
        name, source, target, "sparse", weights, indptr=indptr, indices=indices, **common
    )


def convolution(name, source, target, in_shape, rng, stride, pad, groups, width):
    """A convolution and the shape it makes."""
    c, h, w = in_shape
    c_out = groups * width
    k = 2 if min(h, w) + 2 * pad >= 2 else 1
    out = (c_out, (h + 2 * pad - k) // stride + 1, (w + 2 * pad - k) // stride + 1)
    kernel = rng.integers(-7, 8, (c_out, c // groups, k, k))
    geometry = ConvGeometry(in_shape, out, (stride, stride), (pad,) * 4, (1, 1), groups)
    made = QuantizedProjection(name, source, target, "conv", kernel, 1, geometry=geometry)
    return made, out


def population(name, shape, rng, n_thresholds=1, leaky=False):
    n = int(np.prod(shape))
    zeros = np.zeros(n, np.int64)
    threshold = 50 + rng.integers(0, n_thresholds, n)
    spec = CellSpec(v_decay="mulshift") if leaky else CellSpec()
    keep = np.full(n, 4000 if leaky else 0)
    ones = np.ones(n)
    return QuantizedPopulation(
        name, shape, spec, zeros, keep, zeros, zeros, threshold, zeros, zeros, ones, zeros, 0
    )


@st.composite
def networks(draw: st.DrawFn) -> QuantizedNetwork:
    """One input, one to four populations, feed-forward with skips, loops and feature maps."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    side = draw(st.integers(2, 5))
    groups = draw(st.sampled_from([1, 2]))
    shapes = {"in": (2, side, draw(st.integers(2, 5)))}
    made, populations = [], []
    before = "in"
    for i in range(draw(st.integers(1, 4))):
        name, shape = f"p{i}", shapes[before]
        if len(shape) == 3 and shape[0] % groups == 0 and draw(st.booleans()):
            stride, pad = draw(st.integers(1, 2)), draw(st.integers(0, 1))
            conv, out = convolution(
                f"{before}>{name}", before, name, shape, rng, stride, pad, groups, 2
            )
            shapes[name] = out
            made.append(conv)
        else:
            shapes[name] = (draw(st.integers(1, 12)),)
            made.append(draw(projections(f"{before}>{name}", before, name, shapes)))
        populations.append(
            population(name, shapes[name], rng, draw(st.integers(1, 3)), draw(st.booleans()))
        )
        before = name
    names = list(shapes)
    for extra in range(draw(st.integers(0, 2))):
        source, target = draw(st.sampled_from(names)), draw(st.sampled_from(names[1:]))
        made.append(draw(projections(f"extra{extra}", source, target, shapes)))
    return QuantizedNetwork(
        "random",
        "small",
        "generic",
        Profile("test"),
        (InputPort("in", shapes["in"]),),
        tuple(populations),
        tuple(made),
        (OutputPort("out", shapes[before], (before,)),),
        drain_steps=len(populations),
    )


@st.composite
def chips(draw: st.DrawFn) -> ChipSpec:
    """Few small cores: one or two groups, one or two chips, any set of formats and budgets."""

    def budget() -> dict[str, int]:
        limits = {
            "neurons": st.integers(2, 40),
            "in_axons": st.integers(8, 120),
            "out_axons": st.integers(4, 120),
            "synapses": st.integers(50, 2000),
            "synapse_bits": st.integers(500, 20000),
            "memory_bits": st.integers(1000, 30000),
            "neuron_profiles": st.integers(1, 2),
            "threshold_profiles": st.integers(1, 3),
            "synapse_formats": st.integers(1, 3),
        }
        chosen = draw(st.sets(st.sampled_from(sorted(limits)), min_size=1, max_size=4))
        return {name: draw(limits[name]) for name in sorted(chosen)}

    word, header = draw(st.sampled_from([1, 16])), draw(st.sampled_from([0, 5]))
    longest = draw(st.sampled_from([None, 4]))
    axon_bits = draw(st.sampled_from([0, 3]))
    layout = {
        "header_bits": header,
        "word_bits": word,
        "max_synapses_per_block": longest,
        "axon_bits": axon_bits,
    }
    kinds = draw(st.sets(st.sampled_from(["dense", "sparse", "shared"]), min_size=1))
    encodings = tuple(
        EncodingSpec(kind, (4, 8), (3, 6, 8) if kind == "sparse" else (0,), 1, **layout)
        for kind in sorted(kinds)
    )
    n_groups = draw(st.integers(1, 2))
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    groups = tuple(CoreSpec(f"g{g}", width * height, budget()) for g in range(n_groups))
    return ChipSpec(
        "small",
        "a small chip",
        "chip",
        ArithmeticSpec("generic", "none", weight_bits=(4, 8), max_extra_delay_steps=2),
        MeshSpec(width, height, n_groups, port=(0, height - 1)),
        groups,
        encodings,
        {},
        None,
        "free",
        {},
        memory=draw(st.sampled_from([None, MemorySpec(100, 8, 4, 2)])),
        board=draw(st.sampled_from([BoardSpec(), BoardSpec(2, 1)])),
    )


@settings(max_examples=150)
@given(networks(), chips(), st.integers(0, 3))
def test_every_mapping_is_legal_and_every_refusal_says_why(network, chip, seed):
    mapping, violations = None, ()
    try:
        mapping = map_network(network, chip, seed=seed)
    except DoesNotFitError as refusal:
        violations = refusal.violations
    assert all("does not fit on small" in text for text in violations)
    assert all("limit" in text or "format" in text for text in violations)
    if mapping is None:
        assert violations
        return
    assert verify(network, chip, mapping).violations == ()
    assert mapping.metrics["cores_lower_bound"] <= mapping.metrics["n_cores"]
    assert mapping.metrics["n_cores"] == len(mapping.cores) == len(mapping.utilization)


def load_core(wiring, members):
    """Count a core from nothing: the loads of all its members, merged."""
    parts = [load_slice(wiring, name, neurons) for name, neurons in members.items()]
    return reduce(partial(merge_loads, wiring), parts)


@given(networks(), st.integers(0, 1000), st.integers(1, 3))
def test_merging_loads_gives_the_same_demand_as_a_full_recount(network, seed, n_cores):
    chip = ample_chip()
    wiring = wire(network)
    rng = np.random.default_rng(seed)
    loads = [None] * n_cores
    members = [{} for _ in range(n_cores)]
    for name, size in ((p.name, p.size) for p in network.populations):
        for chunk in np.array_split(rng.permutation(size), rng.integers(1, 4)):
            if chunk.size == 0:
                continue
            core, neurons = int(rng.integers(n_cores)), np.sort(chunk)
            part = load_slice(wiring, name, neurons)
            loads[core] = part if loads[core] is None else merge_loads(wiring, loads[core], part)
            held = members[core].get(name, np.empty(0, np.int64))
            members[core][name] = np.sort(np.concatenate([held, neurons]))
    for load, here in zip(loads, members, strict=True):
        if load is not None:
            recount = load_core(wiring, here)
            assert demand_of(wiring, chip, load, 7) == demand_of(wiring, chip, recount, 7)


@given(networks(), st.integers(0, 1000))
def test_no_mapping_of_neurons_to_cores_beats_the_bound(network, seed):
    chip = ample_chip(budget={"neurons": 9, "synapses": 400, "synapse_bits": 6000, "in_axons": 70})
    wiring = wire(network)
    rng = np.random.default_rng(seed)
    n_cores = bound_cores(wiring, chip).n_cores - 1
    assume(n_cores > 0)
    homes = {p.name: rng.integers(0, n_cores, p.size) for p in network.populations}
    over = False
    for core in range(n_cores):
        members = {n: np.flatnonzero(h == core) for n, h in homes.items() if (h == core).any()}
        if not members:
            continue
        demand = demand_of(wiring, chip, load_core(wiring, members), 0)
        over |= any(demand[r] > limit for r, limit in chip.cores[0].budget.items())
    assert over


@given(networks(), st.integers(0, 1000))
def test_verify_agrees_with_the_footprint_about_any_assignment(network, seed):
    """Two counts written apart: footprint's demand is what verify recounts, for random slices."""
    chip = ample_chip()
    wiring = wire(network)
    rng = np.random.default_rng(seed)
    mapping = random_mapping(network, chip, wiring, rng)
    assert verify(network, chip, mapping).violations == ()


@settings(max_examples=60)
@given(networks(), st.integers(0, 1000), st.sampled_from(["move", "drop", "double", "misfile"]))
def test_verify_rejects_corrupted_mappings(network, seed, damage):
    chip = ample_chip(budget={"neurons": 12, "in_axons": 1000})
    mapping = map_network(network, chip)
    rng = np.random.default_rng(seed)
    parts = list(mapping.slices)
    i = int(rng.integers(len(parts)))
    part = parts[i]
    if damage == "drop":
        parts[i] = replace(part, neurons=part.neurons[1:])
    elif damage == "double":
        elsewhere = (part.core + 1) % chip.n_cores
        parts.append(Slice(part.population, part.neurons[:1], elsewhere))
    elif damage == "misfile":
        parts[i] = replace(part, core=chip.n_cores + 3)
    else:  # a neuron moves to an unused core: the stated utilization is now wrong
        free = min(set(range(chip.n_cores)) - set(mapping.cores))
        parts[i] = replace(part, neurons=part.neurons[:-1])
        parts.append(Slice(part.population, part.neurons[-1:], free))
    broken = replace(mapping, slices=tuple(parts))
    assert verify(network, chip, broken).violations


@settings(max_examples=40)
@given(network=networks())
def test_the_same_network_gives_the_same_file(network, tmp_path_factory):
    chip = ample_chip(budget={"neurons": 6})
    folder = tmp_path_factory.mktemp("mapping")
    paths = [Path(folder) / name for name in ("a.h5", "b.h5")]
    for path in paths:
        save_mapping(map_network(network, chip, seed=5), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = load_mapping(paths[0])
    save_mapping(again, paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert verify(network, chip, again).is_legal


def ample_chip(budget=None) -> ChipSpec:
    encodings = (
        EncodingSpec("dense", (4, 8), (0,), 1, 5, 16, 7, 2),
        EncodingSpec("sparse", (4, 8), (2, 4, 6, 8, 10), 1, 5, 16, 7, 2),
        EncodingSpec("shared", (4, 8), (0,), 0, 0, 32, None, 4),
    )
    return ChipSpec(
        "small",
        "a chip with room",
        "chip",
        ArithmeticSpec("generic", "none", weight_bits=(4, 8), max_extra_delay_steps=2),
        MeshSpec(8, 8, 4),
        (CoreSpec("core", 256, budget or {}),),
        encodings,
        {},
        None,
        "free",
        {},
        memory=MemorySpec(100, 8, 4, 2),
    )


def random_mapping(network, chip, wiring, rng) -> Mapping:
    """Random neurons on random cores, described by the mappers' own counts."""
    from nmhw.mappers.footprint import encodings_of
    from nmhw.mappers.traffic import count_out_axons
    from nmhw.values.mapping import Utilization

    cores = np.sort(rng.choice(chip.n_cores, 4, replace=False))
    homes = {p.name: rng.choice(cores, p.size) for p in network.populations}
    used, loads, slices = [], [], []
    for core in cores.tolist():
        members = {n: np.flatnonzero(h == core) for n, h in homes.items() if (h == core).any()}
        if members:
            used.append(core)
            loads.append(load_core(wiring, members))
            slices += [Slice(name, neurons, core) for name, neurons in members.items()]
    out = count_out_axons(loads, wiring.sizes)
    entries, encodings = [], {}
    for core, load, n_out in zip(used, loads, out, strict=True):
        demand = demand_of(wiring, chip, load, n_out)
        entries.append(Utilization(core, {r: (v, None) for r, v in demand.items()}))
        encodings |= {(name, core): kind for name, kind in encodings_of(chip, load).items()}
    return Mapping(chip.name, tuple(slices), encodings, tuple(entries))
