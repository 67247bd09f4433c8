"""Children of the Lava backend without Lava: a script stands in for the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from nmhw.errors import LavaError, MissingExtraError, UsageError
from nmhw.sim.lava.child import WORKER, ask_lava
from nmhw.sim.lava.install import install_lava
from nmhw.sim.lava.place import STAMP, default_folder, lava_python
from nmhw.sim.lava.worker.nmhw_lava import guard
from nmhw.sim.lava.worker.nmhw_lava.files import read, write

ROOT = Path(__file__).resolve().parents[4]

HEAD = """
import json, os, sys, time
folder = sys.argv[1]
def report(**message):
    os.write(int(os.environ["NMHW_LAVA_REPORT"]), (json.dumps(message) + "\\n").encode())
"""
ANSWER = """
import shutil
for name in ("npz", "json"):
    shutil.copy(f"{folder}/job.{name}", f"{folder}/answer.{name}")
"""


def ask(tmp_path: Path, body: str, **options):
    script = tmp_path / "stand_in.py"
    script.write_text(HEAD + body)
    return ask_lava(
        "any",
        {"a": 1},
        {"x": np.arange(3)},
        python=Path(sys.executable),
        script=script,
        **options,
    )


def test_a_job_goes_in_and_its_answer_comes_out(tmp_path: Path) -> None:
    answer, arrays = ask(tmp_path, ANSWER)
    assert answer == {"kind": "any", "a": 1}
    np.testing.assert_array_equal(arrays["x"], np.arange(3))


def test_progress_is_passed_on(tmp_path: Path) -> None:
    seen = []
    body = "for k in range(3): report(done=k, total=3)\n" + ANSWER
    ask(tmp_path, body, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_a_reported_exception_ends_a_child_that_hangs(tmp_path: Path) -> None:
    body = "report(error='ValueError: no', where='Model a', trace='line 1')\ntime.sleep(60)"
    started = time.monotonic()
    with pytest.raises(LavaError) as caught:
        ask(tmp_path, body)
    assert time.monotonic() - started < 10
    assert (caught.value.rule, caught.value.where) == ("lava.exception", "Model a")
    assert caught.value.to_dict()["detail"] == "line 1"


def test_a_child_without_report_gives_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=r"status 1: got ZeroDivisionError.*lava\.start"):
        ask(tmp_path, "1 / 0")


def test_a_killed_child_is_named(tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=r"killed by SIGTERM.*lava\.killed"):
        ask(tmp_path, "os.kill(os.getpid(), 15)")


def test_silence_beyond_the_deadline_ends_the_child_and_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    body = f"""
import subprocess
code = "import time\\nwhile True: open({str(mark)!r}, 'w').close(); time.sleep(0.05)"
subprocess.Popen([sys.executable, "-c", code])
time.sleep(60)
"""
    with pytest.raises(LavaError, match=r"no sign of life for 1.5 s.*lava\.deadline"):
        ask(tmp_path, body, silence_s=1.5)
    time.sleep(0.2)
    mark.unlink()
    time.sleep(0.4)
    assert not mark.exists()


def test_signs_of_life_move_the_deadline(tmp_path: Path) -> None:
    body = "for k in range(8):\n    time.sleep(0.4); report(done=k, total=8)\n" + ANSWER
    assert ask(tmp_path, body, silence_s=2.0)[0]["a"] == 1


def test_shared_memory_of_the_child_is_removed(tmp_path: Path) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm here")
    body = """
