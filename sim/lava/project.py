"""A deployed network as a Python project that runs with lava-nc alone."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmhw import __version__
from nmhw.errors import UsageError
from nmhw.sim.lava.child import WORKER
from nmhw.sim.lava.describe import describe
from nmhw.sim.lava.install import SHIMMED
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork

#: Stands in ``network.json``: only folders with it are replaced.
MARK = "nmhw-lava-project"

#: Files of the worker that a project needs.
_FILES = (
    "__init__", "build", "cell_step", "event_rows", "files", "guard", "job", "launch", "record",
    "run_job", "shim", "tap", "processes/__init__", "processes/cell", "processes/lif",
    "processes/source", "processes/stock", "processes/synapses",
)  # fmt: skip

#: What a project holds, and what running it leaves there.
_REPLACED = {
    "README.md", "requirements.txt", "run.py", "start.py", "network.json", "network.npz",
    "nmhw_lava", "input.npz", "expected.npz", "spikes.npz", "__pycache__",
}  # fmt: skip

_README = """\
# {name} on {chip}, as Lava processes

Written by nmhw {version}. `python run.py` runs the network, in the integers that it was deployed
with on {chip}, on the CPU with lava-nc 0.10.0; nmhw is not needed. {input_note}

## Environment

Python 3.10:

    pip install -r requirements.txt

Python 3.11 to 3.13 (lava-nc's metadata admits 3.10 alone; `nmhw_lava/shim.py` makes it importable):

    pip install --ignore-requires-python --no-deps lava-nc==0.10.0
    pip install {requirements}

## Use

    python run.py                        # the input that lies here, if there is one
    python run.py --input x.npy -o s.npz # (samples, steps, ...) spike counts

`spikes.npz` holds `NAME/sample`, `NAME/step`, `NAME/index` of every population. Each sample starts
from the initial state and runs {drain} steps longer than its input, until the last spike is out.

## Files

- `network.json`, `network.npz`: populations, projections and their integers.
- `nmhw_lava/processes/`: the processes and their models. LIF, Dense, DelayDense and Sparse are
  lava-nc's own fixed_pt models where they compute the same ({stock}); the rest is nmhw's.
- `run.py`, `start.py`, `nmhw_lava/`: start a child interpreter, run it, count, clean up.

lava-nc is archived upstream (https://github.com/lava-nc/lava). The Python files are nmhw's,
Apache-2.0. Bit-exact to lava-nc's fixed_pt models is no claim about a chip.
"""


def write_project(
    folder: Path,
    quantized: QuantizedNetwork,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    expected: Mapping[str, SpikeEvents] | None,
) -> dict[str, Any]:
    """Write the project; an earlier one in its place is replaced by a complete one alone.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents
        As they are run, all of the same number of steps.
    n_steps : int
        T, without the drain.
    expected : mapping of population to SpikeEvents, optional
        Spikes of all simulated steps; None = the inputs are not written either.

    Returns
    -------
    facts : {"output", "processes": name -> process, "has_input"}

    Raises
    ------
    UsageError
        See ``describe.refuse_network``; for a folder that cannot be written or holds other files.
    """
    check_project_folder(folder)
    network, arrays = describe(quantized, inputs, n_steps=n_steps + quantized.drain_steps)
    for key in ("n_rows", "steps", "period"):
        del network[key]
    for port in network["inputs"]:
        port["is_constant"] = port["name"] in quantized.constant_inputs
        port["most"] = max(1, inputs[port["name"]].largest_count())
    network |= {"project": MARK, "nmhw_version": __version__, "chip": quantized.chip_name}
    network["drain_steps"] = quantized.drain_steps
    kept = {key: value for key, value in arrays.items() if not key.startswith("inputs/")}
    parts = network["populations"] + network["projections"]
    processes = {entry["name"]: entry["process"] for entry in parts}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".nmhw-project-", dir=folder.parent) as name:
            stage = Path(name) / "project"
            _copy_files(stage)
            (stage / "network.json").write_text(json.dumps(network, indent=1) + "\n", "utf-8")
            np.savez_compressed(stage / "network.npz", allow_pickle=False, **kept)
            if expected is not None:
                _write_events(stage / "expected.npz", expected)
                given = {k: e for k, e in inputs.items() if k not in quantized.constant_inputs}
                sizes = {"n_samples": next(iter(inputs.values())).n_samples, "n_steps": n_steps}
                _write_events(stage / "input.npz", given, **sizes)
            _write_texts(stage, quantized, processes, expected is not None)
            if folder.exists():
                folder.rename(Path(name) / "old")
            stage.rename(folder)
    except OSError as error:
        raise UsageError("cannot write here", got=error.strerror, where=str(folder)) from error
    return {"output": str(folder), "processes": processes, "has_input": expected is not None}


def check_project_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier project.

    Raises
    ------
    UsageError
    """
    if not folder.exists():
        return
    is_ours = False
    if folder.is_dir():
        try:
            found = json.loads((folder / "network.json").read_text("utf-8"))
            is_ours = isinstance(found, dict) and found.get("project") == MARK
        except (OSError, ValueError):
            is_ours = not any(folder.iterdir())
    if not is_ours:
        raise UsageError(
            "the output is no Lava project of nmhw",
            got=str(folder),
            hint="a new folder",
            rule="output.foreign-file",
        )
    others = sorted({path.name for path in folder.iterdir()} - _REPLACED)
    if others:
        raise UsageError(
            "the project holds files that nmhw did not write: replacing it would remove them",
            got=", ".join(others)[:200],
            where=str(folder),
            hint="a new folder",
            rule="output.foreign-file",
        )


def _copy_files(stage: Path) -> None:
    (stage / "nmhw_lava" / "processes").mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(WORKER / "nmhw_lava" / f"{name}.py", stage / "nmhw_lava" / f"{name}.py")
    shutil.copyfile(WORKER / "start.py", stage / "start.py")
    shutil.copyfile(WORKER / "project_run.py", stage / "run.py")


def _write_events(path: Path, events: Mapping[str, SpikeEvents], **sizes: int) -> None:
    arrays: dict[str, Any] = {key: np.array(value) for key, value in sizes.items()}
    for name, e in events.items():
        arrays |= {f"{name}/sample": e.sample, f"{name}/step": e.step, f"{name}/index": e.index}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _write_texts(
    stage: Path, quantized: QuantizedNetwork, processes: Mapping[str, str], has_input: bool
) -> None:
    stock = sorted(name for name, kind in processes.items() if kind.startswith("Counted"))
    input_note = (
        "`input.npz` is its input, `expected.npz` the spikes that nmhw computed."
        if has_input
        else "It brings no input: say `--input`."
    )
    text = _README.format(
        name=quantized.name,
        chip=quantized.chip_name,
        version=__version__,
        input_note=input_note,
        requirements=" ".join(SHIMMED[1]),
        drain=quantized.drain_steps,
        stock=", ".join(stock) or "here: none",
    )
    (stage / "README.md").write_text(text, "utf-8")
    (stage / "requirements.txt").write_text("lava-nc==0.10.0\n", "utf-8")
