"""``nmhw learn`` names what it cannot take, with exit code 2, and leaves other files alone."""

import json
from pathlib import Path

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
        ["--experiment", "stdp", "--seeds", "0-2"],
    ],
)
def test_refused_with_one_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "digits", *SHORT, *arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "own code failed" not in error


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
    out = str(tmp_path / "out")
    assert main(["learn", "digits", *SHORT, "--rule", "mpd-ed", "-o", out]) == 0
    assert (tmp_path / "out" / "trained.nir").exists()
    assert main(["learn", "digits", *SHORT, "--rule", "std-ed", "-o", out]) == 0
    assert not (tmp_path / "out" / "trained.nir").exists()


def test_resume_refuses_other_data_of_the_same_sizes(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    line = ["learn", str(tmp_path / "d.npz"), "--rule", "mpd-ed", "--net", "9-4-2", "--steps", "4",
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
