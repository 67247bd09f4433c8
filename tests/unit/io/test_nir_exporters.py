"""Faults of exporters that a file shows."""

from pathlib import Path

import nir
import numpy as np
import pytest

import nmhw


def recurrent_graph(into: str) -> nir.NIRGraph:
    """A recurrent layer as a subgraph; its input leads to ``into``."""
    one = np.ones(3)
    inner = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([3])}),
         "output": nir.Output({"output": np.array([3])}),
         "lif": nir.LIF(one, one, 0 * one, one), "w_rec": nir.Linear(np.eye(3) * 0.5)},
        [("input", into), ("w_rec", "lif"), ("lif", "w_rec"), ("lif", "output")],
    )  # fmt: skip
    return nir.NIRGraph(
        {"input": nir.Input({"input": np.array([3])}), "hidden": inner,
         "output": nir.Output({"output": np.array([3])})},
        [("input", "hidden"), ("hidden", "output")],
    )  # fmt: skip


@pytest.mark.parametrize("into", ["lif", "w_rec"])
def test_the_input_of_a_recurrent_subgraph_reaches_its_neurons(tmp_path: Path, into: str) -> None:
    path = tmp_path / "net.nir"
    nir.write(str(path), recurrent_graph(into))
    network = nmhw.load(path, "spyx", dt_s=1e-3)
    ways = {(p.source, p.target): p.name for p in network.projections}
    assert ways == {
        ("input", "hidden.lif"): "input>hidden.lif", ("hidden.lif", "hidden.lif"): "hidden.w_rec",
    }  # fmt: skip
    noted = [n.rule for n in network.notices if n.rule == "nir.recurrent-input"]
    assert noted == (["nir.recurrent-input"] if into == "w_rec" else [])
