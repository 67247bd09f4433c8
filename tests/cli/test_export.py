"""``nmhw export``: a model in a user's file becomes a NIR file that means the same."""

import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

import nmhw as api

MODEL = """
import torch
from torch import nn
from nmhw.torch import LIF, Sequential

def make_model():
    return Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.AvgPool2d(2),
        LIF(4e-3, reset="subtract"), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 5),
        LIF(4e-3, reset="subtract"),
    )

def make_other():
    return nn.Linear(3, 3)

def make_none():
    return 3

def make_bad():
    raise ValueError("no data")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``my_model.py`` and its weights, made current."""
    (tmp_path / "my_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "my_model", raising=False)
    torch.manual_seed(0)
    import my_model  # type: ignore[import-not-found]

    model = my_model.make_model()
    model(torch.rand(3, 8, 2, 8, 8))
    with torch.no_grad():
        model[1].bias.fill_(0.4)
        model[6].weight.mul_(4.0)
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, "w.pt")
    torch.save(my_model.make_other().state_dict(), "other.pt")
    torch.save(model, "whole.pt")
    return tmp_path


def test_the_file_means_what_the_module_does(folder: Path, nmhw: Any) -> None:
    words = ["export", "my_model:make_model", "--weights", "w.pt", "--sample-shape", "2,8,8"]
    done = nmhw(*words, "-o", "net.nir", "--json")
    assert done.code == 0, done.err
    assert done.json["meaning"] == "--profile snntorch --dt 0.001 --set reset=subtract"
    assert done.json["output"] == "net.nir"
    kinds = {type(n).__name__ for n in nir.read("net.nir").nodes.values()}
    assert kinds == {
        "Input", "Conv2d", "AvgPool2d", "LIF", "SumPool2d", "Threshold", "Flatten", "Affine",
        "Output",
    }  # fmt: skip
    import my_model

    model = my_model.make_model()
    model.load_state_dict(torch.load("w.pt", weights_only=True)["state_dict"])
    x = (torch.rand(4, 20, 2, 8, 8) < 0.5).double()
    network = api.load("net.nir", "snntorch", dt_s=1e-3, reset="subtract")
    run = api.run_float(network, x)
    spikes = model.eval().double()(x).detach().numpy()
    assert spikes.sum() > 0
    np.testing.assert_array_equal(run.spikes["7"].dense(), spikes)
    first = Path("net.nir").read_bytes()
    assert nmhw(*words, "-o", "net.nir", "-q").code == 0  # an own file may be replaced
    assert Path("net.nir").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["my_model"], "named by module and function"),
        (["no_such_module:f"], "no such Python module"),
        (["my_model:f"], "cannot be made"),
        (["my_model:make_bad"], "ValueError: no data"),
        (["my_model:make_none"], "makes no torch.nn.Module"),
        (["my_model:make_model", "--weights", "none.pt"], "no such file"),
        (["my_model:make_model", "--weights", "my_model.py"], "no file of weights alone"),
        (["my_model:make_model", "--weights", "whole.pt"], "no file of weights alone"),
        (["my_model:make_model", "--weights", "other.pt"], "weights are those of another module"),
        (["my_model:make_model", "--sample-shape", "2,8,x"], "whole numbers and commas"),
        (["my_model:make_model", "--sample-shape", "3,8,8"], "fails on the sample"),
        (["my_model:make_model", "--layout", "XY"], "no such layout"),
        (["my_model:make_model", "--set", "reset=zero"], "changes a named profile"),
        (["my_model:make_model", "--dt", "2ms"], "another time step"),
        (["my_model:make_model", "-o", "my_model.py"], "no NIR file of nmhw"),
    ],
)  # fmt: skip
def test_mistakes_are_named(folder: Path, nmhw: Any, words: list[str], message: str) -> None:
    given = ["export", "--sample-shape", "2,8,8", "-o", "out.nir", *words]
    done = nmhw(*given)
    assert done.code == 2
    assert message in done.err
    assert not Path("out.nir").exists()


def test_images_run_on_a_chip_behind_a_host_stage(folder: Path, nmhw: Any) -> None:
    words = ["my_model:make_model", "--weights", "w.pt", "--sample-shape", "2,8,8"]
    assert nmhw("export", *words, "-o", "net.nir", "-q").code == 0
    np.save("images.npy", np.random.default_rng(0).random((5, 2, 8, 8)))
    run = ["run", "net.nir", "--profile", "snntorch", "--dt", "1ms", "--chip", "spinnaker2"]
    run += ["--set", "reset=subtract", "--input", "images.npy", "--steps", "9"]
    run += ["--calibration", "images.npy", "-q"]
    done = nmhw(*run, "--input-stage", "host", "--json")
    assert done.code == 0, done.err
    assert (done.json["n_samples"], done.json["n_steps"]) == (5, 9)
    notices = {n["rule"]: n["text"] for n in done.json["notices"]}
    macs = 4 * 8 * 8 * 2 * 3 * 3 + 4 * 4 * 4 * 2 * 2  # convolution and pool
    assert f"{macs:,} multiply-accumulates per step" in notices["input-stage.host"]
    conv, neurons = done.json["host_operations"]
    assert (conv["macs"], neurons["elements"]) == (5 * macs, 5 * 9 * 4 * 4 * 4)
    on_chip = [row for row in done.json["layer_operations"] if row["on"] == "chip"]
    assert sum(row["accumulates"] for row in on_chip) == done.json["synops"] > 0
    held = nmhw(*(w for w in run if w not in ("--steps", "9")), "--input-stage", "host",
                "--repeat", "9", "--json")  # fmt: skip
    assert {**held.json, "wall_s": 0} == {**done.json, "wall_s": 0}
    for more, message in (
        (("--encode", "rate"), "either an encoder or an input stage"),
        (("--repeat", "8"), "both say how long a frame is held"),
    ):
        clash = nmhw(*run, "--input-stage", "host", *more)
        assert clash.code == 2
        assert message in clash.err
