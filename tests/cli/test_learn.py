"""``nmhw learn`` on the command line."""

import json
from pathlib import Path

import pytest

from nmhw.cli.main import main

SHORT = ["--mode", "float", "--train", "60", "--val", "20", "--test", "40", "--epochs", "2",
         "--net", "64-12-10", "--steps", "5"]  # fmt: skip


def test_json_report_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["learn", "digits", "--rule", "mpd-ed", *SHORT, "-o", str(out), "--seeds", "0-1"]
    assert main([*arguments, "--json", "-q"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["rule"] == "mpd-ed"
    assert found["accuracy_interval"]["n"] == 2
    assert set(found["energy_ratio"]) == {"horowitz-32bit", "horowitz-8bit", "sop-1.5pj"}
    written = {p.name for p in out.iterdir()}
    assert written == {"result.json", "weights.npz", "trained.nir", "checkpoints"}
    assert json.loads((out / "result.json").read_text()) == found
    first = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    assert main([*arguments, "--resume", "-q"]) == 0
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == first


def test_plots_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    line = ["learn", "digits", *SHORT, "-o", str(out), "--plots", "--baselines", "stbp-dense"]
    assert main(line) == 0
    captured = capsys.readouterr()
    assert "stbp-dense" in captured.out
    assert "epoch 2 of 2" in captured.err
    assert {"learning-curve.png", "accuracy-energy.png", "operations.png"} <= {
        p.name for p in out.iterdir()
    }


def test_a_file_of_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    y = np.arange(80) % 2
    x = np.clip(rng.random((80, 9)) * 0.3 + 0.6 * y[:, None], 0, 1)
    np.savez(tmp_path / "two.npz", x=x, y=y)
    line = ["learn", str(tmp_path / "two.npz"), "--mode", "float", "--net", "9-8-2", "--epochs",
            "20", "--lr", "0.02", "--batch", "8", "--baselines", "none", "--json"]  # fmt: skip
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] > 0.9
    assert found["op_ratio"] == {}


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        (["digits", "--rule", "magic"], 2, "no such learning rule"),
        (["mnist"], 2, "no such data set"),
        (["digits", "--seeds", "a"], 2, "seeds are whole numbers"),
        (["digits", "--resume"], 2, "-o DIR"),
        (["digits", "--set", "decay"], 2, "FIELD=VALUE"),
        (["digits", "--set", "mood=1"], 2, "no such parameter"),
        (["digits", "--chip", "loihi1-nahuku"], 3, "assume-learning-engine"),
        (["digits", "--net", "1-2"], 2, "does not suit the data"),
    ],
)
def test_refusals(
    line: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learn", *line, "--mode", "float", "-q"]) == code
    assert text in capsys.readouterr().err


def test_a_directory_of_others_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert main(["learn", "digits", *SHORT, "-o", str(tmp_path)]) == 2
    assert "did not write" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_check_rule_prints_a_line_per_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "--check-rule", "--rule", "stdp", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rule"] == "stdp"
    assert len(found["checks"]) > 5
    assert all(check["passed"] for check in found["checks"])


def test_a_rule_that_fails_its_checks_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from nmhw.sim.learning.local import LearningRule\n"
        "from nmhw.values.learning import RuleSpec\n"
        "class Mine(LearningRule):\n"
        "    spec = RuleSpec('mine', 'no step', 'dw = 0', triggers=('on_pre',))\n"
    )
    assert main(["learn", "--check-rule", "--rule", f"{tmp_path / 'mine.py'}:Mine"]) == 2
    captured = capsys.readouterr()
    assert "FAILED" in captured.out
    assert "the rule fails its checks" in captured.err


def test_learning_without_data_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn"]) == 2
    assert "learn needs data" in capsys.readouterr().err


def test_an_experiment_of_a_local_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    line = ["learn", "--experiment", "sum-of-products", "--json", "-q", "-o", str(tmp_path)]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"]
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"sum-of-products.json", "sum-of-products.png"}
    assert main(["learn", "--experiment", "alchemy"]) == 2
    assert "no such experiment" in capsys.readouterr().err
