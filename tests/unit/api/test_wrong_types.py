"""Arguments of a wrong type are nmhw errors; one item may stand for a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import nmhw
from nmhw.errors import InputError, ProfileError, UsageError


def test_a_path_is_no_network(x: np.ndarray) -> None:
    path = cast(Any, "ok.nir")
    with pytest.raises(UsageError, match=r"takes a network: got str; try: nmhw\.load"):
        nmhw.deploy(path, "loihi1-nahuku")
    with pytest.raises(UsageError, match=r"takes a network: got str; try: nmhw\.load"):
        nmhw.run_float(path, x)


def test_none_is_no_chip(network: nmhw.Network) -> None:
    with pytest.raises(UsageError, match="takes a chip: got NoneType"):
        nmhw.deploy(network, cast(Any, None))


def test_one_allowed_field_may_stand_alone(network: nmhw.Network, x: np.ndarray) -> None:
    one = nmhw.deploy(network, "loihi1-nahuku", allow="reset")
    assert one.summary() == nmhw.deploy(network, "loihi1-nahuku", allow=["reset"]).summary()
    soft = nmhw.load(cast(str, network.path), "snntorch", reset="subtract")
    assert nmhw.quantize(soft, "loihi1-nahuku", allow="reset").populations
    (row,) = nmhw.compare(soft, "loihi1-nahuku", x, allow="reset")
    assert row["verdict"] == "yes"


@pytest.mark.parametrize("allow", [3, [3], ["reset", 3]])
def test_what_is_allowed_are_names(network: nmhw.Network, allow: Any) -> None:
    with pytest.raises(UsageError, match=r"nothing of this name can be allowed: got '3'; try"):
        nmhw.deploy(network, "loihi1-nahuku", allow=allow)


@pytest.mark.parametrize("probes", ["lif1:v", nmhw.Probe("lif1"), {"lif1": "v"}, ["lif1:v"]])
def test_one_probe_may_stand_alone(deployed: nmhw.Deployment, x: np.ndarray, probes: Any) -> None:
    run = deployed.run(x, probes=probes, compare_float=False)
    assert run.probes["lif1"]["v"].shape[0] == len(x)


@pytest.mark.parametrize("probes", [3, [3], {"lif1": 3}, {"lif1": [3]}, [("lif1", "v")]])
def test_what_is_no_probe(
    deployed: nmhw.Deployment, network: nmhw.Network, x: np.ndarray, probes: Any
) -> None:
    with pytest.raises(UsageError, match=r'this is no probe: got .*try: "lif1:v"'):
        deployed.run(x, probes=probes)
    with pytest.raises(UsageError, match="this is no probe"):
        nmhw.run_float(network, x, probes=probes)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"readout": 3}, "this is no readout: got 3; try: count"),
        ({"pace": 1e-3}, r'no such pace: got 0\.001; try: "period=0\.001" \(seconds\)'),
        ({"pace": ["free"]}, "no such pace"),
        ({"keep_spikes": -1}, "keep_spikes is a whole number >= 0: got -1"),
        ({"keep_spikes": 1.5}, r"keep_spikes is a whole number >= 0: got 1\.5"),
        ({"keep_spikes": "all"}, "keep_spikes is a whole number >= 0: got 'all'"),
        ({"metric": 3}, "no such metric: got 3"),
        ({"backend": 3}, "no such backend: got 3"),
    ],
)
def test_options_of_a_run(
    deployed: nmhw.Deployment, x: np.ndarray, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        deployed.run(x, **options)


def test_steps_of_probes_and_readouts_are_whole_numbers() -> None:
    with pytest.raises(UsageError, match=r"every is out of range: got 1\.5"):
        nmhw.Probe("a", "v", cast(int, 1.5))
    with pytest.raises(UsageError, match="from_step must be a whole number"):
        nmhw.Readout("count", cast(int, "a"))
    assert nmhw.Probe("a", "v", cast(int, np.int64(2))).every == 2


def test_what_is_no_profile_and_no_path(model: Path) -> None:
    with pytest.raises(ProfileError, match="this is no profile: got 5; try: the name of one"):
        nmhw.load(model, cast(str, 5))
    with pytest.raises(UsageError, match=r"takes the path of a \.nir file: got 5"):
        nmhw.load(cast(str, 5))


@pytest.mark.parametrize("explicit", [[1], 3, {"lif1": 3}, {"lif1": ["threshold"]}])
def test_given_integers_are_mappings(network: nmhw.Network, explicit: Any) -> None:
    with pytest.raises(UsageError, match="given integers are a mapping of names to mappings"):
        nmhw.quantize(network, "loihi1-nahuku", explicit=explicit)


def test_only_integers_of_the_same_chip_are_mapped(network: nmhw.Network) -> None:
    quantized = nmhw.quantize(network, "generic")
    text = r"made for another chip: got generic \(limit loihi1-nahuku\); try: nmhw\.quantize"
    with pytest.raises(UsageError, match=text):
        nmhw.map_network(quantized, "loihi1-nahuku")
    with pytest.raises(UsageError, match="takes a quantized network: got Network"):
        nmhw.map_network(cast(Any, network), "generic")
    with pytest.raises(UsageError, match="takes a chip: got NoneType"):
        nmhw.map_network(quantized, cast(Any, None))
    assert nmhw.map_network(quantized, nmhw.chip("generic").with_(mesh=(4, 4))).cores


def test_images_are_no_spike_counts(network: nmhw.Network) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 5, 6)).astype(np.uint8)
    text = r"more spikes per element and step than the chip sends: got 2\d\d \(limit 15\).*--encode"
    with pytest.raises(InputError, match=text):
        nmhw.deploy(network, "generic").run(images)
    (row,) = nmhw.compare(network, ["generic"], images)
    assert (row["verdict"], row["rule"]) == ("not run", "input.counts")
    counts = images // 20  # at most 12
    assert nmhw.deploy(network, "generic").run(counts).result.n_samples == 1


def test_the_missing_step_is_asked_for_without_the_folder(model: Path, tmp_path: Path) -> None:
    import nir

    graph = nir.read(str(model))
    for node in graph.nodes.values():
        if isinstance(node, nir.LIF):
            node.r = np.ones_like(node.r)
    path = tmp_path / "physical.nir"
    nir.write(str(path), graph)
    with pytest.raises(ProfileError) as caught:
        nmhw.load(path, "snntorch")
    assert str(caught.value).startswith("physical.nir: the file does not say how long a step is")


def test_the_float_run_moves_the_progress_too(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    deployed.run(x, progress=lambda done, total: seen.append((done, total)))
    restarts = [k for k in range(1, len(seen)) if seen[k][0] < seen[k - 1][0]]
    assert len(restarts) == 1
    assert seen[restarts[0] - 1] == (len(x), len(x))
    assert seen[-1][0] == seen[-1][1]
