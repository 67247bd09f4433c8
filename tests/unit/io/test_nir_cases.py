"""Real files: published networks load as they are, quirks load warned or are refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from nmhw.errors import NirError
from nmhw.io.nir_read import read_nir
from nmhw.values.linear import Conv, Dense, Pool, Reshape
from nmhw.values.network import Network

CASES = Path(__file__).parents[2] / "data" / "nir-cases"
QUIRKS = CASES / "quirks"


def rules(network: Network) -> set[str]:
    return {notice.rule for notice in network.notices}


def test_lif_norse_is_one_neuron_behind_one_weight() -> None:
    path = CASES / "01_lif" / "lif_norse.nir"
    network = read_nir(path)
    assert network.name == "lif_norse"
    assert network.path == str(path)
    assert network.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert network.notices == ()
    (population,) = network.populations
    model = population.model
    assert (population.name, model.kind) == ("1", "lif")
    assert model.tau_mem_s is not None
    assert model.v_threshold is not None
    np.testing.assert_allclose(model.tau_mem_s, [0.0025], rtol=1e-6)
    np.testing.assert_allclose(model.v_threshold, [0.1], rtol=1e-6)
    assert model.v_reset is not None
    assert model.v_reset.tolist() == [0.0]  # older files do not store it
    (projection,) = network.projections
    assert (projection.name, projection.source, projection.target) == ("0", "input", "1")
    assert isinstance(projection.ops[0], Dense)
    assert projection.bias is None  # zero in the file


def test_two_lif_neurons_warns_about_the_one_that_fires_at_rest() -> None:
    network = read_nir(CASES / "01_lif" / "two_lif_neurons.nir")
    (notice,) = network.notices
    assert notice.rule == "nir.fires-at-rest"
    assert "'lif1'" in notice.where
    assert [p.name for p in network.populations] == ["lif1", "lif2"]


def test_cnn_sinabs_has_its_populations_in_order_and_pools_inside_the_chains() -> None:
    network = read_nir(CASES / "02_cnn" / "cnn_sinabs.nir")
    assert network.notices == ()
    shapes = {p.name: p.shape for p in network.populations}
    assert list(shapes.items()) == [
        ("1", (16, 16, 16)),
        ("3", (16, 16, 16)),
        ("6", (8, 8, 8)),
        ("10", (256,)),
        ("12", (10,)),
    ]
    assert sum(p.size for p in network.populations) == 8970
    chains = {p.name: tuple(type(op) for op in p.ops) for p in network.projections}
    assert chains == {
        "0": (Conv,),
        "2": (Conv,),
        "4>5": (Pool, Conv),
        "7>8>9": (Pool, Reshape, Dense),
        "11": (Dense,),
    }
    assert all(p.bias is None for p in network.projections)
    assert network.outputs[0].sources == ("12",)


def test_braille_keeps_its_recurrent_projection_with_its_own_bias() -> None:
    network = read_nir(CASES / "03_rnn" / "braille_noDelay_bias_zero.nir")
    ends = {p.name: (p.source, p.target) for p in network.projections}
    assert ends == {
        "fc1": ("input", "lif1.lif"),
        "lif1.w_rec": ("lif1.lif", "lif1.lif"),
        "fc2": ("lif1.lif", "lif2"),
    }
    assert all(p.bias is not None and p.bias.any() for p in network.projections)
    assert network.notices == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lif_rockpool_output_type_mismatch", {"nir.output-shape"}),
        ("scnn_flatten_off_by_batch_dim", {"nir.flatten-batch"}),
        (
            "scnn_conv_without_input_shape",
            {"nir.batch-axis", "nir.flatten-batch", "nir.output-shape"},
        ),
        ("braille_scalar_neuron_params", {"nir.scalar-parameters", "nir.tau-in-steps"}),
        ("lif_time_as_input_shape", {"nir.scalar-parameters", "nir.input-shape-unproved"}),
    ],
)
def test_a_quirk_loads_with_its_named_warnings(name: str, expected: set[str]) -> None:
    network = read_nir(QUIRKS / f"{name}.nir")
    assert rules(network) == expected
    assert all(notice.where.startswith(f"{name}.nir: node '") for notice in network.notices)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("braille_subgraph_dangling_edge", "node 'lif1': the edge 'input' -> 'lif' names a node"),
        ("braille_edges_to_missing_nodes", "join the edge to one of lif1.input, lif1.lif"),
    ],
)
def test_a_quirk_with_edges_to_nowhere_is_refused(name: str, says: str) -> None:
    with pytest.raises(NirError, match=r"nir\.edge-unknown-node") as caught:
        read_nir(QUIRKS / f"{name}.nir")
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_quirk_is_covered() -> None:
    assert len(list(QUIRKS.glob("*.nir"))) == 7


def test_the_quirky_convolutional_network_equals_the_clean_one_in_shape() -> None:
    clean = read_nir(CASES / "02_cnn" / "cnn_sinabs.nir")
    for name in ("scnn_flatten_off_by_batch_dim", "scnn_conv_without_input_shape"):
        quirky = read_nir(QUIRKS / f"{name}.nir")
        assert [i.shape for i in quirky.inputs] == [i.shape for i in clean.inputs]
        assert [p.shape for p in quirky.populations] == [p.shape for p in clean.populations]
        assert [p.name for p in quirky.projections] == [p.name for p in clean.projections]


def test_scalar_parameters_are_spread_over_the_layer() -> None:
    network = read_nir(QUIRKS / "braille_scalar_neuron_params.nir")
    model = network.population("lif1").model
    assert model.tau_mem_s is not None
    assert model.tau_mem_s.shape == (38,)
    assert set(model.tau_mem_s.tolist()) == {np.float64(np.float32(2.2222223))}
