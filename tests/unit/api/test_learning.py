"""nmhw.learn: it learns, resumes byte for byte, counts its baselines, writes networks back."""

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

import nmhw
from nmhw.api.fine_tuning import judge, learn_in_turn, read_for_learning
from nmhw.api.learning import learn
from nmhw.api.learning_chip import check_learning_memory
from nmhw.api.learning_experiment import LearningExperiment
from nmhw.api.learning_rules import DIRECT_LR
from nmhw.errors import DoesNotFitError, ResultFileError, UnsupportedError, UsageError
from nmhw.io.learning_data import load_learning_data
from nmhw.sim.learning.from_network import from_network
from nmhw.sim.learning.gradient_rule import named
from nmhw.values.learning import OPERATIONS, WeightFormat

FLOAT = {"mode": "float", "weights": WeightFormat(bits=None), "optimizer": "adam", "batch": 16}
SMALL = load_learning_data("digits").take(160, 40, 80)


@pytest.fixture(scope="module")
def steps() -> LearningExperiment:
    return learn(SMALL, "mpd-ed", net="64-24-10", n_steps=8, epochs=6, lr=5e-3, **FLOAT)


def test_two_rules_learn_the_digits(steps: LearningExperiment) -> None:
    times = learn(SMALL, "std-ed", net="64-24-10", epochs=8, lr=1e-2, baselines=(), **FLOAT)
    assert times.accuracy > 0.6
    assert steps.accuracy > 0.5
    first, last = (steps.trained[0].records[k].train_accuracy for k in (0, -1))
    assert last > first + 0.2


def test_the_baselines_are_the_same_training_counted_for_three_machines(
    steps: LearningExperiment,
) -> None:
    dense, gated, once, _ = steps.baselines
    assert dense.accuracies() == gated.accuracies()
    counts = {b.name: b.counts.by_operation() for b in steps.baselines}
    n = 160 * 6
    # by hand: T I O multiply-accumulates per layer
    assert counts["stbp-dense"]["gradient_mac"] == n * 8 * (64 * 24 + 24 * 10)
    assert counts["stbp-dense"]["propagation_mac"] == n * 8 * 24 * 10
    assert counts["stbp-gated"]["gradient_add"] == counts["stbp-gated"]["synop"]
    assert counts["stbp-gated"]["gradient_mac"] == 0
    assert once.counts.total("propagation_mac") == n * 24 * 10
    own = steps.training.counts.by_operation()
    assert own["error_event"] < counts["stbp-band"]["error_event"] < n * 8 * 24
    ratios = steps.to_json()["ratios"]
    for scope in ratios.values():
        assert scope["op_ratio"]["stbp-dense"] > scope["op_ratio"]["stbp-gated"] > 1
        for found in scope["energy_ratio"].values():
            for ratio in found.values():
                assert ratio["low"] <= ratio["value"] <= ratio["high"]


@pytest.mark.parametrize(
    ("rule", "law", "note"),
    [
        ("mpd-ed", "ramp", "threshold ramp"),
        ("mpd-ed", "homeostatic", "threshold homeostatic"),
        ("std-ed", "ramp", "threshold const: the ramp threshold of std-ed is a law of spike times"),
    ],
)
def test_every_row_names_its_threshold_law(rule: str, law: str, note: str) -> None:
    done = learn(
        SMALL, rule, net="64-8-10", n_steps=4, epochs=1, rule_options={"threshold": law},
        baselines=("stbp-gated", "stbp-band"), **FLOAT,
    )  # fmt: skip
    own, *others = done.to_json()["trainings"]
    assert own["notes"] == [f"threshold {law}"]
    assert [t["notes"] for t in others] == [[note]] * 2
    assert f"stbp-gated, stbp-band: {note}" in done.report() or rule == "mpd-ed"


def test_a_baseline_trains_with_the_threshold_it_names() -> None:
    options = {"net": "64-8-10", "n_steps": 6, "epochs": 1, "baselines": ("stbp-gated",), **FLOAT}
    const, ramp = (
        learn(SMALL, "mpd-ed", rule_options={"threshold": law}, **options)
        for law in ("const", "ramp")
    )
    spikes = [d.baselines[0].counts.by_operation()["spike"] for d in (const, ramp)]
    assert spikes[1] > spikes[0]


