"""Input stage bias: spikes equal a plain loop of the integers; refusals are named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning

RNG = np.random.default_rng(5)
W = RNG.normal(size=(6, 8)) + 0.5
B = RNG.normal(size=6) / 4
W2 = RNG.normal(size=(3, 6)) + 0.4
FRAMES = RNG.random((5, 8)) * np.array([0.5, 1, 2, 3, 4])[:, None]
N_STEPS = 12


def network(kind: str = "lif", bias: Any = B, **more: Any) -> nmhw.Network:
    more = more if kind == "li" else {"v_threshold": 0.5, **more}
    build = nmhw.Network.build().input("in", 8)
    build.population("a", 6, kind, tau_mem_s=0.008, **more)
    build.population("b", 3, "lif", tau_mem_s=0.01, v_threshold=0.05)
    build.project("in", "a", W, bias=bias).project("a", "b", W2).output("out", "b")
    return give_meaning(build.done(), dt_s=1e-3)


def spikes_of_loop(q: Any, frame: np.ndarray, n_steps: int) -> list[tuple[int, int]]:
    """Step the two layers in plain Python integers; return (step, neuron) of the first."""
    a = q.population("a")
    float_bias = W @ frame + B
    gain = 1e-3 / 0.008  # dt / tau: the Euler step of tau dv = -v + x
    found = []
    for n in range(6):
        top, exponent = 4095, 0  # 13 bits with a sign, exponent 0 to 7
        value = float(a.scale[n]) * gain * float(float_bias[n])
        while exponent < 7 and round(abs(value) / 2**exponent) > top:
            exponent += 1
        drive = round(value / 2**exponent) << exponent
        v = 0
        for t in range(n_steps):
            kept = abs(v) * int(a.v_keep[n]) >> 12
            v = (kept if v >= 0 else -kept) + drive
            if v > int(a.threshold[n]):
                found.append((t, n))
                v = 0
    return sorted(found)


def deployed(chip: str = "loihi1-nahuku", **more: Any) -> nmhw.Deployment:
    given = {"calibration": np.repeat(FRAMES[:, None], N_STEPS, 1), **more}
    return nmhw.deploy(network(), chip, input_stage="bias", **given)


def test_messages_are_timed_sample_by_sample() -> None:
    found = deployed()
    frames = np.random.default_rng(1).random((3, *found.network.inputs[0].shape))
    whole = found.run(frames, repeat=6, latency="noc")
    parts = found.run(frames, repeat=6, latency="noc", chunk=1)
    assert whole.result.noc.step_ps.tolist() == parts.result.noc.step_ps.tolist()
    assert whole.result.noc.messages.sum() == whole.result.counters.total("axon.out")


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_spikes_equal_a_plain_loop_of_the_integers(backend: str) -> None:
    ready = deployed()
    run = ready.run(FRAMES, repeat=N_STEPS, backend=backend, compare_float=False)
    total = N_STEPS + run.result.drain_steps
    events = run.spikes["a"]
    for k, frame in enumerate(FRAMES):
        mine = events.sample == k
        found = sorted(zip(events.step[mine].tolist(), events.index[mine].tolist(), strict=True))
        assert found == spikes_of_loop(ready.quantized, frame, total)
    assert len(events) > 50


@pytest.mark.parametrize("chip", ["loihi1-nahuku", "loihi2", "generic", "spinnaker2"])
def test_both_backends_agree_in_spikes_and_counts(chip: str) -> None:
    ready = deployed(chip)
    runs = [ready.run(FRAMES, repeat=N_STEPS, backend=b) for b in ("numba", "reference")]
    facts = [run.to_json() for run in runs]
    for one in facts:
        one.pop("wall_s", None), one.pop("backend")
    assert facts[0] == facts[1]
    for name in ("a", "b"):
        first, second = (run.spikes[name] for run in runs)
        np.testing.assert_array_equal(first.dense(), second.dense())
    pieces = ready.run(FRAMES, repeat=N_STEPS, chunk=2)
    np.testing.assert_array_equal(pieces.spikes["b"].dense(), runs[0].spikes["b"].dense())


def test_the_report_says_what_the_host_did_and_compares_the_whole_network() -> None:
    run = deployed().run(FRAMES, repeat=N_STEPS)
    facts = run.to_json()
    (row,) = facts["host_operations"]
    assert (row["name"], row["macs"], row["effective_macs"]) == ("in>a", 5 * 48, 5 * 48)
    assert facts["input_events"] == {"in": 0}
    assert "host.bias" in facts["energy_unpriced"]
    assert facts["energy_j"]["is_lower_bound"]
    assert int(run.result.counters.totals["host.bias"].sum()) == 5 * 6
    held = np.repeat(FRAMES[:, None], N_STEPS, axis=1)
    floats = nmhw.run_float(network(), held)
    layers = {row["name"]: row for row in facts["deployment_loss"]["layers"]}
    for name in ("a", "b"):
        assert layers[name]["float_spikes"] == len(floats.spikes[name])
        assert abs(layers[name]["chip_spikes"] - layers[name]["float_spikes"]) <= 3
    assert "input stage bias: the host computes in>a" in " ".join(run.report().split())


def test_frames_that_vary_or_pass_the_registers_are_refused_by_name() -> None:
    held = np.repeat(FRAMES[:, None], N_STEPS, axis=1)
    held[3, 7, 2] += 0.5
    with pytest.raises(nmhw.NmhwError, match=r"varies over the steps: got sample 3.*host"):
        deployed().run(held)
    with pytest.raises(nmhw.NmhwError, match="drive of sample 2 passes the bias registers"):
        deployed().run(FRAMES * np.array([1, 1, 1e6, 1, 1])[:, None], repeat=4)
    with pytest.raises(nmhw.NmhwError, match="varies over the steps"):
        deployed(calibration=held)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"continuous": True}, "got continuous"),
        ({"encode": "rate", "n_steps": 3}, "got encode"),
        ({"backend": "lava"}, "backend=lava"),
    ],
)
def test_options_that_contradict_it_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nmhw.NmhwError, match=message):
        deployed().run(FRAMES, **{"repeat": 3, **options} if "encode" not in options else options)


@pytest.mark.parametrize(
    ("chip", "message"),
    [
        ("tinyodin", "no biases"), ("odin", "no biases"), ("speck2e", "per channel"),
        ("truenorth", "constant drive|copies"),
    ],
)  # fmt: skip
def test_chips_without_biases_per_neuron_are_refused(chip: str, message: str) -> None:
    with pytest.raises(nmhw.NmhwError, match=message) as found:
        deployed(chip, calibration=None)
    assert found.value.rule == "input-stage.bias"
    assert "--input-stage host" in str(found.value)


def test_first_layers_that_take_more_than_a_frame_are_refused() -> None:
    base = network()
    loop = give_meaning(
        nmhw.Network.build().input("in", 2).population("a", 2, "lif", tau_mem_s=0.01,
        v_threshold=1.0).project("in", "a", np.eye(2)).project("a", "a", np.eye(2))
        .output("out", "a").done(), dt_s=1e-3,
    )  # fmt: skip
    current = network("cubalif", tau_syn_s=0.004)
    late = replace(base, projections=(
        replace(base.projections[0], delay_steps=2), base.projections[1]))  # fmt: skip
    for each, message in (
        (loop, "also fed by neurons"), (current, "no bias on the current"),
        (late, "arrives later"), (network("li"), "not followed by spiking"),
    ):  # fmt: skip
        with pytest.raises(nmhw.NmhwError, match=message):
            nmhw.deploy(each, "loihi1-nahuku", input_stage="bias")
    with pytest.raises(nmhw.NmhwError, match="no such input stage"):
        nmhw.deploy(base, "loihi1-nahuku", input_stage="host")


@pytest.mark.parametrize(
    ("chip", "kind"),
    [
        ("generic", "lif"), ("generic", "cubalif"), ("generic", "if"), ("spinnaker2", "lif"),
        ("loihi2", "lif"), ("loihi1-d18", "if"),
    ],
)  # fmt: skip
def test_the_registers_are_those_that_the_quantizer_makes_of_the_same_bias(
    chip: str, kind: str
) -> None:
    taus = {"if": {}, "lif": {"tau_mem_s": 0.008}}
    taus["cubalif"] = {"tau_mem_s": 0.008, "tau_syn_s": 0.004}
    build = nmhw.Network.build().input("in", 8)
    build.population("a", 6, kind, v_threshold=0.5, **taus[kind]).population("b", 3, "if")
    build.project("in", "a", W, bias=B).project("a", "b", W2).output("out", "b")
    whole = give_meaning(build.done(), dt_s=1e-3)
    frame = FRAMES[2:3]  # the only one: the quantizer makes the scale for its drive
    ready = nmhw.deploy(
        whole, chip, input_stage="bias", calibration=np.repeat(frame[:, None], 4, axis=1)
    )
    mine, (drive,) = ready.quantized.population("a"), (W @ frame.T + B[:, None]).T
    written, n_clipped = ready.stage.registers["a"].write(mine, drive)
    assert n_clipped == 0
    np.testing.assert_array_equal(written.v_bias, mine.v_bias)
    np.testing.assert_array_equal(written.u_bias, mine.u_bias)
    if mine.floats is not None:
        np.testing.assert_array_equal(written.floats["drive"], mine.floats["drive"])
    moved = mine.floats["drive"] if mine.floats is not None else mine.u_bias + mine.v_bias
    assert np.count_nonzero(moved) == 6
    run = ready.run(frame, repeat=20)
    reference = ready.run(frame, repeat=20, backend="reference")
    np.testing.assert_array_equal(run.spikes["a"].dense(), reference.spikes["a"].dense())
    (loss,) = (r for r in run.to_json()["deployment_loss"]["layers"] if r["name"] == "a")
    assert loss["float_spikes"] > 5
    assert abs(loss["chip_spikes"] - loss["float_spikes"]) <= 2


def test_a_convolution_two_inputs_and_counts_are_one_drive(tmp_path: Any) -> None:
    from nmhw.values.linear import Conv

    kernel = RNG.random((2, 1, 3, 3))
    build = nmhw.Network.build().input("x", (1, 4, 4)).input("y", 3)
    build.population("a", (2, 4, 4), "lif", tau_mem_s=0.008, v_threshold=1.0)
    build.population("b", 2, "lif", tau_mem_s=0.008, v_threshold=0.2)
    build.project("x", "a", ops=(Conv(kernel, (1, 4, 4), padding=(1, 1, 1, 1)),))
    build.project("y", "a", RNG.random((32, 3)), bias=0.25).project("a", "b", RNG.random((2, 32)))
    whole = give_meaning(build.output("out", "b").done(), dt_s=1e-3)
    frames = {"x": RNG.integers(0, 4, (3, 1, 4, 4)), "y": RNG.random((3, 3))}
    ready = nmhw.deploy(
        whole, "generic", input_stage="bias",
        calibration={name: np.repeat(f[:, None], 2, axis=1) for name, f in frames.items()},
    )  # fmt: skip
    run = ready.run(frames, repeat=15)
    facts = run.to_json()
    assert [row["macs"] for row in facts["host_operations"]] == [3 * 32 * 9, 3 * 96]
    held = {name: np.repeat(f[:, None], 15, axis=1) for name, f in frames.items()}
    floats = nmhw.run_float(whole, held)
    differing = (run.spikes["a"].dense() != floats.spikes["a"].dense()).sum()
    assert len(floats.spikes["a"]) > 100 > 20 > differing  # thresholds of 8-bit decays
    run.save(tmp_path / "saved")
    again = nmhw.load_result(tmp_path / "saved")
    assert int(again.result.counters.totals["host.bias"].sum()) == 3 * 32
    assert again.to_json()["layer_operations"] == facts["layer_operations"]


@pytest.mark.parametrize("name", ["in>a", "a"])
def test_given_integers_of_the_first_layer_are_refused(name: str) -> None:
    given = {name: {"exponent": 0} if ">" in name else {"threshold": 640}}
    with pytest.raises(nmhw.NmhwError, match="takes no given integers"):
        deployed(explicit=given)


def test_a_lava_project_cannot_hold_biases_per_sample(tmp_path: Any) -> None:
    from nmhw.api.lava_project import export_lava

    with pytest.raises(nmhw.NmhwError, match="one set of biases"):
        export_lava(deployed(), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_a_saved_mapping_and_pieces_that_survive_give_the_same_spikes(tmp_path: Any) -> None:
    ready = deployed()
    whole = ready.run(FRAMES, repeat=N_STEPS)
    again = deployed(mapping=ready.save(tmp_path / "mapping.h5"))
    pieces = again.run(FRAMES, repeat=N_STEPS, chunk=2, checkpoint=tmp_path / "run")
    assert pieces.to_json()["spikes"] == whole.to_json()["spikes"]
    assert pieces.to_json()["host_operations"] == whole.to_json()["host_operations"]
    for kind, counts in whole.result.counters.totals.items():
        np.testing.assert_array_equal(counts, pieces.result.counters.totals[kind])


def test_nan_and_frames_without_a_sample_are_refused() -> None:
    with pytest.raises(nmhw.NmhwError, match="not finite"):
        deployed().run(FRAMES * np.nan, repeat=3)
    with pytest.raises(nmhw.NmhwError, match="no sample"):
        deployed().run(FRAMES[:0], repeat=3)
    silent = deployed().run(0 * FRAMES, repeat=3)  # the bias alone
    assert silent.result.n_samples == 5