name = os.environ["NMHW_LAVA_SEGMENTS"] + "x"
open("/dev/shm/" + name, "w").close()
report(error="E", where=name, trace="")
time.sleep(60)
"""
    with pytest.raises(LavaError) as caught:
        ask(tmp_path, body)
    name = str(caught.value.where)
    assert name.startswith("nmhw-")
    assert not Path("/dev/shm", name).exists()


def test_an_interpreter_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=r"No such file.*lava\.start"):
        ask_lava("any", {}, {}, python=tmp_path / "none")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_deadlines_of_the_environment_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NMHW_LAVA_DEADLINE_S", text)
    with pytest.raises(UsageError, match=r"positive number of seconds.*lava\.deadline-option"):
        ask(tmp_path, ANSWER)


def test_without_an_environment_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NMHW_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"nmhw lava install.*lava\.missing"):
        lava_python()
    (default_folder() / "bin").mkdir(parents=True)
    (default_folder() / "bin" / "python").touch()
    with pytest.raises(MissingExtraError):  # half made
        lava_python()
    (default_folder() / STAMP).write_text("{}")
    assert lava_python() == tmp_path / "nmhw" / "lava" / "bin" / "python"


def test_a_named_interpreter_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMHW_LAVA_PYTHON", str(tmp_path / "python"))
    with pytest.raises(UsageError, match=r"no such interpreter.*lava\.python"):
        lava_python()
    monkeypatch.setenv("NMHW_LAVA_PYTHON", sys.executable)
    assert lava_python() == Path(sys.executable)


def test_a_named_interpreter_is_not_looked_up_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "python3"
    own.write_text("#!/bin/sh\nexit 7\n")
    own.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NMHW_LAVA_PYTHON", "python3")
    assert lava_python() == own
    with pytest.raises(LavaError, match="status 7"):
        ask_lava("any", {}, {})


def test_a_program_that_is_no_python_leaves_no_answer() -> None:
    with pytest.raises(LavaError, match=r"left no answer.*nmhw lava status.*lava\.start"):
        ask_lava("any", {}, {}, python=Path("/bin/true"))


def test_a_missing_package_says_how_to_get_it(tmp_path: Path) -> None:
    body = "report(error=\"ModuleNotFoundError: No module named 'lava'\", where='the job')"
    with pytest.raises(LavaError, match="try: nmhw lava install --force, or NMHW_LAVA_PYTHON="):
        ask(tmp_path, body + "\ntime.sleep(60)")
    with pytest.raises(LavaError, match=r"try: nmhw lava install --force.*lava\.start"):
        ask(tmp_path, "import no_such_package")


@pytest.mark.parametrize("is_long", [False, True])
def test_temporary_files_of_the_child_go_with_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    """Unless the names of multiprocessing's sockets would become too long."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:
        folder = Path(short, "x" * 60) if is_long else Path(short)
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.setenv("TMPDIR", str(folder))
        body = "open(folder + '/job.json', 'w').write(json.dumps({'t': os.environ['TMPDIR']}))"
        told = Path(ask(tmp_path, body + ANSWER)[0]["t"])
        assert told == folder if is_long else told.parent == folder
        assert not any(p.name.startswith("nmhw-") for p in folder.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"something else than a Lava environment.*lava\.folder"):
        install_lava(tmp_path / "file")


def test_a_killed_parent_leaves_no_job(tmp_path: Path) -> None:
    """The child removes the job's folder when its parent was killed."""
    script = tmp_path / "stand_in.py"
    worker = str(WORKER)
    script.write_text(
        f"import sys, time; sys.path.insert(0, {worker!r})\n"
        "from nmhw_lava.guard import watch_parent, report\n"
        "watch_parent(); report({'done': 0, 'total': 1}); time.sleep(60)\n"
    )
    code = (
        "import os; from pathlib import Path; from nmhw.sim.lava.child import ask_lava\n"
        "ask_lava('any', {}, {}, python=Path(os.sys.executable), "
        f"script=Path({str(script)!r}), on_progress=lambda *_: os.kill(os.getpid(), 9))"
    )
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    environment = {**os.environ, "TMPDIR": str(jobs)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    ended = time.monotonic() + 10
    while any(jobs.iterdir()) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not list(jobs.iterdir())


def test_job_files_are_whole_or_absent(tmp_path: Path) -> None:
    write(tmp_path, "job", {"k": "ä"}, {"x": np.eye(2)})
    record, arrays = read(tmp_path, "job")
    assert record == {"k": "ä"}
    np.testing.assert_array_equal(arrays["x"], np.eye(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json", "job.npz"]
    with pytest.raises(TypeError):
        write(tmp_path, "other", {"k": object()}, {})
    assert not (tmp_path / "other.json").exists()


def test_reports_fit_into_one_piece_of_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    import os

    reader, writer = os.pipe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(guard.REPORT_VARIABLE, str(writer))
        guard.report_exception(ValueError("x" * 9000), "y" * 9000)
    line = os.read(reader, 65536)
    os.close(reader)
    os.close(writer)
    assert len(line) <= guard.MAX_REPORT + 1
    assert line.endswith(b"\n")
