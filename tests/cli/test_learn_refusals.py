"""``nmhw learn`` names what it cannot take, with exit code 2, and leaves other files alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.cli.main import main

SHORT = ["--train", "40", "--val", "10", "--test", "20", "--epochs", "1", "--net", "64-8-10",
         "--steps", "4", "-q", "--baselines", "none"]  # fmt: skip
OWN = """from nmhw.sim.learning.local.registry import local_rule
class Rule(type(local_rule("stdp"))):
    pass
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "theta0=abc"],
        ["--set", "theta0=abc", "--check-rule"],
        ["--set", "init_gain=abc"],
        ["--rule", "e-prop", "--set", "decay=abc"],
        ["--set", "name=stbp"],
        ["--set", "slope_clip=1e400"],
        ["--lr", "inf"],
        ["--lr", "1e30"],
        ["--weight-range", "1e300"],
        ["--weight-range", "1e-300"],
        ["--steps", "100000000"],
        ["--rule", "sum-of-products"],
        ["--rule", "sum-of-products", "--check-rule"],
        ["--rule", "std-ed", "--code", "rate"],
        ["--rule", "std-ed", "--set", "n_steps=3"],
        ["--experiment", "stdp-fields", "--seeds", "0-2"],
        ["--plots"],
        ["--rule", "e-prop", "--mode", "integer"],
        ["--rule", "e-prop", "--batch", "4"],
        ["--rule", "e-prop", "--optimizer", "adam"],
        ["--code", "direct"],  # std-ed: spike times need spikes
        ["--rule", "drtp", "--code", "direct"],
        ["--experiment", "stdp-fields"],  # it has its own data
        ["--classes-in-turn", "0-4"],
        ["--classes-in-turn", "0-4/x"],
        ["--classes-in-turn", "0-4/5-9999999999999"],
        ["--classes-in-turn", "4-0/5-9"],
        ["--classes-in-turn", "0-4/4-9"],
        ["--classes-in-turn", "0-4/5-9", "--seeds", "0,1"],
        ["--classes-in-turn", "0-4/5-9", "--resume"],
    ],
)
def test_refused_with_one_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "digits", *SHORT, *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "own code failed" not in error


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--rule", "srm", "--mode", "integer"], "learn.srm-options"),
        (["--rule", "srm", "--weight-bits", "8"], "learn.srm-options"),
        (["--rule", "srm", "--write-policy", "always"], "learn.srm-options"),
        (["--rule", "srm", "--skip", "0.5"], "learn.srm-options"),
        (["--rule", "srm", "--frozen", "layer1"], "learn.srm-options"),
        (["--rule", "mpd-ed", "--chip", "loihi1-nahuku"], "learn.not-native"),
        (["--rule", "e-prop", "--chip", "reckon"], "learn.not-native"),  # its head: delta rule
        (["--rule", "sdsp", "--net", "64-10", "--chip", "odin"], "learn.head"),
    ],
)
def test_what_no_rule_or_chip_does_is_refused_by_name(
    arguments: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", "digits", *SHORT, *arguments]) == 3
    assert f"[{rule}]" in capsys.readouterr().err


def test_an_experiment_takes_one_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "--experiment", "stdp-fields", "--seeds", "0-2"]) == 2
    assert "one seed" in capsys.readouterr().err


def test_an_experiment_leaves_a_foreign_file_of_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stdp-fields.json").write_text('{"mine": 1}')
    assert main(["learn", "--experiment", "stdp-fields", "-o", str(tmp_path)]) == 2
    assert "did not write" in capsys.readouterr().err
    assert (tmp_path / "stdp-fields.json").read_text() == '{"mine": 1}'


def test_no_costs_are_no_prices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "digits", *SHORT, "--rule", "srm", "--costs", "none"]) == 0
    text = capsys.readouterr().out
    assert "Trainings (no prices)" in text
    assert " pJ" not in text
    assert " nJ" not in text


def test_classes_in_turn_report_forgetting(tmp_path: Path, capsys: Any) -> None:
    line = ["learn", "digits", *SHORT[:-2], "--rule", "srm", "--classes-in-turn", "0-4/5-9"]
    assert main([*line, "-o", str(tmp_path)]) == 0
    assert "FORGETTING" in capsys.readouterr().out
    found = json.loads((tmp_path / "classes-in-turn.json").read_text())
    assert found["groups"] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert main([*line, "--rule", "delta", "--net", "64-10"]) == 0


FAILING = """from nmhw.sim.learning.local.registry import local_rule
class Rule(type(local_rule("stdp"))):
    compiled = {}
    def on_step(self, a, s):
        {}["missing"]
"""