def test_the_json_has_the_promised_keys(steps: LearningExperiment) -> None:
    summary = steps.to_json()
    promised = {"rule", "chip", "data", "accuracy", "epochs", "op_ratio", "energy_ratio", "scope"}
    assert promised <= set(summary)
    named = {"stbp-dense", "stbp-gated", "stbp-gated-once", "stbp-band"}
    assert set(summary["op_ratio"]) == named
    assert len(summary["epochs"]) == 6
    assert summary["is_reconstruction"]
    assert summary["accuracy"] == summary["epochs"][-1]["accuracy"]


def test_the_report_fits_100_columns_and_names_baseline_scope_and_steps(
    steps: LearningExperiment,
) -> None:
    text = steps.report()
    assert max(map(len, text.splitlines())) <= 100
    for words in ("stbp-gated", "learning only, 8 steps", "whole training", "reconstructed"):
        assert words in text


def test_resume_gives_the_same_bytes(tmp_path: Path) -> None:
    options = {**FLOAT, "net": "64-16-10", "n_steps": 6, "code": "rate"}
    options["baselines"] = ("stbp-band",)
    whole = learn(SMALL, "mpd-ed", epochs=4, **options)

    class Stopped(Exception):
        pass

    def stop(label: str, done: int, total: int) -> None:
        if label.startswith("stbp") and done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        learn(SMALL, "mpd-ed", epochs=4, out=tmp_path, progress=stop, **options)
    again = learn(SMALL, "mpd-ed", epochs=4, out=tmp_path, resume=True, **options)
    for a, b in zip(whole.trained[0].weights, again.trained[0].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.to_json() == again.to_json()
    with pytest.raises(ResultFileError, match="other settings"):
        learn(SMALL, "mpd-ed", epochs=5, out=tmp_path, resume=True, **options)


def test_quantized_weights_stay_on_their_grid() -> None:
    stored = WeightFormat(bits=6, max_abs=1.0)
    options = {**FLOAT, "weights": stored, "baselines": ()}
    done = learn(SMALL, "std-ed", net="64-16-10", epochs=1, lr=0.01, **options)
    for weight in done.trained[0].weights:
        codes = weight * 31
        np.testing.assert_allclose(codes, np.round(codes), atol=1e-9)
        assert np.abs(codes).max() <= 31


def test_a_chip_without_the_rule_needs_the_assumption(steps: LearningExperiment) -> None:
    short = {**FLOAT, "net": "64-24-10", "n_steps": 8, "epochs": 1, "baselines": ()}
    with pytest.raises(UnsupportedError, match="does not run mpd-ed") as refused:
        learn(SMALL, "mpd-ed", "loihi1-nahuku", **short)
    assert refused.value.exit_code == 3
    done = learn(SMALL, "mpd-ed", "spinnaker2", assume_learning_engine=True, **short)
    assert done.is_hypothetical
    assert done.traffic is not None
    assert "HYPOTHETICAL" in done.report()


def test_a_log_beyond_the_chip_s_memory_is_refused_in_bits() -> None:
    small = nmhw.chip("generic").with_(cores=1, budget={"synapse_bits": 80_000})
    spec = named("mpd-ed").spec
    needed = check_learning_memory(small, 9000, 8, spec, 100.0, 138, 16)
    assert needed == 9000 * 8 + 100 * (16 + 8 + 4)
    with pytest.raises(DoesNotFitError, match="4,600 bits too many"):
        check_learning_memory(small, 9000, 8, spec, 450.0, 138, 16, copies_transpose=False)
    with pytest.raises(DoesNotFitError, match="transposed copy 72,000 bits"):
        check_learning_memory(small, 9000, 8, spec, 0.0, 138, 16, copies_transpose=True)


def test_a_network_too_large_for_the_chip_is_refused() -> None:
    small = nmhw.chip("generic").with_(cores=1, budget={"neurons": 64})
    short = {**FLOAT, "net": "64-96-10", "epochs": 1, "baselines": ()}
    with pytest.raises(DoesNotFitError):
        learn(SMALL, "mpd-ed", small, assume_learning_engine=True, **short)


def test_a_trained_network_is_written_read_and_fine_tuned(
    steps: LearningExperiment, tmp_path: Path
) -> None:
    steps.save(tmp_path)
    path = tmp_path / "trained.nir"
    assert set(nir.read(str(path)).nodes) >= {"input", "layer1", "head", "output"}
    weights = from_network(nmhw.load(path)).weights
    for a, b in zip(weights, steps.trained[0].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    start, more = read_for_learning(path, "mpd-ed", {})
    assert more["rule_options"] == {"decay": 0.9, "theta0": 1.0}
    shifted = load_learning_data("digits-corrupted").take(160, 40, 80)
    tuned = learn(
        shifted, "mpd-ed", n_steps=8, epochs=6, lr=5e-3, initial=start, frozen=("layer1",),
        baselines=("stbp-gated",), **FLOAT, **more,
    )  # fmt: skip
    assert tuned.accuracy_before is not None
    assert tuned.accuracy > tuned.accuracy_before
    np.testing.assert_array_equal(tuned.trained[0].weights[0], weights[0])
    by_layer = tuned.training.counts
    assert by_layer.values[0, :4].sum() > 0  # the frozen layer goes forward
    assert by_layer.values[0, 6:].sum() == 0  # but nothing is learned in it
    assert by_layer.total("propagation_mac") == 0


def test_the_written_network_scores_like_the_trained_one(
    steps: LearningExperiment, tmp_path: Path
) -> None:
    from nmhw.api.learning_inputs import encode_steps_of

    steps.save(tmp_path)
    network = nmhw.load(tmp_path / "trained.nir", "snntorch", compare=">=")
    rows = SMALL.rows("test")
    events = encode_steps_of(SMALL, rows, steps.settings)
    events = replace(events, shape=(64,))
    run = nmhw.run_float(network, events, SMALL.labels[rows], readout="v-last")
    assert run.accuracy == pytest.approx(steps.accuracy)


def test_spike_time_networks_are_no_nir() -> None:
    done = learn(SMALL, "std-ed", net="64-8-10", epochs=1, baselines=(), **FLOAT)
    with pytest.raises(UnsupportedError, match="NIR has no such neuron"):
        done.network()


def test_classes_in_turn_forget() -> None:
    options = {**FLOAT, "net": "64-24-10", "epochs": 6, "lr": 1e-2}
    done = learn_in_turn(SMALL, ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)), "std-ed", **options)
    assert done.accuracy[0, 0] > 0.6
    assert np.isnan(done.accuracy[0, 1])
    assert done.forgetting == pytest.approx(done.accuracy[0, 0] - done.accuracy[1, 0])
    assert done.forgetting > 0.1
    assert judge(done.stages[-1], SMALL) < 0.8
    assert "FORGETTING" in done.report()
    with pytest.raises(UsageError, match="different labels"):
        learn_in_turn(SMALL, ((0, 1), (1, 2)))


