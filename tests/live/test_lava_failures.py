"""Ten ways in which Lava would hang or leave things behind: one clear error each, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.errors import LavaError
from nmhw.sim.lava.child import ask_lava, read_versions

HERE = Path(__file__).parent / "lava_failures"
ROOT = Path(__file__).resolve().parents[2]
SHM = Path("/dev/shm")
DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def mark(lava_environment: Path) -> Iterator[str]:
    """Mark all processes of a test, and see that none of them and no shared memory is left."""
    name = f"nmhw-test-{uuid.uuid4().hex}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMHW_TEST_MARK", name)
        patch.setenv("NMHW_LAVA_PYTHON", str(lava_environment))
        yield name
        ended = time.monotonic() + 5
        while marked(name) and time.monotonic() < ended:  # the killed take a moment
            time.sleep(0.05)
        assert not marked(name)
        assert not segments(os.getpid())


def marked(name: str) -> list[int]:
    """Return the living processes that inherited the mark, without this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if name.encode() in environment and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def segments(pid: int) -> list[str]:
    return [path.name for path in SHM.glob(f"nmhw-{pid:x}-*")]


def ask(how: str, **question: Any) -> dict[str, Any]:
    silence_s = question.pop("silence_s", DEADLINE_S)
    python = question.pop("python", None)
    question = {"how": how, **question}
    none = {"none": np.zeros(0)}
    answer, _ = ask_lava(
        "break", question, none, silence_s=silence_s, script=HERE / "start.py", python=python
    )
    return answer


def failure_of(how: str, **question: Any) -> LavaError:
    started = time.monotonic()
    with pytest.raises(LavaError) as caught:
        ask(how, **question)
    assert time.monotonic() - started < DEADLINE_S
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_process_itself_works() -> None:
    assert ask("none")["total"] == 15


def test_1_exception_in_a_model() -> None:
    error = failure_of("raise")
    assert error.rule == "lava.exception"
    assert error.what == "ZeroDivisionError: the third step is broken"
    assert "BreakingModel" in str(error.where)
    assert "breaking.py" in error.detail


def test_2_wrong_shape() -> None:
    error = failure_of("shape")
    assert error.rule == "lava.exception"
    assert "shape" in error.what or "broadcast" in error.what


def test_3_killed_model() -> None:
    error = failure_of("kill")
    assert error.rule == "lava.killed"
    assert "SIGKILL" in error.what
    assert "BreakingModel" in str(error.where)


def test_3_killed_interpreter() -> None:
    error = failure_of("kill-interpreter")
    assert error.rule == "lava.killed"
    assert "SIGKILL" in error.what


def test_4_deadline() -> None:
    started = time.monotonic()
    error = failure_of("sleep", silence_s=6.0)
    assert 6 <= time.monotonic() - started < 9
    assert error.rule == "lava.deadline"
    assert "6 s" in error.what


def test_5_missing_package(tmp_path: Path) -> None:
    error = failure_of("none", python=Path(sys.executable))
    assert error.rule == "lava.exception"
    assert error.what == "ModuleNotFoundError: No module named 'lava'"


def test_6_two_runs_at_once() -> None:
    with ThreadPoolExecutor(2) as pool:
        good, bad = pool.submit(ask, "none"), pool.submit(failure_of, "raise")
    assert good.result()["total"] == 15
    assert bad.result().rule == "lava.exception"


def demo(*options: str) -> subprocess.Popen[str]:
    """Start a Lava run of the command line that takes a while."""
    return subprocess.Popen(
        [sys.executable, "-m", "nmhw", "demo", "--backend", "lava", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # even in the background
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_7_ctrl_c_and_a_killed_parent(
    how: signal.Signals, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = demo()
    ended = time.monotonic() + 60
    while len(marked(mark)) < 10 and time.monotonic() < ended:
        time.sleep(0.02)
    n_processes, n_segments = len(marked(mark)), len(segments(process.pid))
    os.kill(process.pid, how)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert n_processes >= 10  # the models ran
    assert n_segments >= 8  # and shared memory
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert err.splitlines()[-1] == "nmhw: interrupted"
        assert "Traceback" not in err
    ended = time.monotonic() + 5
    while segments(process.pid) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not segments(process.pid)
    while list(tmp_path.glob("nmhw-lava-*")) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not list(tmp_path.glob("nmhw-lava-*"))


def test_8_full_disk_in_the_child() -> None:
    # files of more than a megabyte cannot be written: what a full disk does, without filling one
    error = failure_of("write", largest_file=10**6)
    assert error.rule == "lava.exception"
    assert error.what.startswith("OSError")


def test_8_full_disk_in_the_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import resource

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(LavaError) as caught:
            ask_lava("break", {"how": "none"}, {"large": np.zeros(10**5)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.rule == "lava.files"
    assert "File too large" in str(caught.value)


def test_9_numpy_from_2_4_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This environment's NumPy before that of the Lava environment."""
    major, minor = (int(part) for part in np.__version__.split(".")[:2])
    if (major, minor) < (2, 4):
        pytest.skip(f"NumPy {np.__version__} is older than 2.4")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not read_versions()["python"].startswith(f"{version}."):
        pytest.skip("this NumPy is built for another Python than the Lava environment's")
    own = Path(np.__file__).parent
    for folder in (own, own.with_name("numpy.libs")):
        (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.setenv("NMHW_TEST_NUMPY", str(tmp_path))
    answer = ask("none")
    assert answer == {"total": 15, "numpy": np.__version__}
    error = failure_of("scalar")
    assert error.rule == "lava.exception"
    assert "0-dimensional" in error.what


def test_10_start_method_already_set_in_the_caller() -> None:
    code = (
        "import multiprocessing; multiprocessing.set_start_method('spawn')\n"
        "from nmhw.cli.main import main\n"
        "status = main(['demo', '--backend', 'lava', '--samples', '1', '-q'])\n"
        "print(status, multiprocessing.get_start_method(), multiprocessing.active_children())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "0 spawn []", done.stderr


def test_10_start_method_already_set_in_the_child() -> None:
    error = failure_of("none", start_method="spawn")
    assert error.rule == "lava.exception"
    assert error.what == "RuntimeError: context has already been set"
