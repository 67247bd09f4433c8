"""Event files go both ways: ours are read by others' libraries, theirs by nmhw.

expelliarmus 1.1.12 writes EVT 3.0 with one upper part of the time for the whole file, and reads
files that repeat it with times 4096 microseconds too late: below that it agrees, beyond it evlib
is asked instead.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
SIZE = (346, 260)


def rows_of(events: list[Any]) -> list[list[int]]:
    return [list(event) for event in events]


OURS = {
    "nmnist by tonic": ("write_nmnist", "bin", "tonic-nmnist", (34, 34), 0),
    "nmnist beyond 23 bits": ("write_nmnist", "bin", "tonic-nmnist", (34, 34), 1 << 23),
    "DAVIS346 by tonic": ("write_aedat2", "aedat", "tonic-davis346", SIZE, 1000),
    "dat by expelliarmus": ("write_dat", "dat", "dat", SIZE, 0),
    "EVT 2.0 by expelliarmus": ("write_evt2", "raw", "evt2", SIZE, 0),
    "EVT 2.0 by evlib": ("write_evt2", "raw", "evlib", SIZE, 0),
    "EVT 3.0 by evlib": ("write_evt3", "raw", "evlib", SIZE, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", OURS)
def test_files_of_the_tests_are_what_others_read(
    ask_events: Ask, event_writers: ModuleType, tmp_path: Path, case: str
) -> None:
    write, suffix, library, size, start = OURS[case]
    events = event_writers.random_events(3000, *size, seed=8, start=start)
    more: dict[str, Any] = {"size": size} if "evt" in write else {}
    if write == "write_evt3":
        more["old"] = True
    path = getattr(event_writers, write)(tmp_path / f"e.{suffix}", events, **more)
    answer = ask_events("exchange.py", {"read": library, "path": str(path)})
    assert answer["rows"] == rows_of(events)
    assert ask_events("exchange.py", {"read": "nmhw", "path": str(path)}) == answer


THEIRS = {
    "aedat4": ("aedat4", "aedat4", SIZE, 1_700_000_000_000_000, 40),
    "dat": ("dat", "dat", (640, 480), 0, 40),
    "evt2": ("evt2", "raw", (1280, 720), 0, 400),
    "evt3": ("evt3", "raw", (640, 480), 0, 2),
}


@pytest.mark.parametrize("case", THEIRS)
def test_files_of_others_are_read(
    ask_events: Ask, event_writers: ModuleType, tmp_path: Path, case: str
) -> None:
    kind, suffix, size, start, gap = THEIRS[case]
    events = event_writers.random_events(3000, *size, seed=9, start=start, longest_gap=gap)
    path = tmp_path / f"e.{suffix}"
    question = {"write": kind, "path": str(path), "rows": rows_of(events), "size": list(size)}
    ask_events("exchange.py", question)
    answer = ask_events("exchange.py", {"read": "nmhw", "path": str(path)})
    assert answer["rows"] == rows_of(events)


def test_damaged_aedat4_files_are_refused(
    ask_events: Ask, event_writers: ModuleType, tmp_path: Path
) -> None:
    events = event_writers.random_events(3000, *SIZE, seed=9, start=10**15)
    path = tmp_path / "e.aedat4"
    question = {"path": str(path), "rows": rows_of(events), "size": list(SIZE)}
    ask_events("exchange.py", {"write": "aedat4", **question})
    raw = path.read_bytes()
    for cut in (20, 400, len(raw) // 2):
        path.write_bytes(raw[:cut])
        answer = ask_events("exchange.py", {"read": "nmhw", "path": str(path)})
        assert answer["rows"] == {"rule": "events.truncated"}, cut
    path.write_bytes(raw[:1500] + bytes(200) + raw[1700:])
    answer = ask_events("exchange.py", {"read": "nmhw", "path": str(path)})
    assert answer["rows"] == {"rule": "events.truncated"}
    outside = rows_of([*events, (events[-1][0] + 5, SIZE[0] + 3, 0, 1)])
    ask_events("exchange.py", {"write": "aedat4", **question, "rows": outside})
    answer = ask_events("exchange.py", {"read": "nmhw", "path": str(path)})
    assert answer["rows"] in ({"rule": "events.range"}, rows_of(events))  # dv may drop it itself
