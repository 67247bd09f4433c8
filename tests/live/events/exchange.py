"""Write event files with other people's libraries, read ours with them; JSON in, JSON out.

Runs in ``.live/events``; the packages of the development environment are seen behind the own ones.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

Rows = list[list[int]]


def write_dv(path: Path, rows: Rows, size: list[int]) -> None:
    """AEDAT 4 by dv-processing."""
    import dv_processing as dv

    config = dv.io.MonoCameraWriter.EventOnlyConfig("camera", tuple(size))
    writer = dv.io.MonoCameraWriter(str(path), config)
    for start in range(0, len(rows), 1000):  # several packets
        store = dv.EventStore()
        for t, x, y, p in rows[start : start + 1000]:
            store.push_back(t, x, y, bool(p))
        writer.writeEvents(store)
    del writer


def write_expelliarmus(path: Path, rows: Rows, encoding: str) -> None:
    """Prophesee's formats by expelliarmus."""
    from expelliarmus import Wizard

    kind = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")]
    Wizard(encoding=encoding).save(fpath=path, arr=np.array([tuple(r) for r in rows], kind))


def read(path: str, library: str) -> Rows:
    """Return the rows (t, x, y, p) that a library finds in a file."""
    if library == "nmhw":
        return read_nmhw(path)
    if library == "evlib":
        import evlib

        table = evlib.load_events(path).collect()
        t = table["t"].to_numpy().astype("timedelta64[us]").astype(np.int64)
        columns = [t, *(table[k].to_numpy() for k in ("x", "y")), table["polarity"].to_numpy() > 0]
    else:
        events = read_structured(path, library)
        columns = [events[k] for k in ("t", "x", "y", "p")]
    return np.stack([np.asarray(c).astype(np.int64) for c in columns], axis=1).tolist()


def read_structured(path: str, library: str) -> Any:
    """Return tonic's or expelliarmus' structured array."""
    if library == "tonic-nmnist":
        from tonic.io import events_struct, read_mnist_file

        return read_mnist_file(path, dtype=events_struct)
    if library == "tonic-davis346":
        from tonic.io import read_davis_346

        return read_davis_346(path)[2]
    from expelliarmus import Wizard

    return Wizard(encoding=library).read(path)


def read_nmhw(path: str) -> Any:
    """Return rows, or the rule by which the file is refused."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    from nmhw.errors import NmhwError
    from nmhw.io.recordings.sources import open_recordings

    try:
        (recording,) = open_recordings(path)
        chunks = list(recording.chunks())
    except NmhwError as error:
        return {"rule": error.rule}
    columns = [np.concatenate([getattr(c, k) for c in chunks]) for k in "txyp"]
    return np.stack([c.astype(np.int64) for c in columns], axis=1).tolist()


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.stdin.read())
    if "write" not in question:
        print(json.dumps({"rows": read(question["path"], question["read"])}))
        return
    path, rows = Path(question["path"]), question["rows"]
    if question["write"] == "aedat4":
        write_dv(path, rows, question["size"])
    else:
        write_expelliarmus(path, rows, question["write"])
    print(json.dumps({"bytes": path.stat().st_size}))


if __name__ == "__main__":
    main()
