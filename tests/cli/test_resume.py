"""A run that is killed goes on with --resume and ends in the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

BODY = ("chip.json", "mapping.h5", "result.h5", "result.json", "SHA256SUMS")
N_SAMPLES = 400


@pytest.fixture
def long_run(files: Path, run_args: list[str], tmp_path: Path) -> list[str]:
    """A run of many samples and pieces."""
    rng = np.random.default_rng(8)
    np.save(tmp_path / "x.npy", (rng.random((N_SAMPLES, 20, 6)) < 0.4).astype(np.uint8))
    return [*run_args[:-1], str(tmp_path / "x.npy")]


def test_a_killed_run_resumed_ends_in_the_same_bytes(
    nmhw: Callable, long_run: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "nmhw", *long_run, "-o", str(folder), "--chunk", "1", "-q"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not list(folder.glob(".unfinished/chip-*.json")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert 0 < len(list(folder.glob(".unfinished/chip-*.json"))) < N_SAMPLES
    assert not (folder / "result.json").exists()

    refused = nmhw(*long_run, "-o", folder)
    assert refused.code == 2
    assert "--resume" in refused.err
    resumed = nmhw(*long_run, "-o", folder, "--resume", "--threads", 2)
    assert resumed.code == 0, resumed.err
    whole = nmhw(*long_run, "-o", tmp_path / "whole", "--threads", 1)
    assert resumed.out == whole.out
    for name in BODY:
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not (folder / ".unfinished").exists()


def test_an_interrupted_run_ends_at_once_and_can_be_resumed(
    nmhw: Callable, long_run: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    command = [sys.executable, "-m", "nmhw", *long_run, "-o", str(folder), "--chunk", "1", "-q"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not list(folder.glob(".unfinished/chip-*.json")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines()[-1].startswith("nmhw: interrupted")
    assert 0 < len(list(folder.glob(".unfinished/chip-*.json"))) < N_SAMPLES
    resumed = nmhw(*long_run, "-o", folder, "--resume")
    assert resumed.code == 0, resumed.err
    whole = nmhw(*long_run, "-o", tmp_path / "whole")
    assert resumed.out == whole.out


def test_resume_needs_a_folder_and_a_chip(nmhw: Callable, run_args: list[str]) -> None:
    done = nmhw(*run_args, "--resume")
    assert done.code == 2
    assert "-o DIR" in done.err
    done = nmhw(*run_args, "--chunk", 0)
    assert done.code == 2
    floating = [a for a in run_args if a not in ("--chip", run_args[3])]
    done = nmhw(*floating, "--float", "--chunk", 3)
    assert done.code == 2
    assert "--chunk" in done.err


def test_resume_without_an_unfinished_run_starts_at_the_beginning(
    nmhw: Callable, run_args: list[str], tmp_path: Path
) -> None:
    first = nmhw(*run_args, "-o", tmp_path / "run", "--resume")
    again = nmhw(*run_args, "-o", tmp_path / "run", "--resume")
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
