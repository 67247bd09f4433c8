"""Make the Lava environment: lava-nc 0.10.0 and what it stands on, complete or not at all.

lava-nc 0.10.0 (2024-08-07) is the last release; upstream is archived. Its metadata admits Python
3.10 alone. On 3.11 to 3.13 it is installed without its own requirements, beside current versions
of them (NumPy below 2.4: from there on two of its processes fail), and imported with
``worker/nmhw_lava/shim.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nmhw.errors import LavaError, NmhwError, UsageError
from nmhw.sim.lava.child import read_versions
from nmhw.sim.lava.place import STAMP, default_folder, python_in

PLAIN = (("lava-nc==0.10.0",),)
SHIMMED = (
    ("--ignore-requires-python", "--no-deps", "lava-nc==0.10.0"),
    (
        "asteval==1.0.10",
        "cloudpickle==3.1.2",
        "networkx==3.6.1",
        "numpy==2.3.5",
        "scikit-learn==1.7.2",
        "scipy==1.16.3",
    ),
)

#: ``pip install`` calls by Python version.
RECIPES = {(3, 10): PLAIN, (3, 11): SHIMMED, (3, 12): SHIMMED, (3, 13): SHIMMED}

TIMEOUT_S = 1800.0

#: Folders of this name beside the environment are installations under way.
PART = ".lava-part-"

Say = Callable[[str], None]


def install_lava(
    folder: Path | None = None,
    *,
    python: str | Path | None = None,
    find_links: Sequence[str | Path] = (),
    is_forced: bool = False,
    say: Say = lambda text: None,
) -> Path:
    """Make the environment in ``folder`` and return its interpreter.

    It is made beside ``folder`` and renamed when it works: an installation that was interrupted
    leaves what was there before.

    Parameters
    ----------
    folder : path, optional
        Default: the user's cache (``default_folder()``).
    python : path, optional
        Interpreter that the environment is made with; default: this one, or else one on the PATH,
        of a version that ``RECIPES`` has.
    find_links : sequence of folders
        With packages (wheels); then nothing is downloaded. pip's own settings (``PIP_NO_INDEX``,
        ``PIP_INDEX_URL``...) count as well.
    is_forced : bool
        Make it again where one is.

    Raises
    ------
    UsageError
        For an interpreter, folder or package folder that cannot be used.
    LavaError
        When pip fails, or lava cannot be imported afterwards.
    """
    target = (default_folder() if folder is None else Path(folder)).absolute()
    if (target / STAMP).is_file() and not is_forced:
        say(f"already there: {target}")
        return python_in(target)
    if not _is_replaceable(target):
        raise UsageError(
            "the folder holds something else than a Lava environment",
            got=str(target),
            hint="an empty or new folder",
            rule="lava.folder",
        )
    for path in find_links:
        if not Path(path).is_dir():
            raise UsageError(
                "no such folder of packages", got=str(path), where="--find-links", rule="lava.links"
            )
    base, version = choose_python(python)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        part = Path(tempfile.mkdtemp(prefix=f"{PART}{os.getpid()}-", dir=target.parent))
    except OSError as error:
        raise UsageError("cannot write here", got=error.strerror, where=str(target)) from error
    try:
        _fill(part, base, version, find_links, say)
        _replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return python_in(target)


def _is_replaceable(target: Path) -> bool:
    """Whether nothing, an empty folder or an environment of ours is there."""
    if (target / STAMP).is_file() or not target.exists():
        return True
    try:
        return not any(target.iterdir())
    except OSError:  # a file, or a folder that cannot be read
        return False


def choose_python(python: str | Path | None = None) -> tuple[str, tuple[int, int]]:
    """Return an interpreter for the environment and its version.

    Raises
    ------
    UsageError
        When it does not run, or none has a version that lava-nc runs on.
    """
    wanted = ", ".join(f"{major}.{minor}" for major, minor in RECIPES)
    if python is not None:
        version = _version_of(str(python))
        if version not in RECIPES:
            found = "nothing that runs" if version is None else f"{version[0]}.{version[1]}"
            raise UsageError(
                "lava-nc 0.10.0 needs another Python",
                got=f"{found} ({python})",
                limit=wanted,
                rule="lava.python-version",
            )
        return str(python), version
    names = [f"python3.{minor}" for minor in (11, 12, 13, 10)]
    for candidate in (sys.executable, *filter(None, map(shutil.which, names))):
        version = _version_of(candidate)
        if version in RECIPES:
            return candidate, version
    raise UsageError(
        "no Python that lava-nc 0.10.0 runs on",
        got=f"{sys.version_info.major}.{sys.version_info.minor}",
        limit=wanted,
        hint="--python /path/to/python3.11",
        rule="lava.python-version",
    )


def _version_of(python: str) -> tuple[int, int] | None:
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-E", "-s", "-c", code], capture_output=True, text=True, timeout=60
        )
        major, minor = done.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return int(major), int(minor)


def _fill(
    part: Path, base: str, version: tuple[int, int], find_links: Sequence[str | Path], say: Say
) -> None:
    """Make the environment in ``part``, try it, and stamp it."""
    say(f"making an environment of Python {version[0]}.{version[1]}")
    _call([base, "-m", "venv", "--clear", str(part)])
    python = python_in(part)
    offline: list[str] = []
    if find_links:
        offline = ["--no-index"]
        for path in find_links:
            offline += ["--find-links", str(Path(path).absolute())]
    for arguments in RECIPES[version]:
        say(f"installing {' '.join(a for a in arguments if not a.startswith('-'))}")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _call([*pip, *offline, *arguments])
    say("importing lava")
    versions = read_versions(python)
    (part / STAMP).write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")


def _call(command: list[str]) -> None:
    """Run a command in a process group of its own, so that an interruption leaves nothing of it."""
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    output: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, env=settings, start_new_session=True, **output)
    try:
        _, errors = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise _failure(f"no answer within {TIMEOUT_S:g} s") from error
    finally:
        with suppress(ProcessLookupError, PermissionError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        told = [line for line in lines if "error" in line.lower()]
        raise _failure((told or lines or [f"exit status {process.returncode}"])[-1])


def _failure(reason: str) -> NmhwError:
    return LavaError(
        "the Lava environment cannot be made",
        got=reason,
        hint="a network connection, or --find-links DIR with the packages",
        rule="lava.install",
    )


def _replace(part: Path, target: Path) -> None:
    """Put a finished environment in its place."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f"{PART}{os.getpid()}-", dir=target.parent)) / "old"
        os.replace(target, old)
    os.replace(part, target)
    if old is not None:
        shutil.rmtree(old.parent, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove what an installer left that was killed: its process is gone."""
    for path in parent.glob(f"{PART}*"):
        owner = path.name.removeprefix(PART).partition("-")[0]
        if owner.isdecimal():
            with suppress(PermissionError):
                try:
                    os.kill(int(owner), 0)
                except ProcessLookupError:
                    shutil.rmtree(path, ignore_errors=True)
