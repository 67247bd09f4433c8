"""Start the child interpreter, hear its reports, and leave nothing of it behind.

Standard library only: exported projects carry this file too.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: How long the child may say nothing before it counts as hung.
SILENCE_S = 120.0

#: Where POSIX shared memory is seen as files (Linux).
SEGMENTS = "/dev/shm"

#: A socket's name has at most 107 bytes; multiprocessing appends 34 to the folder's.
MAX_SOCKET_FOLDER = 64

POLL_S = 0.1
LOG_BYTES = 3000


@dataclass(eq=False)
class Failure(Exception):
    """The child came to no answer.

    Attributes
    ----------
    kind : "start" | "exception" | "killed" | "deadline"
    what : one line
    where : the process model or step it happened in
    detail : end of the traceback or of the child's own output
    """

    kind: str
    what: str
    where: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def run_child(
    python: str | Path,
    script: Path,
    folder: Path,
    *,
    silence_s: float = SILENCE_S,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run ``python script folder`` to its end; the answer then lies in ``folder``.

    The child has a session, hence a process group, of its own: however it ends, the whole group is
    killed and its shared-memory segments are removed.

    Parameters
    ----------
    silence_s : float
        Longest time between two reports (progress comes all the time while steps run).
    on_progress : callable(done, total), optional

    Raises
    ------
    Failure
    """
    prefix = f"nmhw-{os.getpid():x}-{secrets.token_hex(3)}-"
    reports, writer = os.pipe()
    settings = {
        "NMHW_LAVA_REPORT": str(writer),
        "NMHW_LAVA_SEGMENTS": prefix,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if len(str(folder)) <= MAX_SOCKET_FOLDER:  # multiprocessing's own files go with the job's
        settings["TMPDIR"] = str(folder)
    log = folder / "log.txt"
    process = None
    try:
        with open(log, "wb") as sink:
            process = subprocess.Popen(
                [str(python), "-E", "-s", str(script), str(folder)],
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
            )
        os.close(writer)
        writer = -1
        _listen(process, reports, silence_s, on_progress, log)
    except OSError as error:
        raise Failure("start", str(error.strerror or error), str(error.filename or "")) from error
    finally:
        if process is not None:
            _end(process)
        remove_segments(prefix)
        os.close(reports)
        if writer >= 0:
            os.close(writer)


def _listen(
    process: subprocess.Popen[bytes],
    reports: int,
    silence_s: float,
    on_progress: Callable[[int, int], None] | None,
    log: Path,
) -> None:
    """Read reports until the child has ended; raise what it failed of."""
    heard, rest = time.monotonic(), b""
    while True:
        end = _end_of(process)
        ready, _, _ = select.select([reports], [], [], POLL_S if end is None else 0.0)
        chunk = os.read(reports, 65536) if ready else b""
        if chunk:
            heard = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                _take(json.loads(line), on_progress)
        elif end is not None:
            break
        elif time.monotonic() - heard > silence_s:
            what = f"no sign of life for {silence_s:g} s"
            raise Failure("deadline", what, detail=_tail(log))
    is_killed, status = end
    if is_killed:
        name = signal.Signals(status).name
        raise Failure("killed", f"the Lava process was killed by {name}", detail=_tail(log))
    if status:
        raise Failure("start", f"the Lava process ended with status {status}", detail=_tail(log))
    if not (log.parent / "answer.json").is_file():  # a program that is no Python
        raise Failure("start", "the Lava process left no answer", detail=_tail(log))


def _take(message: dict[str, Any], on_progress: Callable[[int, int], None] | None) -> None:
    if "error" in message:
        kind = "killed" if message["error"].startswith("killed by") else "exception"
        raise Failure(kind, message["error"], message.get("where", ""), message.get("trace", ""))
    if on_progress is not None and "total" in message:
        on_progress(int(message["done"]), int(message["total"]))


def _end_of(process: subprocess.Popen[bytes]) -> tuple[bool, int] | None:
    """Return whether a signal ended the child and its number or status, None while it runs.

    The child stays unreaped, so that its group keeps its number.
    """
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if found is None else (found.si_code != os.CLD_EXITED, found.si_status)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the group, then reap the child."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.wait()


def remove_segments(prefix: str) -> list[str]:
    """Remove the shared-memory segments that start with ``prefix``; return their names."""
    found = list(Path(SEGMENTS).glob(f"{prefix}*"))
    for path in found:
        with suppress(FileNotFoundError):
            path.unlink()
    return [path.name for path in found]


def _tail(log: Path) -> str:
    with suppress(OSError):
        return log.read_bytes()[-LOG_BYTES:].decode("utf-8", "replace")
    return ""
