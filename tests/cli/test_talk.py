"""Help, progress, interruption, broken pipes: what surrounds the data."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nmhw.cli import output
from nmhw.cli.main import VERBS, main


def test_help_lists_every_verb_and_the_exit_codes(nmhw: Callable) -> None:
    done = nmhw("--help")
    assert done.code == 0
    for verb, (_, text) in VERBS.items():
        assert verb in done.out
        assert text in done.out
    assert "Exit codes: 0 ok, 2 bad usage or input, 3" in done.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_is_explained(nmhw: Callable, verb: str) -> None:
    done = nmhw(verb, "--help")
    assert done.code == 0
    command = __import__(VERBS[verb][0], fromlist=["command"]).command
    commands = [*getattr(command, "commands", {"": command}).values()]
    options = [p for c in commands for p in c.params if p.param_type_name == "option"]
    assert {"--json", "--quiet"} <= {name for option in options for name in option.opts}
    for option in options:
        assert option.help, option.opts
        assert len(option.help) < 100


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_bar_counts_samples_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with output.progress_bar("running numba") as advance:
        assert advance is not None
        advance(20, 20)
    shown = terminal.getvalue()
    assert "running numba" in shown
    assert "20/20" in shown
    assert "samples" in shown


def test_a_second_bar_shows_the_float_run(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with output.progress_bar("running numba") as advance:
        assert advance is not None
        for done in (20, 0, 20):
            advance(done, 20)
    assert "running float, to compare" in terminal.getvalue()


def test_off_a_terminal_one_line_and_quiet_none(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress_bar("running numba") as advance:
        assert advance is None
    assert capsys.readouterr().err == "running numba ...\n"
    with output.progress_bar("running numba", quiet=True) as advance:
        assert advance is None
    assert capsys.readouterr().err == ""


def test_long_mapping_shows_its_phase_and_short_mapping_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with output.phase_line("net to chip") as progress:
        assert progress is not None
        progress("wiring")
    assert terminal.getvalue() == ""
    shown = threading.Event()
    monkeypatch.setattr(output, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(Terminal, "flush", lambda _: shown.set())
    with output.phase_line("net to chip") as progress:
        assert progress is not None
        progress("placing 9 cores")
        assert shown.wait(60)
    assert "net to chip: placing 9 cores" in terminal.getvalue()
    with output.phase_line("net to chip", quiet=True) as progress:
        assert progress is None


def test_off_a_terminal_no_phases(capsys: pytest.CaptureFixture[str]) -> None:
    with output.phase_line("net to chip") as progress:
        assert progress is None
    assert capsys.readouterr().err == ""


def test_deploy_tells_its_phases(run_args: list[str]) -> None:
    import nmhw as package

    network = package.load(run_args[1], "snntorch")
    phases: list[str] = []
    deployed = package.deploy(network, "loihi1-nahuku", progress=phases.append)
    cores = f"placing {len(deployed.mapping.cores)} cores"
    assert phases == ["quantizing", "wiring", "cutting and packing", cores, "verifying"]
    phases.clear()
    package.deploy(network, "loihi1-nahuku", mapping=deployed.mapping, progress=phases.append)
    assert phases == ["quantizing", "verifying"]


def test_progress_goes_up_to_the_number_of_samples(run_args: list[str], files: Path) -> None:
    import numpy as np

    import nmhw as package

    deployed = package.deploy(package.load(run_args[1], "snntorch"), "loihi1-nahuku")
    for backend in ("numba", "reference"):
        seen: list[tuple[int, int]] = []
        deployed.run(
            np.load(files / "x.npy"), backend=backend, progress=lambda *a, s=seen: s.append(a)
        )
        again = seen.index((0, 4))  # the float run that the chip run is compared with
        for part in (seen[:again], seen[again:]):
            assert part[-1] == (4, 4)
            assert part == sorted(part)


def test_the_first_run_says_that_kernels_are_compiled(
    nmhw: Callable, monkeypatch: pytest.MonkeyPatch, run_args: list[str]
) -> None:
    text = "compiling kernels, once"
    monkeypatch.setattr("nmhw.sim.backends.will_compile", lambda *_: True)
    assert text in nmhw(*run_args).err
    monkeypatch.setattr("nmhw.sim.backends.will_compile", lambda *_: False)
    assert text not in nmhw(*run_args).err


def test_quiet_says_nothing_on_stderr(nmhw: Callable, run_args: list[str]) -> None:
    assert nmhw(*run_args, "--quiet").err == ""
    assert nmhw("demo", "--samples", 2, "-q").err == ""


def test_interruption_exits_130_without_traceback(
    nmhw: Callable, monkeypatch: pytest.MonkeyPatch, run_args: list[str], tmp_path: Path
) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmhw.sim.chip_run.run_samples", interrupt)
    done = nmhw(*run_args, "-o", tmp_path / "run")
    assert done.code == 130
    assert done.err.endswith("nmhw: interrupted\n")
    assert not (tmp_path / "run").exists()


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "nmhw", "chips", "loihi1-nahuku", "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_terminal_without_unicode_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "nmhw", "demo", "--samples", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0
    assert "J per sample" in done.stdout
    assert "Traceback" not in done.stderr


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nmhw", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("nmhw, version ")
