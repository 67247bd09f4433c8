"""What ``nmhw check`` tells about a network before any chip is named."""

from __future__ import annotations

import math
from typing import Any

import nmhw
from nmhw.api.deployment import model_name
from nmhw.report.summary import notice_dict
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Sparse
from nmhw.values.network import Network, Projection


def describe_network(network: Network) -> dict[str, Any]:
    """Return inputs, populations, projections, outputs, profile and warnings as a dict."""
    from nmhw.values.topology import is_recurrent

    profile = network.profile
    sizes = network.sizes()
    return {
        "nmhw_version": nmhw.__version__,
        "model": model_name(network),
        "model_sha256": network.sha256,
        "profile": None if profile is None else profile.name,
        "profile_fields": {}
        if profile is None
        else {name: getattr(profile, name) for name in type(profile).__dataclass_fields__},
        "dt_s": None if profile is None else profile.step_s,
        "inputs": {port.name: list(port.shape) for port in network.inputs},
        "outputs": {port.name: list(port.sources) for port in network.outputs},
        "populations": [
            {
                "name": p.name,
                "kind": p.model.kind,
                "shape": list(p.shape),
                "neurons": p.size,
            }
            for p in network.populations
        ],
        "projections": [
            {
                "name": p.name,
                "source": p.source,
                "target": p.target,
                "operations": [_operation_name(op) for op in p.ops] or ["one to one"],
                "connections": _connections(p, sizes[p.source]),
                "recurrent": is_recurrent(network, p),
            }
            for p in network.projections
        ],
        "neurons": sum(p.size for p in network.populations),
        "notices": [notice_dict(n) for n in network.notices],
    }


def _operation_name(op: LinearOp) -> str:
    if isinstance(op, Conv):
        return "conv " + "x".join(str(n) for n in op.weight.shape)
    if isinstance(op, Pool):
        return f"{op.kind} pool " + "x".join(str(n) for n in op.kernel)
    if isinstance(op, Dense | Sparse):
        return type(op).__name__.lower()
    return type(op).__name__.lower()


def _connections(projection: Projection, n_source: int) -> int:
    """Count source-target pairs: of the chain's last weighted operation, as it is stored."""
    weighted = [op for op in projection.ops if isinstance(op, Conv | Dense | Sparse)]
    if not weighted:
        return n_source
    op = weighted[-1]
    if isinstance(op, Dense):
        return int(op.weight.size)
    if isinstance(op, Sparse):
        return int(op.matrix.nnz)
    c_out, c_group, kh, kw = op.weight.shape
    return math.prod(op.out_spatial) * c_out * c_group * kh * kw
