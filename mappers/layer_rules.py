"""Rules of chips whose cores are whole layers: one convolution, its neurons, its pools."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from typing import Any

from nmhw.mappers.hidden_pool_rules import check_pool_graph
from nmhw.mappers.layer_form import check_convolution, check_pool, check_pool_order
from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection, has_same_kernel

Parameters = MappingOf[str, Any]

#: Layers that a rule ``layer-form`` may describe and networks here can have.
_SUFFIX = " (rule layer-form)"


def rule_layer_form(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping | None, parameters: Parameters
) -> list[str]:
    """Kernels, strides, padding, pools, map sizes and channels are those that the chip has."""
    if parameters["layer"] != "convolution":
        return []
    found: list[str] = []
    for p in quantized.projections:
        if p.geometry is not None:
            found += check_convolution(p.target, p.geometry.as_conv(p.weights), parameters)
            found += check_pool(p.target, p.pools, parameters)
    return [text.removesuffix(_SUFFIX) for text in dict.fromkeys(found)]


def rule_graph(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping | None, parameters: Parameters
) -> list[str]:
    """The graph is one that the chip's toolchain takes; names: ``nmhw.values.graph_checks``."""
    found = check_pool_graph(quantized, parameters["checks"])
    for p in quantized.projections:
        is_kernel = p.geometry is not None
        found += check_pool_order(p.target, p.pools, parameters["checks"], before_kernel=is_kernel)
    if "neurons-between-convolutions" not in parameters["checks"]:
        return found
    for population in quantized.populations:
        incoming = [p for p in quantized.projections if p.target == population.name]
        for p in incoming:
            if p.geometry is None:
                found.append(
                    f"{population.name!r}: {p.name!r} is stored as {p.storage}, not as a kernel"
                )
            else:
                found += _check_maps(quantized, p)
        kernels = [p for p in incoming if p.geometry is not None]
        different = [p for p in kernels[1:] if not has_same_kernel(p, kernels[0])]
        if different:
            found.append(
                f"{population.name!r}: {1 + len(different)} different convolutions end there, "
                f"limit 1 per core"
            )
    return found


def _check_maps(quantized: QuantizedNetwork, p: QuantizedProjection) -> list[str]:
    """A core sends (channel, y, x): a flat layer cannot be read as maps behind it."""
    sent = next(
        (
            q.geometry.out_shape
            for q in quantized.projections
            if q.target == p.source and q.geometry is not None
        ),
        None,
    )
    read = p.pools[0].in_shape if p.pools else p.geometry.in_shape if p.geometry else None
    if sent is None or read is None or sent == tuple(read):
        return []
    return [f"{p.target!r}: reads maps of {_size(tuple(read))}, {p.source!r} sends {_size(sent)}"]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def rule_layer_per_core(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Every population has one core to itself."""
    found = []
    cores_of: dict[str, set[int]] = {}
    layers_on: dict[int, set[str]] = {}
    for part in mapping.slices:
        cores_of.setdefault(part.population, set()).add(part.core)
        layers_on.setdefault(part.core, set()).add(part.population)
    for name, cores in cores_of.items():
        if len(cores) > 1:
            found.append(f"{name!r}: spread over {len(cores)} cores, limit 1")
    for core, names in sorted(layers_on.items()):
        if len(names) > 1:
            listed = ", ".join(repr(name) for name in sorted(names))
            found.append(f"core {core}: {len(names)} layers ({listed}), limit 1")
    return found
