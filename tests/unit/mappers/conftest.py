"""Small quantized networks and chips, built by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from nmhw.values.chip import (
    ArithmeticSpec,
    BoardSpec,
    ChipSpec,
    CoreSpec,
    EncodingSpec,
    MeshSpec,
)
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import Profile
from nmhw.values.quantized import (
    CellSpec,
    ConvGeometry,
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)

#: Loihi's formats: 10-bit headers, 64-bit words (nengo-loihi 1.1, hardware/validate.py).
LOIHI_FORMATS = (
    EncodingSpec("dense", (1, 2, 3, 4, 5, 6, 8), (0,), 0, 10, 64),
    EncodingSpec("sparse", (1, 2, 3, 4, 5, 6, 8), (0, 6, 7, 8, 9, 10, 11, 12), 0, 10, 64),
    EncodingSpec("shared", (1, 2, 3, 4, 5, 6, 8), (0,), 0, 10, 64),
)
LOIHI_BUDGET = {"neurons": 1024, "in_axons": 4096, "out_axons": 4096, "synapse_bits": 1048576}


def population(name, shape, threshold=100, v_keep=0, **fields):
    n = int(np.prod(shape))
    zeros = np.zeros(n, np.int64)
    values = {
        "u_keep": zeros,
        "v_keep": np.broadcast_to(np.asarray(v_keep, np.int64), n),
        "u_bias": zeros,
        "v_bias": zeros,
        "threshold": np.broadcast_to(np.asarray(threshold, np.int64), n),
        "v_reset": zeros,
        "v0": zeros,
    }
    values |= fields
    return QuantizedPopulation(
        name, shape, CellSpec(), scale=np.ones(n), profile_index=zeros, depth=0, **values
    )


def dense(source, target, n_in, n_out, *, weights=None, **fields):
    if weights is None:
        weights = np.ones((n_in, n_out), np.int8)
    name = f"{source}>{target}"
    fields = {"delay_steps": 1, **fields}
    return QuantizedProjection(name, source, target, "dense", np.asarray(weights), **fields)


def sparse(source, target, matrix, **fields):
    """CSR of a dense matrix's nonzero entries."""
    matrix = np.asarray(matrix)
    indptr = np.concatenate([[0], np.cumsum((matrix != 0).sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(matrix)[1].astype(np.int64)
    fields = {"delay_steps": 1, **fields}
    return QuantizedProjection(
        f"{source}>{target}",
        source,
        target,
        "sparse",
        matrix[matrix != 0],
        indptr=indptr,
        indices=indices,
        **fields,
    )


def conv(source, target, in_shape, c_out, kernel, *, stride=1, pad=0, groups=1, **fields):
    c, h, w = in_shape
    out = (c_out, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
    geometry = ConvGeometry(in_shape, out, (stride, stride), (pad,) * 4, (1, 1), groups)
    weights = np.ones((c_out, c // groups, kernel, kernel), np.int8)
    fields = {"delay_steps": 1, **fields}
    return QuantizedProjection(
        f"{source}>{target}", source, target, "conv", weights, geometry=geometry, **fields
    )


def network(inputs, populations, projections, name="net"):
    ports = tuple(InputPort(port, shape) for port, shape in inputs.items())
    last = populations[-1]
    output = OutputPort("out", last.shape, (last.name,))
    return QuantizedNetwork(
        name,
        "chip",
        "generic",
        Profile("test"),
        ports,
        tuple(populations),
        tuple(projections),
        (output,),
        drain_steps=len(populations),
    )


def chip(budget=None, *, cores=128, mesh=(8, 4, 4), groups=None, **fields):
    """A chip like Loihi 1 unless told otherwise."""
    groups = groups or (CoreSpec("core", cores, LOIHI_BUDGET if budget is None else budget),)
    arithmetic = ArithmeticSpec("generic", "none", weight_bits=(1, 2, 3, 4, 5, 6, 8))
    values = {
        "encodings": LOIHI_FORMATS,
        "arithmetic": arithmetic,
        "mesh": MeshSpec(*mesh),
        "board": BoardSpec(),
        **fields,
    }
    return ChipSpec(
        name="chip",
        title="a chip for tests",
        describes="chip",
        cores=groups,
        costs={},
        default_costs=None,
        pace="free",
        sources={},
        **values,
    )


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """Functions that make quantized populations, projections, networks and chips."""
    made = (population, dense, sparse, conv, network, chip)
    return SimpleNamespace(**{function.__name__: function for function in made})
