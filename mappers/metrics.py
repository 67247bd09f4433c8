"""Metrics of a placed mapping: cores, packets, hops, link loads and the gap to the bound."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.bounds import CoreBound
from nmhw.mappers.route import (
    count_crossings,
    count_hops,
    load_links,
    port_position,
    tile_positions,
)
from nmhw.mappers.traffic import Traffic
from nmhw.values.chip import ChipSpec


def measure(
    chip: ChipSpec, cores: NDArray[np.int64], traffic: Traffic, bound: CoreBound
) -> dict[str, Any]:
    """Return the metrics stored with a mapping (no times: those vary from run to run).

    ``packets`` = one per spike and destination core, of neurons and inputs; ``remote_packets``
    leaves out those that stay on their core and those of inputs. ``max_hops`` counts routes that
    carry packets.
    """
    start, end, packets = _flows(chip, cores, traffic)
    hops = count_hops(start, end)
    crossings = count_crossings(chip, start, end)
    total = float(packets.sum())
    unicast = float((packets * hops).sum())
    from_port = float(traffic.from_port.sum())
    tiles = {tuple(p) for p in tile_positions(chip, cores).tolist()}
    return {
        "n_cores": int(cores.size),
        "n_tiles": len(tiles),
        "cores_lower_bound": bound.n_cores,
        "cores_lower_bound_by": bound.resource,
        "packets": total,
        "input_packets": from_port,
        "remote_packets": float(traffic.between.sum() - np.trace(traffic.between)),
        "interchip_packets": float((packets * (crossings > 0)).sum()),
        "unicast_hops": unicast,
        "avg_hops": unicast / total if total > 0 else 0.0,
        "max_hops": int(hops.max(initial=0)),
        "max_link_load": load_links(chip, start, end, packets).largest,
    }


def _flows(
    chip: ChipSpec, cores: NDArray[np.int64], traffic: Traffic
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return start (n, 2), end (n, 2) and packets (n,) of every pair that talks."""
    at = tile_positions(chip, cores)
    source, target = np.nonzero(traffic.between)
    fed = np.flatnonzero(traffic.from_port)
    port = np.broadcast_to(port_position(chip), (fed.size, 2))
    start = np.concatenate([at[source], port])
    end = np.concatenate([at[target], at[fed]])
    return start, end, np.concatenate([traffic.between[source, target], traffic.from_port[fed]])
