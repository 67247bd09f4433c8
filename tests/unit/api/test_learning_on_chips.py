"""nmhw.learn on chips: what is hypothetical, memory and its port, packets, heads; rule limits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nmhw
from nmhw.api.learning import learn
from nmhw.errors import DoesNotFitError, UnsupportedError, UsageError
from nmhw.io.learning_data import load_learning_data
from nmhw.values.learning import WeightFormat

FLOAT = {"mode": "float", "weights": WeightFormat(bits=None), "optimizer": "adam", "batch": 16}
SMALL = load_learning_data("digits").take(80, 20, 40)


def test_every_hypothetical_figure_is_called_so(tmp_path: Path) -> None:
    short = {**FLOAT, "net": "64-8-10", "n_steps": 4, "epochs": 1, "baselines": ("stbp-gated",)}
    done = learn(SMALL, "mpd-ed", "loihi1-nahuku", assume_learning_engine=True, **short)
    summary, text = done.to_json(), done.report()
    assert summary["hypothetical"] == ["mpd-ed", "stbp-gated"]
    assert all(row["is_hypothetical"] for row in summary["epochs"])
    for ratios in summary["ratios"].values():
        for found in ratios["energy_ratio"].values():
            assert all(ratio["is_hypothetical"] for ratio in found.values())
    # below both names in the table of trainings and of operations, below the baseline's in ratios
    assert sum(line.split().count("hypothetical") for line in text.splitlines()) >= 2 + 2 + 2 + 1
    assert max(map(len, text.splitlines())) <= 100
    assert done.plot(tmp_path)


def test_baselines_of_a_native_rule_are_hypothetical_and_the_rule_is_not() -> None:
    short = {"net": "64-10", "n_steps": 4, "epochs": 1, "baselines": ("stbp-gated",)}
    done = learn(SMALL, "e-prop", "spinnaker2", **short)
    own, baseline = done.to_json()["trainings"]
    assert (own["is_hypothetical"], baseline["is_hypothetical"]) == (False, True)
    assert "HYPOTHETICAL" not in done.report()
    assert learn(SMALL, "e-prop", **short).to_json()["hypothetical"] == []


def test_memory_is_checked_before_the_training() -> None:
    small = nmhw.chip("generic").with_(cores=1, budget={"synapse_bits": 64 * 24 * 8 + 1000})
    begun: list[int] = []
    with pytest.raises(DoesNotFitError, match="spike log"):
        learn(
            SMALL, "stbp", small, assume_learning_engine=True, net="64-16-10", n_steps=64,
            epochs=1, baselines=(), progress=lambda *a: begun.append(1), **FLOAT,
        )  # fmt: skip
    assert begun == []


def test_the_port_of_the_chip_s_memory_is_counted_and_its_copy_needs_room() -> None:
    generic = nmhw.chip("generic")
    stored = {"weights": WeightFormat(policy="always"), "mode": "integer"}
    short = {**stored, "net": "64-8-10", "n_steps": 6, "epochs": 1, "code": "rate"}
    counts = {}
    ports: tuple[Any, ...] = (None, "crossbar", "copy", "row")
    for port in ports:
        chip = replace(generic, learning_port=port, learning_word_bits=32)
        done = learn(
            SMALL, "mpd-ed", chip, assume_learning_engine=True, baselines=("stbp-gated",), **short
        )
        counts[port] = done.training.counts.by_operation()
        is_named = any("does not say how weights are read" in w for w in done.warnings)
        assert is_named == (port is None)
    known = counts[None]
    assert known["transposed_read"] > 0
    assert counts["crossbar"] == known
    assert counts["copy"] == {**known, "weight_write": 2 * known["weight_write"]}
    assert counts["row"] == {**known, "transposed_read": 4 * known["transposed_read"]}
    small = generic.with_(cores=1, budget={"synapse_bits": 64 * 24 * 8})
    with pytest.raises(DoesNotFitError, match="transposed copy"):
        learn(
            SMALL, "mpd-ed", replace(small, learning_port="copy"), assume_learning_engine=True,
            baselines=(), **{**short, "net": "64-16-10"},
        )  # fmt: skip


def test_error_packets_on_a_chip_are_each_baseline_s_own() -> None:
    done = learn(
        SMALL, "mpd-ed", "spinnaker2", assume_learning_engine=True, net="64-200-10", n_steps=8,
        epochs=1, baselines=("stbp-dense", "stbp-gated-once"), **FLOAT,
    )  # fmt: skip
    dense, once = (b.packet_bit_hops for b in done.baselines)
    assert dense == 8 * once  # one hidden layer: the head's errors, once or in all steps


def test_a_spiking_head_trains_on_a_chip_whose_neurons_all_fire() -> None:
    options = {"net": "64-8-10", "n_steps": 4, "epochs": 1, "baselines": (), **FLOAT}
    with pytest.raises(UnsupportedError, match="head of this training integrates") as refused:
        learn(SMALL, "mpd-ed", "odin", assume_learning_engine=True, **options)
    assert refused.value.hint == "--head spiking"
    done = learn(
        SMALL, "mpd-ed", "odin", assume_learning_engine=True, rule_options={"head": "spiking"},
        **options,
    )  # fmt: skip
    assert done.network().population("head").model.kind == "lif"
    with pytest.raises(UnsupportedError, match="head of this training integrates"):
        learn(SMALL, "sdsp", "odin", net="64-10", epochs=1, baselines=())


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "integer"},
        {"weights": WeightFormat(bits=8)},
        {"weights": WeightFormat(bits=None, skip_confidence=0.5)},
        {"frozen": ("layer1",)},
    ],
)
def test_srm_refuses_what_it_would_ignore(options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="srm trains all layers in float") as refused:
        learn(SMALL, "srm", net="64-8-10", n_steps=4, epochs=1, baselines=(), **options)
    assert refused.value.rule == "learn.srm-options"


def test_the_header_of_srm_says_what_it_did() -> None:
    done = learn(SMALL, "srm", net="64-8-10", n_steps=4, epochs=1, baselines=())
    assert "weights float, no rounding, write always" in done.report()
    assert "float arithmetic" in done.report()


@pytest.mark.parametrize("options", [{"mode": "integer"}, {"batch": 4}, {"optimizer": "adam"}])
def test_local_rules_refuse_what_they_would_ignore(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="sample by sample"):
        learn(SMALL, "e-prop", net="64-8-10", epochs=1, baselines=(), **options)
