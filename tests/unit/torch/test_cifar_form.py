"""The usual form for images: BatchNorm, max-pools, direct coding; from torch to two chips."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nmhw

EXAMPLE = Path(__file__).parents[3] / "examples" / "cifar_form_two_chips.py"
N_STEPS = 6


def trained() -> nn.Module:
    """Stands for a trained network: BatchNorm with statistics, every layer active."""
    model: nn.Module = runpy.run_path(str(EXAMPLE))["make_model"]()
    return model


@pytest.mark.parametrize("chip", ["loihi1-nahuku", "spinnaker2"])
def test_images_reach_a_chip_and_every_approximation_is_named(chip: str) -> None:
    net, images = trained(), torch.rand(4, 3, 16, 16)
    frames = images.unsqueeze(1).expand(-1, N_STEPS, -1, -1, -1)
    network = nmhw.from_torch(net, frames)
    stage = nmhw.host_stage(network)
    run = nmhw.deploy(stage.rest, chip).run(stage.spikes(images, n_steps=N_STEPS))
    assert stage.macs_per_step == 8 * 16 * 16 * 3 * 9
    text = " ".join(run.report().split())
    assert "input stage host: 0 and the neurons 2 run in float on the host, 55,296" in text
    named = {notice["rule"] for notice in run.to_json()["notices"]}
    assert named >= {
        "torch.batch-norm", "torch.max-pool", "torch.dropout", "input-stage.host",
        "quantize.weights",
    }  # fmt: skip
    # the cut loses nothing: stage and rest in float are the whole module
    whole = net.eval().double()(frames.double())
    rest = nmhw.run_float(stage.rest, stage.spikes(images, n_steps=N_STEPS))
    assert whole.sum() > 0
    np.testing.assert_array_equal(rest.spikes["14"].dense(), whole.detach())
    assert run.spikes["10"].index.size > 0


def test_no_chip_takes_the_frames_themselves() -> None:
    net = trained()
    frames = torch.rand(2, N_STEPS, 3, 16, 16)
    deployed = nmhw.deploy(nmhw.from_torch(net, frames), "loihi1-nahuku")
    with pytest.raises(nmhw.NmhwError, match="current"):
        deployed.run(frames)


def test_a_first_layer_that_cannot_be_cut_is_refused() -> None:
    build = nmhw.Network.build().input("input", 3).population("a", 3, "if").population("b", 3, "if")
    build.project("input", "a", np.eye(3)).project("a", "b", np.eye(3))
    with pytest.raises(nmhw.NmhwError, match="is an output"):
        nmhw.host_stage(build.output("output", "a", "b").done())
    loop = build.project("b", "a", np.eye(3)).output("end", "b").done()
    with pytest.raises(nmhw.NmhwError, match="also fed by later ones"):
        nmhw.host_stage(loop)