def test_classes_without_samples_are_refused_before_training() -> None:
    few = SMALL.take(20, 0, 5)
    without = sorted(set(range(10)) - set(few.labels[few.rows("test")].tolist()))
    assert without
    with pytest.raises(UsageError, match=r"no test samples of the classes.*learn\.empty-part"):
        learn_in_turn(few, (tuple(set(range(10)) - set(without)), tuple(without)), "std-ed")


def test_wrong_names_and_numbers_are_refused() -> None:
    for options, text in (
        ({"baselines": ("stbp",)}, "no such baseline"),
        ({"costs": ("free",)}, "no such cost set"),
        ({"scope": "all"}, "no such scope"),
        ({"seeds": (1, 1)}, "seeds are different"),
        ({"speed": 3}, "no such setting"),
        ({"net": "65-10-10"}, "does not suit the data"),
        ({"lr": -1.0}, "learning rate is positive"),
        ({"code": "morse"}, "no such code"),
    ):
        with pytest.raises(UsageError, match=text):
            learn(SMALL, "std-ed", **{**FLOAT, **options})


def test_silent_neurons_are_a_warning() -> None:
    options = {**FLOAT, "rule_options": {"init_gain": 0.05}, "baselines": ()}
    done = learn(SMALL, "mpd-ed", net="64-24-10", n_steps=4, epochs=1, lr=1e-5, **options)
    assert any("never fired" in warning for warning in done.to_json()["warnings"])


