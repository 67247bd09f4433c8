"""A written network is read back as the same network, by nmhw and by the nir package."""

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.io.nir_read import read_nir
from nmhw.io.nir_write import is_written_here, write_nir
from nmhw.values.linear import Conv, Pool, Reshape, compose_csr
from nmhw.values.network import Network

ROOT = Path(__file__).resolve().parents[3]
CASES = sorted((ROOT / "tests/data/nir-cases").glob("0*/*.nir"))
FILES = [ROOT / "nmhw/data/digits.nir", *CASES]


def assert_same(a: Network, b: Network) -> None:
    assert [(p.name, p.shape) for p in a.inputs] == [(p.name, p.shape) for p in b.inputs]
    assert {o.name: o.sources for o in a.outputs} == {o.name: o.sources for o in b.outputs}
    assert [p.name for p in a.populations] == [p.name for p in b.populations]
    for one, other in zip(a.populations, b.populations, strict=True):
        assert (one.shape, one.model.kind) == (other.shape, other.model.kind)
        for field in ("tau_mem_s", "tau_syn_s", "r", "w_in", "v_leak", "v_threshold", "v_reset"):
            np.testing.assert_array_equal(getattr(one.model, field), getattr(other.model, field))
    sizes = a.sizes()
    for one, other in zip(a.projections, b.projections, strict=True):
        assert (one.source, one.target) == (other.source, other.target)
        matrices = [compose_csr(p.ops, sizes[p.source]).toarray() for p in (one, other)]
        np.testing.assert_array_equal(*matrices)
        biases = [np.zeros(1) if p.bias is None else p.bias for p in (one, other)]
        np.testing.assert_array_equal(*np.broadcast_arrays(*biases))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_real_files_survive_the_round_trip(path: Path, tmp_path: Path) -> None:
    network = read_nir(path)
    write_nir(network, tmp_path / "again.nir")
    assert_same(network, read_nir(tmp_path / "again.nir"))
    graph = nir.read(str(tmp_path / "again.nir"))
    assert set(nir.read(str(path)).nodes) <= set(graph.nodes) | {"output"}


def test_a_convolutional_network_written_in_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    conv = Conv(rng.normal(size=(4, 1, 3, 3)), (1, 8, 8), padding=(1, 1, 1, 1))
    pool = Pool("sum", (4, 8, 8), (2, 2), (2, 2))
    network = (
        Network.build("cnn")
        .input("input", (1, 8, 8))
        .population("c1", (4, 8, 8), "if")
        .project("input", "c1", ops=(conv,))
        .population("out", (10,), "li", tau_mem_s=0.01)
        .project("c1", "out", ops=(pool, Reshape((4, 4, 4), (64,)), *_dense(rng)), bias=0.5)
        .output("output", "out")
        .done()
    )
    write_nir(network, tmp_path / "cnn.nir")
    assert_same(network, read_nir(tmp_path / "cnn.nir"))
    kinds = sorted(type(n).__name__ for n in nir.read(str(tmp_path / "cnn.nir")).nodes.values())
    assert kinds == ["Affine", "Conv2d", "Flatten", "IF", "Input", "LI", "Output", "SumPool2d"]


def _dense(rng: np.random.Generator) -> tuple[object, ...]:
    from nmhw.values.linear import Dense

    return (Dense(rng.normal(size=(10, 64))),)


def test_what_nir_cannot_say_is_refused(tmp_path: Path) -> None:
    build = Network.build("x").input("input", 3).population("a", 3, "if", v_min=-1.0)
    bounded = build.project("input", "a", np.eye(3)).output("output", "a").done()
    with pytest.raises(UnsupportedError, match="no such neuron"):
        write_nir(bounded, tmp_path / "x.nir")
    build = Network.build("y").input("input", 3).population("a", 3, "if")
    late = build.project("input", "a", np.eye(3), delay_steps=2).output("output", "a").done()
    with pytest.raises(UnsupportedError, match="delays in seconds"):
        write_nir(late, tmp_path / "y.nir")
    assert not list(tmp_path.iterdir())


def test_a_bias_in_front_of_pools_and_scales_is_the_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    conv = Conv(rng.normal(size=(4, 1, 2, 3)), (1, 8, 8), padding=(0, 1, 1, 1))
    pool = Pool("sum", (4, 8, 8), (2, 2), (2, 2))
    bias = np.repeat(rng.normal(size=4), 16)
    ops = (conv, pool, Reshape((4, 4, 4), (64,)))
    build = Network.build("b").input("input", (1, 8, 8)).population("a", 64, "if")
    network = build.project("input", "a", ops=ops, bias=bias).output("output", "a").done()
    write_nir(network, tmp_path / "b.nir")
    again = read_nir(tmp_path / "b.nir")
    np.testing.assert_allclose(again.projections[0].bias, bias, rtol=1e-12)
    assert_same(network, replace(again, projections=(replace(again.projections[0], bias=bias),)))
    assert nir.read(str(tmp_path / "b.nir")).nodes["input_a_0"].padding == "same"
    uneven = build.project("input", "a", ops=ops, bias=rng.normal(size=64)).done()
    with pytest.raises(UnsupportedError, match="weights in front of it"):
        write_nir(replace(uneven, projections=uneven.projections[1:]), tmp_path / "c.nir")


def test_own_files_are_told_from_those_of_others(tmp_path: Path) -> None:
    network = read_nir(FILES[0])
    write_nir(network, tmp_path / "own.nir")
    assert is_written_here(tmp_path / "own.nir")
    assert not is_written_here(FILES[0])
    (tmp_path / "text.nir").write_text("no HDF5")
    assert not is_written_here(tmp_path / "text.nir")
