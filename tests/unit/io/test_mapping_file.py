import h5py
import numpy as np
import pytest

from nmhw.errors import ResultFileError
from nmhw.io.mapping_file import load_mapping, save_mapping
from nmhw.values.mapping import Mapping, Slice, Utilization
from nmhw.values.notice import Notice


@pytest.fixture
def mapping() -> Mapping:
    return Mapping(
        chip_name="loihi1-nahuku",
        slices=(
            Slice("fc/é 1", np.array([0, 2, 5]), 7),
            Slice("fc/é 1", np.array([1, 3]), 2),
            Slice("empty", np.array([], np.int64), 2),
        ),
        encodings={("a>b", 2): "dense", ("a>b", 7): "sparse", ("c", 7): "shared"},
        utilization=(
            Utilization(2, {"neurons": (2, 1024), "synapses": (9, None)}),
            Utilization(7, {"neurons": (3, 1024)}),
        ),
        metrics={"packets": 12.5, "n_cores": 2, "cores_lower_bound_by": "neurons"},
        mapper="greedy",
        notices=(Notice("map.verify", "core 2", "advised", "warning", None),),
    )


def test_everything_comes_back(mapping, tmp_path):
    path = tmp_path / "mapping.h5"
    save_mapping(mapping, path)
    again = load_mapping(path)
    for name in ("chip_name", "encodings", "utilization", "metrics", "mapper", "notices"):
        assert getattr(again, name) == getattr(mapping, name)
    for one, other in zip(again.slices, mapping.slices, strict=True):
        assert (one.population, one.core) == (other.population, other.core)
        np.testing.assert_array_equal(one.neurons, other.neurons)
        assert one.neurons.dtype == np.int64


def test_the_same_mapping_gives_the_same_bytes(mapping, tmp_path):
    for name in ("a.h5", "b.h5"):
        save_mapping(mapping, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_mapping_of_nothing_is_a_mapping(tmp_path):
    save_mapping(Mapping("chip", (), {}, ()), tmp_path / "m.h5")
    assert load_mapping(tmp_path / "m.h5").slices == ()


def test_nothing_else_is_left_in_the_folder(mapping, tmp_path):
    save_mapping(mapping, tmp_path / "m.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["m.h5"]


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ResultFileError, match="no such file"):
        load_mapping(tmp_path / "none.h5")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "m.h5").write_text("{}")
    with pytest.raises(ResultFileError):
        load_mapping(tmp_path / "m.h5")


def test_another_format_version_is_refused_with_the_way_out(mapping, tmp_path):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    change(path, "meta", lambda text: text.replace(b'"format": 1', b'"format": 7'))
    with pytest.raises(ResultFileError, match=r"unknown mapping format: got 7.*map the network"):
        load_mapping(path)


@pytest.mark.parametrize("name", ["meta", "slices", "neurons", "encodings", "utilization"])
def test_every_part_is_needed(mapping, tmp_path, name):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(ResultFileError, match=f"it has no '{name}'"):
        load_mapping(path)


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "reason"),
    [
        ("slices", 0, 0, 9, "a name is missing"),
        ("slices", 0, 2, 4, "disagree in number"),
        ("slices", 0, 2, -3, "disagree in number"),
        ("encodings", 1, 2, 3, "a name is missing"),
        ("encodings", 1, 0, -1, "a name is missing"),
        ("utilization", 0, 1, 5, "a name is missing"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(
    mapping, tmp_path, name, row, column, value, reason
):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    with h5py.File(path, "r+") as file:
        file[name][row, column] = value
    with pytest.raises(ResultFileError, match=reason):
        load_mapping(path)


@pytest.mark.parametrize("values", [np.zeros((3, 2), np.int64), np.zeros((3, 3)), np.int64(3)])
def test_tables_of_another_shape_or_type_are_refused(mapping, tmp_path, values):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    with h5py.File(path, "r+") as file:
        del file["slices"]
        file["slices"] = values
    with pytest.raises(ResultFileError, match="'slices'"):
        load_mapping(path)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[1]", b"{}", b'{"format": 1}', b"nonsense"])
def test_a_damaged_description_is_refused(mapping, tmp_path, text):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    change(path, "meta", lambda _: text)
    with pytest.raises(ResultFileError):
        load_mapping(path)


def test_a_truncated_file_is_refused(mapping, tmp_path):
    path = tmp_path / "m.h5"
    save_mapping(mapping, path)
    data = path.read_bytes()
    for length in (0, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ResultFileError):
            load_mapping(path)


def change(path, name, edit) -> None:
    with h5py.File(path, "r+") as file:
        text = edit(bytes(file[name][()]))
        del file[name]
        file[name] = np.frombuffer(text, np.uint8)
