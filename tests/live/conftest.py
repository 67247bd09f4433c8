"""Live oracles: a test asks for the interpreter of one and is skipped, visibly, without it."""

import json
import os
import signal
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw

ROOT = Path(__file__).resolve().parents[2]
LIVE = ROOT / ".live"
RECIPES: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("oracles.toml").read_text()
)
DEADLINE_S = 180

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


def why_absent(name: str) -> str | None:
    """Return why an oracle cannot be asked, or None if it can."""
    if (LIVE / name / "ready.txt").is_file():
        return None
    note = LIVE / name / "unavailable.txt"
    return note.read_text().strip() if note.is_file() else "not installed (make test-live)"


def ask_script(python: Path, script: Path, question: dict[str, Any]) -> dict[str, Any]:
    """Run a script of an oracle in a process group of its own: JSON in, JSON on the last line."""
    process = subprocess.Popen(
        [str(python), str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(json.dumps(question), timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"{script.name} gave no answer within {DEADLINE_S} s\n{err[-2000:]}")
    if process.returncode:
        pytest.fail(f"{script.name} ended with status {process.returncode}\n{err[-2000:]}")
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def _asking(name: str) -> Ask:
    """Return a function that runs a script of ``tests/live/<name>`` in that environment."""
    reason = why_absent(name)
    if reason is not None:
        pytest.skip(f"live oracle {name} ({RECIPES[name]['title']}) is absent: {reason}")
    folder = Path(__file__).with_name(RECIPES[name].get("folder", name))
    python = LIVE / name / "env" / "bin" / "python"
    return lambda script, question: ask_script(python, folder / script, question)


@pytest.fixture(scope="session")
def ask_lava() -> Ask:
    """Return a function that runs a script in the Lava environment."""
    return _asking("lava")


@pytest.fixture(scope="session")
def lava_environment() -> Path:
    """Return the interpreter of the Lava environment."""
    _asking("lava")
    return LIVE / "lava" / "env" / "bin" / "python"


@pytest.fixture(scope="session")
def ask_sinabs() -> Ask:
    """Return a function that runs a script in the sinabs environment."""
    return _asking("sinabs")


@pytest.fixture(scope="session")
def ask_xylosim() -> Ask:
    """Return a function that runs a script in the xylosim environment."""
    return _asking("xylosim")


@pytest.fixture(scope="session")
def ask_events() -> Ask:
    """Return a function that runs a script beside the libraries for event files."""
    return _asking("events")


@pytest.fixture(scope="session")
def ask_framework() -> Callable[[str], Ask]:
    """Return a function that opens the environment of a torch framework."""
    return _asking


def compare_backends(deployed: nmhw.Deployment, x: Any, labels: Any = None, **options: Any) -> Any:
    """Run on both backends; compare everything that a run holds."""
    options.setdefault("probes", [f"{p.name}:v" for p in deployed.network.populations])
    lava = deployed.run(x, labels, backend="lava", **options)
    numba = deployed.run(x, labels, backend="numba", **options)
    assert lava.result.backend == "lava"
    for name, spikes in numba.spikes.items():
        for field in ("sample", "step", "index"):
            got = getattr(lava.spikes[name], field)
            np.testing.assert_array_equal(got, getattr(spikes, field), name)
    for key, probe in numba.result.probes.items():
        np.testing.assert_array_equal(lava.result.probes[key].values, probe.values, str(key))
    ours, theirs = lava.result.counters, numba.result.counters
    assert ours.totals.keys() == theirs.totals.keys()
    for kind, counts in theirs.totals.items():
        np.testing.assert_array_equal(ours.totals[kind], counts, kind)
    for kind, counts in theirs.steps.items():
        np.testing.assert_array_equal(ours.steps[kind], counts, kind)
    assert ours.saturations == theirs.saturations
    facts = [run.to_json() for run in (lava, numba)]
    for fact, backend in zip(facts, ("lava", "numba"), strict=True):
        assert fact.pop("backend") == backend
        fact.pop("wall_s", None)
    assert facts[0] == facts[1]
    return lava


@pytest.fixture(scope="session")
def assert_equal_runs() -> Callable[..., Any]:
    """Return ``compare_backends``."""
    return compare_backends


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which oracles were there: one line, also when nothing was skipped."""
    absent = {name: reason for name in RECIPES if (reason := why_absent(name)) is not None}
    terminalreporter.write_line(
        f"live oracles: {len(RECIPES) - len(absent)} of {len(RECIPES)} present, "
        f"{len(absent)} skipped" + "".join(f"; {name}: {why}" for name, why in absent.items())
    )
