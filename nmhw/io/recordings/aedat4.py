"""AEDAT 4, the files of DV and of dv-processing, read with the package ``aedat``.

The files are packets of FlatBuffers under LZ4 or Zstandard; the package decodes them one by one
(https://github.com/neuromorphicsystems/aedat).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmhw.errors import InputError
from nmhw.io.display import display
from nmhw.io.extras import import_extra
from nmhw.io.recordings.recording import EventChunk, Recording, event_chunk, shown

MAGIC = b"#!AER-DAT4"
_INSTALL = "pip install 'nmhw[events]'"


def aedat4_recording(path: Path, name: str) -> Recording:
    """Return the first event stream of an AEDAT 4 file as a recording.

    Raises
    ------
    MissingExtraError
        Without the package ``aedat`` (extra ``events``).
    InputError
        For a damaged file, or one without events.
    """
    decoder = _decoder(path)
    streams = {k: s for k, s in decoder.id_to_stream().items() if s.get("type") == "events"}
    if not streams:
        raise InputError(
            "the file has no stream of events", where=shown(path), rule="events.empty",
            got=", ".join(str(s.get("type")) for s in decoder.id_to_stream().values()) or "none",
        )  # fmt: skip
    stream = min(streams)
    sensor = (int(streams[stream]["width"]), int(streams[stream]["height"]))
    return Recording(name, lambda: _chunks(path, stream), sensor, is_absolute=True)


def _decoder(path: Path) -> Any:
    aedat = import_extra("aedat", _INSTALL)
    try:
        return aedat.Decoder(str(path))
    except Exception as failure:
        raise _damaged(path, failure) from failure


def _chunks(path: Path, stream: int) -> Iterator[EventChunk]:
    packets = iter(_decoder(path))
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except Exception as failure:
            raise _damaged(path, failure) from failure
        if packet["stream_id"] == stream and "events" in packet:
            events = packet["events"]
            yield event_chunk(events["t"], events["x"], events["y"], events["on"])


def _damaged(path: Path, failure: Exception) -> InputError:
    return InputError(
        f"the AEDAT 4 file is damaged or cut off ({display(failure, 120)})", where=shown(path),
        rule="events.truncated", hint="copy or download it again",
    )  # fmt: skip