@pytest.mark.parametrize("method", ["on_step", "initial_state"])
@pytest.mark.parametrize("more", [[], ["--check-rule"]])
def test_an_own_rule_that_raises_is_one_error(
    tmp_path: Path, more: list[str], method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(FAILING.replace("on_step", method))
    line = ["learn", "digits", *SHORT, "--rule", f"{tmp_path / 'own.py'}:Rule", *more]
    assert main(line) == 2
    printed = capsys.readouterr()
    assert ("fails its checks" if more else "own code failed") in printed.err
    assert "KeyError" in printed.out + printed.err
    assert "Traceback" not in printed.err


def test_resume_refuses_an_own_rule_whose_source_has_changed(tmp_path: Path) -> None:
    source = tmp_path / "own.py"
    line = ["learn", "digits", *SHORT, "--rule", f"{source}:Rule", "-o", str(tmp_path / "out")]
    for text, expected in ((OWN, 0), (OWN + "# another rule\n", 2)):
        source.write_text(text)
        assert main([*line, "--resume"]) == expected


def test_a_missing_parameter_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "digits", *SHORT, "--rule", "sum-of-products"]) == 2
    assert "--set dw=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words", "rule"),
    [
        (["--mode", "float"], "float mode", "lava.learning"),
        (["--batch", "4"], "batch 4", "lava.learning"),
        (["--rule", "stbp"], "rule stbp", "lava.learning"),
        (["--rule", "srm", "--mode", "float"], "rule srm", "lava.learning"),
        (["--rule", "drtp"], "rule drtp", "lava.learning"),
        (["--rule", "mpd-ed", "--net", "1x8x8-c2k3-10"], "convolution", "lava.learning"),
        (["--rule", "mpd-ed", "--net", "64-r8-10"], "recurrent", "lava.learning"),
        (["--backend", "loihi"], "numba or lava", "learn.backend"),
        (["--check-rule"], "own engines", "learn.backend"),
        (["--experiment", "stdp-fields"], "own engines", "learn.backend"),
    ],
)
def test_lava_says_what_it_has_no_processes_for(
    arguments: list[str], words: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", "digits", *SHORT, "--backend", "lava", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert rule in error


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_foreign_folder_stays_as_it_is(tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "result.json").write_text('{"mine": 1}')
    assert main(["learn", "digits", *SHORT, "-o", str(tmp_path), *more]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_no_stale_network_stays_beside_a_new_result(tmp_path: Path) -> None:
    """A rule without kernels: nothing is compiled; its neurons are none of NIR's."""
    out = str(tmp_path / "out")
    line = ["learn", "digits", *SHORT, "--rule", "srm", "-o", out]
    assert main(line) == 0
    (tmp_path / "out" / "trained.nir").write_bytes(b"of an earlier rule")
    assert main(line) == 0
    assert not (tmp_path / "out" / "trained.nir").exists()


def test_resume_refuses_other_data_of_the_same_sizes(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    line = ["learn", str(tmp_path / "d.npz"), "--rule", "srm", "--net", "9-4-2", "--steps", "4",
            "--epochs", "1", "--baselines", "none", "-q", "-o", str(tmp_path / "out")]  # fmt: skip
    for expected in (0, 2):
        np.savez(tmp_path / "d.npz", x=rng.random((80, 9)), y=np.arange(80) % 2)
        assert main([*line, "--resume"]) == expected


def test_an_own_rule_keeps_its_folder_clean_and_is_not_native(tmp_path: Path) -> None:
    source = tmp_path / "src" / "own.py"
    source.parent.mkdir()
    source.write_text(OWN)
    line = ["learn", "digits", *SHORT, "--rule", f"{source}:Rule", "-o", str(tmp_path / "out")]
    assert main(line) == 0
    assert not list(source.parent.glob("*.npz"))
    assert len(list((tmp_path / "out" / "checkpoints").iterdir())) == 1
    settings = json.loads((tmp_path / "out" / "result.json").read_text())["settings"]
    assert settings["rule"] == f"{source}:Rule"


@pytest.mark.parametrize("value", [0.5, -1.0])
def test_graded_events_are_no_spikes(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, n = tmp_path / "graded.npz", np.arange(30)
    np.savez(path, sample=n, step=n % 4, index=n % 5, labels=n % 3, value=np.full(30, value))
    assert main(["learn", str(path), "--rule", "mpd-ed", "--epochs", "1"]) == 2
    assert "learn.graded-events" in capsys.readouterr().err


def test_events_have_no_code(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["learn", "gestures", "--train", "10", "--test", "10", "--code", "rate", "--rule"]
    assert main([*line, "mpd-ed"]) == 2
    assert "learn.code" in capsys.readouterr().err


def test_a_result_keeps_no_parts_of_an_earlier_one(tmp_path: Path) -> None:
    line = ["learn", "digits", *SHORT, "-o", str(tmp_path)]
    assert main([*line, "--rule", "mpd-ed", "--plots"]) == 0
    assert {"trained.nir", "operations.png"} <= {p.name for p in tmp_path.iterdir()}
    arguments = ["--net", str(tmp_path / "trained.nir"), "--rule", "mpd-ed", "--set", "decay=0.5"]
    assert main(["learn", "digits", *arguments]) == 2
    assert main([*line, "--rule", "std-ed"]) == 0
    found = {p.name for p in tmp_path.iterdir()}
    assert found == {"checkpoints", "result.json", "weights.npz"}
