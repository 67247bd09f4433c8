"""Say at once what went wrong in the child: lava itself would wait for ever.

Reports are JSON lines on a pipe that the parent reads (``NMHW_LAVA_REPORT``), else on stderr:
``{"error": ..., "where": ..., "trace": ...}`` or ``{"done": ..., "total": ...}``. Whoever reports
an error leaves the end of the others to the parent, which kills the whole process group.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: Environment variable with the file descriptor for reports.
REPORT_VARIABLE = "NMHW_LAVA_REPORT"

#: A pipe takes so many bytes in one piece, whoever else writes.
MAX_REPORT = 4000

POLL_S = 0.1


def report(message: dict[str, Any]) -> None:
    """Write one report."""
    line = (json.dumps(message) + "\n").encode("ascii")
    descriptor = os.environ.get(REPORT_VARIABLE)
    if descriptor is None:
        if "error" in message:
            sys.stderr.write(f"{message['where']}: {message['error']}\n{message.get('trace', '')}")
        return
    with suppress(OSError):
        os.write(int(descriptor), line)


def report_exception(error: BaseException, where: str) -> None:
    """Report an exception with the end of its traceback."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    text = f"{type(error).__name__}: {error}"[:600]
    message = {"error": text, "where": where[:200], "trace": trace}
    while len(json.dumps(message)) >= MAX_REPORT:
        message["trace"] = message["trace"][len(message["trace"]) // 4 + 1 :]
    report(message)


def watch_parent() -> None:
    """End the process group when the parent, which holds stdin open, has gone."""
    if os.environ.get(REPORT_VARIABLE) is not None:
        threading.Thread(target=_await_end_of_input, daemon=True).start()


def _await_end_of_input() -> None:
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    from nmhw_lava.shim import PREFIX_VARIABLE

    prefix = os.environ.get(PREFIX_VARIABLE, "")
    for name in os.listdir("/dev/shm") if prefix and os.path.isdir("/dev/shm") else ():
        if name.startswith(prefix):
            with suppress(OSError):
                os.unlink(f"/dev/shm/{name}")
    folder = sys.argv[-1]  # the job's: nobody else is left to remove it
    if os.path.isfile(os.path.join(folder, "job.json")):
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def guard_runtime() -> None:
    """Report exceptions in process models, in port threads, and models that were killed."""
    from lava.magma.runtime import runtime
    from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing

    if getattr(runtime.target_fn, "is_guarded", False):
        return
    threading.excepthook = _report_thread
    plain_target, plain_build = runtime.target_fn, MultiProcessing.build_actor
    pids: dict[int, str] = {}

    def target(*args: Any, **kwargs: Any) -> None:
        where = _title(kwargs.get("builder"))
        try:
            plain_target(*args, **kwargs)
        except BaseException as error:
            report_exception(error, where)
            raise

    def build_actor(self: Any, function: Callable[..., Any], builder: Any, *rest: Any) -> Any:
        actor = plain_build(self, function, builder, *rest)
        pids[actor.pid] = _title(builder)
        return actor

    target.is_guarded = True  # type: ignore[attr-defined]
    runtime.target_fn, MultiProcessing.build_actor = target, build_actor
    threading.Thread(target=_watch_models, args=(pids,), daemon=True).start()


def _title(builder: Any) -> str:
    """Return what the user knows a part of the run by."""
    model = getattr(builder, "proc_model", None) or getattr(builder, "rs_class", None)
    params = getattr(builder, "proc_params", None)
    named = params.get("name") if params is not None and hasattr(params, "get") else None
    kind = getattr(model, "__name__", "a part of the runtime")
    return f"{kind} {named!r}" if named else kind


def _report_thread(args: Any) -> None:
    if args.exc_value is not None:
        report_exception(args.exc_value, f"a port of {os.getpid()}")


def _watch_models(pids: dict[int, str]) -> None:
    """Report models that end by a signal; nothing is reaped here, lava joins them itself."""
    while True:
        time.sleep(POLL_S)
        for pid, where in list(pids.items()):
            try:
                found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                pids.pop(pid)
                continue
            if found is None:
                continue
            pids.pop(pid)
            if found.si_code != os.CLD_EXITED:
                text = f"killed by signal {signal.Signals(found.si_status).name}"
                report({"error": text, "where": where, "trace": ""})
