"""A run that is killed goes on with --resume and ends in the same bytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

BODY = ("chip.json", "mapping.h5", "result.h5", "result.json", "SHA256SUMS")
N_SAMPLES = 400

#: A run that sends itself a signal as soon as a piece of it is on the disk.
STRUCK = """
import os, sys
from nmhw.api.checkpoint import Checkpoint
from nmhw.cli.main import main

flush = Checkpoint.flush

def flush_and_strike(self):
    flush(self)
    if list(self.folder.glob(".unfinished/chip-*.json")):
        Checkpoint.flush = flush
        os.kill(os.getpid(), {signal})

Checkpoint.flush = flush_and_strike
sys.exit(main())
"""


@pytest.fixture
def long_run(files: Path, run_args: list[str], tmp_path: Path) -> list[str]:
    """A run of many samples and pieces."""
    rng = np.random.default_rng(8)
    np.save(tmp_path / "x.npy", (rng.random((N_SAMPLES, 20, 6)) < 0.4).astype(np.uint8))
    return [*run_args[:-1], str(tmp_path / "x.npy")]


def run_and_strike(what: signal.Signals, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run nmhw in a process of its own, which a signal strikes after its first piece."""
    command = [sys.executable, "-c", STRUCK.format(signal=int(what)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_killed_run_resumed_ends_in_the_same_bytes(
    nmhw: Callable, long_run: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    struck = run_and_strike(signal.SIGKILL, *long_run, "-o", str(folder), "--chunk", "1", "-q")
    assert struck.returncode == -signal.SIGKILL
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
    struck = run_and_strike(signal.SIGINT, *long_run, "-o", str(folder), "--chunk", "1", "-q")
    assert struck.returncode == 130
    assert struck.stderr.splitlines()[-1].startswith("nmhw: interrupted")
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
