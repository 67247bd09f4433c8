"""Saved runs: a folder of files that belong together, checked as a whole when reopened."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmhw.api.targets import SUMS, UNFINISHED, check_writable, is_saved_run
from nmhw.errors import ResultFileError, UsageError
from nmhw.report.summary import check_json
from nmhw.values.provenance import hash_file, volatile_info

if TYPE_CHECKING:
    from nmhw.api.run import Run

#: The compared body of a run; ``SHA256SUMS`` lists them in the format of ``sha256sum``.
BODY = ("chip.json", "mapping.h5", "result.h5", "result.json")
INFO = "run-info.json"

# Beginning of the name of a folder in the folder, where files wait until all are written.
_STAGE = ".writing-"

#: What a reader may not do without.
_NEEDED = ("chip_file", "costs", "pace", "dt_s", "projections", "first_output_step", "readout")


def save_run(run: Run, folder: Path, keep_spikes: int) -> Path:
    """Write all files of a run; see ``Run.save``."""
    from nmhw.io.mapping_file import save_mapping
    from nmhw.io.result_file import save_result

    if run.mapping is None:
        raise UsageError("a run without its mapping cannot be saved")
    check_target(folder)
    info = {"wall_s": check_json(run.wall_s), **volatile_info()}
    texts = {
        "chip.json": _json(run.chip.document, sort=True),
        "result.json": _json(run.summary()),
        INFO: _json(info, sort=True),
    }
    outputs = frozenset(run.facts["readout_populations"])
    with _staging(folder) as stage:
        save_result(run.result, stage / "result.h5", keep_spikes, outputs)
        save_mapping(run.mapping, stage / "mapping.h5")
        for name, text in texts.items():
            (stage / name).write_text(text, encoding="utf-8")
        sums = "".join(f"{hash_file(stage / name)}  {name}\n" for name in BODY)
        (stage / SUMS).write_text(sums, encoding="ascii")
    return folder


def load_run(folder: Path) -> Run:
    """Open a folder written by ``save_run``; see ``nmhw.load_result``."""
    from nmhw.api.run import Run
    from nmhw.io.chip_file import restore_chip
    from nmhw.io.mapping_file import load_mapping
    from nmhw.io.result_file import load_saved_result

    _check_sums(folder)
    facts = _read_json(folder / "result.json")
    missing = [key for key in _NEEDED if key not in facts]
    if missing:
        what = "not a complete saved run"
        raise ResultFileError(what, got=f"no {missing[0]!r}", where=str(folder / "result.json"))
    result = load_saved_result(folder / "result.h5")
    mapping = load_mapping(folder / "mapping.h5")
    chip = restore_chip(_read_json(folder / "chip.json"), str(facts["chip_file"]))
    try:
        costs = facts["costs"] or "none"
        run = Run(result, chip, facts, costs=costs, pace=facts["pace"], mapping=mapping)
        run.report()  # whatever does not add up shows here, not in the middle of the user's work
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ResultFileError(
            "the files of the saved run contradict each other", got=reason, where=str(folder)
        ) from error
    return run


def check_target(folder: Path) -> None:
    """Refuse a folder that holds anything else than a saved run, or cannot be written.

    Raises
    ------
    UsageError
        Before anything is touched.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError("the output is not a folder", got=str(folder))
    check_writable(folder, folder)
    if folder.is_dir():
        names = {entry.name for entry in folder.iterdir()} - {*BODY, SUMS, INFO, UNFINISHED}
        foreign = [name for name in names if not name.startswith(_STAGE)]
        if foreign:
            got, hint = f"{folder}: {min(foreign)}", "an empty or new folder"
            raise UsageError("the output folder holds other files", got=got, hint=hint)
        holds_body = any((folder / name).exists() for name in (*BODY, SUMS, INFO))
        if holds_body and not is_saved_run(folder):
            what = "the output folder holds files that are no saved run of nmhw"
            hint = "an empty or new folder"
            raise UsageError(what, got=str(folder), hint=hint, rule="output.foreign-file")


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; its files move to ``folder`` when the block ends well."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=folder))
    except OSError as error:
        raise UsageError("cannot write here", got=error.strerror, where=str(folder)) from error
    try:
        yield stage
        (folder / SUMS).unlink(missing_ok=True)  # until all files are there, the folder is no run
        for name in (*BODY, INFO, SUMS):
            os.replace(stage / name, folder / name)
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    except OSError as error:
        raise UsageError("cannot write the run", got=error.strerror, where=str(folder)) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _check_sums(folder: Path) -> None:
    """Refuse a folder whose files are missing or differ from what was written."""
    sums = folder / SUMS
    if not sums.is_file():
        what = "no saved run here" if not (folder / "result.json").is_file() else "no checksums"
        raise ResultFileError(what, got=str(folder), hint="nmhw run ... -o DIR", rule="result.none")
    try:
        lines = [line.split() for line in sums.read_text(encoding="ascii").splitlines()]
        wanted = {name: digest for digest, name in lines}
    except (ValueError, OSError) as error:
        raise ResultFileError("cannot read the checksums", where=str(sums)) from error
    for name in BODY:
        path = folder / name
        if not path.is_file():
            raise ResultFileError("a file of the saved run is missing", where=str(path))
        if hash_file(path) != wanted.get(name):
            raise ResultFileError(
                "a file of the saved run is damaged or was changed",
                where=str(path),
                hint="run it again",
                rule="result.damaged",
            )


def _json(data: Any, sort: bool = False) -> str:
    return json.dumps(data, indent=1, sort_keys=sort, allow_nan=False) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ResultFileError("cannot read the saved run", got=error, where=str(path)) from error
    if not isinstance(data, dict):
        raise ResultFileError("not a saved run", where=str(path))
    return data
