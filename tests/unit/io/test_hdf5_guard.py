"""Hostile and damaged HDF5 files are refused by name before their data are read."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nmhw.errors import InputError
from nmhw.io.hdf5_dataset import DatasetEntry, Hdf5Limits
from nmhw.io.hdf5_guard import open_guarded


def refusal(path: Path, limits: Hdf5Limits | None = None) -> InputError:
    with pytest.raises(InputError) as caught, open_guarded(path, limits) as guarded:
        for entry in guarded.tree.values():
            assert isinstance(entry, DatasetEntry)
            guarded.load(entry)
    assert caught.value.exit_code == 2
    assert path.name in str(caught.value)
    return caught.value


def written(tmp_path: Path, fill: Callable[[h5py.File], object]) -> Path:
    path = tmp_path / "case.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_numbers_and_text_come_back_as_stored(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.int8).reshape(2, 3)

    def fill(file: h5py.File) -> None:
        file.create_dataset("a/weight", data=weight, compression="gzip", shuffle=True)
        file.create_dataset("a/flag", data=np.array([True, False]))
        file.create_dataset("text", data="naïve", dtype=h5py.string_dtype())
        file.create_dataset("fixed", data=np.array([b"ab", b"c"]))
        file["pairs"] = [["a", "b"], ["", "longer name"]]

    path = written(tmp_path, fill)
    with open_guarded(path) as guarded:
        group = guarded.tree["a"]
        assert isinstance(group, dict)
        loaded = guarded.load(group["weight"])  # type: ignore[arg-type]
        assert loaded.dtype == np.int8
        assert (loaded == weight).all()
        texts = {k: guarded.load(v) for k, v in guarded.tree.items() if isinstance(v, DatasetEntry)}
        assert guarded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert texts["text"].item() == "naïve"
    assert texts["fixed"].tolist() == ["ab", "c"]
    assert texts["pairs"].tolist() == [["a", "b"], ["", "longer name"]]


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_text_in_one_chunk_is_read(tmp_path: Path, compression: str | None) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset(
            "text",
            data=[["a", "b"], ["c", "dd"]],
            dtype=h5py.string_dtype(),
            chunks=(2, 2),
            compression=compression,
            shuffle=compression is not None,
        )

    with open_guarded(written(tmp_path, fill)) as guarded:
        entry = guarded.tree["text"]
        assert isinstance(entry, DatasetEntry)
        assert guarded.load(entry).tolist() == [["a", "b"], ["c", "dd"]]


@pytest.mark.parametrize(
    ("content", "rule", "says"),
    [
        (b"", "hdf5.empty", "empty"),
        (pickle.dumps({"weight": [1.0]}), "hdf5.not-hdf5", "pickle"),
        (b"PK\x03\x04rest of a zip", "hdf5.not-hdf5", "torch.save"),
        (b'{"nodes": {}}', "hdf5.not-hdf5", "JSON"),
        (b"\x89HDF\r\n\x1a\n", "hdf5.damaged", "damaged"),
    ],
)
def test_what_is_not_hdf5_is_named(tmp_path: Path, content: bytes, rule: str, says: str) -> None:
    path = tmp_path / "model.nir"
    path.write_bytes(content)
    error = refusal(path)
    assert error.rule == rule
    assert says in str(error)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.nir").rule == "hdf5.missing"
    assert "regular file" in str(refusal(tmp_path))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, lambda f: f.create_dataset("x", data=np.zeros(1000)))
    path.write_bytes(path.read_bytes()[:4000])
    assert refusal(path).rule == "hdf5.damaged"


def test_links_that_leave_their_place_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = 1.0

    def external(file: h5py.File) -> None:
        file["x"] = h5py.ExternalLink(str(secret), "/x")

    def soft(file: h5py.File) -> None:
        file["x"] = h5py.SoftLink("/x")

    assert refusal(written(tmp_path, external)).rule == "hdf5.external-link"
    assert refusal(written(tmp_path, soft)).rule == "hdf5.soft-link"


def test_a_group_linked_into_itself_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("a")
        group["again"] = group

    error = refusal(written(tmp_path, fill))
    assert error.rule == "hdf5.link-cycle"
    assert "/a/again" in str(error)


def test_a_link_back_to_the_root_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("a")
        group["root"] = file["/"]

    assert refusal(written(tmp_path, fill)).rule == "hdf5.link-cycle"


def test_data_in_other_files_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(80))

    def external(file: h5py.File) -> None:
        file.create_dataset("x", (10,), "f8", external=[(str(secret), 0, 80)])

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (10,))
        file.create_virtual_dataset("x", layout)

    assert refusal(written(tmp_path, external)).rule == "hdf5.external-storage"
    assert refusal(written(tmp_path, virtual)).rule == "hdf5.virtual"


@pytest.mark.parametrize(
    "dtype",
    [
        h5py.ref_dtype,
        np.dtype([("a", "f8")]),
        np.dtype(np.complex128),
        np.dtype(np.longdouble),
        h5py.vlen_dtype(np.float64),
        np.dtype("V8"),
    ],
)
def test_types_beyond_numbers_and_text_are_refused(tmp_path: Path, dtype: np.dtype) -> None:
    path = written(tmp_path, lambda f: f.create_dataset("x", (2,), dtype))
    assert refusal(path).rule == "hdf5.type"


def test_four_terabytes_in_a_small_file_are_refused_unread(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", (1 << 39,), "f8", chunks=(1 << 16,), compression="gzip")

    error = refusal(written(tmp_path, fill))
    assert error.rule == "hdf5.too-large"
    assert str(1 << 39) in str(error)


def test_one_huge_chunk_counts_though_the_dataset_is_small(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", (1,), "u1", chunks=(1 << 29,), maxshape=(None,))

    assert refusal(written(tmp_path, fill)).rule == "hdf5.too-large"


def test_a_compression_bomb_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=np.zeros(100_000), compression="gzip")

    path = written(tmp_path, fill)
    assert refusal(path, Hdf5Limits(inflation_from_bytes=1 << 16)).rule == "hdf5.bomb"
    with open_guarded(path) as guarded:  # below 64 MiB zeros are nothing unusual
        assert set(guarded.tree) == {"x"}


def test_the_same_data_linked_often_count_every_time(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=np.random.default_rng(0).normal(size=10_000))
        for k in range(50):
            file[f"again{k}"] = file["x"]

    assert refusal(written(tmp_path, fill), Hdf5Limits(max_bytes=1 << 21)).rule == "hdf5.too-large"


def test_data_never_written_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, lambda f: f.create_dataset("x", (10,), "f8"))
    assert refusal(path).rule == "hdf5.unwritten"


def test_a_null_dataset_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, lambda f: f.create_dataset("x", data=h5py.Empty("f8")))
    assert refusal(path).rule == "hdf5.no-data"


def test_depth_and_number_of_objects_are_limited(tmp_path: Path) -> None:
    path = written(tmp_path, lambda f: f.create_group("/".join("abcdefghij")))
    assert refusal(path, Hdf5Limits(max_depth=5)).rule == "hdf5.depth"
    path = written(tmp_path, lambda f: [f.create_group(str(k)) for k in range(30)])
    assert refusal(path, Hdf5Limits(max_objects=20)).rule == "hdf5.too-many"


@pytest.mark.parametrize("name", ["..\\evil", "two\nlines", "\x1b[31m", "x" * 300, b"\xff\xfe"])
def test_odd_names_are_refused_and_shown_harmlessly(tmp_path: Path, name: str | bytes) -> None:
    error = refusal(written(tmp_path, lambda f: f.create_dataset(name, data=1.0)))
    assert error.rule == "hdf5.name"
    assert str(error).isprintable()


def test_a_long_string_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data="y" * 100_000, dtype=h5py.string_dtype())

    error = refusal(written(tmp_path, fill))
    assert error.rule == "hdf5.damaged"
    assert "100000 bytes" in str(error)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=b"\xff\xfe", dtype=h5py.string_dtype("utf-8"))

    assert "UTF-8" in str(refusal(written(tmp_path, fill)))


def test_a_filter_that_needs_a_plugin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.h5"
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)  # blosc, not installed
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, plist)
    assert refusal(path).rule == "hdf5.filter"


def test_a_damaged_heap_neither_hangs_nor_crashes(tmp_path: Path) -> None:
    """With HDF5 2.0.0 an object of size ~2**64 in the heap makes the library loop for ever."""
    path = written(
        tmp_path, lambda f: f.create_dataset("x", data="text", dtype=h5py.string_dtype())
    )
    content = bytearray(path.read_bytes())
    at = content.index(b"GCOL") + 16 + 8
    for size in (2**64 - 8, 2**63, 0, 4095):
        content[at : at + 8] = size.to_bytes(8, "little")
        path.write_bytes(content)
        assert refusal(path).rule == "hdf5.damaged"


def test_the_guard_needs_no_nir_package(tmp_path: Path) -> None:
    code = "import sys, nmhw.io.hdf5_guard, nmhw.io.nir_read; print('nir' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
