"""Ask the Lava environment: a job goes into a folder, a child interpreter leaves the answer there.

To add a kind of job: write ``worker/nmhw_lava/<name>_job.py`` with ``work(question, arrays, folder)
-> (answer, arrays)``, name it in ``KINDS`` of ``worker/nmhw_lava/job.py``, and call ``ask_lava``
with that kind. In the worker: call ``nmhw_lava.shim.import_lava()`` first, import only the standard
library, NumPy and lava, and put processes with their models (nothing else) into
``nmhw_lava/processes``; ``nmhw_lava.guard.report({"done": k, "total": n})`` is the sign of life.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import LavaError
from nmhw.sim.lava.place import VARIABLE, lava_python
from nmhw.sim.lava.worker.nmhw_lava.files import read, write
from nmhw.sim.lava.worker.nmhw_lava.launch import SILENCE_S, Failure, run_child

Arrays = Mapping[str, NDArray[Any]]

WORKER = Path(__file__).with_name("worker")

_HINTS = {
    "start": "nmhw lava status",
    "exception": None,
    "killed": "more memory, or fewer samples at once",
    "deadline": "a longer deadline (NMHW_LAVA_DEADLINE_S), or fewer samples at once",
}


_MISSING = f"nmhw lava install --force, or {VARIABLE}=/path/to/bin/python that has lava-nc"


def ask_lava(
    kind: str,
    question: Mapping[str, Any],
    arrays: Arrays,
    *,
    silence_s: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    python: Path | None = None,
    script: Path = WORKER / "start.py",
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Do one job in the Lava environment.

    Parameters
    ----------
    kind : str
        One of ``KINDS`` in ``worker/nmhw_lava/job.py``.
    question : mapping
        Plain JSON values.
    arrays : mapping of name to array
    silence_s : float, optional
        Deadline: longest time without a sign of life.  [default: ``NMHW_LAVA_DEADLINE_S`` or 120]
    python : path, optional
        Interpreter of the environment.  [default: ``lava_python()``]

    Returns
    -------
    answer : dict
    arrays : dict of name to array

    Raises
    ------
    MissingExtraError
        Without a Lava environment.
    LavaError
        When the child fails, is killed or falls silent; nothing of it is left behind.
    """
    interpreter = lava_python() if python is None else python
    try:
        with tempfile.TemporaryDirectory(prefix="nmhw-lava-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            write(folder, "job", {"kind": kind, **question}, arrays)
            silence = deadline_s() if silence_s is None else silence_s
            run_child(interpreter, script, folder, silence_s=silence, on_progress=on_progress)
            return read(folder, "answer")
    except Failure as failure:
        raise as_error(failure) from failure
    except OSError as error:
        raise LavaError(
            "the job for the Lava process cannot be written or read",
            got=error.strerror or error,
            where=str(error.filename or tempfile.gettempdir()),
            hint="space in the folder TMPDIR names",
            rule="lava.files",
        ) from error


def as_error(failure: Failure) -> LavaError:
    """Return a failure of the child as an error for the user."""
    detail = failure.detail.strip()
    is_missing = "No module named" in failure.what + (detail.splitlines() or [""])[-1]
    is_told = failure.kind in ("exception", "killed")
    return LavaError(
        failure.what,
        got=None if is_told or not detail else detail.splitlines()[-1],
        where=failure.where or "the Lava process",
        hint=_MISSING if is_missing else _HINTS[failure.kind],
        rule=f"lava.{failure.kind}",
        detail=detail,
    )


def deadline_s() -> float:
    """Return the deadline that the environment sets, else the default.

    Raises
    ------
    UsageError
        When it is no positive number.
    """
    import math
    import os

    from nmhw.errors import UsageError

    text = os.environ.get("NMHW_LAVA_DEADLINE_S")
    if text is None:
        return SILENCE_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(
            "a deadline is a positive number of seconds",
            got=repr(text),
            where="NMHW_LAVA_DEADLINE_S",
            rule="lava.deadline-option",
        )
    return seconds


def read_versions(python: Path | None = None) -> dict[str, str]:
    """Return the versions of Python, lava-nc and what it stands on; starts a child."""
    answer, _ = ask_lava("versions", {}, {"none": np.zeros(0)}, python=python, silence_s=60.0)
    return answer