def test_frozen_layers_keep_no_membranes_and_no_inputs() -> None:
    options = {"net": "64-16-10", "n_steps": 5, "epochs": 1, "frozen": ("layer1",)}
    done = learn(SMALL, "mpd-ed", baselines=("stbp-dense", "stbp-gated"), **options)
    log = {t.name: t.counts for t in (done.training, *done.baselines)}
    n = done.training.counts.n_samples
    assert log["mpd-ed"].total("log_word") == log["mpd-ed"].total("spike")
    assert log["stbp-gated"].total("log_word") == log["stbp-gated"].total("spike")
    assert log["stbp-gated"].total("history_word") == 0
    assert log["stbp-dense"].total("history_word") == n * 5  # 16 neurons, one word per step
    assert done.to_json()["data"]["is_events"] is False


def test_levels_in_every_step_are_read_event_by_event() -> None:
    done = learn(SMALL, "mpd-ed", net="64-16-10", n_steps=5, epochs=2, code="direct", baselines=())
    images = SMALL.images[SMALL.rows("train")]
    counts = done.training.counts
    first = counts.values[0, OPERATIONS.index("synop")]
    assert first == 2 * 5 * 16 * np.floor(4 * images + 0.5).sum()
    assert done.settings.lr == DIRECT_LR
    assert done.accuracy > 0.4
    with pytest.raises(UsageError, match="latency-coded"):
        learn(SMALL, "std-ed", code="direct")
    with pytest.raises(UsageError, match="no levels"):
        learn(SMALL, "delta", code="direct")


def test_a_local_rule_learns_labels_and_resumes(tmp_path: Path) -> None:
    options = {"net": "64-24-10", "n_steps": 8, "code": "accumulate", "lr": 0.02, "baselines": ()}
    whole = learn(SMALL, "delta", epochs=3, **options)
    assert whole.accuracy > 0.5
    assert not whole.to_json()["is_reconstruction"]
    learn(SMALL, "delta", epochs=3, out=tmp_path, **options)
    again = learn(SMALL, "delta", epochs=3, out=tmp_path, resume=True, **options)
    assert whole.to_json() == again.to_json()


def test_a_local_rule_resumes_in_the_middle(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(label: str, done: int, total: int) -> None:
        if done == 2:
            raise Stopped

    options = {"net": "64-16-10", "n_steps": 6, "lr": 0.02, "baselines": (), "epochs": 3}
    whole = learn(SMALL, "delta", **options)
    with pytest.raises(Stopped):
        learn(SMALL, "delta", out=tmp_path, progress=stop, **options)
    again = learn(SMALL, "delta", out=tmp_path, resume=True, **options)
    for a, b in zip(whole.trained[0].weights, again.trained[0].weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.to_json() == again.to_json()


def test_a_rule_without_errors_per_neuron_has_no_labels_to_learn_from() -> None:
    with pytest.raises(UnsupportedError, match="no error per neuron"):
        learn(SMALL, "stdp", net="64-10", epochs=1, baselines=())


def test_integer_learning_is_the_default_and_resumes(tmp_path: Path) -> None:
    options = {"net": "64-16-10", "n_steps": 6, "lr": 0.02, "baselines": ("stbp-gated",)}
    whole = learn(SMALL, "mpd-ed", epochs=3, **options)
    assert whole.settings.mode == "integer"
    assert whole.accuracy > 0.4
    writes = whole.training.counts.total("weight_write")
    assert 0 < writes < whole.training.counts.total("weight_read")  # policy if-changed

    class Stopped(Exception):
        pass

    def stop(label: str, done: int, total: int) -> None:
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        learn(SMALL, "mpd-ed", epochs=3, out=tmp_path, progress=stop, **options)
    again = learn(SMALL, "mpd-ed", epochs=3, out=tmp_path, resume=True, **options)
    assert whole.to_json() == again.to_json()


def test_srm_trains_in_the_numpy_form() -> None:
    done = learn(SMALL, "srm", net="64-16-10", n_steps=6, epochs=4, lr=5e-3, baselines=(), **FLOAT)
    first, last = (done.trained[0].records[k].train_accuracy for k in (0, -1))
    assert last > first


def test_a_masked_spiking_head_is_warned_of() -> None:
    options = {"head": "spiking"}
    kept = {"net": "64-8-10", "n_steps": 4, "epochs": 1, "baselines": (), "rule_options": options}
    found = learn(SMALL.take(20, 5, 10), "mpd-ed", **kept, **FLOAT)
    assert any("silent outputs are never corrected" in w for w in found.warnings)
