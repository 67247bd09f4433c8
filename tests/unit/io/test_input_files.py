from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from nmhw.errors import InputError
from nmhw.io.event_file import read_events, read_labels, write_events
from nmhw.io.input_arrays import as_inputs
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network

RASTER = np.random.default_rng(0).integers(0, 2, (3, 5, 4))


def network(*names: str) -> Network:
    build = Network.build("n")
    for name in names or ("in",):
        build.input(name, 4)
    build.population("p", 1, "if")
    return build.output("y", "p").done()


def events_of(path: Path, dt_s: float | None = None) -> np.ndarray:
    return as_inputs(network(), read_events(path), dt_s=dt_s)["in"].dense()


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npy_is_dense(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RASTER)
    np.testing.assert_array_equal(events_of(tmp_path / "x.npy"), RASTER)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_dense_brings_its_labels(tmp_path: Path, order: Any) -> None:
    path = save(tmp_path / "x.npz", x=np.asarray(RASTER, order=order), y=[2, 0, 1])
    np.testing.assert_array_equal(events_of(path), RASTER)
    labels = read_events(path).labels
    assert labels is not None
    assert labels.tolist() == read_labels(path).tolist() == [2, 0, 1]


def test_npz_events_in_small_types_and_any_order(tmp_path: Path) -> None:
    sample, step, index = (a[::-1].astype(np.uint8) for a in np.nonzero(RASTER))
    path = save(
        tmp_path / "e.npz", sample=sample, step=step, index=index, n_steps=5, labels=[1] * 3
    )
    np.testing.assert_array_equal(events_of(path), RASTER)


def test_written_events_come_back(tmp_path: Path) -> None:
    silent_end = SpikeEvents.from_dense(np.pad(RASTER, ((0, 1), (0, 2), (0, 0))))
    write_events(tmp_path / "e.npz", silent_end, labels=[0, 1, 2, 3])
    np.testing.assert_array_equal(events_of(tmp_path / "e.npz"), silent_end.dense())
    assert read_labels(tmp_path / "e.npz").tolist() == [0, 1, 2, 3]


def test_npz_by_input_name(tmp_path: Path) -> None:
    path = save(tmp_path / "two.npz", left=RASTER, right=1 - RASTER, labels=[0, 1, 2])
    found = as_inputs(network("left", "right"), read_events(path))
    np.testing.assert_array_equal(found["right"].dense(), 1 - RASTER)


def nir_data(path: Path, observables: dict[str, Any], name: str = "in") -> Path:
    nodes = {name: nir.NIRNodeData(observables)}
    nir.write_data(path, nir.NIRGraphData(nodes))
    return path


def test_gridded_nir_data_carries_its_step(tmp_path: Path) -> None:
    grid = nir.TimeGriddedData(RASTER.astype(bool), dt=1e-3)
    path = nir_data(tmp_path / "x.h5", {"spikes": grid})
    assert read_events(path).dt_s == 1e-3
    np.testing.assert_array_equal(events_of(path, dt_s=1e-3), RASTER)


def test_event_nir_data_is_put_on_the_grid(tmp_path: Path) -> None:
    grid = nir.TimeGriddedData(RASTER.astype(bool), dt=1e-3)
    path = nir_data(tmp_path / "x.h5", {"spikes": grid.to_event(n_events=20)})
    np.testing.assert_array_equal(events_of(path, dt_s=1e-3), RASTER)


def test_valued_nir_data_keeps_whole_values_as_counts(tmp_path: Path) -> None:
    idx = np.array([[1, 2, -1]])
    time = np.array([[0.0, 0.003, np.inf]])
    value = np.array([[1.0, 3.0, 0.0]])
    valued = nir.ValuedEventData(idx, time, 4, 0.005, value)
    path = nir_data(tmp_path / "x.h5", {"spikes": valued})
    dense = events_of(path, dt_s=1e-3)
    assert dense.shape == (1, 5, 4)
    assert (dense[0, 0, 1], dense[0, 3, 2], dense.sum()) == (1, 3, 4)


def test_spikes_are_chosen_among_observables(tmp_path: Path) -> None:
    spikes = nir.TimeGriddedData(RASTER.astype(bool), dt=1e-3)
    v = nir.TimeGriddedData(RASTER * 0.5, dt=1e-3)
    path = nir_data(tmp_path / "a.h5", {"spikes": spikes, "v": v})
    np.testing.assert_array_equal(events_of(path), RASTER)
    with pytest.raises(InputError, match=r"b\.h5: in: which observable.*got i, v"):
        read_events(nir_data(tmp_path / "b.h5", {"v": v, "i": v}))


def test_model_file_is_not_data(tmp_path: Path) -> None:
    graph = nir.NIRGraph.from_list(nir.Linear(np.ones((2, 2))))
    nir.write(tmp_path / "model.nir", graph)
    with pytest.raises(InputError, match=r"model\.nir: not a NIRData file.*nir\.write_data"):
        read_events(tmp_path / "model.nir")


def test_external_links_in_data_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["nodes"] = h5py.ExternalLink("other.h5", "/nodes")
    with pytest.raises(InputError, match="link"):
        read_events(tmp_path / "x.h5")


def test_pickled_arrays_are_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    np.save(tmp_path / "x.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([Bomb()], dtype=object), allow_pickle=True)
    for name in ("x.npy", "x.npz"):
        for read in (read_events, read_labels):
            with pytest.raises(InputError, match=rf"{name}.*pickled Python objects"):
                read(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_header_that_promises_too_much_allocates_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    (tmp_path / "x.npy").write_bytes(buffer.getvalue() + b"\0" * 64)
    with pytest.raises(InputError, match=r"x\.npy: the array is cut off or too large"):
        read_events(tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(InputError, match=r"x\.npz: x: the array is cut off"):
        read_events(tmp_path / "x.npz")


GOOD = {"sample": [0, 1], "step": [0, 1], "index": [0, 3]}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"sample": [0], "step": [0]}, r"x\.npz: event form needs index too: got sample, step"),
        ({**GOOD, "indices": [1]}, "arrays that event form does not have: got indices"),
        ({**GOOD, "n_steps": [2, 3]}, r"x\.npz: n_steps: one positive number"),
        ({**GOOD, "n_steps": 0}, "one positive number"),
        ({**GOOD, "n_steps": 2.5}, "whole numbers"),
        ({**GOOD, "value": ["a", "b"]}, r"x\.npz: value: not an array of numbers: got dtype <U1"),
        ({"y": [0, 1]}, "no input in the file: got y"),
    ],
)
def test_bad_npz_names_file_and_array(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_events(save(tmp_path / "x.npz", **arrays))
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2,3\n", r"x\.bin: neither a NumPy file nor HDF5"),
        (b"", "neither"),
        (b"PK\x03\x04garbage", r"x\.bin: the \.npz file is damaged"),
        (b"\x93NUMPY\x01\x00\x10\x00nonsense", "not a readable NumPy array"),
        (b"\x93NUMPY\x09\x00", "not a readable NumPy array"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "damaged"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_events(tmp_path / "x.bin")


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: cannot read the file \(no such file\)"):
        read_events(tmp_path / "none.npz")
    with pytest.raises(InputError, match="cannot read the file"):
        read_events(tmp_path)


def test_labels_need_numbers_under_a_known_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labels in the file: got x; try: labels or y"):
        read_labels(save(tmp_path / "x.npz", x=RASTER))
    np.save(tmp_path / "y.npy", np.array(["cat"]))
    with pytest.raises(InputError, match=r"y\.npy: not an array of numbers"):
        read_labels(tmp_path / "y.npy")
