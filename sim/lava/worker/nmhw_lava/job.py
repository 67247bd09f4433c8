"""One job: ``job.json`` and ``job.npz`` in, ``answer.json`` and ``answer.npz`` out.

A kind of job is a module with ``work(question, arrays, folder) -> (answer, arrays)``. The answer's
JSON is renamed into place last: while it is missing, there is no answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from nmhw_lava import guard
from nmhw_lava.files import read, write

#: Kind of job -> module, imported when such a job comes.
KINDS = {
    "versions": "nmhw_lava.versions",
    "run": "nmhw_lava.run_job",
    "learn": "nmhw_lava.learn_job",
}


def main(name: str, kinds: Mapping[str, str] | None = None) -> int:
    """Do the job in the folder ``name``; return the exit status."""
    folder = Path(name)
    guard.watch_parent()
    try:
        question, arrays = read(folder, "job")
        module = importlib.import_module({**KINDS, **(kinds or {})}[question["kind"]])
        answer, found = module.work(question, arrays, folder)
        write(folder, "answer", answer, found)
    except BaseException as error:
        guard.report_exception(error, "the job")
        return 1
    return 0
