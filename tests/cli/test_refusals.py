"""Bad input exits 2 with one message on stderr, a JSON object under --json, and nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

CHIP = "loihi1-nahuku"

#: arguments (``{}`` = the folder of files) -> what the message says
FILES = {
    "check {}/nofile.nir": "nofile.nir: no such file",
    "check {}/folder": "folder: is not a regular file",
    "check {}/empty": "empty: the file is empty",
    "check {}/text.nir": "text.nir: not an HDF5 file",
    "check {}/cut.nir": "cut.nir: the HDF5 file is damaged or truncated",
    "check {}/x.npy": "it looks like a NumPy .npy file",
    "check {}/model.nir --chip loihi-1": "no such chip: got 'loihi-1'",
    "check {}/model.nir --chip {}/bad.toml": "bad.toml, line 1: not valid TOML",
    "check {}/model.nir --chip {}/folder": "is a folder, not a chip file",
    "check {}/model.nir --profile torch": "no such profile: got 'torch'; try: one of snntorch",
    "check {}/model.nir --dt 0": "not a time: got '0'",
    "check {}/model.nir --dt soon": "not a time: got 'soon'",
    "check {}/model.nir --dt 1": "dt is longer than a time constant",
    "check {}/model.nir --set reset": "--set needs a profile field: got 'reset'",
    "check {}/model.nir --set resets=zero": "--set needs a profile field: got 'resets=zero'",
    "check {}/model.nir --set reset=hard": "reset has no such value: got 'hard'",
    "check {}/model.nir --set dt_s=1": "dt is no setting: got 'dt_s=1'; try: --dt 1ms",
    "check {}/model.nir --set reset=zero --set reset=value": "reset: set twice",
    "check {}/model.nir --calibration {}/x.npy": "no effect without --chip: got --calibration",
    "map {}/model.nir --chip generic -o {}/folder": "folder: cannot write the file",
    "map {}/model.nir --chip generic -o {}/x.npy/m.h5": "m.h5: cannot write here",
    "map {}/model.nir --chip generic --allow everything": "nothing of this name can be allowed",
    "compare {}/model.nir --chips , --input {}/x.npy": "there is no chip to compare",
    "compare {}/model.nir --chips generic,nope --input {}/x.npy": "no such chip: got 'nope'",
    "report {}/nofile": "no saved run here",
    "report {}/folder": "no saved run here",
    "report {}/model.nir": "no saved run here",
    "chips nope": "no such chip: got 'nope'",
    "chips {}/bad.toml": "not valid TOML",
    "demo --samples 0": "--samples is out of range: got 0 (limit 1..400)",
    "demo --samples 99999999999999999999": "limit 1..400",
    "demo --samples 2 --chip nope": "no such chip: got 'nope'",
    "demo --samples 2 --backend torch": "no such backend: got 'torch'; try: numba or reference",
    "demo --samples 2 --costs nope": "no such cost table: got nope; try: nahuku",
    "demo --samples 2 --pace fast": "no such pace: got 'fast'",
}

#: options behind a ``run`` that works -> what the message says
OPTIONS = {
    "--backend lava2": "no such backend",
    "--readout best": "no such readout: got 'best'",
    "--readout count:at=lif9": "no such population: got 'lif9'",
    "--readout count:from_step=99": "the readout starts after the last step: got 99 (limit 9)",
    "--readout population(2)": "the classes do not divide the neurons: got 2 (limit 3)",
    "--pace fast": "no such pace: got 'fast'; try: free, realtime or period=1ms",
    "--pace=": "no such pace: got ''",
    "--pace period=-1ms": "not a time: got '-1ms'",
    "--costs made-up": "no such cost table: got made-up",
    "--probe lif9:v": "no such population: got 'lif9'; try: one of lif1, lif2",
    "--probe lif1": "cannot read the probe: got 'lif1'",
    "--probe lif1:w": "no such variable to probe: got 'w'",
    "--probe lif1:u": "there is no synaptic current to probe",
    "--probe lif1:v:every=0": "every is out of range: got 0",
    "--probe lif1:v:every=99999999999999999999": "every is out of range",
    "--probe lif1:v --probe lif1:v": "lif1:v: probed twice",
    "--probe lif2:v:every=2 --readout v-last": "readout v-last needs v of every step",
    "--steps 5": "steps are given only to make spikes",
    "--encode rate": "rate encoding takes (samples, ...)",
    "--layout XY": "no such layout: got 'XY'",
    "--metric best": "no such metric: got 'best'",
    "--labels {}/y.npy --metric top-9": "top-k needs 1 <= k <= classes: got 9 (limit 3)",
    "--labels {}/y.npy --metric mse": "targets have the wrong shape: got (4,) (limit (4, 3))",
    "--labels {}/nofile": "cannot read the file (no such file)",
    "--labels {}/model.nir": "labels come as .npy or .npz",
    "--calibration {}/nofile": "cannot read the file (no such file)",
    "--mapping {}/nofile": "nofile: no such file",
    "--mapping {}/model.nir": "not a complete nmhw mapping",
    "--float": "this option has no effect with --float: got --chip",
    "-o {}/x.npy": "the output is not a folder",
    "-o {}": "the output folder holds other files",
    "-o {}/x.npy/run": "cannot write here",
}

#: what click itself refuses
USAGE = {
    "chekc": "no such verb 'chekc'; did you mean 'check'?",
    "fly": "no such verb 'fly'; one of demo, check",
    "check": "Missing argument 'MODEL'",
    "run {}/model.nir": "Missing option '--input'",
    "run {}/model.nir --input {}/x.npy --seed -1": "-1 is not in the range",
    "run {}/model.nir --input {}/x.npy --steps 0": "0 is not in the range",
    "run {}/model.nir --input {}/x.npy --keep-spikes -1": "-1 is not in the range",
    "demo --samples many": "'many' is not a valid integer",
    "demo --colour": "No such option '--colour'",
    "chips generic extra": "unexpected extra argument",
}


def folder_state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def assert_refused(nmhw: Callable, files: Path, line: str, text: str, *, before: list[str]) -> None:
    arguments = [*before, *(word.replace("{}", str(files)) for word in line.split())]
    state = folder_state(files)
    done = nmhw(*arguments)
    assert done.code == 2
    assert text in done.err
    assert done.out == ""
    record = nmhw(*arguments, "--json").json
    assert record["exit_code"] == 2
    assert record["what"]
    assert folder_state(files) == state


@pytest.mark.parametrize("line", FILES)
def test_files_chips_and_profiles(nmhw: Callable, files: Path, line: str) -> None:
    assert_refused(nmhw, files, line, FILES[line], before=[])


@pytest.mark.parametrize("line", OPTIONS)
def test_options_of_run(nmhw: Callable, files: Path, run_args: list[str], line: str) -> None:
    assert_refused(nmhw, files, line, OPTIONS[line], before=run_args)


@pytest.mark.parametrize("line", USAGE)
def test_usage(nmhw: Callable, files: Path, line: str) -> None:
    assert_refused(nmhw, files, line, USAGE[line], before=[])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 1, 2], "one label per sample is needed: got (3,) (limit (4,))"),
        ([], "one label per sample is needed: got (0,) (limit (4,))"),
        ([[0, 1], [1, 2], [0, 0], [1, 1]], "got (4, 2) (limit (4,))"),
        (1, "one label per sample is needed: got one number"),
        ([0, 1, 2, 3], "a label is out of range: got 3 (limit 0 to 2)"),
        ([0, 1, 2, -1], "a label is out of range: got -1 (limit 0 to 2)"),
        ([0, 1, 2, 10**9], "a label is out of range: got 1000000000"),
        ([0, 1, 2, 0.5], "labels are class numbers, 0, 1, 2...: got 0.5 for sample 3"),
        ([0, 1, 2, np.nan], "got nan for sample 3"),
        ([0, 1, 2, np.inf], "got inf for sample 3"),
        ([True, False, True, True], "got dtype bool"),
        (["a", "b", "c", "d"], "not an array of numbers"),
    ],
)
def test_labels(
    nmhw: Callable, tmp_path: Path, run_args: list[str], labels: object, text: str
) -> None:
    np.save(tmp_path / "labels.npy", np.array(labels))
    for arguments in (run_args, [*run_args[:2], "--input", run_args[-1], "--float"]):
        done = nmhw(*arguments, "--labels", tmp_path / "labels.npy", "--json")
        assert done.code == 2
        assert text in done.err
        assert done.json["exit_code"] == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_targets_that_are_not_finite(
    nmhw: Callable, tmp_path: Path, run_args: list[str], bad: float
) -> None:
    targets = np.zeros((4, 3))
    targets[2, 1] = bad
    np.save(tmp_path / "t.npy", targets)
    done = nmhw(*run_args, "--labels", tmp_path / "t.npy", "--metric", "mse", "--json")
    assert done.code == 2
    assert f"targets must be finite: got {bad}" in done.err
    assert done.json["got"] == str(bad)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x: x[..., :5], "the input has the wrong shape: got (4, 10, 5)"),
        (lambda x: x[0, 0], "the input has no time axis: got (6,)"),
        (lambda x: x[:0], "the input holds no sample or no step"),
        (lambda x: x[:, :0], "the input holds no sample or no step"),
        (lambda x: np.where(x > 0, np.nan, 0), "a value that is not finite: got nan"),
        (lambda x: x * 0.3, "the input holds analog values"),
        (lambda x: x * -1, "graded or negative values"),
        (lambda x: x * 3, "several spikes per step"),
    ],
)
def test_inputs(
    nmhw: Callable, files: Path, tmp_path: Path, run_args: list[str], make: Callable, text: str
) -> None:
    np.save(tmp_path / "x.npy", make(np.load(files / "x.npy").astype(np.float64)))
    done = nmhw(*run_args[:-1], tmp_path / "x.npy", "--json")
    assert done.code == 2
    assert text in done.err
    assert done.json["error"] == "InputError"


def test_a_mapping_of_another_network_or_chip(
    nmhw: Callable, files: Path, tmp_path: Path, run_args: list[str]
) -> None:
    nmhw("map", files / "other.nir", "--chip", CHIP, "-o", tmp_path / "other.h5")
    nmhw("map", files / "model.nir", "--chip", "generic", "-o", tmp_path / "generic.h5")
    other = nmhw(*run_args, "--mapping", tmp_path / "other.h5")
    assert other.code == 2
    assert "the mapping does not suit this network on this chip" in other.err
    generic = nmhw(*run_args, "--mapping", tmp_path / "generic.h5")
    assert generic.code == 2
    assert "the mapping was made for chip 'generic'" in generic.err


def test_run_without_a_chip_says_how_to_name_one(nmhw: Callable, files: Path) -> None:
    done = nmhw("run", files / "model.nir", "--input", files / "x.npy")
    assert done.code == 2
    assert "run needs a chip; try: --chip NAME (nmhw chips lists them) or --float" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file(nmhw: Callable, files: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.nir"
    path.write_bytes((files / "model.nir").read_bytes())
    path.chmod(0)
    done = nmhw("check", path)
    assert done.code == 2
    assert "secret.nir: cannot be opened" in done.err


def test_too_little_memory_is_a_message(
    nmhw: Callable, monkeypatch: pytest.MonkeyPatch, run_args: list[str]
) -> None:
    def exhaust(*args: object, **kwargs: object) -> None:
        raise MemoryError("43 TiB")

    monkeypatch.setattr("nmhw.io.event_file.read_events", exhaust)
    done = nmhw(*run_args, "--json")
    assert done.code == 2
    assert "does not fit into the memory of this machine (43 TiB)" in done.err
    assert done.json["error"] == "MemoryError"


def test_a_bug_exits_1_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run_args: list[str]
) -> None:
    from nmhw.cli.main import main

    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("nmhw.io.event_file.read_events", fail)
    assert main([*run_args, "--json"]) == 1
    captured = capsys.readouterr()
    assert '"what": "ZeroDivisionError: oops"' in captured.out
    assert "this is a bug in nmhw; please report the lines above" in captured.err


@pytest.mark.parametrize(
    "line", ["check {}/text.nir", "run {}/model.nir --input {}/x.npy", "rnu", "report {}/folder"]
)
def test_the_real_command_agrees(files: Path, line: str) -> None:
    words = [word.replace("{}", str(files)) for word in line.split()]
    done = subprocess.run([sys.executable, "-m", "nmhw", *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr
